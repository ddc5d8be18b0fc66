//! How the strings and numbers of all documented request bodies are read.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::body::{Sample, samples};

/// Fields that may contain line breaks.
const SEVERAL_LINES: [&str; 2] = ["address", "rejection_reason"];

/// Fields whose digits are read, but which are also stored as typed.
const STORED_AS_TYPED: [&str; 1] = ["document_number"];

pub(super) const GOOD_TIMES: [&str; 6] = [
    "2026-01-01T00:00:00Z",
    "2026-01-01t00:00:00z",
    "2026-01-01T05:45:00+05:45",
    "2026-01-01T00:00:00-00:00",
    "2026-01-01T00:00:00.1234567890123Z",
    "2025-12-31T23:59:60Z",
];
pub(super) const BAD_TIMES: [&str; 10] = [
    "2026-01-01",
    "2026-01-01T00Z",
    "2026-01-01T00:00Z",
    "2026-01-01 00:00:00Z",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00:00+25:00",
    "2026-01-01T00:00:00+0545",
    "2026-01-01T00:00:00Z[America/New_York]",
    "2026-01-01T00:00:60Z",
    "2026-01-01T00:00:00,5Z",
];
pub(super) const BAD_DATES: [&str; 6] =
    ["20260101", "2026-1-1", "2026-W01-1", "01-01-2026", "2026-02-30", "2026-01-0१"];

/// A field of a body whose example is a string or a number, also in a nested object. Fields in an
/// array are not included: their errors are reported for each item.
struct Field {
    sample: std::rc::Rc<Sample>,
    path: Vec<String>,
    schema: Value,
    example: Value,
}

fn fields() -> Vec<Field> {
    let mut fields = Vec::new();
    for sample in samples() {
        let sample = std::rc::Rc::new(sample);
        let examples = Value::Object(sample.examples.clone());
        collect(&sample, &mut Vec::new(), &sample.schema, &examples, &mut fields);
    }
    fields
}

fn collect(
    sample: &std::rc::Rc<Sample>,
    path: &mut Vec<String>,
    schema: &Value,
    example: &Value,
    fields: &mut Vec<Field>,
) {
    match example {
        Value::Object(members) => {
            let choices = schema["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
            let schema = [schema].into_iter().chain(choices).find(|s| s["properties"].is_object());
            for (name, example) in members {
                path.push(name.clone());
                collect(sample, path, &schema.unwrap()["properties"][name], example, fields);
                path.pop();
            }
        }
        Value::String(_) | Value::Number(_) => fields.push(Field {
            sample: sample.clone(),
            path: path.clone(),
            schema: schema.clone(),
            example: example.clone(),
        }),
        _ => {}
    }
}

fn strings() -> impl Iterator<Item = Field> {
    fields().into_iter().filter(|field| field.example.is_string())
}

/// Strings that are not passwords.
fn texts() -> impl Iterator<Item = Field> {
    strings().filter(|field| !field.is_password())
}

impl Field {
    fn name(&self) -> String {
        self.path.join(".")
    }

    fn is_password(&self) -> bool {
        self.schema["format"] == "password"
    }

    fn text(&self) -> &str {
        self.example.as_str().unwrap()
    }

    fn body(&self, value: Value) -> Map<String, Value> {
        let top = &self.path[0];
        if self.path.len() == 1 {
            return self.sample.with(top, value);
        }
        let mut body = Value::Object(self.sample.whole.clone());
        *body.pointer_mut(&format!("/{}", self.path.join("/"))).unwrap() = value;
        body.as_object().unwrap().clone()
    }

    /// The error code of the parser for the field; `None` if it accepts the value.
    fn code(&self, value: impl Into<Value>) -> Option<&'static str> {
        let errors = self.sample.errors(&self.body(value.into()))?;
        let error = errors.iter().find(|error| error.field == self.name());
        Some(error.unwrap_or_else(|| panic!("{self} is not named: {errors:?}")).code)
    }

    /// The minimum and maximum length, if the field has no other rule.
    fn free_lengths(&self) -> Option<(usize, usize)> {
        let (min, max) = (self.schema["minLength"].as_u64()?, self.schema["maxLength"].as_u64()?);
        let (min, max) = (min as usize, max as usize);
        let is_free = self.schema["pattern"].is_null() && self.code("é".repeat(min)).is_none();
        is_free.then_some((min, max))
    }

    /// Whether the field accepts digits of other scripts, but no letters.
    fn reads_digits(&self) -> bool {
        let devanagari = in_script(self.text(), '०');
        self.code(self.with_inside('é')).is_some()
            && devanagari != self.text()
            && self.code(devanagari).is_none()
    }

    /// Whether spaces and hyphens between the digits are ignored. An amount is a decimal number, in
    /// which they would mean something else.
    fn ignores_gaps(&self) -> bool {
        self.reads_digits() && self.path.last().is_none_or(|name| name != "amount")
    }

    /// The example with this character in the middle.
    fn with_inside(&self, c: char) -> String {
        let text = self.text();
        let (head, tail) = text.split_at(text.len() / 2);
        format!("{head}{c}{tail}")
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.sample.name, self.name())
    }
}

