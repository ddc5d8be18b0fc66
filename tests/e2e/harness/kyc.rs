//! Identity documents: files, as a phone would send them, and requests.

use aws_sdk_dynamodb::types::AttributeValue;
use http::HeaderMap;
use serde_json::{Value, json};
use shared::{
    dynamodb::Store,
    http::{
        etag::{ETag, IfMatch},
        problem::Problem,
    },
    kyc::{
        self, Submission,
        bucket::Documents,
        review::{self, Decision},
    },
    value::UserId,
};

use super::{App, Request, Response, User};

/// A file and its declared type.
#[derive(Debug, Clone)]
pub struct File {
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
}

/// A JPEG of one pixel; the comment makes files different.
pub fn jpeg(comment: &str) -> File {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0, 0, 16];
    bytes.extend(b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    bytes.extend([0xff, 0xfe, 0, u8::try_from(comment.len() + 2).unwrap()]);
    bytes.extend(comment.bytes());
    bytes.extend([0xff, 0xd9]);
    File { content_type: "image/jpeg", bytes }
}

pub fn png() -> File {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55]);
    bytes.extend(b"\0\0\0\0IEND\xaeB`\x82");
    File { content_type: "image/png", bytes }
}

pub fn pdf() -> File {
    let bytes = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";
    File { content_type: "application/pdf", bytes: bytes.to_vec() }
}

impl File {
    /// Its declaration in a request.
    pub fn declaration(&self) -> Value {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.bytes);
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "content_type": self.content_type, "size": self.bytes.len(), "sha256": hex })
    }

    /// The same bytes, declared as another type.
    pub fn declared_as(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }
}

/// The body of a submission: a citizenship certificate with this number and front.
pub fn submission(number: &str, front: &File) -> Value {
    json!({ "document_number": number, "documents": { "front": front.declaration() } })
}

impl App {
    /// A request of a user to `/users/kyc…`.
    pub fn kyc(&self, user: &User, method: &str, path: &str, body: &Value) -> Request {
        let request = self.request(method, path).header("content-type", "application/json");
        request.body(body.to_string()).bearer(&user.access_token)
    }

    /// `POST /users/kyc`.
    pub async fn post_kyc(&self, user: &User, body: &Value) -> Response {
        let response = self.kyc(user, "POST", "/users/kyc", body).send().await;
        response.documented("POST", "/users/kyc")
    }

    /// `PATCH /users/kyc`.
    pub async fn patch_kyc(&self, user: &User, body: &Value) -> Response {
        let response = self.kyc(user, "PATCH", "/users/kyc", body).send().await;
        response.documented("PATCH", "/users/kyc")
    }

    /// `POST /users/kyc/submit`.
    pub async fn submit_kyc(&self, user: &User) -> Response {
        let path = "/users/kyc/submit";
        let response = self.request("POST", path).bearer(&user.access_token).send().await;
        response.documented("POST", path)
    }

    /// `GET /users/kyc/status`.
    pub async fn kyc_status(&self, user: &User) -> Response {
        let path = "/users/kyc/status";
        let response = self.get(path).bearer(&user.access_token).send().await;
        response.documented("GET", path)
    }

    /// Uploads bytes. Returns the status of S3.
    pub async fn send_file(&self, upload: &Value, bytes: &[u8]) -> u16 {
        let headers: HeaderMap = headers(upload).collect();
        let request = self.client.put(upload["url"].as_str().unwrap()).headers(headers);
        request.body(bytes.to_vec()).send().await.unwrap().status().as_u16()
    }

    /// Uploads files, in the order of the uploads of a response.
    pub async fn send_files(&self, response: &Response, files: &[&File]) {
        let uploads = response.json["uploads"].as_array().unwrap();
        assert_eq!(uploads.len(), files.len(), "{response:?}");
        for (upload, file) in uploads.iter().zip(files) {
            assert_eq!(self.send_file(upload, &file.bytes).await, 200);
        }
    }

