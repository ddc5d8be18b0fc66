//! A user with data in every table, and what is left after a deletion.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use serde_json::{Value, json};

use super::{
    App, PASSWORD, Response, User,
    kyc::{jpeg, png},
    money, random_email, random_username,
};

/// A user with data in every table.
#[derive(Debug, Clone)]
pub struct Person {
    pub user: User,
    pub email: String,
    pub full_name: String,
    pub fcm_token: String,
    pub device_id: String,
    pub document_number: String,
    pub referral_code: String,
}

impl App {
    /// A user with a number and an address, a profile, a device, two sessions, money, points, a
    /// referral, usage, a submission and its documents.
    pub async fn person(&self) -> Person {
        let user = self.register_user().await;
        let person = Person {
            email: random_email(),
            full_name: format!("Sita {}", random_username()),
            fcm_token: format!("token-{}", random_username()),
            device_id: format!("device-{}", random_username()),
            document_number: format!("number-{}", random_username()),
            referral_code: self.me(&user.access_token).await.text("referral_code").to_owned(),
            user,
        };
        self.add_identifier(&person).await;
        self.put_profile(&person).await.ok();
        self.put_device(&person).await.ok();
        self.login(&person.user.phone, PASSWORD).await.ok();
        let friend = self.new_user().await.with("referral_code", person.referral_code.as_str());
        self.register(&friend).await.body(201);
        self.post_entry("first", &money(&person.user, "CREDIT", "75.50")).await.body(201);
        self.post_rental_and_favorite(&person, "first").await;
        self.submit(&person).await;
        person
    }

    async fn add_identifier(&self, Person { user, email, .. }: &Person) {
        let token = self.verification_token(email, "CHANGE_IDENTIFIER").await;
        let body = json!({"identifier": email, "verification_token": token});
        self.post("/auth/identifier", &body).bearer(&user.access_token).send().await.ok();
    }

    /// `PUT /users/profile`.
    pub async fn put_profile(&self, Person { user, full_name, .. }: &Person) -> Response {
        let body = json!({
            "full_name": full_name, "date_of_birth": "1990-01-31", "address": "Thamel 7",
        });
        let request = self.request("PUT", "/users/profile").bearer(&user.access_token);
        request.header("content-type", "application/json").body(body.to_string()).send().await
    }

    /// `POST /auth/device`.
    pub async fn put_device(&self, person: &Person) -> Response {
        let body = json!({
            "device_id": person.device_id, "fcm_token": person.fcm_token,
            "device_type": "ANDROID", "device_name": person.full_name,
        });
        self.post("/auth/device", &body).bearer(&person.user.access_token).send().await
    }

    /// Sends a rental and a favourite station as usage events.
    pub async fn post_rental_and_favorite(
        &self,
        Person { user, .. }: &Person,
        name: &str,
    ) -> Response {
        let now = self.now().await;
        let of = |id: &str| format!("{name}-{id}");
        self.usage_events(&json!([
            {
                "event_id": of("rental"), "user_id": user.user_id, "occurred_at": now,
                "type": "RENTAL_COMPLETED", "amount": "25.00", "on_time": true,
            },
            {
                "event_id": of("station"), "user_id": user.user_id, "occurred_at": now,
                "type": "STATION_FAVORITED", "station_id": of("thamel-chowk"),
            },
        ]))
        .await
    }

    /// Submits two documents.
    async fn submit(&self, Person { user, document_number, .. }: &Person) {
        let (front, back) = (jpeg(document_number), png());
        let body = json!({
            "document_type": "PASSPORT",
            "document_number": document_number,
            "documents": {"front": front.declaration(), "back": back.declaration()},
        });
        let response = self.post_kyc(user, &body).await;
        response.body(201);
        self.send_files(&response, &[&front, &back]).await;
        self.submit_kyc(user).await.ok();
    }

    /// Puts a document of the user into the bucket.
    pub async fn upload(&self, user: &User, side: &str) {
        let key = format!("{}/upload-1/{side}", user.user_id);
        let put = self.s3().put_object().bucket(self.stack().table_name("kyc")).key(key);
        put.body(ByteStream::from_static(b"a document")).send().await.unwrap();
    }

    fn s3(&self) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::new(self.stack().sdk_config())
    }

    /// The keys of all documents.
    pub async fn objects(&self) -> Vec<String> {
        let list = self.s3().list_objects_v2().bucket(self.stack().table_name("kyc"));
        let listed = list.send().await.unwrap();
        listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
    }

    /// The items and objects that still contain data of a person. The wallet's rows and the audit
    /// trail may contain the user id.
    pub async fn traces(&self, person: &Person) -> Vec<String> {
        let Person { user, email, full_name, .. } = person;
        let names = [
            &user.phone,
            &user.phone[4..],
            &user.username,
            email,
            full_name,
            &person.fcm_token,
            &person.device_id,
            &person.document_number,
            &person.referral_code,
        ];
        let mut traces = Vec::new();
        let tables = [
            "users", "sessions", "devices", "profiles", "kyc", "wallets", "usage", "otp", "audit",
            "keys",
        ];
        for table in tables {
            let may_have_id = ["wallets", "audit"].contains(&table);
            for row in self.rows(table).await {
                let text = json!(row).to_string();
                let has_name = names.iter().any(|name| text.contains(*name));
                if has_name || (!may_have_id && text.contains(&user.user_id)) {
                    traces.push(format!("{table}: {text}"));
                }
            }
        }
        let objects = self.objects().await;
        traces.extend(objects.into_iter().filter(|key| key.contains(&user.user_id)));
        traces
    }

    /// `DELETE /auth/account` with this query.
    pub async fn delete_account(&self, access_token: &str, query: &str) -> Response {
        let path = format!("/auth/account{query}");
        let response = self.request("DELETE", &path).bearer(access_token).send().await;
        response.documented("DELETE", "/auth/account")
    }

    /// `DELETE /admin/users/{user_id}` with this query.
    pub async fn delete_user(&self, access_token: &str, user_id: &str, query: &str) -> Response {
        let path = format!("/admin/users/{user_id}");
        let request = self.request("DELETE", &format!("{path}{query}")).bearer(access_token);
        request.send().await.documented("DELETE", &path)
    }

    /// Runs the cleanup job. Returns the number of processed deletions and of failures.
    pub async fn run_cleanup(&self) -> (u64, u64) {
        let result = self.post("/_local/sweep", &json!({})).send().await;
        let count = |name: &str| result.ok()[name].as_u64().unwrap();
        (count("deletions"), count("failed"))
    }

    /// Sets the staff flag of the account; its sessions stay unchanged.
    pub async fn set_staff(&self, user: &User, is_staff: bool) {
        self.set_account_attribute(user, "is_staff", AttributeValue::Bool(is_staff)).await;
    }

    /// Writes an attribute of the account and nothing else.
    pub async fn set_account_attribute(&self, user: &User, name: &str, value: AttributeValue) {
        let key = format!("USER#{}", user.user_id);
        self.set_attribute("users", &[("pk", &key)], name, value).await;
    }

    /// Deletes the account's item and nothing else.
    pub async fn remove_account(&self, user: &User) {
        let key = AttributeValue::S(format!("USER#{}", user.user_id));
        let delete = self.dynamodb().delete_item().table_name(self.table_name("users"));
        delete.key("pk", key).send().await.unwrap();
    }

    /// An attribute of the account.
    pub async fn account_attribute(&self, user: &User, name: &str) -> Value {
        let key = format!("USER#{}", user.user_id);
        let row = self.rows_where("users", "pk", &key).await.remove(0);
        row.get(name).cloned().unwrap_or_default()
    }
}
