//! `docs/configuration.md` matches `shared::runtime::config`.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use local::settings::LOCAL_DEFAULTS;
use shared::runtime::config::{Config, ConfigError};

use crate::project::{quoted, read, table_rows};

/// One documented setting.
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) values: String,
    pub(crate) default: String,
    local_default: String,
}

/// Every documented setting.
pub(crate) fn documented() -> Vec<Setting> {
    let text = read("docs/configuration.md");
    let setting = |row: Vec<&str>| {
        let [name, _, values, default, local_default] = row[..] else {
            panic!("five columns: {row:?}")
        };
        Setting {
            name: quoted(name).expect("a name").to_owned(),
            values: values.to_owned(),
            default: default.to_owned(),
            local_default: local_default.to_owned(),
        }
    };
    table_rows(&text).into_iter().map(setting).collect()
}

const REQUIRED: [(&str, &str); 4] =
    [("TABLE_PREFIX", "t-"), ("TOKEN_ISSUER", "i"), ("TOKEN_AUDIENCE", "a"), ("KYC_BUCKET", "k")];

fn config_with(name: &str, value: &str) -> Result<Config, ConfigError> {
    let required: BTreeMap<&str, &str> = REQUIRED.into();
    Config::read(|read| {
        if read == name {
            return Some(value.to_owned());
        }
        required.get(read).map(|value| (*value).to_owned())
    })
}

/// The name of every setting that the configuration reads.
pub(crate) fn setting_names() -> BTreeSet<String> {
    let read_names = RefCell::new(BTreeSet::new());
    let required: BTreeMap<&str, &str> = REQUIRED.into();
    let read = Config::read(|name| {
        read_names.borrow_mut().insert(name.to_owned());
        required.get(name).map(|value| (*value).to_owned())
    });
    read.expect("the defaults are valid");
    read_names.into_inner()
}

#[test]
fn every_setting_is_documented() {
    let names: BTreeSet<String> = documented().into_iter().map(|setting| setting.name).collect();
    assert_eq!(names, setting_names());
}

#[test]
fn documented_defaults_match_the_code() {
    let without = format!("{:?}", config_with("", "").expect("the defaults"));
    for setting in documented() {
        match setting.default.as_str() {
            "required" => {
                assert!(config_with(&setting.name, "").is_err(), "{} is required", setting.name);
            }
            "none" => {}
            default => {
                let value = quoted(default).expect("a default in backticks");
                let with = config_with(&setting.name, value).expect("a valid default");
                assert_eq!(format!("{with:?}"), without, "default of {}", setting.name);
                let changed = changed(value);
                let with = config_with(&setting.name, &changed).map(|with| format!("{with:?}"));
                assert_ne!(with.as_ref().ok(), Some(&without), "{} has no effect", setting.name);
            }
        }
    }
}

/// A different value of the same kind.
fn changed(value: &str) -> String {
    match value.parse::<u32>() {
        Ok(number) => (number + 1).to_string(),
        Err(_) => format!("{value}x"),
    }
}

#[test]
fn documented_ranges_match_the_code() {
    let mut checked = 0;
    for Setting { name, values, .. } in documented() {
        let Some((least, most)) = values.split_once(" to ") else { continue };
        let (least, most): (i64, i64) =
            (least.parse().expect("a number"), most.parse().expect("a number"));
        for inside in [least, most] {
            assert!(config_with(&name, &inside.to_string()).is_ok(), "{name} may be {inside}");
        }
        for outside in [least - 1, most + 1] {
            assert!(config_with(&name, &outside.to_string()).is_err(), "{name} is not {outside}");
        }
        checked += 1;
    }
    assert!(checked >= 8, "only {checked} ranges were found");
}

#[test]
fn documented_local_defaults_match_the_local_stack() {
    let documented: BTreeMap<String, String> = documented()
        .into_iter()
        .filter(|setting| !setting.local_default.is_empty())
        .map(|setting| {
            let value = quoted(&setting.local_default).expect("a value in backticks").to_owned();
            (setting.name, value)
        })
        .collect();
    let local: BTreeMap<String, String> =
        LOCAL_DEFAULTS.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    assert_eq!(documented, local);
}
