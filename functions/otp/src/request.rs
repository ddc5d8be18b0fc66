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
        IdempotencyKey, Source,
        problem::{Code as ProblemCode, Problem},
    },
    message::delivery::Delivery,
    otp::{
        self, self as table, Challenge, SendRefusal,
        limits::{self, SmsPlace, SourceSends},
    },
    runtime::{config::OtpConfig, metrics::Metric},
    value::{Identifier, Purpose},
};

use crate::{App, handlers::RequestBody};

/// What became of a request that was answered 200.
pub(crate) enum Outcome {
    /// It was carried out.
    Carried,
    /// It was carried out before, under the same key.
    Replayed,
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
    source: Source,
    key: Option<IdempotencyKey>,
    body: &RequestBody,
) -> Result<Outcome, Problem> {
    let now = app.clock.now();
    if let Err(problem) = deliverable(&body.identifier, &app.config.otp) {
        note_sms(app, &body.identifier, Metric::SmsRefused, now);
        return Err(problem);
    }
    let send = prepare(app, source, key, body, now).await?;
    let claim = account::identifier_claim(&body.identifier).consistent();
    let (counted, claim) = tokio::join!(count(app, &send), app.store.read(claim));
    if matches!(counted?, Outcome::Replayed) {
        return Ok(Outcome::Replayed);
    }
    app.metrics.count_for(Metric::OtpRequested, send.purpose, now);
    match dispatch(app, &send, claim).await {
        Ok(()) => Ok(Outcome::Carried),
        Err(Undelivered { problem, place }) => {
            let was_refused = problem.code() == ProblemCode::DeliveryFailed;
            undo(app, &send, place.as_ref(), !was_refused).await;
            Err(problem)
        }
    }
}

/// A send that failed after it was counted, with the place that it holds in the SMS ceiling.
struct Undelivered {
    problem: Problem,
    place: Option<SmsPlace>,
}

impl From<Problem> for Undelivered {
    fn from(problem: Problem) -> Self {
        Self { problem, place: None }
    }
}

/// Takes a place in the SMS ceiling and sends, if there is somebody to send to.
async fn dispatch(
    app: &App,
    send: &Send<'_>,
    claim: Result<Option<Claim>, Problem>,
) -> Result<(), Undelivered> {
    let is_sent = claim?.is_some() || !send.purpose.needs_account();
    let place = sms_place(send, is_sent);
    if let Some(place) = &place {
        match limits::take_sms_place(&app.store, place, &app.config.otp).await? {
            Ok(percent) => app.metrics.record(Metric::SmsUsedOfDay, percent, place.at),
            Err(seconds) => {
                app.metrics.count(Metric::SmsCeilingReached, place.at);
                note_sms(app, send.identifier, Metric::SmsRefused, place.at);
                let detail = "The SMS that may be sent now are used up.";
                return Err(Problem::limited(ProblemCode::SmsLimitReached, seconds, detail).into());
            }
        }
    }
    match is_sent {
        true => deliver(app, send, place).await,
        false => Ok(()),
    }
}

/// Counts an SMS by its country; e-mail costs next to nothing and is not counted.
fn note_sms(app: &App, to: &Identifier, metric: Metric, now: Timestamp) {
    if let Identifier::Phone(phone) = to {
        app.metrics.count_in(metric, phone.region(), now);
    }
}

/// Whether codes are sent to such an identifier at all.
fn deliverable(identifier: &Identifier, config: &OtpConfig) -> Result<(), Problem> {
    let refuse = |code, detail| Err(Problem::field(code, "identifier", detail));
    match identifier {
        Identifier::Email(_) if config.email_sender.is_none() => {
            refuse(ProblemCode::EmailNotEnabled, "Use a phone number.")
        }
        Identifier::Email(_) => Ok(()),
        Identifier::Phone(phone) => match phone.region() {
            Some(region) if config.sms_countries.contains(&region) => match phone.is_mobile() {
                true => Ok(()),
                false => refuse(ProblemCode::UnsupportedNumber, "Use a mobile number."),
            },
            _ => refuse(ProblemCode::UnsupportedCountry, "Use a number of a supported country."),
        },
    }
}

async fn prepare<'a>(
    app: &App,
    source: Source,
    key: Option<IdempotencyKey>,
    body: &'a RequestBody,
    now: Timestamp,
) -> Result<Send<'a>, Problem> {
    let RequestBody { identifier, purpose } = body;
    let digests = app.index.open(now).await?;
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
async fn count(app: &App, send: &Send<'_>) -> Result<Outcome, Problem> {
    let Err(refusals) = commit(app, send, transaction(app, send, None)?).await? else {
        return Ok(Outcome::Carried);
    };
    let source = judge(app, send, &refusals)?;
    let Some(full) = source else { return Ok(Outcome::Replayed) };
    match commit(app, send, transaction(app, send, Some(&full))?).await? {
        Ok(()) => Ok(Outcome::Carried),
        Err(refusals) => match judge(app, send, &refusals)? {
            None => Ok(Outcome::Replayed),
            Some(_) => Err(Problem::unavailable("sends of one source collided")),
        },
    }
}

