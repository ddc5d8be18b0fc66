//! `POST /auth/register`.
//!
//! What the token proves and which names are taken is read first, before any argon2 work. Then
//! one transaction makes everything: it decides, whatever was read.

use jiff::{Timestamp, civil::Date};
use shared::{
    account::{self, Account, AccountStatus, Claim, PasswordHash},
    audit::{self, Action},
    crypto::secret::{self, Digest, Token},
    dynamodb::{Refusal, Transaction},
    http::{
        ClientIp,
        problem::{Code, Problem},
    },
    otp,
    session::{self, Session},
    sign_in::{attempts, password::Owner},
    usage,
    user::opening::{self, Labels},
    value::{Identifier, Purpose, ReferralCode, SessionId, UserId, Username},
    wallet::{self, Balance},
};

use crate::{app::App, body::Register, credential};

const INVITER_POINTS: i64 = 100;
/// Referrals that an inviter is paid for; the code stays valid after them.
const PAID_REFERRALS: u32 = 50;
/// Transactions that are tried when codes or inviters collide.
const ATTEMPTS: u32 = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Token,
    Username,
    Identifier,
    ReferralCode,
    Inviter,
    Other,
}

/// A registration whose token is right, before its password is hashed.
struct Applicant {
    body: Register,
    token: Token,
    digest: Digest,
    /// Stands for the identifier and the source address together.
    pair: Digest,
    identifier: Identifier,
    inviter: Option<UserId>,
}

pub(crate) async fn register(
    app: &App,
    body: Register,
    source: ClientIp,
    now: Timestamp,
) -> Result<Session, Problem> {
    let applicant = admit(app, body, source, now).await?;
    let Register { username, email, phone_number, password, .. } = applicant.body.clone();
    let owner = Owner { username: username.name().clone(), email, phone: phone_number };
    let hash = credential::choose(app, password, owner, "password").await?;
    let slot = app.mint.slot(now).await?;
    let at = (now, usage::day_of(now, &app.config.time_zone));
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            let [jitter] = secret::random::<1>();
            let pause = u64::from(jitter) * u64::from(attempt.min(6)) / 16;
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        }
        let inviter = inviter(app, &applicant).await?;
        let account = account(&applicant, hash.clone(), now);
        let session_id = SessionId::new(now, secret::random());
        let session = Session::new(account.user_id, session_id, slot, false, now);
        let transaction = transaction(&applicant, &account, &session, inviter, source, at)?;
        match app.store.commit(transaction).await {
            Ok(Ok(())) => return Ok(session),
            Ok(Err(refusals)) => classify_refusal(&applicant, &refusals)?,
            // Only its answers may have been lost.
            Err(problem) => {
                match app.store.read(account::key(account.user_id).consistent()).await {
                    Ok(Some(_)) => return Ok(session),
                    _ => return Err(problem),
                }
            }
        }
    }
    Err(Problem::unavailable("an inviter's wallet was too busy"))
}

/// Looks at the token, and at the names that are wanted.
async fn admit(
    app: &App,
    body: Register,
    source: ClientIp,
    now: Timestamp,
) -> Result<Applicant, Problem> {
    let token = body.verification_token.clone().ok_or_else(invalid_token)?;
    let codes = body.referral_code.as_deref().map(ReferralCode::readings).transpose();
    let codes = codes.map_err(|_| invalid_referral_code())?.unwrap_or_default();
    let claim_of = |identifier: Option<Identifier>| {
        identifier.map(|identifier| account::identifier_claim_key(&identifier))
    };
    let reads = (
        otp::token_key(&token).consistent(),
        (
            account::username_claim_key(body.username.name()),
            codes.iter().map(account::referral_claim_key).collect::<Vec<_>>(),
        ),
        claim_of(body.phone_number.clone().map(Identifier::Phone)),
        claim_of(body.email.clone().map(Identifier::Email)),
    );
    let (verified, (username, referrals), phone, email) = app.store.read(reads).await?;
    let verified = verified.ok_or_else(invalid_token)?;
    let digests = app.lookup_keys.digests(now).await?;
    let proven = body.identifiers().find_map(|identifier| {
        let digest = digests.identifier(&identifier);
        verified.proves(&digest, Purpose::Register, now).then_some((identifier, digest))
    });
    let (identifier, digest) = proven.ok_or_else(invalid_token)?;
    let holder = match identifier {
        Identifier::Phone(_) => phone.flatten(),
        Identifier::Email(_) => email.flatten(),
    };
    let claims = Claims { username, holder, referral: referrals.into_iter().flatten().next() };
    let claims = confirm(app, claims, body.username.name(), &identifier, &codes).await?;
    let Claims { username, holder, referral } = claims;
    let taken = [username.map(|_| "username"), holder.map(|_| identifier.kind().field())];
    if let Some(problem) = Problem::already_exists(taken.into_iter().flatten()) {
        return Err(problem);
    }
    let own = body.username.check(Some([identifier.clone()]));
    own.map_err(|invalid| Problem::invalid("username", invalid))?;
    let inviter = referral.map(|claim| claim.user_id);
    if !codes.is_empty() && inviter.is_none() {
        return Err(invalid_referral_code());
    }
    let pair = digests.pair(&digest, &digests.source(source));
    Ok(Applicant { body, token, digest, pair, identifier, inviter })
}

/// What is claimed of the names that somebody wants.
struct Claims {
    username: Option<Claim>,
    /// Of the identifier that is proven.
    holder: Option<Claim>,
    /// Of the referral code.
    referral: Option<Claim>,
}

