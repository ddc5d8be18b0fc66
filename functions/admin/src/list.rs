//! `GET /admin/users`.

use axum::{extract::State, response::IntoResponse};
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    account::{
        self, AccountStatus, Claim,
        list::{self, AccountFilter, AccountRow},
    },
    crypto::canonical::Canonical,
    dynamodb::{Key, TimeRange},
    http::{
        ClientIp, Json, ListQuery,
        cursor::{self, PageRequest, QueryBinding},
        fields::{self, Body, Fields, List},
        problem::Problem,
    },
    kyc::KycStatus,
    session::access_token::Claims,
    value::{Email, Identifier, Invalid, PhoneNumber, UserId, Username, rfc3339, text},
};

use crate::app::App;

const MAX_PREFIX_CHARS: usize = 150;

/// The query of a list of users.
pub(crate) struct Listing {
    wanted: AccountFilter,
    email: Option<Email>,
    phone_number: Option<PhoneNumber>,
    username: Option<Username>,
    page: PageRequest,
}

impl List for Listing {
    const PARAMETERS: &'static [&'static str] = &[
        "status",
        "kyc_status",
        "email",
        "phone_number",
        "username",
        "username_prefix",
        "joined_after",
        "joined_before",
        "limit",
        "cursor",
    ];
}

impl Body for Listing {
    fn read(fields: &mut Fields) -> Option<Self> {
        let region = fields.context.region;
        let status = fields.optional("status", status);
        let kyc_status = fields.optional("kyc_status", kyc_status);
        let email = fields.optional("email", Email::parse);
        let phone = fields.optional("phone_number", |text| PhoneNumber::parse(text, region));
        let username = fields.optional("username", Username::parse);
        let username_prefix = fields.optional("username_prefix", prefix);
        let joined = span(fields, "joined_after", "joined_before");
        let page = PageRequest::read(fields);
        let (status, kyc_status, username_prefix) = (status?, kyc_status?, username_prefix?);
        Some(Self {
            wanted: AccountFilter { status, kyc_status, username_prefix, joined: joined? },
            email: email?,
            phone_number: phone?,
            username: username?,
            page: page?,
        })
    }
}

/// The status of an account.
pub(crate) fn status(text: &str) -> Result<AccountStatus, Invalid> {
    let detail = "This must be ACTIVE, INACTIVE or BANNED.";
    fields::one_of(text, Invalid { code: "invalid_status", detail })
}

fn kyc_status(text: &str) -> Result<KycStatus, Invalid> {
    let detail = "This must be NOT_SUBMITTED, AWAITING_DOCUMENTS, PENDING, APPROVED or REJECTED.";
    fields::one_of(text, Invalid { code: "invalid_status", detail })
}

/// What usernames may begin with, in lower case.
fn prefix(text: &str) -> Result<String, Invalid> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !text.bytes().all(allowed) {
        let detail = "This must be letters a to z, digits, dots, underscores or hyphens.";
        return Err(Invalid { code: "invalid_username", detail });
    }
    text::within(text.len(), 1..=MAX_PREFIX_CHARS)?;
    Ok(text.to_ascii_lowercase())
}

/// A span of time, which may be open on both sides.
pub(crate) fn span(
    fields: &mut Fields,
    from_name: &'static str,
    to_name: &'static str,
) -> Option<TimeRange> {
    let from = fields.optional(from_name, rfc3339::time);
    let to = fields.optional(to_name, rfc3339::time);
    match (from?, to?) {
        (Some(from), Some(to)) if to < from => {
            let detail = "This must not be before the beginning.";
            fields.refuse(to_name, Invalid { code: "reversed", detail })
        }
        (from, to) => Some(TimeRange { from, to }),
    }
}

/// A user in a list.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UserRow))]
pub(crate) struct RowView {
    id: UserId,
    username: Username,
    email: Option<Email>,
    phone_number: Option<PhoneNumber>,
    status: AccountStatus,
    kyc_status: KycStatus,
    is_profile_complete: bool,
    is_staff: bool,
    date_joined: Timestamp,
    last_login: Option<Timestamp>,
}

impl From<AccountRow> for RowView {
    fn from(row: AccountRow) -> Self {
        Self {
            id: row.user_id,
            username: row.username,
            email: row.email,
            phone_number: row.phone_number,
            status: row.status,
            kyc_status: row.kyc_status,
            is_profile_complete: row.is_profile_complete,
            is_staff: row.is_staff,
            date_joined: row.joined_at,
            last_login: row.last_login_at,
        }
    }
}

/// A page of users.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UserPage))]
pub(crate) struct PageView {
    results: Vec<RowView>,
    /// Where the list goes on; null at its end. A page may be short, even empty, with a cursor.
    next_cursor: Option<String>,
}

/// `GET /admin/users`.
pub(crate) async fn list(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    ListQuery(query): ListQuery<Listing>,
) -> Result<impl IntoResponse, Problem> {
    let (_, key) = app.cursor_keys.current(app.clock.now()).await?;
    let binding = query.binding(&claims);
    let before: Option<UserId> =
        query.page.position(&key, &binding).map_err(Problem::invalid_cursor)?;
    let claimed = query.claims();
    let (rows, next) = if claimed.is_empty() {
        let page = list::page(&app.store, &query.wanted, before, query.page.limit());
        app.authenticator.authenticate_staff_while(&claims, source, page).await?.1
    } else {
        let (_, holders) = app.authenticator.authenticate_staff(&claims, source, claimed).await?;
        (one(&app, &query.wanted, holders).await?, None)
    };
    Ok(Json(PageView {
        results: rows.into_iter().map(RowView::from).collect(),
        next_cursor: next.map(|id| cursor::seal(&key, &binding, &id)),
    }))
}

/// The one account that holds all the claims, if it is wanted.
async fn one(
    app: &App,
    wanted: &AccountFilter,
    holders: Vec<Option<Claim>>,
) -> Result<Vec<AccountRow>, Problem> {
    let mut ids = holders.into_iter().map(|claim| claim.map(|claim| claim.user_id));
    let Some(holder) = ids.next().flatten() else { return Ok(Vec::new()) };
    if ids.any(|other| other != Some(holder)) {
        return Ok(Vec::new());
    }
    let row = app.store.read(list::row_key(holder).consistent()).await?;
    Ok(row.into_iter().filter(|row| wanted.matches(row)).collect())
}

impl Listing {
    /// The claims of the names that are asked for exactly.
    fn claims(&self) -> Vec<Key<Claim>> {
        let phone = self.phone_number.clone().map(Identifier::Phone);
        let identifiers = phone.into_iter().chain(self.email.clone().map(Identifier::Email));
        let claims = identifiers.map(|identifier| account::identifier_claim_key(&identifier));
        let username = self.username.as_ref().map(account::username_claim_key);
        claims.chain(username).map(Key::consistent).collect()
    }

    fn binding(&self, claims: &Claims) -> QueryBinding {
        let AccountFilter { status, kyc_status, username_prefix, joined } = &self.wanted;
        let filters = Canonical::new("GET /admin/users")
            .with_word("status", *status)
            .with_word("kyc_status", *kyc_status)
            .with_word("joined_after", joined.from)
            .with_word("joined_before", joined.to)
            .with_some("email", self.email.as_ref().map(Email::as_str))
            .with_some("phone_number", self.phone_number.as_ref().map(PhoneNumber::as_str))
            .with_some("username", self.username.as_ref().map(Username::as_str))
            .with_some("username_prefix", username_prefix.as_deref());
        QueryBinding::new(claims.user_id, &filters)
    }
}
