//! The effects of text, digits, numbers and queries that are visible over HTTP.
//!
//! `tests/contract/openapi` checks that all documented fields and parameters are read this way.

use serde_json::{Value, json};

use crate::harness::{
    App, Needs, PASSWORD, Response, User, money, points, random_phone, random_username,
};

/// The text with its digits in the script that has this zero.
fn in_script(text: &str, zero: char) -> String {
    let digit = |c: char| c.to_digit(10).map(|d| char::from_u32(zero as u32 + d).unwrap());
    text.chars().map(|c| digit(c).unwrap_or(c)).collect()
}

async fn put_profile(app: &App, user: &User, body: &Value) -> Response {
    let request = app.request("PUT", "/users/profile").bearer(&user.access_token);
    request.header("content-type", "application/json").body(body.to_string()).send().await
}

/// The fields of a problem with their codes, sorted.
fn codes(response: &Response) -> Vec<(&str, &str)> {
    response.assert_problem();
    let errors = response.json["errors"].as_array().unwrap().iter();
    let code = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
    let mut codes: Vec<_> =
        errors.map(|error| (code(error, "field"), code(error, "code"))).collect();
    codes.sort();
    codes.leak().iter().map(|(field, code)| (field.as_str(), code.as_str())).collect()
}

#[tokio::test]
async fn a_code_is_accepted_in_any_script_and_with_gaps() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    for zero in ['०', '٠', '０'] {
        for gap in ["", " ", "-", "\u{a0}", "\u{2011}"] {
            let phone = random_phone();
            app.request_otp(&in_script(&phone, zero), "REGISTER").await.ok();
            let code = in_script(&app.code_for(&phone).await, zero);
            let at = code.char_indices().nth(3).unwrap().0;
            let typed = format!(" {}{gap}{}\r\n", &code[..at], &code[at..]);
            app.verify(&phone, &typed, "REGISTER").await.ok();
        }
    }
}

#[tokio::test]
async fn texts_are_returned_in_nfc_without_surrounding_whitespace() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let (typed, kept) = ("\u{3000} Rene\u{301} \u{958}\u{2028}", "Ren\u{e9} \u{915}\u{93c}");
    let body = json!({"full_name": typed});
    let profile = put_profile(&app, &user, &body).await;
    assert_eq!(profile.ok()["full_name"], kept);
    // Whitespace inside a text is kept, but a Unicode line separator is refused.
    let body = json!({"address": "Rene\u{301}\r\n\u{958}"});
    put_profile(&app, &user, &json!({"address": "a\u{2028}b"})).await.refuses(&["address"]);
    let profile = put_profile(&app, &user, &body).await;
    assert_eq!(profile.ok()["address"], "Ren\u{e9}\n\u{915}\u{93c}");

    let device = json!({
        "device_id": typed, "fcm_token": " token ", "device_type": " ANDROID ",
        "device_name": typed, "app_version": typed, "os_version": typed,
    });
    let device = app.post("/auth/device", &device).bearer(&user.access_token).send().await;
    for name in ["device_id", "device_name", "app_version", "os_version"] {
        assert_eq!(device.ok()[name], kept, "{name}");
    }
    assert_eq!(device.json["fcm_token"], "token");

    let mut entry = money(&user, "CREDIT", " 25.00 ");
    (entry["reference"], entry["reason"]) = (json!(typed), json!(typed));
    let entry = app.post_entry("k1", &entry).await;
    assert_eq!(
        (&entry.body(201)["reference"], &entry.json["reason"]),
        (&json!(kept), &json!(kept))
    );
}

#[tokio::test]
async fn a_device_is_found_by_its_id_in_any_normalization_form() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let device = json!({"device_id": "Rene\u{301}", "fcm_token": "t1", "device_type": "IOS"});
    app.post("/auth/device", &device).bearer(&user.access_token).send().await.ok();
    let path = "/auth/devices/Rene%CC%81";
    app.request("DELETE", path).bearer(&user.access_token).send().await.ok();
}