/// The text with its digits in the script that has this zero.
fn in_script(text: &str, zero: char) -> String {
    let digit = |c: char| c.to_digit(10).map(|d| char::from_u32(zero as u32 + d).unwrap());
    text.chars().map(|c| digit(c).unwrap_or(c)).collect()
}

fn names(fields: impl Iterator<Item = Field>) -> BTreeSet<String> {
    fields.map(|field| field.name()).collect()
}

fn assert_has(names: &BTreeSet<String>, expected: &[&str]) {
    for name in expected {
        assert!(names.contains(*name), "{name} is not among {names:?}");
    }
}

#[test]
fn fields_of_nested_objects_and_passwords_are_found() {
    assert!(strings().count() > 40);
    let nested = ["documents.front.content_type", "documents.back.sha256"];
    assert_has(&names(texts()), &nested);
    assert_has(&names(strings()), &["password", "old_password", "new_password"]);
}

#[test]
fn whitespace_around_a_text_is_ignored() {
    for field in texts() {
        for (before, after) in [
            (" ", " "),
            ("\t", "\r\n"),
            ("\u{a0}\u{3000}", "\u{2028}\u{85}"),
            ("\u{feff}", "\u{200b}"),
        ] {
            let spaced = format!("{before}{}{after}", field.text());
            assert_eq!(field.code(spaced.as_str()), None, "{field} {spaced:?}");
        }
    }
}

#[test]
fn a_password_is_neither_trimmed_nor_filtered() {
    for field in strings().filter(Field::is_password) {
        let max = field.schema["maxLength"].as_u64().unwrap() as usize;
        assert_eq!(field.code(format!("{} ", "k".repeat(max - 1))), None, "{field}");
        assert_eq!(field.code(format!("{} ", "k".repeat(max))), Some("too_long"), "{field}");
        if let Some(min) = field.schema["minLength"].as_u64() {
            assert_eq!(field.code(format!(" {}", "k".repeat(min as usize - 1))), None, "{field}");
        }
        assert_eq!(field.code("e\u{301}\u{202e}\u{2028}\0\u{200b}\u{200b}\t\t"), None, "{field}");
    }
}

#[test]
fn control_and_bidi_characters_in_a_text_are_refused() {
    let controls = ['\0', '\u{7}', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}'];
    let bidi = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
    let all: Vec<_> = controls.into_iter().chain(['\u{2028}', '\u{2029}']).chain(bidi).collect();
    for field in texts() {
        let (ignores_gaps, is_free) = (field.ignores_gaps(), field.free_lengths().is_some());
        for c in &all {
            // Address books put such marks into numbers. They are dropped, unless the field is also
            // stored as typed.
            let is_dropped = ignores_gaps
                && !STORED_AS_TYPED.contains(&&*field.name())
                && (*c == '\t' || ('\u{202a}'..).contains(c));
            let is_kept = *c == '\n' && SEVERAL_LINES.contains(&field.name().as_str());
            let code = field.code(field.with_inside(*c));
            assert_eq!(code.is_none(), is_dropped || is_kept, "{field} {c:?} {code:?}");
            if is_free && code.is_some() {
                assert_eq!(code, Some("invalid_text"), "{field} {c:?}");
                let long = field.with_inside(*c) + &"x".repeat(2_000);
                assert_eq!(field.code(long), Some("invalid_text"), "{field} {c:?}");
            }
        }
    }
}

#[test]
fn a_text_of_invisible_characters_is_refused() {
    for field in texts() {
        for invisible in
            ["", " ", "\u{200b}", "\u{3164}", "\u{2800}", "\u{200d}\u{ad}", "\u{e0041}"]
        {
            let text = invisible.repeat(3);
            let code = field.code(text.as_str());
            assert!(code.is_some(), "{field} {text:?}");
            if field.free_lengths().is_some() {
                let codes = ["invisible_text", "too_short"];
                assert!(codes.contains(&code.unwrap()), "{field} {text:?} {code:?}");
            }
        }
    }
}

#[test]
fn free_text_is_counted_in_nfc_and_keeps_joiners() {
    let free = || fields().into_iter().filter(|field| field.free_lengths().is_some());
    let names = names(free().filter(|field| !field.is_password()));
    let expected =
        ["full_name", "address", "device_name", "reason", "reference", "rejection_reason"];
    assert_has(&names, &expected);
    for field in free().filter(|field| !field.is_password()) {
        let (_, max) = field.free_lengths().unwrap();
        assert_eq!(field.code("e\u{301}".repeat(max)), None, "{field}");
        assert_eq!(field.code("e\u{301}".repeat(max + 1)), Some("too_long"), "{field}");
        for joined in ["क\u{94d}\u{200d}ष", "نام\u{200c}ها", "👩\u{200d}🚀!"] {
            assert_eq!(field.code(joined), None, "{field} {joined}");
        }
    }
}

