//! `POST /admin/users`: an account that somebody asked staff for.
//!
//! It has no password: the person signs in by a code, or sets one by a reset.

use axum::{extract::State, response::Response};
use http::StatusCode;
use jiff::{Timestamp, civil::Date};
use shared::{
    account::{self, Account, AccountStatus},
    audit::{self, Action},
    crypto::secret,
    dynamodb::{Refusal, Transaction},
    http::{
        ClientIp, Json,
        fields::{Body, Fields},
        problem::Problem,
    },
    session::{access_token::Claims, authentication::Staff},
    usage,
    user::opening::{self, Labels, OpenedAccount},
    value::{
        Email, Identifier, Invalid, PhoneNumber, ReferralCode, UserId, WantedUsername,
        identifier::Kind,
    },
};

use crate::{app::App, app::no_longer_staff, detail::Person};

/// Transactions that are tried when referral codes collide.
const ATTEMPTS: usize = 4;

/// Who is to have an account.
pub(crate) struct NewUser {
    username: WantedUsername,
    identifier: Identifier,
}

impl Body for NewUser {
    fn read(fields: &mut Fields) -> Option<Self> {
        let region = fields.context.region;
        let context = fields.context.clone();
        let username = fields.required("username", |text| WantedUsername::parse(text, &context));
        let phone = fields.optional("phone_number", |text| PhoneNumber::parse(text, region));
        let email = fields.optional("email", Email::parse);
        let identifier = phone.zip(email).and_then(|given| match given {
            (Some(phone), None) => Some(Identifier::Phone(phone)),
            (None, Some(email)) => Some(Identifier::Email(email)),
            (None, None) => refuse_both(fields, "required"),
            (Some(_), Some(_)) => refuse_both(fields, "only_one"),
        });
        let own = identifier.clone().map(|identifier| [identifier]);
        let username = username.and_then(|username| match username.check(own) {
            Ok(()) => Some(username),
            Err(invalid) => fields.refuse("username", invalid),
        });
        Some(Self { username: username?, identifier: identifier? })
    }
}

fn refuse_both(fields: &mut Fields, code: &'static str) -> Option<Identifier> {
    let one = Invalid { code, detail: "Give either a phone number or an e-mail address." };
    fields.refuse::<()>("phone_number", one);
    fields.refuse("email", one)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Username,
    Identifier,
    ReferralCode,
    Actor,
    Other,
}

/// `POST /admin/users`.
pub(crate) async fn create(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    Json(body): Json<NewUser>,
) -> Result<(StatusCode, Response), Problem> {
    let now = app.clock.now();
    let reads = (
        account::username_claim_key(body.username.name()),
        account::identifier_claim_key(&body.identifier),
    );
    let (staff, (username, identifier)) =
        app.authenticator.authenticate_staff(&claims, source, reads).await?;
    if username.is_some() || identifier.is_some() {
        // What was read may be a moment old, and a name may be free by now.
        let reads = (
            account::username_claim_key(body.username.name()).consistent(),
            account::identifier_claim_key(&body.identifier).consistent(),
        );
        let (username, identifier) = app.store.read(reads).await?;
        body.must_be_free(username.is_some(), identifier.is_some())?;
    }
    let person = make(&app, &staff, &body, now).await?;
    Ok((StatusCode::CREATED, person.answer(app.config.currency, now)))
}

/// One transaction makes everything: it decides, whatever was read.
async fn make(app: &App, staff: &Staff, body: &NewUser, now: Timestamp) -> Result<Person, Problem> {
    let day = usage::day_of(now, &app.config.time_zone);
    for _ in 0..ATTEMPTS {
        let account = body.account(now);
        let made = transaction(staff, body, &account, (now, day))?;
        let (transaction, OpenedAccount { profile, balance }) = made;
        let made = match app.store.commit(transaction).await {
            Ok(Ok(())) => true,
            Ok(Err(refusals)) => {
                body.classify_refusal(&refusals)?;
                false
            }
            // Only its answers may have been lost.
            Err(problem) => {
                match app.store.read(account::key(account.user_id).consistent()).await {
                    Ok(Some(_)) => true,
                    _ => return Err(problem),
                }
            }
        };
        if made {
            let (sessions, devices) = (Vec::new(), Vec::new());
            let submission = None;
            return Ok(Person { account, profile, submission, balance, sessions, devices });
        }
    }
    Err(Problem::unavailable("referral codes collided"))
}

fn transaction(
    staff: &Staff,
    body: &NewUser,
    account: &Account,
    (now, day): (Timestamp, Date),
) -> Result<(Transaction<Write>, OpenedAccount), Problem> {
    let mut all = Transaction::default();
    let labels = Labels {
        username: Write::Username,
        identifier: Write::Identifier,
        referral_code: Write::ReferralCode,
        other: Write::Other,
    };
    let opened = opening::open(&mut all, labels, account, &body.identifier, false, now, day)?;
    let record = staff
        .record(account.user_id, Action::UserCreated)
        .with("username", body.username.name().masked())
        .with(body.identifier.kind().field(), body.identifier.masked());
    audit::add(&mut all, Write::Other, &record, now)?;
    account::must_be_staff(&mut all, Write::Actor, staff.user_id());
    Ok((all, opened))
}

impl NewUser {
    fn account(&self, now: Timestamp) -> Account {
        let is_phone = self.identifier.kind() == Kind::Phone;
        let (phone_number, email) = match self.identifier.clone() {
            Identifier::Phone(phone) => (Some(phone), None),
            Identifier::Email(email) => (None, Some(email)),
        };
        Account {
            user_id: UserId::new(now, secret::random()),
            username: self.username.name().clone(),
            password_hash: None,
            email,
            email_verified: !is_phone,
            phone_number,
            phone_verified: is_phone,
            referral_code: ReferralCode::from_random(secret::random()),
            status: AccountStatus::Active,
            epoch: 0,
            sign_ins: 0,
            recent_sessions: Vec::new(),
            pending_notice: None,
            is_staff: false,
            joined_at: shared::runtime::clock::whole_second(now),
            last_login_at: None,
        }
    }

    fn must_be_free(&self, username: bool, identifier: bool) -> Result<(), Problem> {
        let identifier = identifier.then(|| self.identifier.kind().field());
        let taken = [username.then_some("username"), identifier];
        Problem::already_exists(taken.into_iter().flatten()).map_or(Ok(()), Err)
    }

    /// What stood against the transaction: a problem, or something to try again with.
    fn classify_refusal(&self, refusals: &[Refusal<Write>]) -> Result<(), Problem> {
        let refused = |label| refusals.iter().any(|refusal| refusal.label == label);
        if refused(Write::Actor) {
            return Err(no_longer_staff());
        }
        self.must_be_free(refused(Write::Username), refused(Write::Identifier))?;
        match refused(Write::ReferralCode) {
            true => Ok(()),
            false => Err(Problem::internal("a fresh id was taken")),
        }
    }
}
