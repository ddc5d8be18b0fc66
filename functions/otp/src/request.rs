//! `POST /auth/otp/request`: count, decide, send.
//!
//! One transaction counts the send against the identifier and the source and puts the challenge;
//! beside it the account is looked for. One update then takes a place in the deployment's SMS
//! ceiling. Whether there is an account changes nothing but the sending.

use jiff::Timestamp;
use shared::{
    account::{self, Claim},
    crypto::secret::{self, Code, Digest, base64url},
    dynamodb::{Refusal, Transaction},
    http::{
        ClientIp, IdempotencyKey,
        problem::{Code as ProblemCode, Problem},
    },
    message::notify::{self, Message, Share},
    otp::{
        self, self as table, Challenge, Remembered, SendRefusal,
        limits::{self, SourceSends},
    },
    runtime::metrics::Metric,
    value::{Identifier, Purpose},
};

use crate::{app::App, handlers::RequestBody};

/// What became of a request that was answered 200.
pub(crate) enum Outcome {
    /// It was carried out.
    Carried,
    /// It was carried out before, under the same key.
    Replayed(Replay),
}

/// What is left of a request that was carried out before.
pub(crate) struct Replay {
    /// Seconds until the code expires; none where another code took its place. Whether it has been
    /// used is not told.
    pub(crate) expires_in: i64,
    /// Seconds until another code may be asked for.
    pub(crate) resend_in: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Challenge,
    Source,
    Key,
}

/// A send that is being made.
struct Send<'a> {
    identifier: &'a Identifier,
    purpose: Purpose,
    digest: Digest,
    challenge: Challenge,
    code: Code,
    key: Option<Digest>,
}

pub(crate) async fn request(
    app: &App,
    source: ClientIp,
    key: Option<IdempotencyKey>,
    body: &RequestBody,
) -> Result<Outcome, Problem> {
    let now = app.clock.now();
    app.notifier.supports(&body.identifier, now).map_err(unsupported)?;
    let send = prepare(app, source, key, body, now).await?;
    let claim = account::identifier_claim_key(&body.identifier).consistent();
    let (counted, claim) = tokio::join!(count(app, &send), app.store.read(claim));
    if let Some(before) = counted? {
        return replay(app, &send, &before).await.map(Outcome::Replayed);
    }
    app.metrics.count_by_purpose(Metric::OtpRequested, send.purpose, now);
    match dispatch(app, &send, claim).await {
        Ok(()) => Ok(Outcome::Carried),
        Err(problem) => {
            let was_refused = problem.code() == ProblemCode::DeliveryFailed;
            undo(app, &send, !was_refused).await;
            Err(problem)
        }
    }
}

/// Sends the code, if there is somebody to send it to. What was refused does not stand; without a
/// response it stands, for the message may be on its way.
async fn dispatch(
    app: &App,
    send: &Send<'_>,
    claim: Result<Option<Claim>, Problem>,
) -> Result<(), Problem> {
    let needs_account = send.purpose.needs_account();
    let message = Message {
        to: send.identifier,
        text: &app.config.otp.message.with_code(send.code.as_str()),
        share: if needs_account { Share::Whole } else { Share::SignUp },
        is_sent: claim?.is_some() || !needs_account,
        at: send.challenge.sent_at,
    };
    let reason = match app.notifier.send(&message).await? {
        notify::Outcome::Sent | notify::Outcome::NotSent => return Ok(()),
        notify::Outcome::CapReached { seconds } => {
            let detail = "The SMS that may be sent now are used up.";
            return Err(Problem::rate_limited(ProblemCode::SmsLimitReached, seconds, detail));
        }
        notify::Outcome::Unsupported(code) => return Err(unsupported(code)),
        notify::Outcome::Refused(reason) => format!("a code was not delivered: {reason}"),
    };
    if needs_account {
        // As for nobody: neither the answer nor the limits may tell that there is an account.
        tracing::error!(cause = reason, "delivery refused");
        hush(app, send).await;
        return Ok(());
    }
    let detail = "The code could not be sent. Try again in a moment.";
    let problem = Problem::new(ProblemCode::DeliveryFailed, detail);
    Err(problem.retry_after(5).with_cause(reason))
}

/// 400: codes are not sent to such an identifier at all.
fn unsupported(code: ProblemCode) -> Problem {
    let detail = match code {
        ProblemCode::EmailNotEnabled => "Use a phone number.",
        ProblemCode::UnsupportedNumber => "Use a mobile number.",
        _ => "Use a number of a supported country.",
    };
    Problem::field(code, "identifier", detail)
}

async fn prepare<'a>(
    app: &App,
    source: ClientIp,
    key: Option<IdempotencyKey>,
    body: &'a RequestBody,
    now: Timestamp,
) -> Result<Send<'a>, Problem> {
    let RequestBody { identifier, purpose } = body;
    let digests = app.lookup_keys.digests(now).await?;
    let digest = digests.identifier(identifier);
    let (slot, mac_key) = app.code_keys.current(now).await?;
    let code = Code::new(secret::random());
    let challenge = Challenge::new(
        base64url(&secret::random::<16>()),
        (slot, &mac_key),
        &digest,
        *purpose,
        &code,
        digests.source(source),
        now,
    );
    let key = key.map(|key| digests.request("otp/request", &digest, &key));
    Ok(Send { identifier, purpose: *purpose, digest, challenge, code, key })
}