/// Commits, and takes back what may have been written when no answer says that it was not.
async fn commit(
    app: &App,
    send: &Send<'_>,
    transaction: Transaction<Write>,
) -> Result<Result<(), Vec<Refusal<Write>>>, Problem> {
    let committed = app.store.commit(transaction).await;
    if committed.is_err() {
        undo(app, send, None, true).await;
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
    table::challenge(&mut transaction, Write::Challenge, digest, *purpose, challenge, config)?;
    match full {
        None => limits::count_source(&mut transaction, Write::Source, challenge, config),
        Some(full) => {
            limits::count_source_cleared(&mut transaction, Write::Source, challenge, full);
        }
    }
    if let Some(key) = key {
        table::remember(&mut transaction, Write::Key, key, *purpose, challenge)?;
    }
    Ok(transaction)
}

/// What refused the transaction: a replay is `None`, a source to be cleared is `Some`.
fn judge(
    app: &App,
    send: &Send<'_>,
    refusals: &[Refusal<Write>],
) -> Result<Option<SourceSends>, Problem> {
    let find = |label| refusals.iter().find(|refusal| refusal.label == label);
    let now = send.challenge.sent_at;
    if let Some(refusal) = find(Write::Key) {
        return match table::remembered_purpose(refusal.item.as_ref()) {
            Some(purpose) if purpose == send.purpose => Ok(None),
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
                Problem::limited(ProblemCode::TooManyRequests, seconds, detail)
            }
        });
    }
    let sends = SourceSends::of(find(Write::Source).and_then(|refusal| refusal.item.as_ref()));
    match sends.full_for(&app.config.otp, now) {
        None => Ok(Some(sends)),
        Some(seconds) => {
            let detail = "Too many codes were asked for from here and not verified.";
            Err(Problem::limited(ProblemCode::TooManyRequests, seconds, detail))
        }
    }
}

/// 429: an identifier's codes are locked.
pub(crate) fn locked(seconds: i64) -> Problem {
    let detail = "Too many wrong codes. Codes are locked for this identifier.";
    Problem::limited(ProblemCode::OtpLocked, seconds, detail)
}

fn sms_place(send: &Send<'_>, is_sent: bool) -> Option<SmsPlace> {
    matches!(send.identifier, Identifier::Phone(_)).then(|| SmsPlace {
        at: send.challenge.sent_at,
        is_sign_up: !send.purpose.needs_account(),
        is_sent,
        nonce: send.challenge.id.clone(),
    })
}

/// Sends the code. What was refused does not stand; no answer leaves it standing, for the
/// message may be on its way.
async fn deliver(app: &App, send: &Send<'_>, place: Option<SmsPlace>) -> Result<(), Undelivered> {
    let config = &app.config.otp;
    let text = config.message.with_code(send.code.as_str());
    let delivery = match (send.identifier, &app.mail) {
        (Identifier::Phone(phone), _) => app.sms.send(phone, &text, config).await?,
        (Identifier::Email(email), Some(mail)) => {
            mail.send(email, &config.email_subject, &text).await?
        }
        (Identifier::Email(_), None) => return Err(Problem::internal("e-mail is off").into()),
    };
    let is_refused = matches!(delivery, Delivery::Refused(_));
    let metric = if is_refused { Metric::SmsRefused } else { Metric::SmsSent };
    note_sms(app, send.identifier, metric, send.challenge.sent_at);
    let Delivery::Refused(reason) = delivery else { return Ok(()) };
    let told = format!("a code was not delivered: {reason}");
    if send.purpose.needs_account() {
        // As for nobody: neither the answer nor the limits may tell that there is an account.
        tracing::error!(cause = told, "delivery refused");
        hush(app, send, place.as_ref()).await;
        return Ok(());
    }
    let detail = "The code could not be sent. Try again in a moment.";
    let problem = Problem::new(ProblemCode::DeliveryFailed, detail).retry_after(5).because(told);
    Err(Undelivered { problem, place })
}

/// Takes a send back that was not made: challenge, limits of the identifier, idempotency key, place
/// in the ceiling. With `source` also what was counted against the source; one whose every send is
/// refused must reach its limit. What fails here is only spent: it is logged, and the answer stays
/// what it was.
async fn undo(app: &App, send: &Send<'_>, place: Option<&SmsPlace>, source: bool) {
    let Send { digest, purpose, challenge, key, .. } = send;
    let config = &app.config.otp;
    let (withdrawn, released, forgotten, returned) = tokio::join!(
        table::withdraw(&app.store, digest, *purpose, challenge, config),
        async {
            match source {
                true => limits::release_source(&app.store, challenge).await,
                false => Ok(()),
            }
        },
        async {
            match key {
                Some(key) => table::forget(&app.store, key, challenge).await,
                None => Ok(()),
            }
        },
        return_place(app, place),
    );
    log_failures([withdrawn, released, forgotten, returned]);
}

/// After a refused delivery to somebody who has an account: as for nobody, limits stay spent and a
/// challenge stands; no code meets it.
async fn hush(app: &App, send: &Send<'_>, place: Option<&SmsPlace>) {
    let Send { digest, purpose, challenge, .. } = send;
    let (blinded, returned) = tokio::join!(
        table::blind(&app.store, digest, *purpose, challenge),
        return_place(app, place),
    );
    log_failures([blinded, returned]);
}

async fn return_place(app: &App, place: Option<&SmsPlace>) -> Result<(), Problem> {
    match place {
        Some(place) => limits::return_sms_place(&app.store, place, &app.config.otp).await,
        None => Ok(()),
    }
}

fn log_failures<const N: usize>(outcomes: [Result<(), Problem>; N]) {
    for failed in outcomes.into_iter().filter_map(Result::err) {
        tracing::warn!(cause = failed.cause_chain(), "a send was not taken back");
    }
}
