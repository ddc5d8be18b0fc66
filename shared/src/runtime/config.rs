//! Settings: the environment, read once into types, every mistake reported at once.
//!
//! `docs/configuration.md` lists the same names with their defaults.

use std::{fmt, str::FromStr};

#[cfg(feature = "time-zone")]
use jiff::tz::TimeZone;

use crate::value::{Currency, Email, Region, ReservedUsernames};

/// Everything a function may be configured with.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every table's name begins with, `TABLE_PREFIX`.
    pub table_prefix: String,
    /// Access tokens: `iss`, `aud` and `client_id`.
    pub token: TokenConfig,
    /// What the `$default` route may do, `DEFAULT_ROUTE`.
    pub default_route: DefaultRoute,
    /// How identifiers are read.
    pub phone_region: Region,
    /// One-time codes and their limits.
    pub otp: OtpConfig,
    /// Signing in.
    pub login: LoginConfig,
    /// The deployment's one currency.
    pub currency: Currency,
    /// Where the days and months of usage statistics begin, `TIME_ZONE`.
    #[cfg(feature = "time-zone")]
    pub time_zone: TimeZone,
    /// Usernames that nobody may choose, `RESERVED_USERNAMES`.
    pub reserved_usernames: ReservedUsernames,
    /// The bucket of identity documents, `KYC_BUCKET`.
    pub kyc_bucket: String,
    /// The namespace of metrics, `METRICS_NAMESPACE`. Without one, none are written.
    pub metrics_namespace: Option<String>,
}

/// What access tokens name.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// `iss`, `TOKEN_ISSUER`.
    pub issuer: String,
    /// `aud`, `TOKEN_AUDIENCE`.
    pub audience: String,
    /// `client_id`, `TOKEN_CLIENT_ID`.
    pub client_id: String,
}

/// What a request that arrives by the route `$default` may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultRoute {
    /// It gets a 404 or 405: an HTTP API names the route of every operation.
    Refuse,
    /// It is served by its path: nothing in front of the function names routes.
    Serve,
}

impl FromStr for DefaultRoute {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "serve" => Ok(Self::Serve),
            _ => Err("must be refuse or serve"),
        }
    }
}

/// One-time codes: how they are sent and how many.
#[derive(Debug, Clone)]
pub struct OtpConfig {
    /// The message, with `{code}` where the code goes.
    pub message: MessageTemplate,
    /// The subject of an e-mail.
    pub email_subject: String,
    /// The address that e-mail comes from. Without one, e-mail is off.
    pub email_sender: Option<String>,
    /// Countries whose mobile numbers get SMS.
    pub sms_countries: Vec<Region>,
    /// The name that SMS come from, where the country allows one.
    pub sms_sender_id: Option<String>,
    /// The most that one SMS may cost, US dollars.
    pub sms_max_price_usd: Option<String>,
    /// Seconds between two sends to one identifier.
    pub resend_seconds: u32,
    /// Sends to one identifier in any hour.
    pub identifier_max_per_hour: u32,
    /// Sends not verified afterwards for one source address in any hour.
    pub source_max_per_hour: u32,
    /// SMS of the whole deployment in a clock hour.
    pub sms_max_per_hour: u32,
    /// SMS of the whole deployment in a UTC day.
    pub sms_max_per_day: u32,
    /// The share of both ceilings that `REGISTER` and `CHANGE_IDENTIFIER` may use, percent.
    pub sms_sign_up_percent: u32,
    /// The least time that an answer to an OTP request takes, milliseconds.
    pub min_response_ms: u32,
}

/// How people sign in.
#[derive(Debug, Clone)]
pub struct LoginConfig {
    /// Which credentials a sign-in needs.
    pub policy: LoginPolicy,
    /// What is sent to an identifier that was replaced by another.
    pub identifier_changed_message: String,
    /// Wrong credentials from one source address in any quarter of an hour.
    pub source_max_failures: u32,
    /// Words that are no password here, whatever digits and symbols stand around them; in lower
    /// case.
    pub password_words: Vec<String>,
}

/// Which credentials a sign-in needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginPolicy {
    /// A right password or a `LOGIN` verification token.
    Any,
    /// A right password.
    Password,
    /// A `LOGIN` verification token.
    Otp,
    /// Both.
    Both,
}

impl FromStr for LoginPolicy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "any" => Ok(Self::Any),
            "password" => Ok(Self::Password),
            "otp" => Ok(Self::Otp),
            "both" => Ok(Self::Both),
            _ => Err("must be any, password, otp or both"),
        }
    }
}

