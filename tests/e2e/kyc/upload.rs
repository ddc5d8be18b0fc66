//! The files of a submission: what S3 accepts, and what `POST /users/kyc/submit` checks.

use serde_json::{Value, json};

use crate::harness::{
    App, Needs, Response, User,
    kyc::{File, headers, jpeg, pdf, png, submission},
};

const MAX_BYTES: usize = 10 * 1024 * 1024;

/// A user with a submission of one file, and its upload.
async fn announce(app: &App, front: &File) -> (User, Value) {
    let user = app.register_user().await;
    let number = format!("{:?}", std::thread::current().id()).replace(['(', ')'], "-");
    let number = format!("{number}{}", &user.user_id[24..]);
    let response = app.post_kyc(&user, &submission(&number, front)).await;
    (user, response.body(201)["uploads"][0].clone())
}

fn refused(response: &Response, code: &str, fields: &[&str]) {
    response.problem(400, code);
    assert_eq!(response.fields(), fields, "{response:?}");
}

#[tokio::test]
async fn every_document_type_is_accepted_up_to_ten_mebibytes() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let mut largest = jpeg("");
    largest.bytes.resize(MAX_BYTES, 0);
    for file in [jpeg("x"), png(), pdf(), largest] {
        let (user, upload) = announce(&app, &file).await;
        assert_eq!(app.send_file(&upload, &file.bytes).await, 200);
        assert_eq!(app.submit_kyc(&user).await.ok()["status"], "PENDING");
    }
}

#[tokio::test]
async fn a_file_that_is_not_uploaded_is_reported_missing() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (user, front, back) = (app.register_user().await, jpeg("front"), png());
    let documents = json!({ "front": front.declaration(), "back": back.declaration() });
    let body = json!({ "document_number": "77-777", "documents": documents });
    let response = app.post_kyc(&user, &body).await;
    let missing = app.submit_kyc(&user).await;
    refused(&missing, "document_missing", &["documents.back", "documents.front"]);
    assert_eq!(app.send_file(&response.json["uploads"][1], &back.bytes).await, 200);
    refused(&app.submit_kyc(&user).await, "document_missing", &["documents.front"]);
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "AWAITING_DOCUMENTS");
    assert_eq!(app.send_file(&response.json["uploads"][0], &front.bytes).await, 200);
    app.submit_kyc(&user).await.ok();
}

/// One side is missing and one is invalid: `code` names the first, `errors` both.
#[tokio::test]
async fn a_missing_file_takes_precedence_over_an_invalid_one() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (user, program) = (app.register_user().await, program());
    let documents = json!({ "front": program.declaration(), "back": png().declaration() });
    let body = json!({ "document_number": "77-778", "documents": documents });
    let response = app.post_kyc(&user, &body).await;
    assert_eq!(app.send_file(&response.json["uploads"][0], &program.bytes).await, 200);
    let both = app.submit_kyc(&user).await;
    refused(&both, "document_missing", &["documents.back", "documents.front"]);
    let codes: Vec<_> = both.json["errors"].as_array().unwrap().iter().collect();
    assert_eq!(codes[0]["code"], "document_invalid");
    assert_eq!(codes[1]["code"], "document_missing");
}

/// A PDF with these bytes before its header, and this trailer.
fn pdf_with(beginning: &str, trailer: &str) -> File {
    let body = "%PDF-1.7\n1 0 obj\n<</Type/Catalog>>\nendobj\n";
    let table = format!("xref\n0 2\n0000000000 65535 f \n0000000009 00000 n \n{trailer}");
    let text = format!("{beginning}{body}{table}\nstartxref\n{}\n%%EOF\n", body.len());
    File { content_type: "application/pdf", bytes: text.into_bytes() }
}

#[tokio::test]
async fn a_pdf_with_at_most_1024_bytes_before_its_header_is_accepted() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let trailer = "trailer\n<</Root 1 0 R/Size 2>>";
    let junk = |length| "\u{1}".repeat(length);
    for beginning in ["\u{feff}", "\n", "\r\n", "\x1b%-12345X@PJL SET COPIES=1\r\n", &junk(1_024)] {
        let file = pdf_with(beginning, trailer);
        let (user, upload) = announce(&app, &file).await;
        assert_eq!(app.send_file(&upload, &file.bytes).await, 200);
        assert_eq!(app.submit_kyc(&user).await.ok()["status"], "PENDING", "{beginning:?}");
    }
    let program = format!("\x7fELF{}", junk(60));
    for beginning in [junk(1_025), program] {
        let file = pdf_with(&beginning, trailer);
        let (user, upload) = announce(&app, &file).await;
        assert_eq!(app.send_file(&upload, &file.bytes).await, 200);
        refused(&app.submit_kyc(&user).await, "document_invalid", &["documents.front"]);
    }
}

