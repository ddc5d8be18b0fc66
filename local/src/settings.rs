//! What the product is configured with here: the deployed defaults but for these few.

use std::collections::BTreeMap;

/// The settings whose local default is not the deployed one, or that have none deployed.
pub const LOCAL_DEFAULTS: &[(&str, &str)] = &[
    ("TABLE_PREFIX", "local-"),
    ("TOKEN_ISSUER", "http://localhost"),
    ("TOKEN_AUDIENCE", "local"),
    ("KYC_BUCKET", "local-kyc"),
    ("METRICS_NAMESPACE", "local"),
    ("EMAIL_SENDER", "no-reply@local.example"),
    ("SMS_MAX_PER_HOUR", "5000"),
    ("SMS_MAX_PER_DAY", "50000"),
    ("OTP_MIN_RESPONSE_MS", "0"),
];

/// The origins that API Gateway's CORS configuration names, separated by commas. It is a setting of
/// the gateway, so [`shared::runtime::config`] does not know it.
pub const CORS_ORIGINS: &str = "CORS_ORIGINS";

/// Settings by name: what was given, then the process's environment (if it counts), then the local
/// defaults. An empty value is an absent one, so it turns a local default off.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Settings that come before everything else.
    pub overrides: BTreeMap<String, String>,
    /// Whether the process's environment counts.
    pub from_environment: bool,
}

impl Settings {
    /// The value of `name`, if it has one.
    pub fn get(&self, name: &str) -> Option<String> {
        let given = self.overrides.get(name).cloned().or_else(|| self.environment(name));
        given.or_else(|| {
            let default = LOCAL_DEFAULTS.iter().find(|(known, _)| *known == name);
            default.map(|(_, value)| (*value).to_owned())
        })
    }

    #[allow(clippy::disallowed_methods, reason = "the developer's own settings override by name")]
    fn environment(&self, name: &str) -> Option<String> {
        self.from_environment.then(|| std::env::var(name).ok()).flatten()
    }

    /// The origins in [`CORS_ORIGINS`].
    pub fn cors_origins(&self) -> Vec<String> {
        let origins = self.get(CORS_ORIGINS).unwrap_or_default();
        let origins = origins.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        origins.map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use shared::runtime::config::Config;

    use super::*;

    #[test]
    fn local_defaults_make_a_whole_configuration() {
        let config = Config::read(|name| Settings::default().get(name)).unwrap();
        assert_eq!(config.table_prefix, "local-");
        assert_eq!(config.otp.sms_max_per_hour, 5_000);
        assert_eq!(config.otp.sms_max_per_day, 50_000);
        assert_eq!(config.otp.min_response_ms, 0);
        assert!(config.otp.email_sender.is_some());
    }

    #[test]
    fn overrides_win_and_an_empty_one_turns_a_default_off() {
        let overrides = [("SMS_MAX_PER_DAY", "7"), ("EMAIL_SENDER", "")];
        let overrides = overrides.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let settings = Settings { overrides, ..Settings::default() };
        let config = Config::read(|name| settings.get(name)).unwrap();
        assert_eq!(config.otp.sms_max_per_day, 7);
        assert_eq!(config.otp.email_sender, None);
    }

    #[test]
    fn origins_are_separated_by_commas() {
        let overrides =
            [(CORS_ORIGINS.to_owned(), " https://a.example, ,https://b.example".to_owned())];
        let settings = Settings { overrides: overrides.into(), ..Settings::default() };
        assert_eq!(settings.cors_origins(), ["https://a.example", "https://b.example"]);
        assert!(Settings::default().cors_origins().is_empty());
    }
}
