//! Randomly mutated bodies, from a fixed seed.

use crate::harness::{App, Needs, WithBody};

/// xorshift: the same bodies in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }
}

fn mutate(random: &mut Random, body: &mut Vec<u8>) {
    const PIECES: [&[u8]; 16] = [
        b"null",
        b"true",
        b"-1",
        b"1e99",
        b"[]",
        b"{}",
        b"\"\"",
        b"\\u0000",
        b"\\ud83d",
        b"\"",
        b",",
        b":",
        b"\xf0\x9f",
        b"{\"a\":",
        b"]",
        b"0",
    ];
    let at = random.next(body.len().max(1)).min(body.len().saturating_sub(1));
    match random.next(6) {
        0 => body[at] = random.next(256) as u8,
        1 => drop(body.remove(at)),
        2 => drop(body.splice(at..at, PIECES[random.next(16)].iter().copied())),
        3 => {
            let end = (at + random.next(12)).min(body.len());
            body.splice(at..end, PIECES[random.next(16)].iter().copied());
        }
        4 => body.truncate(at.max(1)),
        _ => {
            let copy = body[at..].to_vec();
            body.splice(at..at, copy);
        }
    }
}

#[tokio::test]
async fn asvs_16_5_1_mutated_bodies_cause_no_5xx_and_only_documented_responses() {
    let Some(app) = App::start(Needs::Gateway).await else { return };
    let mut random = Random(0x5eed_0123_4567_89ab);
    let mut callers = app.callers().await;
    for round in 0..40 {
        for operation in WithBody::by(&callers) {
            let mut body = operation.body.to_string().into_bytes();
            for _ in 0..=random.next(4) {
                mutate(&mut random, &mut body);
            }
            let response = operation.request(&app, &callers, body.clone()).send().await;
            let shown = String::from_utf8_lossy(&body);
            assert!(response.status < 500, "{round} {} {shown}: {response:?}", operation.name());
            let (method, path) = (operation.operation.method.as_str(), operation.operation.path);
            let response = response.documented(method, path);
            if response.status >= 400 {
                response.assert_problem();
            }
            // A mutation may have ended the session. The next body must reach the operation.
            if response.status == 401 {
                callers = app.callers().await;
            }
        }
    }
}