/// Counts the send and puts the challenge, or says why not.
async fn count(app: &App, send: &Send<'_>) -> Result<Option<Remembered>, Problem> {
    let Err(refusals) = commit(app, send, transaction(app, send, None)?).await? else {
        return Ok(None);
    };
    let full = match classify_refusal(app, send, &refusals)? {
        Stands::Replay(before) => return Ok(Some(before)),
        Stands::FullSource(full) => full,
    };
    match commit(app, send, transaction(app, send, Some(&full))?).await? {
        Ok(()) => Ok(None),
        Err(refusals) => match classify_refusal(app, send, &refusals)? {
            Stands::Replay(before) => Ok(Some(before)),
            Stands::FullSource(_) => Err(Problem::unavailable("sends of one source collided")),
        },
    }
}

/// What is left of the code that was sent before, by what is known of the identifier now.
async fn replay(app: &App, send: &Send<'_>, before: &Remembered) -> Result<Replay, Problem> {
    let now = send.challenge.sent_at;
    let state = app.store.read(table::identifier_key(&send.digest).consistent()).await?;
    let state = state.unwrap_or_default();
    let challenge = state.challenge(send.purpose);
    let is_replaced = challenge.is_some_and(|challenge| challenge.id != before.challenge_id);
    let left = otp::CODE_SECONDS - (now.as_second() - before.sent_at().as_second());
    Ok(Replay {
        expires_in: if is_replaced { 0 } else { left.max(0) },
        resend_in: state.resend_in(&app.config.otp, now),
    })
}

/// Commits, and takes back what may have been written when no answer says that it was not.
async fn commit(
    app: &App,
    send: &Send<'_>,
    transaction: Transaction<Write>,
) -> Result<Result<(), Vec<Refusal<Write>>>, Problem> {
    let committed = app.store.commit(transaction).await;
    if committed.is_err() {
        undo(app, send, true).await;
    }
    committed
}

fn transaction(
    app: &App,
    send: &Send<'_>,
    full: Option<&SourceSends>,
) -> Result<Transaction<Write>, Problem> {
    let config = &app.config.otp;
    let Send { digest, purpose, challenge, key, .. } = send;
    let mut transaction = Transaction::default();
    table::put_challenge(&mut transaction, Write::Challenge, digest, *purpose, challenge, config)?;
    match full {
        None => limits::count_source(&mut transaction, Write::Source, challenge, config),
        Some(full) => {
            limits::count_source_without_expired(&mut transaction, Write::Source, challenge, full);
        }
    }
    if let Some(key) = key {
        table::remember_request(&mut transaction, Write::Key, key, *purpose, challenge)?;
    }
    Ok(transaction)
}

/// What refused a transaction and is no problem.
enum Stands {
    /// The same request was carried out before.
    Replay(Remembered),
    /// What was counted of the source can be cleared.
    FullSource(SourceSends),
}

/// What refused the transaction.
fn classify_refusal(
    app: &App,
    send: &Send<'_>,
    refusals: &[Refusal<Write>],
) -> Result<Stands, Problem> {
    let find = |label| refusals.iter().find(|refusal| refusal.label == label);
    let now = send.challenge.sent_at;
    if let Some(refusal) = find(Write::Key) {
        return match table::remembered(refusal.item.as_ref()) {
            Some(before) if before.purpose == send.purpose => Ok(Stands::Replay(before)),
            _ => Err(Problem::new(
                ProblemCode::IdempotencyKeyReused,
                "Use a new Idempotency-Key for a new request.",
            )),
        };
    }
    if let Some(refusal) = find(Write::Challenge) {
        let state = table::state(refusal.item.clone().unwrap_or_default())?;
        return Err(match otp::send_refusal(&state, &app.config.otp, now) {
            SendRefusal::Locked(seconds) => locked(seconds),
            SendRefusal::TooMany(seconds) => {
                let detail = "A code was sent to this identifier. Wait before you ask again.";
                Problem::rate_limited(ProblemCode::TooManyRequests, seconds, detail)
            }
        });
    }
    let sends = SourceSends::of(find(Write::Source).and_then(|refusal| refusal.item.as_ref()));
    match sends.seconds_until_free(&app.config.otp, now) {
        None => Ok(Stands::FullSource(sends)),
        Some(seconds) => {
            let detail = "Too many codes were asked for from here and not verified.";
            Err(Problem::rate_limited(ProblemCode::TooManyRequests, seconds, detail))
        }
    }
}

/// 429: an identifier's codes are locked.
pub(crate) fn locked(seconds: i64) -> Problem {
    let detail = "Too many wrong codes. Codes are locked for this identifier.";
    Problem::rate_limited(ProblemCode::OtpLocked, seconds, detail)
}

/// Takes a send back that was not made: challenge, limits of the identifier, idempotency key. With
/// `source` also what was counted against the source; one whose every send is refused must reach its
/// limit. What fails here is only spent: it is logged, and the answer stays what it was.
async fn undo(app: &App, send: &Send<'_>, source: bool) {
    let Send { digest, purpose, challenge, key, .. } = send;
    let config = &app.config.otp;
    let (withdrawn, released, forgotten) = tokio::join!(
        table::revoke(&app.store, digest, *purpose, challenge, config),
        async {
            match source {
                true => limits::release_source(&app.store, challenge).await,
                false => Ok(()),
            }
        },
        async {
            match key {
                Some(key) => table::forget_request(&app.store, key, challenge).await,
                None => Ok(()),
            }
        },
    );
    log_failures([withdrawn, released, forgotten]);
}

/// After a refused delivery to somebody who has an account: as for nobody, limits stay spent and a
/// challenge stands; no code meets it.
async fn hush(app: &App, send: &Send<'_>) {
    let Send { digest, purpose, challenge, .. } = send;
    log_failures([table::make_unmatchable(&app.store, digest, *purpose, challenge).await]);
}

fn log_failures<const N: usize>(outcomes: [Result<(), Problem>; N]) {
    for failed in outcomes.into_iter().filter_map(Result::err) {
        tracing::warn!(cause = failed.cause_chain(), "a send was not taken back");
    }
}
