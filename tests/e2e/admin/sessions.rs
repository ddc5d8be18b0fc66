//! `DELETE /admin/users/{user_id}/sessions`.

use serde_json::json;

use crate::harness::{App, Needs, PASSWORD, assert_budget};

const OPERATION: &str = "DELETE /admin/users/{user_id}/sessions";

#[tokio::test]
async fn ending_a_users_sessions_ends_all_of_them_and_no_other_users() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let other = app.register_user().await;
    let second = app.login(&user.phone, PASSWORD).await;
    let device = json!({"device_id": "p", "fcm_token": "t", "device_type": "IOS"});
    app.post("/auth/device", &device).bearer(&user.access_token).send().await.ok();
    app.end_sessions(&staff, &user.user_id).await.ok();
    for token in [&user.access_token, second.text("access_token")] {
        app.me(token).await.problem(401, "session_ended");
    }
    for token in [&user.refresh_token, second.text("refresh_token")] {
        app.refresh(token).await.problem(401, "invalid_refresh_token");
    }
    assert!(app.rows_where("sessions", "user_id", &user.user_id).await.is_empty());
    assert!(app.rows("devices").await.is_empty(), "the device and its claim are deleted");
    app.me(&other.access_token).await.ok();
    assert_eq!(app.audit_entries(&user.user_id).await[0].0, "sessions_ended");
    // The user can sign in again.
    app.login(&user.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn staff_may_end_their_own_sessions() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let staff = app.staff().await;
    app.end_sessions(&staff, &staff.user_id).await.ok();
    app.admin_get(&staff, "/admin/users").await.problem(401, "session_ended");
}

#[tokio::test]
async fn all_sessions_end_despite_faults() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    for operation in ["BatchGetItem", "Query", "TransactWriteItems"] {
        for kind in ["throttle", "timeout", "error_500", "lost_response"] {
            for times in [1, 6] {
                let user = app.register_user().await;
                app.login(&user.phone, PASSWORD).await.ok();
                app.inject_fault("dynamodb", operation, kind, times).await;
                let mut response = app.end_sessions(&staff, &user.user_id).await;
                while response.status == 503 {
                    response.problem(503, "unavailable");
                    response = app.end_sessions(&staff, &user.user_id).await;
                }
                response.ok();
                let left = app.rows_where("sessions", "user_id", &user.user_id).await;
                assert!(left.is_empty(), "{operation} {kind}");
            }
        }
    }
}

#[tokio::test]
async fn ending_sessions_costs_2_hops_and_2_wru_per_session() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    app.end_sessions(&staff, &user.user_id).await.ok();
    assert_budget(&app, OPERATION, (2, 3.0, 9.0, 0)).await;
    for _ in 0..20 {
        app.login(&user.phone, PASSWORD).await.ok();
    }
    app.end_sessions(&staff, &user.user_id).await.ok();
    assert_budget(&app, OPERATION, (2, 5.0, 50.0, 0)).await;
}
