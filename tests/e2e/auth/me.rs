//! `GET /auth/me`.

use serde_json::json;
use shared::kyc::review::Decision;

use crate::harness::{App, Needs, random_email};

#[tokio::test]
async fn me_returns_exactly_the_fields_of_the_user() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let email = random_email();
    let new = app.new_user().await.with("email", email.as_str());
    let registered = app.register(&new).await;
    let me = app.me(registered.text("access_token")).await;
    let profile = &me.ok()["profile"];
    let expected = json!({
        "id": registered.text("user_id"),
        "username": new.body["username"],
        "email": email,
        "phone_number": new.phone,
        "profile_picture": null,
        "referral_code": me.text("referral_code"),
        "status": "ACTIVE",
        "email_verified": false,
        "phone_verified": true,
        "date_joined": me.text("date_joined"),
        "last_login": me.json["last_login"],
        "profile": {
            "id": profile["id"],
            "full_name": null,
            "date_of_birth": null,
            "address": null,
            "avatar_url": null,
            "is_profile_complete": false,
            "created_at": profile["created_at"],
            "updated_at": profile["updated_at"],
        },
        "kyc": {
            "status": "NOT_SUBMITTED", "submitted_at": null, "verified_at": null,
            "rejection_reason": null,
        },
        "points": {"current_points": 50, "total_points": 50},
        "wallet_balance": {"balance": "0.00", "currency": "NPR"},
        "masked_phone": me.json["masked_phone"],
        "masked_email": me.json["masked_email"],
    });
    assert_eq!(me.ok(), &expected);
}

#[tokio::test]
async fn ids_are_uuids_and_times_are_rfc_3339_in_utc() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let me = app.me(&user.access_token).await;
    for time in [
        &me.ok()["date_joined"],
        &me.json["last_login"],
        &me.json["profile"]["created_at"],
        &me.json["profile"]["updated_at"],
    ] {
        let text = time.as_str().unwrap();
        assert!(text.ends_with('Z') && text.as_bytes()[10] == b'T', "{text}");
        text.parse::<jiff::Timestamp>().unwrap();
    }
    assert_eq!((me.text("id").len(), &me.text("id")[14..15]), (36, "7"));
}

#[tokio::test]
async fn masked_identifiers_show_only_a_few_characters() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let email = random_email();
    let new = app.new_user().await.with("email", email.as_str());
    let registered = app.register(&new).await;
    let me = app.me(registered.text("access_token")).await;
    let (phone, email_shown) = (me.text("masked_phone"), me.text("masked_email"));
    assert!(phone.contains('*') && phone.ends_with(&new.phone[10..]), "{phone}");
    assert!(!phone.contains(&new.phone[4..9]), "{phone}");
    let local = email.split('@').next().unwrap();
    assert!(email_shown.contains('*') && !email_shown.contains(local), "{email_shown}");
}

#[tokio::test]
async fn the_fields_of_a_missing_identifier_are_null() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let me = app.me(&user.access_token).await;
    assert_eq!((&me.ok()["email"], &me.json["masked_email"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn the_configured_currency_decides_the_decimal_places() {
    for (currency, balance) in [("JPY", "0"), ("BHD", "0.000")] {
        let Some(app) = App::with(&[("CURRENCY", currency)]).await else { return };
        let user = app.register_user().await;
        let me = app.me(&user.access_token).await;
        let expected = json!({"balance": balance, "currency": currency});
        assert_eq!(me.ok()["wallet_balance"], expected);
    }
}

#[tokio::test]
async fn balance_and_kyc_status_are_the_stored_ones() {
    use aws_sdk_dynamodb::types::AttributeValue;
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.pending_user("11-22-33").await;
    let wallet = [("user_id", user.user_id.as_str()), ("sk", "BALANCE")];
    let minor = AttributeValue::N("125000".to_owned());
    app.set_attribute("wallets", &wallet, "balance_minor", minor).await;
    let blurred = Decision::Reject("The picture is blurred.".to_owned());
    app.review(&app.user_with_staff_flag().await, &user, blurred, None).await.unwrap();
    let me = app.me(&user.access_token).await;
    assert_eq!(me.ok()["wallet_balance"]["balance"], "1250.00");
    assert_eq!(me.json["kyc"]["status"], "REJECTED");
    assert_eq!(me.json["kyc"]["rejection_reason"], "The picture is blurred.");
}

#[tokio::test]
async fn api1_a_user_sees_only_their_own_account() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (one, other) = (app.register_user().await, app.register_user().await);
    for user in [&one, &other] {
        assert_eq!(app.me(&user.access_token).await.ok()["id"], user.user_id);
    }
    let path = format!("/auth/me?user_id={}&id={}", other.user_id, other.user_id);
    let me = app.get(&path).bearer(&one.access_token).send().await;
    assert_eq!(me.ok()["id"], one.user_id);
}