/// A text with `{code}` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageTemplate(String);

impl MessageTemplate {
    const PLACE: &'static str = "{code}";
    /// Two concatenated SMS in the GSM alphabet.
    const MAX_CHARS: usize = 300;

    /// The message for `code`.
    pub fn with_code(&self, code: &str) -> String {
        self.0.replace(Self::PLACE, code)
    }
}

impl FromStr for MessageTemplate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.matches(Self::PLACE).count() == 0 {
            return Err("must contain {code}");
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err("must be at most 300 characters");
        }
        Ok(Self(text.replace("\\n", "\n")))
    }
}

/// The settings that are missing or wrong, all of them.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration: {}", self.0.join("; "))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the process's environment.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads settings by name from `get`. An empty value is an absent one.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut settings = Settings { get: &get, errors: Vec::new() };
        let config = Self::build(&mut settings);
        config.filter(|_| settings.errors.is_empty()).ok_or(ConfigError(settings.errors))
    }

    /// The defaults, for tests beside the rules.
    #[cfg(test)]
    pub(crate) fn of_defaults() -> Self {
        let required = ["TABLE_PREFIX", "TOKEN_ISSUER", "TOKEN_AUDIENCE", "KYC_BUCKET"];
        Self::read(|name| required.contains(&name).then(|| "x".to_owned())).unwrap()
    }

    fn build(settings: &mut Settings<'_>) -> Option<Self> {
        let table_prefix = settings.required("TABLE_PREFIX");
        let kyc_bucket = settings.required("KYC_BUCKET");
        let issuer = settings.required("TOKEN_ISSUER");
        let audience = settings.required("TOKEN_AUDIENCE");
        let client_id = settings.optional("TOKEN_CLIENT_ID").or_else(|| audience.clone());
        let default_route = settings.parsed("DEFAULT_ROUTE", "refuse");
        let phone_region = settings.parsed("PHONE_REGION", "NP");
        let currency = settings.parsed("CURRENCY", "NPR");
        #[cfg(feature = "time-zone")]
        let time_zone = settings.time_zone();
        let reserved_usernames = settings.parsed(
            "RESERVED_USERNAMES",
            "admin,administrator,root,support,help,staff,system,api,official",
        );
        let otp = settings.otp();
        let policy = settings.parsed("LOGIN_POLICY", "any");
        let identifier_changed_message = settings.text(
            "IDENTIFIER_CHANGED_MESSAGE",
            "This is no longer an identifier of your account. If it was not you who changed it, \
             ask for help.",
        );
        let source_max_failures = settings.number("LOGIN_SOURCE_MAX_FAILURES", 100, 10..=10_000);
        let password_words = settings.password_words();
        Some(Self {
            table_prefix: table_prefix?,
            token: TokenConfig { issuer: issuer?, audience: audience?, client_id: client_id? },
            default_route: default_route?,
            phone_region: phone_region?,
            otp: otp?,
            login: LoginConfig {
                policy: policy?,
                identifier_changed_message: identifier_changed_message?,
                source_max_failures: source_max_failures?,
                password_words: password_words?,
            },
            currency: currency?,
            #[cfg(feature = "time-zone")]
            time_zone: time_zone?,
            reserved_usernames: reserved_usernames?,
            kyc_bucket: kyc_bucket?,
            metrics_namespace: settings.optional("METRICS_NAMESPACE"),
        })
    }
}

struct Settings<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    errors: Vec<String>,
}