/// The claims that would refuse the registration, read again consistently: a name may have become
/// free, and a referral code may have been made, a moment ago.
async fn confirm(
    app: &App,
    claims: Claims,
    username: &Username,
    identifier: &Identifier,
    codes: &[ReferralCode],
) -> Result<Claims, Problem> {
    let Claims { username: name, holder, referral } = claims;
    let is_refused =
        name.is_some() || holder.is_some() || (!codes.is_empty() && referral.is_none());
    if !is_refused {
        return Ok(Claims { username: name, holder, referral });
    }
    let reads = (
        name.is_some().then(|| account::username_claim_key(username).consistent()),
        holder.is_some().then(|| account::identifier_claim_key(identifier).consistent()),
        codes
            .iter()
            .filter(|_| referral.is_none())
            .map(|code| account::referral_claim_key(code).consistent())
            .collect::<Vec<_>>(),
    );
    let (name, holder, referrals) = app.store.read(reads).await?;
    Ok(Claims {
        username: name.flatten(),
        holder: holder.flatten(),
        referral: referral.or(referrals.into_iter().flatten().next()),
    })
}

fn account(applicant: &Applicant, hash: PasswordHash, now: Timestamp) -> Account {
    let Applicant { body, identifier, .. } = applicant;
    Account {
        user_id: UserId::new(now, secret::random()),
        username: body.username.name().clone(),
        password_hash: Some(hash),
        email: body.email.clone(),
        email_verified: matches!(identifier, Identifier::Email(_)),
        phone_number: body.phone_number.clone(),
        phone_verified: matches!(identifier, Identifier::Phone(_)),
        referral_code: ReferralCode::from_random(secret::random()),
        status: AccountStatus::Active,
        epoch: 0,
        sign_ins: 0,
        recent_sessions: Vec::new(),
        pending_notice: None,
        is_staff: false,
        joined_at: now,
        last_login_at: Some(now),
    }
}

/// The inviter's wallet as it is now. One that is closed was closed with its account.
async fn inviter(app: &App, applicant: &Applicant) -> Result<Option<Balance>, Problem> {
    let Some(inviter) = applicant.inviter else { return Ok(None) };
    let balance = app.store.read(wallet::balance_key(inviter).consistent()).await?;
    balance.filter(Balance::is_open).map(Some).ok_or_else(invalid_referral_code)
}

fn transaction(
    applicant: &Applicant,
    account: &Account,
    session: &Session,
    inviter: Option<Balance>,
    source: ClientIp,
    (now, day): (Timestamp, Date),
) -> Result<Transaction<Write>, Problem> {
    let Applicant { token, digest, identifier, .. } = applicant;
    let (id, mut all) = (account.user_id, Transaction::default());
    otp::consume(&mut all, Write::Token, token, digest, Purpose::Register, now);
    let is_paid = inviter.as_ref().is_some_and(|wallet| wallet.referrals_paid < PAID_REFERRALS);
    let labels = Labels {
        username: Write::Username,
        identifier: Write::Identifier,
        referral_code: Write::ReferralCode,
        other: Write::Other,
    };
    opening::open(&mut all, labels, account, identifier, is_paid, now, day)?;
    session::create(&mut all, Write::Other, session)?;
    attempts::remember_source_with(&mut all, Write::Other, &applicant.pair, now);
    audit::add_own(&mut all, Write::Other, id, Action::Registered, source, now)?;
    match inviter {
        Some(wallet) if is_paid => pay_inviter(&mut all, wallet, (now, day))?,
        Some(inviter) => {
            wallet::must_be_open(&mut all, Write::Inviter, inviter.user_id);
            usage::count_referral(&mut all, Write::Inviter, inviter.user_id);
        }
        None => {}
    }
    Ok(all)
}

fn pay_inviter(
    all: &mut Transaction<Write>,
    mut wallet: Balance,
    (now, day): (Timestamp, Date),
) -> Result<(), Problem> {
    let entry = opening::credit(&mut wallet, INVITER_POINTS, "referral", "Invited a friend", now)?;
    wallet.referrals_paid += 1;
    wallet::post(all, Write::Inviter, &wallet, &entry)?;
    usage::count_points(
        all,
        Write::Other,
        wallet.user_id,
        opening::points(INVITER_POINTS)?,
        true,
        day,
    );
    Ok(())
}

/// What stood against the transaction: a problem, or something to try again with.
fn classify_refusal(applicant: &Applicant, refusals: &[Refusal<Write>]) -> Result<(), Problem> {
    let refused = |label| refusals.iter().any(|refusal| refusal.label == label);
    if refused(Write::Token) {
        return Err(invalid_token());
    }
    let taken = [
        refused(Write::Username).then_some("username"),
        refused(Write::Identifier).then(|| applicant.identifier.kind().field()),
    ];
    if let Some(problem) = Problem::already_exists(taken.into_iter().flatten()) {
        return Err(problem);
    }
    match refused(Write::ReferralCode) || refused(Write::Inviter) {
        true => Ok(()),
        false => Err(Problem::internal("a fresh id was taken")),
    }
}

fn invalid_token() -> Problem {
    let detail = "Verify the phone number or e-mail address again.";
    Problem::field(Code::InvalidVerificationToken, "verification_token", detail)
}

fn invalid_referral_code() -> Problem {
    let detail = "Correct it, or leave it out.";
    Problem::field(Code::InvalidReferralCode, "referral_code", detail)
}
