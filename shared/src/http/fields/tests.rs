use serde_json::json;

use crate::http::fields::*;

#[derive(Debug)]
struct Sample;

impl Body for Sample {
    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.required("name", text::<5>);
        let nick = fields.optional("nick", text::<5>);
        let all = fields.flag("all");
        name?;
        nick?;
        all?;
        Some(Self)
    }
}

fn context() -> Context {
    Context {
        region: "NP".parse().unwrap(),
        currency: "NPR".parse().unwrap(),
        now: jiff::Timestamp::UNIX_EPOCH,
        reserved_usernames: "admin".parse().unwrap(),
    }
}

fn errors(value: Value) -> Vec<(String, &'static str)> {
    let Value::Object(object) = value else { panic!("an object") };
    let fields = Fields::new(object, context());
    let errors = fields.parse::<Sample>().err().unwrap_or_default();
    errors.into_iter().map(|error| (error.field.into_owned(), error.code)).collect()
}

#[test]
fn every_bad_field_is_named_at_once() {
    let found = errors(json!({"nick": 7, "all": "yes", "other": []}));
    let expected = [("name", "required"), ("nick", "wrong_type"), ("all", "wrong_type")];
    assert_eq!(found, expected.map(|(field, code)| (field.to_owned(), code)));
}

#[derive(Debug)]
struct Nested;

impl Body for Nested {
    fn read(fields: &mut Fields) -> Option<Self> {
        let outer = fields.required_object("outer", |outer| {
            let size = outer.required_integer("size", Ok);
            let inner = outer.optional_object("inner", |inner| inner.required("name", text::<5>));
            size.zip(inner)
        });
        outer.map(|_| Self)
    }
}

#[test]
fn fields_of_an_object_are_named_after_it() {
    let errors = |value: Value| {
        let Value::Object(object) = value else { panic!("an object") };
        let found = Fields::new(object, context()).parse::<Nested>().err().unwrap_or_default();
        found.into_iter().map(|error| format!("{} {}", error.field, error.code)).collect()
    };
    let all: [(Value, &[&str]); 6] = [
        (json!({"outer": {"size": 1, "inner": {"name": "a"}}}), &[]),
        (json!({"outer": {"size": 1, "inner": null}}), &[]),
        (json!({"outer": null}), &["outer required"]),
        (json!({"outer": [1]}), &["outer wrong_type"]),
        (json!({"outer": {"inner": 7}}), &["outer.size required", "outer.inner wrong_type"]),
        (
            json!({"outer": {"size": 1.5, "inner": {"name": ""}}}),
            &["outer.size wrong_type", "outer.inner.name too_short"],
        ),
    ];
    for (value, expected) in all {
        let found: Vec<String> = errors(value);
        assert_eq!(found, expected);
    }
}

#[test]
fn an_edit_keeps_clears_or_sets() {
    assert_eq!(Edit::Keep.apply(Some(1)), Some(1));
    assert_eq!(Edit::Clear.apply(Some(1)), None);
    assert_eq!(Edit::Set(2).apply(Some(1)), Some(2));
}

#[test]
fn null_is_absent() {
    assert!(errors(json!({"name": "a", "nick": null, "all": null})).is_empty());
    assert_eq!(errors(json!({"name": null})), [("name".to_owned(), "required")]);
}

/// Reads a number with the bounds that points have.
#[derive(Debug)]
struct Counted;

impl Body for Counted {
    fn read(fields: &mut Fields) -> Option<Self> {
        let count = fields.required_integer("count", |count| match count {
            ..1 => Err(Invalid { code: "not_positive", detail: "x" }),
            1..=5_000 => Ok(count),
            _ => Err(TOO_LARGE),
        });
        count.map(|_| Self)
    }
}