#[tokio::test]
async fn a_name_of_invisible_characters_is_refused() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    for (name, code) in [
        ("\u{200d}\u{200d}", "invisible_text"),
        ("\u{200b}\u{2060}\u{200b}\u{2060}\u{ad}", "invisible_text"),
        ("\u{3164}\u{3164}", "invisible_text"),
        ("Sita\u{202e}iaR", "invalid_text"),
        ("Sita\u{2066}Rai", "invalid_text"),
        ("Sita\u{2028}Rai", "invalid_text"),
        ("\u{200b}\u{200b}", "too_short"),
    ] {
        let body = json!({"full_name": name, "date_of_birth": "1999-04-14", "address": "Thamel"});
        let refused = put_profile(&app, &user, &body).await;
        assert_eq!(codes(&refused), [("full_name", code)], "{name:?}");
    }
    let body = json!({"full_name": "क\u{94d}\u{200d}षेत्र"});
    assert_eq!(put_profile(&app, &user, &body).await.ok()["full_name"], "क\u{94d}\u{200d}षेत्र");
}

#[tokio::test]
async fn identifiers_and_usernames_are_trimmed_and_passwords_are_not() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let name = random_username();
    let password = " \u{3000}orange lamp tuesday ";
    let new = app.new_user().await.with("username", format!("\u{a0}{name}\n"));
    let response = app.register(&new.clone().with("password", password)).await;
    response.body(201);
    assert_eq!(app.me(response.text("access_token")).await.ok()["username"], name.as_str());
    app.login(&new.phone, password.trim()).await.problem(400, "invalid_credentials");
    app.login(&format!("\u{202f}{}\t", new.phone), password).await.ok();
}

#[tokio::test]
async fn reserved_names_and_numbers_of_other_users_are_refused_as_usernames() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let refused = [("username", "invalid_username")];
    for name in ["admin", "Administrator", "ROOT", "support", "help", "staff", "system", "api"] {
        let response = app.register(&app.new_user().await.with("username", name)).await;
        assert_eq!(codes(&response), refused, "{name}");
    }
    let both = app.new_user().await.with("username", "admin").with("email", "x");
    let named = [("email", "invalid_email"), ("username", "invalid_username")];
    assert_eq!(codes(&app.register(&both).await), named);
    let other = app.register_user().await;
    let theirs = &other.phone[4..];
    let new = app.new_user().await;
    assert_eq!(codes(&app.register(&new.clone().with("username", theirs)).await), refused);
    // Also refused if the request gives that number as its own, because it is not verified.
    let email = "somebody@example.com";
    let token = app.verification_token(email, "REGISTER").await;
    let borrowed = new.clone().with("username", theirs).with("phone_number", other.phone.as_str());
    let borrowed = borrowed.with("email", email).with("verification_token", token);
    assert_eq!(codes(&app.register(&borrowed).await), refused);
    // The user's own number is allowed, in any form.
    let own = format!("{}-{}", &new.phone[4..7], &new.phone[7..]);
    app.register(&new.with("username", own.as_str())).await.body(201);
}

#[tokio::test]
async fn configured_reserved_names_are_refused() {
    let settings = [("RESERVED_USERNAMES", "Boss, owner")];
    let Some(app) = App::with(&settings).await else { return };
    for name in ["boss", "OWNER"] {
        let response = app.register(&app.new_user().await.with("username", name)).await;
        assert_eq!(codes(&response), [("username", "invalid_username")], "{name}");
    }
    app.register(&app.new_user().await.with("username", "admin")).await.body(201);
}

