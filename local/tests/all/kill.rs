//! Durability: a process that is killed in the middle of registrations loses no user that it
//! acknowledged, and leaves no half-made one.

use std::{
    collections::HashMap,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::Notify,
};

type Item = HashMap<String, AttributeValue>;

struct Process {
    child: Child,
    api: String,
    dynamodb: String,
}

/// Starts the binary and reads where it serves.
async fn start(data_dir: &std::path::Path) -> Process {
    let mut child = Command::new(env!("CARGO_BIN_EXE_local"))
        .args(["--port", "0", "--data-dir"])
        .arg(data_dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut dynamodb = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(url) = line.strip_prefix("export AWS_ENDPOINT_URL_DYNAMODB=") {
            dynamodb = url.to_owned();
        }
        if let Some(url) = line.strip_prefix("ready ") {
            return Process { child, api: url.to_owned(), dynamodb };
        }
    }
    panic!("the process ended before it was ready");
}

/// What a client knows of a user whose registration was acknowledged.
struct Acknowledged {
    phone: String,
    refresh_token: String,
}

/// One request; `None` once the process is gone.
async fn post(http: &reqwest::Client, url: String, number: usize, body: Value) -> Option<Value> {
    let source = format!("10.{}.{}.1", number / 250, number % 250);
    let request = http.post(url).header("x-local-source-ip", source).json(&body);
    let response = request.send().await.ok()?;
    response.status().is_success().then_some(())?;
    response.json().await.ok()
}

async fn register(http: &reqwest::Client, api: &str, number: usize) -> Option<Acknowledged> {
    let phone = format!("+97798410{number:05}");
    let purpose = "REGISTER";
    let body = json!({ "identifier": phone, "purpose": purpose });
    post(http, format!("{api}/auth/otp/request"), number, body).await?;
    let url = format!("{api}/_local/messages?to=%2B{}", &phone[1..]);
    let messages: Value = http.get(url).send().await.ok()?.json().await.ok()?;
    let body = json!({ "identifier": phone, "purpose": purpose, "otp": messages[0]["code"] });
    let verified = post(http, format!("{api}/auth/otp/verify"), number, body).await?;
    let body = json!({
        "username": format!("user{number}"),
        "password": "five brass bells at dawn",
        "phone_number": phone,
        "verification_token": verified["verification_token"],
    });
    let registered = post(http, format!("{api}/auth/register"), number, body).await?;
    let refresh_token = registered["refresh_token"].as_str().unwrap().to_owned();
    Some(Acknowledged { phone, refresh_token })
}

async fn all_items(client: &aws_sdk_dynamodb::Client, table: &str) -> Vec<Item> {
    let pages = client.scan().table_name(format!("local-{table}")).into_paginator().items().send();
    pages.collect::<Result<_, _>>().await.unwrap()
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

/// How many items of every kind belong to each user.
async fn census(client: &aws_sdk_dynamodb::Client) -> HashMap<String, Vec<String>> {
    let mut users: HashMap<String, Vec<String>> = HashMap::new();
    for table in ["users", "profiles", "wallets", "usage", "sessions", "audit"] {
        for item in all_items(client, table).await {
            let owner = ["user_id", "subject"].iter().map(|name| text(&item, name));
            let owner = owner.max_by_key(|owner| owner.len()).unwrap().to_owned();
            let kind = match text(&item, "pk").split_once('#') {
                Some((kind, _)) => kind.to_owned(),
                None => text(&item, "item_type").to_owned(),
            };
            users.entry(owner).or_default().push(kind);
        }
    }
    users.values_mut().for_each(|kinds| kinds.sort());
    users
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_amid_registrations_loses_no_acknowledged_user_and_leaves_no_half_made_one() {
    const WORKERS: usize = 8;
    let data_dir = tempfile::tempdir().unwrap();
    let mut process = start(data_dir.path()).await;
    let (acknowledgements, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (api, count, enough) =
                (process.api.clone(), Arc::clone(&acknowledgements), Arc::clone(&enough));
            tokio::spawn(async move {
                let (http, mut done) = (reqwest::Client::new(), Vec::new());
                for round in 0.. {
                    match register(&http, &api, worker + round * WORKERS).await {
                        Some(user) => done.push(user),
                        None => break,
                    }
                    if count.fetch_add(1, Ordering::SeqCst) == 2 * WORKERS {
                        enough.notify_one();
                    }
                }
                done
            })
        })
        .collect();
    enough.notified().await;
    // SIGKILL, while all workers are at some step of a registration.
    process.child.kill().await.unwrap();
    let mut acknowledged = Vec::new();
    for worker in workers {
        acknowledged.extend(worker.await.unwrap());
    }
    assert!(acknowledged.len() > 2 * WORKERS);

    let process = start(data_dir.path()).await;
    let http = reqwest::Client::new();
    for (number, user) in acknowledged.iter().enumerate() {
        let body = json!({ "refresh_token": user.refresh_token });
        let url = format!("{}/auth/refresh", process.api);
        let tokens = post(&http, url, number, body).await.expect("the session lives");
        let token = tokens["access_token"].as_str().unwrap();
        let me = http.get(format!("{}/auth/me", process.api)).bearer_auth(token);
        let me: Value = me.send().await.unwrap().json().await.unwrap();
        assert_eq!(me["phone_number"], json!(user.phone));
        assert_eq!(me["points"]["current_points"], json!(50));
    }

    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
        .credentials_provider(aws_credential_types::Credentials::new(
            "local", "local", None, None, "t",
        ))
        .http_client(shared::runtime::aws::http_client())
        .endpoint_url(&process.dynamodb)
        .build();
    let users = census(&aws_sdk_dynamodb::Client::from_conf(config)).await;
    assert!(users.len() >= acknowledged.len());
    let whole = [
        "PHONE",
        "REFERRAL",
        "USER",
        "USERNAME",
        "audit",
        "balance",
        "entry",
        "profile",
        "session",
        "usage_day",
        "usage_month",
        "usage_total",
    ];
    for (user, kinds) in users {
        assert_eq!(kinds, whole, "{user}");
    }
}
