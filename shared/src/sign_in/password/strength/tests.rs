use proptest::prelude::*;

use crate::{runtime::config::Config, sign_in::password::strength::*};

const USERNAME: &str = "Sita.Thapa_94";
const EMAIL: &str = "sita.kumari+app@example.com";

fn words() -> Vec<String> {
    Config::of_defaults().login.password_words
}

/// Whether somebody with every kind of identifier may choose it.
fn is_accepted(password: &str) -> bool {
    let username = Username::parse(USERNAME).unwrap();
    let email = Email::parse(EMAIL).unwrap();
    let phone = PhoneNumber::from_e164("+9779841402792").unwrap();
    let owner = Owner { username, email: Some(email), phone: Some(phone) };
    accept(Password::choose(password).unwrap(), &owner, &words()).is_ok()
}

#[track_caller]
fn all_refused<'a>(passwords: impl IntoIterator<Item = &'a str>) {
    let accepted: Vec<_> = passwords.into_iter().filter(|text| is_accepted(text)).collect();
    assert!(accepted.is_empty(), "{accepted:?}");
}

#[test]
fn asvs_6_2_passwords_of_the_list_are_refused_in_any_case_and_with_decorations() {
    all_refused([
        "password",
        "PASSWORD",
        "12345678",
        "qwertyuiop",
        "iloveyou",
        "Admin@123",
        "Password@123",
        "P@$$w0rd",
        "p@ssw0rd2026!",
        "!!dragon99",
        "Tr0uble#1",
        "superman 77",
        "1qaz2wsx#",
        "sunshine......",
        "monkey१२३४",
    ]);
}

#[test]
fn words_of_the_deployment_are_refused_with_decorations() {
    all_refused([
        "Nepal@123",
        "Namaste@123",
        "powerbank1",
        "bikash123",
        "Kathmandu!",
        "Kathmandu–2081",
        "Nepal।12345",
        "P0khara2080",
        "ncell@9841",
        "N@ma$te1",
        "  nepal  ",
        "R@m12345",
        "१२३nepal४५६",
        "$ita2081",
    ]);
    for word in words() {
        for (before, after) in [("", "@123"), ("", "12345"), ("#1", "2081"), ("20 ", "!?")] {
            let capital: String = word.chars().take(1).flat_map(char::to_uppercase).collect();
            let text = format!("{before}{capital}{}{after}", &word[1..]);
            assert!(text.chars().count() < 8 || !is_accepted(&text), "{text}");
        }
    }
}

#[test]
fn nothing_but_digits_and_symbols_is_refused() {
    all_refused(["83619274", "!@#$%^&*", "2026-11-27", "7 3 9 1 5 8", "९३६१८२७४", "        "]);
}

#[test]
fn the_own_number_is_refused_in_any_way_of_writing_it() {
    all_refused([
        "9841402792",
        "984-1402792",
        "984 140 2792",
        "(984) 140.2792",
        "09841402792",
        "9779841402792",
        "+9779841402792",
        "+977 984-1402792",
        "009779841402792",
        "00977-09841402792",
        "९८४१४०२७९२",
        "+९७७ ९८४-१४०२७९२",
        "９８４１４０２７９２",
        "٩٨٤١٤٠٢٧٩٢",
        "tel:+९७७9841402792".trim_start_matches("tel:"),
        "9-8-4-1-4-0-2-7-9-2",
    ]);
}

#[test]
fn the_own_names_are_refused_in_any_case_and_with_other_separators() {
    all_refused([
        "Sita.Thapa_94",
        "sitathapa94",
        "SITA-THAPA-94",
        "sita thapa 94",
        "sita.thapa.९४",
        "sita.kumari",
        "Sita Kumari",
        "sitakumari+app",
        "sita_kumari_app",
        "sita.kumari+app@example.com",
        "SITA.KUMARI+APP@EXAMPLE.COM",
    ]);
}

#[test]
fn another_persons_number_with_a_word_of_ones_own_is_not_refused_for_its_form() {
    assert!(is_accepted("gokarna 9812345678 kettle"));
}

#[test]
fn asvs_6_2_good_passwords_of_any_script_are_accepted() {
    let emoji = "🦉🍊🚲🌧🎻🪁🧊🐫";
    for good in [
        "Gk7#pq!z",
        "orange lamp tuesday",
        "a copper kettle sings",
        "nine small lamps by the river",
        "correct horse battery staple",
        "काठमाडौंको बिहान",
        "vT9$wLq2",
        "xk-42-plover-moss",
        emoji,
        &emoji.repeat(16),
        "दुई निला हात्ती नाच्छन्",
        "yellow.goat.climbs.7",
        "mero-gai-dherai-moti",
    ] {
        assert!(is_accepted(good), "{good}");
    }
}

/// zxcvbn alone overflows at the first ones and takes seconds for the others.
#[test]
fn what_zxcvbn_cannot_estimate_is_estimated_by_its_beginning() {
    let all: String = ZXCVBN_LOOK_ALIKES.chars().cycle().take(128).collect();
    for text in ["5$".repeat(20), "0o".repeat(32), "zaqwsx".repeat(21), all.clone()] {
        is_accepted(&text);
    }
    assert_eq!(estimated_part(&all).chars().count(), MIN_ESTIMATED_CHARS);
    assert_eq!(estimated_part(&"k".repeat(128)).len(), MAX_ESTIMATED_CHARS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_breaks_the_rule(text in "\\PC{8,128}") {
        is_accepted(&text);
    }

    #[test]
    fn no_path_on_the_keyboard_breaks_the_rule(text in "[asqwzxASQWZX12!@]{24,128}") {
        is_accepted(&text);
    }

    #[test]
    fn decorations_never_help(
        before in "[0-9 !@#.]{0,6}", word in 0_usize..60, after in "[0-9 !@#.]{0,6}",
    ) {
        let text = format!("{before}{}{after}", words()[word]);
        prop_assert!(is_common(&text, &words()), "{}", text);
    }
}
