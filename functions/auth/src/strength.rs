//! How easily a password is guessed. Pure.

use shared::{
    http::problem::{Code, Problem},
    sign_in::password::Password,
};
use zxcvbn::{Score, feedback::Feedback, zxcvbn};

const MAX_CHARS: usize = 64;

/// Refuses a password that is common, or that can be guessed from what is known of the user
/// (ASVS 6.2.4, 6.2.11): a zxcvbn score under 2.
pub(crate) fn check(
    password: &Password,
    about_the_user: &[&str],
    field: &'static str,
) -> Result<(), Problem> {
    // The estimate's work grows fast with the length, and is decided long before this one.
    let start: String = password.expose().chars().take(MAX_CHARS).collect();
    let estimate = zxcvbn(&start, about_the_user);
    if estimate.score() >= Score::Two {
        return Ok(());
    }
    Err(Problem::field(Code::WeakPassword, field, advice(estimate.feedback())))
}

fn advice(feedback: Option<&Feedback>) -> String {
    let warning = feedback.and_then(Feedback::warning).map(|warning| warning.to_string());
    let suggestions = feedback.map(Feedback::suggestions).unwrap_or_default();
    let sentences: Vec<_> =
        warning.into_iter().chain(suggestions.iter().map(ToString::to_string)).collect();
    match sentences.is_empty() {
        true => "Use a longer password, or more words.".to_owned(),
        false => sentences.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str, about: &[&str]) -> Result<(), Problem> {
        super::check(&Password::choose(password).unwrap(), about, "password")
    }

    #[test]
    fn asvs_6_2_common_and_personal_passwords_are_refused() {
        assert!(check("password", &[]).is_err());
        assert!(check("12345678", &[]).is_err());
        assert!(check("sitaramthapa", &["sitaramthapa"]).is_err());
    }

    #[test]
    fn asvs_6_2_no_rule_asks_for_kinds_of_characters() {
        assert!(check("orange lamp tuesday", &[]).is_ok());
        assert!(check("काठमाडौंको बिहान", &[]).is_ok());
    }
}