#[test]
fn digits_of_any_script_with_spaces_and_hyphens_are_accepted() {
    let names = names(texts().filter(Field::reads_digits));
    assert_has(&names, &["identifier", "otp", "phone_number", "document_number", "amount"]);
    for field in texts().filter(Field::reads_digits) {
        for zero in ['०', '٠', '۰', '০', '０', '\u{1d7ce}'] {
            let text = in_script(field.text(), zero);
            assert_eq!(field.code(text.as_str()), None, "{field} {text}");
        }
        for gap in [" ", "-", "\u{a0}", "\u{2011}", "\u{3000}"] {
            if !field.ignores_gaps() {
                continue;
            }
            let (head, tail) = field.text().split_at(2);
            let text = format!("{head}{gap}{tail}");
            assert_eq!(field.code(text.as_str()), None, "{field} {text}");
        }
    }
}

#[test]
fn each_bound_of_a_text_has_its_own_code() {
    for field in strings() {
        if let Some(max) = field.schema["maxLength"].as_u64() {
            let long = "1".repeat(max as usize + 1);
            assert_eq!(field.code(long), Some("too_long"), "{field}");
        }
        if let Some(min) = field.schema["minLength"].as_u64() {
            let short = "1".repeat(min as usize - 1);
            assert_eq!(field.code(short), Some("too_short"), "{field}");
        }
        for wrong in [json!(7), json!(true), json!([]), json!({})] {
            assert_eq!(field.code(wrong), Some("wrong_type"), "{field}");
        }
    }
}

#[test]
fn each_bound_of_a_number_has_its_own_code_and_a_zero_fraction_is_accepted() {
    let numbers = || fields().into_iter().filter(|field| field.example.is_number());
    assert_has(&names(numbers()), &["points", "documents.front.size"]);
    for field in numbers() {
        let of = |text: &str| field.code(serde_json::from_str::<Value>(text).unwrap());
        let min = field.schema["minimum"].as_i64().unwrap();
        let max = field.schema["maximum"].as_i64().unwrap();
        for good in [format!("{min}"), format!("{min}.0"), format!("{max}.00"), "1e3".to_owned()] {
            assert_eq!(of(&good), None, "{field} {good}");
        }
        for small in [&*(min - 1).to_string(), "-7.0", "-9223372036854775808", "-1e300"] {
            let code = of(small);
            assert!(matches!(code, Some("too_small" | "not_positive")), "{field} {small} {code:?}");
        }
        let more = (max + 1).to_string();
        for large in [&*more, &*format!("{more}.0"), "9223372036854775808", "1e300"] {
            assert_eq!(of(large), Some("too_large"), "{field} {large}");
        }
        for fraction in ["1.5", "0.1", "1e-3"] {
            assert_eq!(of(fraction), Some("wrong_type"), "{field} {fraction}");
        }
    }
}

#[test]
fn each_bound_of_an_amount_has_its_own_code() {
    let amounts = || texts().filter(|field| field.path.last().is_some_and(|name| name == "amount"));
    assert!(amounts().count() >= 2);
    for field in amounts() {
        for (text, code) in [
            ("25", None),
            ("9999999999999.99", None),
            ("10000000000000.00", Some("too_large")),
            ("99999999999999999999999", Some("too_large")),
            ("25.001", Some("too_many_decimals")),
            ("0", Some("not_positive")),
            ("0.00", Some("not_positive")),
            ("-5.00", Some("not_positive")),
            ("-99999999999999999999", Some("not_positive")),
            ("twenty", Some("invalid_amount")),
            ("1e3", Some("invalid_amount")),
            ("1,000", Some("invalid_amount")),
            ("--5", Some("invalid_amount")),
        ] {
            assert_eq!(field.code(text), code, "{field} {text}");
        }
    }
}

#[test]
fn times_and_dates_outside_rfc_3339_are_refused() {
    let mut seen = 0;
    for field in texts() {
        let (bad, code) = match field.schema["format"].as_str() {
            Some("date-time") => (&BAD_TIMES[..], "invalid_time"),
            Some("date") => (&BAD_DATES[..], "invalid_date"),
            _ => continue,
        };
        seen += 1;
        for bad in bad {
            assert_eq!(field.code(*bad), Some(code), "{field} {bad}");
        }
    }
    assert!(seen >= 2, "{seen}");
}

#[test]
fn media_types_are_case_insensitive() {
    let of_media = |field: &Field| {
        let all = field.schema["enum"].as_array().cloned().unwrap_or_default();
        all.iter().any(|value| value.as_str().is_some_and(|text| text.contains('/')))
    };
    assert!(texts().filter(of_media).count() >= 3);
    for field in texts().filter(of_media) {
        for name in field.schema["enum"].as_array().unwrap() {
            let upper = name.as_str().unwrap().to_uppercase();
            assert_eq!(field.code(upper), None, "{field} {name}");
        }
    }
}