    /// A user whose submission with this number is pending.
    pub async fn pending_user(&self, number: &str) -> User {
        let (user, front) = (self.register_user().await, jpeg(number));
        let response = self.post_kyc(&user, &submission(number, &front)).await;
        response.body(201);
        self.send_files(&response, &[&front]).await;
        self.submit_kyc(&user).await.ok();
        user
    }

    /// A store as functions have it; its calls are not measured and get no faults.
    pub fn store(&self) -> Store {
        Store::new(self.stack().sdk_config(), &self.config())
    }

    /// A bucket client as functions have it.
    pub fn documents(&self) -> Documents {
        Documents::new(self.stack().sdk_config(), &self.config())
    }

    /// The keys of all objects of a user, sorted.
    pub async fn files_of(&self, user: &User) -> Vec<String> {
        let client = aws_sdk_s3::Client::new(self.stack().sdk_config());
        let bucket = self.config().kyc_bucket;
        let call = client.list_objects_v2().bucket(bucket).prefix(format!("{}/", user.user_id));
        let listed = call.send().await.unwrap();
        let mut keys: Vec<_> =
            listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect();
        keys.sort();
        keys
    }

    /// The stored submission of a user.
    pub async fn submission(&self, user: &User) -> Option<Submission> {
        self.store().read(kyc::key(id_of(user)).consistent()).await.unwrap()
    }

    /// Reviews a submission through `shared::kyc::review`; `seen` is the expected revision.
    pub async fn review(
        &self,
        staff: &User,
        user: &User,
        decision: Decision,
        seen: Option<u64>,
    ) -> Result<Submission, Problem> {
        let (store, now) = (self.store(), self.now().await);
        let submission_id = self.submission(user).await.map(|found| found.submission_id);
        let if_match = match (seen, submission_id) {
            (Some(revision), Some(id)) => IfMatch::OneOf(vec![ETag::of(id, revision).to_string()]),
            _ => IfMatch::Any,
        };
        review::review(&store, id_of(user), id_of(staff), &decision, &if_match, now, |_, _| Ok(()))
            .await
    }

    /// `POST /admin/kyc/{user_id}/review`, whatever the state of the submission is.
    pub async fn post_review(&self, staff: &User, user: &User, body: &Value) -> Response {
        self.post_review_if_match(staff, user, "*", body).await
    }

    /// `POST /admin/kyc/{user_id}/review` with this `If-Match`.
    pub async fn post_review_if_match(
        &self,
        staff: &User,
        user: &User,
        tag: &str,
        body: &Value,
    ) -> Response {
        let path = format!("/admin/kyc/{}/review", user.user_id);
        let request = self.post(&path, body).bearer(&staff.access_token).header("if-match", tag);
        request.send().await.documented("POST", &path)
    }

    /// `GET /admin/kyc/{user_id}/documents`.
    pub async fn view_documents(&self, staff: &User, user: &User) -> Response {
        self.admin_get(staff, &format!("/admin/kyc/{}/documents", user.user_id)).await
    }

    /// A user whose account has the staff flag; the session has not.
    pub async fn user_with_staff_flag(&self) -> User {
        let user = self.register_user().await;
        let key = format!("USER#{}", user.user_id);
        self.set_attribute("users", &[("pk", &key)], "is_staff", AttributeValue::Bool(true)).await;
        user
    }
}

/// The headers that an upload requires.
pub fn headers(upload: &Value) -> impl Iterator<Item = (http::HeaderName, http::HeaderValue)> {
    let headers = upload["headers"].as_object().unwrap().iter();
    headers.map(|(name, value)| (name.parse().unwrap(), value.as_str().unwrap().parse().unwrap()))
}

/// The id of a user.
pub fn id_of(user: &User) -> UserId {
    UserId::parse(&user.user_id).unwrap()
}
