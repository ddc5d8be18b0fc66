//! The one rule for new passwords: which ones are too easily guessed. Pure.

use std::collections::BTreeSet;

use zxcvbn::{Score, feedback::Feedback, zxcvbn};

use crate::{
    sign_in::password::{Accepted, Password, common},
    value::{Email, PhoneNumber, Username, text},
};

/// Longer texts are estimated by their beginning. zxcvbn takes time that grows fast with the
/// length, and its arithmetic overflows for paths of 30 keys and more on the keyboard.
const MAX_ESTIMATED_CHARS: usize = 24;
/// zxcvbn tries every combination of what look-alikes may stand for. Where a text has more
/// different ones than this, it is estimated by [`MIN_ESTIMATED_CHARS`] characters.
const MAX_LOOK_ALIKES: usize = 7;
const MIN_ESTIMATED_CHARS: usize = 12;
/// The characters that zxcvbn reads as letters.
const ZXCVBN_LOOK_ALIKES: &str = "4@8({[<3691!|70$5+%2";

/// How many digits or symbols at either end do not make a common password a good one.
const MAX_STRIPPED: usize = 6;
/// The longest stem that is looked up, characters. No list has longer words.
const MAX_STEM_CHARS: usize = 80;

/// What a guesser may know of the person whose password it is to be.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The username.
    pub username: Username,
    /// The e-mail address, verified or not.
    pub email: Option<Email>,
    /// The phone number, verified or not.
    pub phone: Option<PhoneNumber>,
}

/// Why a password is refused, a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weak(pub String);

/// Accepts a new password, or refuses one that is common or can be guessed from what is known of
/// its owner and of the deployment, `words` (ASVS 6.2.4, 6.2.11).
///
/// Takes some milliseconds: do not call it on a thread that serves requests.
///
/// # Errors
/// Why it is weak.
pub fn accept(password: Password, owner: &Owner, words: &[String]) -> Result<Accepted, Weak> {
    let text = password.expose();
    if is_own_data(text, owner) {
        return Err(Weak("Do not use your own name, address or number as your password.".into()));
    }
    if is_common(text, words) {
        let detail = "This is a commonly used password, or one with a few characters added. \
                      Use a longer password, or more words.";
        return Err(Weak(detail.into()));
    }
    let known = known_words(owner, words);
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    let estimate = zxcvbn(&estimated_part(text), &known);
    match estimate.score() >= Score::Two {
        true => Ok(Accepted(password)),
        false => Err(Weak(advice(estimate.feedback()))),
    }
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

/// What zxcvbn counts as guessed at once, the most personal first.
fn known_words(owner: &Owner, words: &[String]) -> Vec<String> {
    let mut known = vec![owner.username.as_str().to_owned()];
    if let Some(email) = &owner.email {
        known.push(email.as_str().to_owned());
        known.extend(local_parts(email).map(str::to_owned));
    }
    if let Some(phone) = &owner.phone {
        known.extend([phone.national(), &phone.as_str()[1..]].map(str::to_owned));
    }
    known.extend(words.iter().cloned());
    known
}

/// The part of an address before the `@`, with and without a tag.
fn local_parts(email: &Email) -> impl Iterator<Item = &str> {
    let local = email.as_str().rsplit_once('@').map(|(local, _)| local);
    let untagged = local.and_then(|local| local.split_once('+')).map(|(before, _)| before);
    local.into_iter().chain(untagged)
}

/// Whether it is nothing but the username, the address or the number, in any way of writing it.
fn is_own_data(text: &str, owner: &Owner) -> bool {
    let written = letters_and_digits(text);
    if written.is_empty() {
        return false;
    }
    let email = owner.email.iter();
    let mut names = email
        .flat_map(|email| local_parts(email).chain([email.as_str()]))
        .chain([owner.username.as_str()]);
    names.any(|name| letters_and_digits(name) == written)
        || owner.phone.as_ref().is_some_and(|phone| is_number(&written, phone))
}

/// Whether digits are those of a number: national or with the country code, with or without zeros
/// before either.
fn is_number(digits: &str, phone: &PhoneNumber) -> bool {
    let without_zeros = |digits: &str| digits.trim_start_matches('0').to_owned();
    let (country, national) = (phone.country_code(), without_zeros(phone.national()));
    let digits = without_zeros(digits);
    digits == national
        || digits.strip_prefix(country).is_some_and(|rest| without_zeros(rest) == national)
}

/// The letters in lower case and the digits of any script as ASCII, without anything else.
fn letters_and_digits(text: &str) -> String {
    plain(text).filter(|c| c.is_alphanumeric()).collect()
}

/// The text in lower case, with the digits of any script as ASCII.
fn plain(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(char::to_lowercase).map(|c| {
        let digit = text::decimal_digit(c).and_then(|digit| char::from_digit(digit.into(), 10));
        digit.unwrap_or(c)
    })
}

/// Whether it is on the list of common passwords or one of `words`, or becomes one without some
/// digits or symbols at its ends, with look-alikes read as letters. Nothing but digits and symbols
/// is common, too.
fn is_common(text: &str, words: &[String]) -> bool {
    let chars: Vec<char> = plain(text).collect();
    let strippable = |c: &&char| c.is_ascii_digit() || is_symbol(**c);
    let before = chars.iter().take_while(strippable).count().min(MAX_STRIPPED);
    let after = chars.iter().rev().take_while(strippable).count().min(MAX_STRIPPED);
    let is_listed = |stem: &str| common::contains(stem) || words.iter().any(|word| word == stem);
    let mut stems = BTreeSet::new();
    for start in 0..=before {
        for end in 0..=after {
            let Some(stem) = chars.get(start..chars.len().saturating_sub(end)) else { return true };
            if stem.is_empty() {
                return true;
            }
            if stem.len() <= MAX_STEM_CHARS {
                stems.insert(stem.iter().collect::<String>());
                stems.insert(stem.iter().map(|c| letter(*c)).collect());
            }
        }
    }
    stems.iter().any(|stem| is_listed(stem))
}

/// What people put at the ends of a word to please a rule. Emoji and letters of any script are not
/// among them.
fn is_symbol(c: char) -> bool {
    c.is_whitespace() || text::is_symbol(c)
}

/// The letter that a character is written for.
fn letter(c: char) -> char {
    match c {
        '@' => 'a',
        '0' => 'o',
        '3' => 'e',
        '$' => 's',
        '1' => 'i',
        other => other,
    }
}

/// As much of a text as zxcvbn can estimate in a few milliseconds.
fn estimated_part(text: &str) -> String {
    let mut look_alikes = BTreeSet::new();
    let mut part = String::new();
    for (at, c) in text.chars().take(MAX_ESTIMATED_CHARS).enumerate() {
        if ZXCVBN_LOOK_ALIKES.contains(c) {
            look_alikes.insert(c);
        }
        if at >= MIN_ESTIMATED_CHARS && look_alikes.len() > MAX_LOOK_ALIKES {
            break;
        }
        part.push(c);
    }
    part
}

#[cfg(test)]
mod tests;
