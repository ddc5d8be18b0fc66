//! Staff members and their requests.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use super::{App, Response, User};

impl App {
    /// A signed-in staff member: the staff flag is set in the account, as in the runbook, and in its
    /// sessions, as by the local stack's `--staff`.
    pub async fn staff(&self) -> User {
        let user = self.register_user().await;
        let pk = format!("USER#{}", user.user_id);
        let yes = AttributeValue::Bool(true);
        self.set_attribute("users", &[("pk", &pk)], "is_staff", yes.clone()).await;
        for session in self.rows_where("sessions", "user_id", &user.user_id).await {
            let session_id = session["session_id"].as_str().unwrap();
            let key = [("user_id", user.user_id.as_str()), ("session_id", session_id)];
            self.set_attribute("sessions", &key, "is_staff", yes.clone()).await;
        }
        user
    }

    /// A request of a staff member; its response is checked against the OpenAPI document.
    pub async fn admin(
        &self,
        staff: &User,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Response {
        let mut request = self.request(method, path).bearer(&staff.access_token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let path = path.split('?').next().unwrap();
        request.send().await.documented(method, path)
    }

    /// A `GET` of a staff member.
    pub async fn admin_get(&self, staff: &User, path: &str) -> Response {
        self.admin(staff, "GET", path, None).await
    }

    /// `PATCH /admin/users/{user_id}`.
    pub async fn change_user(&self, staff: &User, user_id: &str, body: &Value) -> Response {
        self.admin(staff, "PATCH", &format!("/admin/users/{user_id}"), Some(body)).await
    }

    /// `DELETE /admin/users/{user_id}/sessions`.
    pub async fn end_sessions(&self, staff: &User, user_id: &str) -> Response {
        self.admin(staff, "DELETE", &format!("/admin/users/{user_id}/sessions"), None).await
    }

    /// `POST /admin/users/{user_id}/wallet/adjustments`.
    pub async fn adjust(&self, staff: &User, user_id: &str, key: &str, body: &Value) -> Response {
        let path = format!("/admin/users/{user_id}/wallet/adjustments");
        let request = self.post(&path, body).bearer(&staff.access_token).key(key);
        request.send().await.documented("POST", &path)
    }

    /// The body of a money adjustment.
    pub fn correction(direction: &str, amount: &str) -> Value {
        json!({ "direction": direction, "amount": amount, "reason": "A mistake" })
    }

    /// All results of a list, page by page.
    pub async fn all_results(&self, staff: &User, path: &str) -> Vec<Value> {
        let (mut results, mut cursor) = (Vec::new(), String::new());
        loop {
            let response = self.admin_get(staff, &format!("{path}{cursor}")).await;
            results.extend(response.ok()["results"].as_array().unwrap().iter().cloned());
            match response.json["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return results,
            }
        }
    }

    /// The audit entries about a user, newest first, as `action` and `details`.
    pub async fn audit_entries(&self, user_id: &str) -> Vec<(String, Value)> {
        let mut rows = self.rows_where("audit", "subject", user_id).await;
        rows.sort_by_key(|row| row["entry_id"].as_str().unwrap().to_owned());
        let entries = rows.iter().rev().map(|row| {
            let details = row.get("details").cloned().unwrap_or_else(|| json!({}));
            (row["action"].as_str().unwrap().to_owned(), details)
        });
        entries.collect()
    }
}