#[tokio::test]
async fn an_encrypted_pdf_is_refused_with_the_code_encrypted() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let encrypted = "trailer\n<</Root 1 0 R/Size 2/Encrypt 9 0 R>>";
    for beginning in ["", "\r\n"] {
        let file = pdf_with(beginning, encrypted);
        let (user, upload) = announce(&app, &file).await;
        assert_eq!(app.send_file(&upload, &file.bytes).await, 200);
        let response = app.submit_kyc(&user).await;
        refused(&response, "document_invalid", &["documents.front"]);
        assert_eq!(response.json["errors"][0]["code"], "encrypted");
        let plain = pdf_with("", "trailer\n<</Root 1 0 R/Size 2/Info(/Encrypt)>>");
        let body = json!({"documents": {"front": plain.declaration()}});
        let changed = app.patch_kyc(&user, &body).await;
        app.send_files(&changed, &[&plain]).await;
        assert_eq!(app.submit_kyc(&user).await.ok()["status"], "PENDING");
    }
}

/// Headers that S3 stores with an object. A presigned request cannot forbid them.
const STORED: [(&str, &str); 7] = [
    ("cache-control", "public, max-age=31536000"),
    ("content-disposition", "inline"),
    ("content-encoding", "gzip"),
    ("content-language", "ne"),
    ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
    ("x-amz-meta-note", "hello"),
    ("x-amz-website-redirect-location", "https://elsewhere.example/"),
];

#[tokio::test]
async fn a_file_stored_with_additional_headers_is_refused() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    for (name, value) in STORED {
        let file = jpeg(name);
        let (user, upload) = announce(&app, &file).await;
        let mut with_header = upload.clone();
        with_header["headers"][name] = json!(value);
        match app.send_file(&with_header, &file.bytes).await {
            200 => {
                let response = app.submit_kyc(&user).await;
                refused(&response, "document_invalid", &["documents.front"]);
            }
            // S3 requires headers that start with x-amz- to be signed.
            status => assert!(status == 403 && name.starts_with("x-amz-"), "{name} {status}"),
        }
        assert_eq!(app.send_file(&upload, &file.bytes).await, 200, "{name}");
        assert_eq!(app.submit_kyc(&user).await.ok()["status"], "PENDING", "{name}");
    }
}

/// After the check, a client can upload the same file again with other headers.
#[tokio::test]
async fn a_view_overrides_the_stored_headers() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let file = jpeg("again");
    let (user, upload) = announce(&app, &file).await;
    assert_eq!(app.send_file(&upload, &file.bytes).await, 200);
    app.submit_kyc(&user).await.ok();
    let mut with_headers = upload.clone();
    for (name, value) in STORED.into_iter().filter(|(name, _)| !name.starts_with("x-amz-")) {
        with_headers["headers"][name] = json!(value);
    }
    assert_eq!(app.send_file(&with_headers, &file.bytes).await, 200);
    let submission = app.submission(&user).await.unwrap();
    let now = app.now().await;
    let view = app.documents().presign_view(&submission.documents[0], 60, now).await.unwrap();
    let seen = client(&app).get(&view.url).send().await.unwrap();
    for (name, expected) in [
        ("cache-control", "private, no-store"),
        ("content-disposition", "attachment; filename=\"front.jpg\""),
        ("content-encoding", "identity"),
        ("content-language", "und"),
        ("content-type", "image/jpeg"),
        ("expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ] {
        assert_eq!(seen.headers()[name], expected, "{name}");
    }
    assert_eq!(seen.bytes().await.unwrap(), file.bytes);
}

/// As in S3, a refused upload changes nothing.
#[tokio::test]
async fn a_refused_upload_keeps_the_existing_object() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let file = jpeg("the right one");
    let (user, upload) = announce(&app, &file).await;
    assert_eq!(app.send_file(&upload, &file.bytes).await, 200);
    let mut other = file.bytes.clone();
    other[25] ^= 1;
    for _ in 0..2 {
        assert_eq!(app.send_file(&upload, &other).await, 400);
    }
    assert_eq!(app.submit_kyc(&user).await.ok()["status"], "PENDING");
    let (user, upload) = announce(&app, &file).await;
    assert_eq!(app.send_file(&upload, &other).await, 400);
    refused(&app.submit_kyc(&user).await, "document_missing", &["documents.front"]);
}

fn program() -> File {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0".to_vec();
    bytes.resize(4_096, 0x90);
    File { content_type: "image/jpeg", bytes }
}

#[tokio::test]
async fn asvs_5_2_a_file_of_another_type_than_declared_is_refused() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let windows = File { content_type: "image/png", bytes: b"MZ\x90\0\x03\0\0\0\x04\0".to_vec() };
    let page = File { content_type: "application/pdf", bytes: b"<html><script>".to_vec() };
    let short = File { content_type: "image/png", bytes: vec![0x89] };
    let all = [
        program(),
        windows,
        page,
        short,
        png().declared_as("image/jpeg"),
        jpeg("").declared_as("application/pdf"),
    ];
    for file in all {
        let (user, upload) = announce(&app, &file).await;
        assert_eq!(app.send_file(&upload, &file.bytes).await, 200);
        refused(&app.submit_kyc(&user).await, "document_invalid", &["documents.front"]);
        assert_eq!(app.kyc_status(&user).await.ok()["status"], "AWAITING_DOCUMENTS");
    }
}