impl Settings<'_> {
    fn optional(&self, name: &str) -> Option<String> {
        (self.get)(name).filter(|value| !value.is_empty())
    }

    fn required(&mut self, name: &str) -> Option<String> {
        let value = self.optional(name);
        if value.is_none() {
            self.errors.push(format!("{name} is missing"));
        }
        value
    }

    /// A text that fits into two SMS.
    fn text(&mut self, name: &str, default: &str) -> Option<String> {
        let text = self.optional(name).unwrap_or_else(|| default.to_owned());
        if text.chars().count() <= MessageTemplate::MAX_CHARS {
            return Some(text);
        }
        self.errors.push(format!("{name} must be at most 300 characters"));
        None
    }

    fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, name: &str, default: &str) -> Option<T> {
        let text = self.optional(name).unwrap_or_else(|| default.to_owned());
        text.parse().map_err(|error| self.errors.push(format!("{name} {error}"))).ok()
    }

    fn number(
        &mut self,
        name: &str,
        default: u32,
        range: std::ops::RangeInclusive<u32>,
    ) -> Option<u32> {
        let number = self.parsed(name, &default.to_string())?;
        if range.contains(&number) {
            return Some(number);
        }
        self.errors.push(format!("{name} must be from {} to {}", range.start(), range.end()));
        None
    }

    fn otp(&mut self) -> Option<OtpConfig> {
        let message = self.parsed(
            "OTP_MESSAGE",
            "{code} is your code. It is valid for 5 minutes. Keep it to yourself.",
        );
        let email_sender = self.email_sender();
        let sms_countries = self.countries();
        let resend_seconds = self.number("OTP_RESEND_SECONDS", 60, 1..=3600);
        let identifier_max_per_hour = self.number("OTP_MAX_PER_HOUR", 5, 1..=20);
        let source_max_per_hour = self.number("OTP_SOURCE_MAX_PER_HOUR", 20, 1..=200);
        let sms_max_per_hour = self.number("SMS_MAX_PER_HOUR", 500, 0..=1_000_000);
        let sms_max_per_day = self.number("SMS_MAX_PER_DAY", 3_000, 0..=10_000_000);
        let sms_sign_up_percent = self.number("SMS_SIGN_UP_PERCENT", 70, 0..=100);
        let min_response_ms = self.number("OTP_MIN_RESPONSE_MS", 300, 0..=5_000);
        Some(OtpConfig {
            message: message?,
            email_subject: self
                .optional("OTP_EMAIL_SUBJECT")
                .unwrap_or_else(|| "Your code".to_owned()),
            email_sender: email_sender?,
            sms_countries: sms_countries?,
            sms_sender_id: self.optional("SMS_SENDER_ID"),
            sms_max_price_usd: self.optional("SMS_MAX_PRICE_USD"),
            resend_seconds: resend_seconds?,
            identifier_max_per_hour: identifier_max_per_hour?,
            source_max_per_hour: source_max_per_hour?,
            sms_max_per_hour: sms_max_per_hour?,
            sms_max_per_day: sms_max_per_day?,
            sms_sign_up_percent: sms_sign_up_percent?,
            min_response_ms: min_response_ms?,
        })
    }

    #[cfg(feature = "time-zone")]
    fn time_zone(&mut self) -> Option<TimeZone> {
        let name = self.optional("TIME_ZONE").unwrap_or_else(|| "Asia/Kathmandu".to_owned());
        let zone = TimeZone::get(&name).ok().filter(|zone| !zone.is_unknown());
        if zone.is_none() {
            let error = "TIME_ZONE must be a name of the IANA database, like Asia/Kathmandu";
            self.errors.push(error.to_owned());
        }
        zone
    }

    fn email_sender(&mut self) -> Option<Option<String>> {
        let Some(sender) = self.optional("EMAIL_SENDER") else { return Some(None) };
        match Email::parse(&sender) {
            Ok(_) => Some(Some(sender)),
            Err(_) => {
                self.errors.push("EMAIL_SENDER must be an e-mail address".to_owned());
                None
            }
        }
    }

    fn password_words(&mut self) -> Option<Vec<String>> {
        let text = self.optional("PASSWORD_WORDS").unwrap_or_else(|| PASSWORD_WORDS.to_owned());
        let words = text.split(',').map(|word| word.trim().to_lowercase());
        let words: Vec<_> = words.take(MAX_PASSWORD_WORDS + 1).collect();
        let is_word = |word: &String| {
            let is_part =
                |c: char| !(c.is_whitespace() || c.is_control() || c.is_ascii_punctuation());
            (2..=40).contains(&word.chars().count()) && word.chars().all(is_part)
        };
        if words.len() <= MAX_PASSWORD_WORDS && words.iter().all(is_word) {
            return Some(words);
        }
        self.errors.push(format!(
            "PASSWORD_WORDS must be at most {MAX_PASSWORD_WORDS} words of 2 to 40 letters or \
             digits, separated by commas"
        ));
        None
    }

    fn countries(&mut self) -> Option<Vec<Region>> {
        let text = self.optional("SMS_COUNTRIES").unwrap_or_else(|| "NP".to_owned());
        let countries: Result<Vec<Region>, _> =
            text.split(',').map(|country| country.trim().parse()).collect();
        countries.map_err(|error| self.errors.push(format!("SMS_COUNTRIES {error}"))).ok()
    }
}

const MAX_PASSWORD_WORDS: usize = 300;