#[test]
fn an_integral_number_is_an_integer_and_each_bound_has_its_own_code() {
    let code = |text: &str| {
        let object = serde_json::from_str(&format!("{{\"count\":{text}}}")).unwrap();
        Fields::new(object, context()).parse::<Counted>().map(drop).map_err(|errors| errors[0].code)
    };
    for good in ["1", "1000", "1000.0", "1e3", "1E+3", "10.00e2", "5000.000"] {
        assert_eq!(code(good), Ok(()), "{good}");
    }
    for fraction in ["1.5", "0.1", "1e-1", "4999.999", "-0.5"] {
        assert_eq!(code(fraction), Err("wrong_type"), "{fraction}");
    }
    for small in ["0", "0.0", "-0.0", "-1", "-1.0", "-9223372036854775808", "-1e19", "-1e300"] {
        assert_eq!(code(small), Err("not_positive"), "{small}");
    }
    let large = ["5001", "5001.0", "1e12", "9007199254740993.0", "9223372036854775807"];
    let larger = ["9223372036854775808", "18446744073709551615", "18446744073709551616", "1e300"];
    for large in large.into_iter().chain(larger) {
        assert_eq!(code(large), Err("too_large"), "{large}");
    }
    for other in ["\"1\"", "true", "[]", "{}"] {
        assert_eq!(code(other), Err("wrong_type"), "{other}");
    }
}

#[test]
fn no_integer_is_taken_that_a_double_may_have_changed() {
    let read = |text: &str| {
        let number: Number = serde_json::from_str(text).unwrap();
        integer(&number, Ok).map_err(|invalid| invalid.code)
    };
    assert_eq!(read("9007199254740991.0"), Ok(9_007_199_254_740_991));
    assert_eq!(read("9007199254740993"), Ok(9_007_199_254_740_993));
    assert_eq!(read("9007199254740992.0"), Err("too_large"));
    assert_eq!(read("9007199254740993.0"), Err("too_large"));
    assert_eq!(read("-9007199254740993.0"), Err("too_small"));
    assert_eq!(read("9223372036854775808"), Err("too_large"));
}

#[test]
fn an_empty_parameter_is_absent_and_a_repeated_one_is_refused() {
    let errors = |query: &str| {
        let found = Fields::from_query(query, context()).parse::<Nicked>().err();
        let found = found.unwrap_or_default().into_iter();
        found.map(|error| (error.field.into_owned(), error.code)).collect::<Vec<_>>()
    };
    for good in ["", "nick=a", "nick=", "nick", "nick=%20%E3%80%80", "nick=&nick=a", "&&nick=a&"] {
        assert_eq!(errors(good), [], "{good}");
    }
    for bad in ["nick=a&nick=b", "nick=a&nick=a", "nick=a&nick=&nick=b", "nick=a&nick=a&nick=a"] {
        assert_eq!(errors(bad), [("nick".to_owned(), "repeated")], "{bad}");
    }
}

#[derive(Debug)]
struct Nicked;

impl Body for Nicked {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.optional("nick", text::<5>).map(|_| Self)
    }
}

#[test]
fn unknown_parameters_are_named_within_bounds() {
    let query = |count: usize| (0..count).map(|n| format!("p{n:0>99}=x&")).collect::<String>();
    let named = |query: &str| Fields::from_query(query, context()).unknown_parameters(&["nick"]);
    assert!(named("nick=a").is_empty() && named("nick=").is_empty());
    assert_eq!(named("nick=a&other=")[0].field, "other", "an empty one is unknown, too");
    let fields: Vec<_> = named("Nick=a&nick=a&%20nick=a").into_iter().map(|e| e.field).collect();
    assert_eq!(fields, [" nick", "Nick"]);
    let many = named(&query(40));
    assert_eq!((many.len(), many[0].field.chars().count()), (MAX_UNKNOWN, MAX_NAME_CHARS));
}

#[test]
fn a_text_is_trimmed_and_a_password_is_not() {
    let object = json!({"name": " \u{a0}\u{3000}abcde\r\n\u{2028}", "word": " a "});
    let Value::Object(object) = object else { panic!("an object") };
    let mut fields = Fields::new(object, context());
    assert_eq!(fields.required("name", text::<5>).as_deref(), Some("abcde"));
    let word = fields.required_password("word", |text| Ok(text.to_owned()));
    assert_eq!(word.as_deref(), Some(" a "));
}