/// S3 may store an object although it refuses the request, so the function must check the bytes.
#[tokio::test]
async fn asvs_5_2_other_bytes_than_declared_are_refused() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let file = jpeg("the right one");
    let other = jpeg("another one, as long");
    let mut same_length = file.bytes.clone();
    same_length[25] ^= 1;
    let mut one_more = file.bytes.clone();
    one_more.push(0);
    for bytes in [&other.bytes, &same_length, &one_more, &file.bytes[..20].to_vec()] {
        let (user, upload) = announce(&app, &file).await;
        let request = client(&app).put(upload["url"].as_str().unwrap()).body(bytes.clone());
        let mut request = request.build().unwrap();
        for (name, value) in headers(&upload).filter(|(name, _)| name != "content-length") {
            request.headers_mut().insert(name, value);
        }
        // An HTTP client cannot send another length than that of the body.
        let status = client(&app).execute(request).await.unwrap().status();
        assert!(status.is_client_error(), "{status}");
        let response = app.submit_kyc(&user).await;
        let code = response.code_or_none();
        assert!(["document_invalid", "document_missing"].contains(&&*code), "{response:?}");
        assert_eq!(app.send_file(&upload, &file.bytes).await, 200);
        app.submit_kyc(&user).await.ok();
    }
}

fn client(_: &App) -> reqwest::Client {
    reqwest::Client::new()
}

#[tokio::test]
async fn an_upload_with_other_headers_than_signed_is_refused() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (file, other) = (jpeg("x"), jpeg("y"));
    let (user, upload) = announce(&app, &file).await;
    let changed = |name: &str, value: Value| {
        let mut upload = upload.clone();
        upload["headers"][name] = value;
        upload
    };
    let checksum = announce(&app, &other).await.1["headers"]["x-amz-checksum-sha256"].clone();
    assert_eq!(app.send_file(&changed("content-type", json!("text/html")), &file.bytes).await, 403);
    let swapped = changed("x-amz-checksum-sha256", checksum);
    assert_eq!(app.send_file(&swapped, &other.bytes).await, 403);
    let mut elsewhere = upload.clone();
    let url = upload["url"].as_str().unwrap();
    elsewhere["url"] = json!(url.replace("/front?", "/back?"));
    assert_eq!(app.send_file(&elsewhere, &file.bytes).await, 403);
    let mut longer = upload.clone();
    longer["url"] = json!(url.replace("X-Amz-Expires=600", "X-Amz-Expires=6000"));
    assert_eq!(app.send_file(&longer, &file.bytes).await, 403);
    refused(&app.submit_kyc(&user).await, "document_missing", &["documents.front"]);
    assert_eq!(app.send_file(&upload, &file.bytes).await, 200);
    app.submit_kyc(&user).await.ok();
}

#[tokio::test]
async fn an_upload_link_is_valid_for_ten_minutes() {
    let Some(app) = App::start(Needs::Own).await else { return };
    app.advance(40 * 86_400).await;
    let file = jpeg("");
    let (_, upload) = announce(&app, &file).await;
    app.advance(590).await;
    assert_eq!(app.send_file(&upload, &file.bytes).await, 200);
    app.advance(20).await;
    assert_eq!(app.send_file(&upload, &file.bytes).await, 403);
}

#[tokio::test]
async fn asvs_5_4_a_document_link_serves_the_checked_type_and_is_valid_for_a_minute() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.pending_user("5-4-4").await;
    app.advance(1_000).await;
    let submission = app.submission(&user).await.unwrap();
    let (documents, now) = (app.documents(), app.now().await);
    let view = documents.presign_view(&submission.documents[0], 60, now).await.unwrap();
    assert_eq!(view.expires_at.as_second() - now.as_second(), 60);
    assert_eq!((view.method, view.headers.len()), ("GET", 0));
    let seen = client(&app).get(&view.url).send().await.unwrap();
    assert_eq!(seen.status(), 200);
    assert_eq!(seen.headers()["content-disposition"], "attachment; filename=\"front.jpg\"");
    assert_eq!(seen.headers()["content-type"], "image/jpeg");
    assert_eq!(seen.bytes().await.unwrap(), jpeg("5-4-4").bytes);
    let as_page = view.url.replace("image%2Fjpeg", "text%2Fhtml");
    assert_ne!(as_page, view.url);
    assert_eq!(client(&app).get(as_page).send().await.unwrap().status(), 403);
    let (bare, _) = view.url.split_once('?').unwrap();
    assert_eq!(client(&app).get(bare).send().await.unwrap().status(), 403);
    app.advance(61).await;
    assert_eq!(client(&app).get(&view.url).send().await.unwrap().status(), 403);
    assert!(!format!("{view:?}").contains("http"));
}