#[tokio::test]
async fn staff_cannot_assign_a_reserved_name_and_an_existing_one_is_kept() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let refused = [("username", "invalid_username")];
    let (phone, other) = (random_phone(), random_phone());
    for name in ["support", &other[4..]] {
        let body = json!({"username": name, "phone_number": phone});
        let response = app.admin(&staff, "POST", "/admin/users", Some(&body)).await;
        assert_eq!(codes(&response), refused, "{name}");
        for method in ["PUT", "PATCH"] {
            let path = format!("/admin/users/{}", user.user_id);
            let body = json!({"username": name});
            let response = app.admin(&staff, method, &path, Some(&body)).await;
            assert_eq!(codes(&response), refused, "{method} {name}");
        }
    }
    let own = json!({"username": &phone[4..], "phone_number": phone});
    app.admin(&staff, "POST", "/admin/users", Some(&own)).await.body(201);
    let own = json!({"username": &user.phone[4..]});
    app.change_user(&staff, &user.user_id, &own).await.ok();

    // An account that is older than the rule.
    let old = aws_sdk_dynamodb::types::AttributeValue::S("support".into());
    app.set_account_attribute(&user, "username", old).await;
    let me = app.me(&user.access_token).await;
    assert_eq!(me.ok()["username"], "support");
    for body in
        [json!({"username": "support"}), json!({"username": "Support", "address": "Thamel"})]
    {
        app.change_user(&staff, &user.user_id, &body).await.ok();
    }
    app.login(&user.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn a_number_with_a_zero_fraction_is_accepted_and_each_bound_has_its_own_code() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let body = points(&user, "CREDIT", 1).to_string();
    assert!(body.contains("\"points\":1,"));
    let post = async |key: &str, number: &str| {
        let body = body.replace("\"points\":1,", &format!("\"points\":{number},"));
        let request = app.post_bytes("/internal/wallet/entries", body).key(key);
        request.signed().send().await
    };
    for (key, number) in [("a", "1000.0"), ("b", "1e3")] {
        assert_eq!(post(key, number).await.body(201)["points"], 1_000);
    }
    for (number, code) in [
        ("1000000000000", "too_large"),
        ("9223372036854775808", "too_large"),
        ("1e300", "too_large"),
        ("0", "not_positive"),
        ("-1.0", "not_positive"),
        ("0.5", "wrong_type"),
    ] {
        assert_eq!(codes(&post("c", number).await), [("points", code)], "{number}");
    }
    let mut entry = money(&user, "CREDIT", "10000000000000.00");
    entry["reason"] = json!("a\tb");
    let refused = app.post_entry("d", &entry).await;
    assert_eq!(codes(&refused), [("amount", "too_large"), ("reason", "invalid_text")]);
}

#[tokio::test]
async fn only_the_event_whose_time_is_not_rfc_3339_is_rejected() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let now = app.now().await.to_string();
    let second = now[..19].to_owned();
    let times = [
        (format!("{second}Z"), "counted"),
        (format!("{second}.12345678901Z"), "counted"),
        (second.replace('T', "t") + "-00:00", "counted"),
        (format!(" {second}z "), "counted"),
        (second.clone(), "rejected"),
        (format!("{second}+25:00"), "rejected"),
        (format!("{second}Z[Asia/Kathmandu]"), "rejected"),
        (format!("{}Z", &second[..13]), "rejected"),
        (format!("{}Z", second.replace('T', " ")), "rejected"),
    ];
    let events = times.iter().enumerate().map(|(number, (time, _))| {
        json!({
            "event_id": format!("e{number}"), "user_id": user.user_id, "occurred_at": time,
            "type": "STATION_FAVORITED", "station_id": format!("s{number}"),
        })
    });
    let response = app.usage_events(&events.collect()).await;
    let results = response.ok()["results"].as_array().unwrap();
    for ((time, status), result) in times.iter().zip(results) {
        assert_eq!(result["status"], *status, "{time}: {result}");
    }
}

#[tokio::test]
async fn an_unknown_filter_is_refused_and_an_empty_filter_is_ignored() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let about = format!("/admin/audit?user_id={}&", staff.user_id);
    let lists = ["/admin/users?", "/admin/kyc?", "/users/wallet/transactions?", &about];
    for list in lists {
        for name in ["stauts", "Limit", "CURSOR", "status%5B%5D"] {
            let response = app.admin_get(&staff, &format!("{list}{name}=x")).await;
            response.problem(400, "unknown_parameter");
            let field = name.replace("%5B%5D", "[]");
            assert_eq!(codes(&response), [(field.as_str(), "unknown_parameter")], "{list}");
        }
        let response = app.admin_get(&staff, &format!("{list}stauts=x&limit=0")).await;
        assert_eq!(codes(&response), [("limit", "too_small"), ("stauts", "unknown_parameter")]);
        let response = app.admin_get(&staff, &format!("{list}limit=1&limit=2")).await;
        assert_eq!(codes(&response), [("limit", "repeated")]);
        app.admin_get(&staff, &format!("{list}cursor=&limit=&")).await.ok();
    }
    app.admin_get(&staff, "/admin/users?status=&email=&joined_after=").await.ok();
    // A caller without access to the list learns nothing about its parameters.
    let user = app.register_user().await;
    app.admin_get(&user, "/admin/users?stauts=x").await.problem(403, "forbidden");
    app.get("/admin/users?stauts=x").send().await.problem(401, "authentication_required");
}