/// The service, Nepal's cities and places, its operators and wallets, greetings, and the most
/// common given names.
const PASSWORD_WORDS: &str = "powerbank,powerbanks,power,charge,charger,charging,battery,rental,\
    mobile,nepal,nepali,kathmandu,ktm,pokhara,lalitpur,patan,bhaktapur,biratnagar,birgunj,\
    bharatpur,chitwan,butwal,dharan,janakpur,hetauda,nepalgunj,dhangadhi,itahari,lumbini,thamel,\
    gorkha,everest,sagarmatha,himalaya,ncell,ntc,namastetelecom,smartcell,telecom,esewa,khalti,\
    namaste,namaskar,hello,welcome,dhanyabad,jaynepal,jainepal,ram,sita,hari,gita,maya,krishna,\
    shyam,shiva,bishnu,laxmi,saraswati,durga,parbati,radha,bikash,bikas,bishal,bibek,binod,\
    prakash,deepak,dipak,suman,sujan,sanjay,santosh,sandesh,rajesh,rajendra,ramesh,suresh,dinesh,\
    ganesh,mahesh,umesh,rajan,roshan,kiran,nabin,niraj,manoj,milan,pradip,prabin,anil,sunil,arjun,\
    sagar,saroj,subash,ashish,sunita,anita,sarita,kabita,sabita,puja,pooja,nisha,manisha,asmita,\
    anjali,priya,binita,sushma,kamala,samjhana";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(|name| {
            settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn names_every_missing_or_wrong_setting_at_once() {
        let error = read(&[
            ("TABLE_PREFIX", "t-"),
            ("LOGIN_POLICY", "magic"),
            ("SMS_COUNTRIES", "NP,Nepal"),
            ("OTP_MESSAGE", "no place for it"),
            ("OTP_MAX_PER_HOUR", "0"),
        ])
        .unwrap_err()
        .to_string();
        for name in [
            "TOKEN_ISSUER",
            "TOKEN_AUDIENCE",
            "LOGIN_POLICY",
            "SMS_COUNTRIES",
            "OTP_MESSAGE",
            "OTP_MAX_PER_HOUR",
        ] {
            assert!(error.contains(name), "{name} in {error}");
        }
        assert!(!error.contains("TABLE_PREFIX"));
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let config = Config::of_defaults();
        assert_eq!(config.otp.sms_max_per_hour, 500);
        assert_eq!(config.otp.sms_max_per_day, 3_000);
        assert_eq!(config.otp.min_response_ms, 300);
        assert_eq!(config.otp.email_sender, None);
        assert_eq!(config.login.policy, LoginPolicy::Any);
        assert_eq!(config.default_route, DefaultRoute::Refuse);
    }

    #[test]
    fn the_client_id_is_the_audience_unless_it_is_set() {
        let required = [
            ("TABLE_PREFIX", "t-"),
            ("TOKEN_ISSUER", "i"),
            ("TOKEN_AUDIENCE", "api"),
            ("KYC_BUCKET", "b"),
        ];
        assert_eq!(read(&required).unwrap().token.client_id, "api");
        let with = [&required[..], &[("TOKEN_CLIENT_ID", "app")]].concat();
        assert_eq!(read(&with).unwrap().token.client_id, "app");
    }

    #[cfg(feature = "time-zone")]
    #[test]
    fn a_time_zone_is_a_name_of_the_bundled_database() {
        let read = |name: &'static str| {
            Config::read(|asked| match asked {
                "TIME_ZONE" => Some(name.to_owned()),
                _ => {
                    Some("1".to_owned()).filter(|_| asked.starts_with("T") || asked == "KYC_BUCKET")
                }
            })
        };
        for (name, seconds) in [("", 20_700), ("Asia/Kathmandu", 20_700), ("UTC", 0)] {
            let zone = read(name).unwrap().time_zone;
            let offset = zone.to_offset("2026-01-31T18:45:00Z".parse().unwrap());
            assert_eq!(offset.seconds(), seconds, "{name}");
        }
        for name in ["Asia/Katmandoo", "+05:45", "NPT", "../etc/passwd", "Etc/Unknown", " "] {
            let error = read(name).unwrap_err().to_string();
            assert!(error.contains("TIME_ZONE must be a name"), "{name}: {error}");
        }
    }

    #[test]
    fn a_template_carries_the_line_that_phones_fill_in() {
        let template: MessageTemplate = "{code} is it.\\n\\n@app.example #{code}".parse().unwrap();
        assert_eq!(template.with_code("123456"), "123456 is it.\n\n@app.example #123456");
    }
}
