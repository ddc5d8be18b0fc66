//! The command: what it prints and how it ends.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

const BINARY: &str = env!("CARGO_BIN_EXE_local");

fn start(arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = Command::new(BINARY);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// Reads up to the line that begins with `ready`.
async fn read_banner(lines: &mut Lines<BufReader<ChildStdout>>) -> Vec<String> {
    let mut banner = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        banner.push(line);
        if banner.last().is_some_and(|line| line.starts_with("ready ")) {
            break;
        }
    }
    banner
}

#[tokio::test]
async fn it_serves_from_its_ready_line_and_ends_cleanly() {
    let (mut child, mut lines) = start(&["--port", "0"]);
    let banner = read_banner(&mut lines).await;
    let base_url = banner.last().unwrap().strip_prefix("ready ").unwrap();
    let clock = reqwest::get(format!("{base_url}/_local/clock")).await.unwrap();
    assert!(clock.status().is_success());
    for name in [
        "AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:",
        "AWS_ENDPOINT_URL_S3=http://127.0.0.1:",
        "AWS_ENDPOINT_URL_SNS=http://127.0.0.1:",
        "AWS_ENDPOINT_URL_SESV2=http://127.0.0.1:",
        "AWS_REGION=us-east-1",
        "AWS_ACCESS_KEY_ID=local",
        "AWS_SECRET_ACCESS_KEY=local",
    ] {
        let export = format!("export {name}");
        assert!(banner.iter().any(|line| line.starts_with(&export)), "{name}");
    }
    assert_eq!(banner.iter().filter(|line| line.contains("curl -s ")).count(), 3);

    let pid = child.id().unwrap().to_string();
    let killed = Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    assert_eq!(lines.next_line().await.unwrap(), None, "nothing after the ready line");
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line() {
    let (_child, mut lines) = start(&["--port", "0"]);
    let banner = read_banner(&mut lines).await;
    let port = banner.last().unwrap().rsplit(':').next().unwrap().to_owned();
    let second = Command::new(BINARY).args(["--port", &port]).output().await.unwrap();
    assert_eq!(second.status.code(), Some(1));
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(error.contains(&format!("port {port} of 127.0.0.1 is in use")), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[tokio::test]
async fn help_names_every_option() {
    let help = Command::new(BINARY).arg("--help").output().await.unwrap();
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    for option in ["--port", "--data-dir", "--staff", "--help"] {
        assert!(help.contains(option), "{option}");
    }
}
