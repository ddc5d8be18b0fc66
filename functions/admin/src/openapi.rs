//! The operations as the OpenAPI document shows them.

mod deletion;
mod kyc;

use http::{Method, StatusCode};
use jiff::{Timestamp, civil::Date};
use shared::{
    http::problem::Code,
    openapi::{OperationDoc, entry::Entry},
    value::UserId,
    wallet::Direction,
};
use utoipa::ToSchema;

use crate::{
    audit::PageView as AuditPage, change::Edits, create::NewUser, detail::Detail,
    list::PageView as UserPage, wallet::Adjustment,
};

const USERS: &str = "/admin/users";
const USER: &str = "/admin/users/{user_id}";

/// Which users: those that meet all of it.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct UserListing {
    /// Those of this status.
    #[schema(pattern = "^(ACTIVE|INACTIVE|BANNED)$")]
    status: Option<String>,
    /// Those whose identity is so far checked.
    #[schema(pattern = "^(NOT_SUBMITTED|AWAITING_DOCUMENTS|PENDING|APPROVED|REJECTED)$")]
    kyc_status: Option<String>,
    /// The one who has verified exactly this address.
    email: Option<String>,
    /// The one who has verified exactly this number.
    phone_number: Option<String>,
    /// The one of exactly this name, in either case.
    #[schema(pattern = "^[A-Za-z0-9._-]{3,150}$")]
    username: Option<String>,
    /// Those whose name begins so, in either case.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,150}$")]
    username_prefix: Option<String>,
    /// Those who joined then or later.
    joined_after: Option<Timestamp>,
    /// Those who joined earlier.
    joined_before: Option<Timestamp>,
    /// At most so many, 20 when it is not said.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
}

/// Who is to have an account.
#[derive(ToSchema)]
#[schema(as = UserCreation)]
#[allow(dead_code, reason = "only its schema is used")]
struct Creation {
    #[schema(pattern = "^[A-Za-z0-9._-]{3,150}$", example = "sita.rai")]
    username: String,
    #[schema(example = "9841234567")]
    phone_number: Option<String>,
    #[schema(example = "sita@example.com")]
    email: Option<String>,
}

/// What is to become of a user.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct UserEdit {
    #[schema(pattern = "^[A-Za-z0-9._-]{3,150}$", example = "sita.rai")]
    username: Option<String>,
    /// `ACTIVE`, `INACTIVE` or `BANNED`.
    #[schema(pattern = "^(ACTIVE|INACTIVE|BANNED)$", example = "ACTIVE")]
    status: Option<String>,
    /// Whether sessions that begin from now on are staff sessions.
    #[schema(example = false)]
    is_staff: Option<bool>,
    /// True claims the address for the account, false frees it.
    #[schema(example = true)]
    email_verified: Option<bool>,
    /// True claims the number for the account, false frees it.
    #[schema(example = true)]
    phone_verified: Option<bool>,
    #[schema(min_length = 2, max_length = 255, example = "Sita Rai")]
    full_name: Option<String>,
    /// Past, and less than 130 years ago.
    #[schema(example = "1999-04-14")]
    date_of_birth: Option<Date>,
    /// May have several lines.
    #[schema(min_length = 1, max_length = 255, example = "Jhamsikhel 3, Lalitpur")]
    address: Option<String>,
    /// An https URL.
    #[schema(
        max_length = 500,
        pattern = "^[Hh][Tt][Tt][Pp][Ss]://",
        example = "https://cdn.example.com/sita.jpg"
    )]
    avatar_url: Option<String>,
}

/// A correction of a balance.
#[derive(ToSchema)]
#[schema(as = WalletAdjustment)]
#[allow(dead_code, reason = "only its schema is used")]
struct Correction {
    #[schema(inline)]
    direction: Direction,
    /// Money, more than nothing, in no more digits than the currency has.
    #[schema(pattern = r"^(0|[1-9][0-9]*)(\.[0-9]+)?$", example = "25.00")]
    amount: Option<String>,
    /// Points, more than none.
    #[schema(minimum = 1, maximum = 999_999_999_999_i64, example = 25)]
    points: Option<i64>,
    /// The deployment's currency. Another one is refused.
    #[schema(pattern = "^[A-Z]{3}$", example = "NPR")]
    currency: Option<String>,
    /// Why, for a person. No personal data.
    #[schema(min_length = 1, max_length = 200, example = "A rental was charged twice")]
    reason: String,
}

/// Which entries: those that meet all of it. One of the two ids is needed.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct AuditListing {
    /// Entries about this account.
    #[schema(format = "uuid")]
    user_id: Option<String>,
    /// Entries of what this person did, to themselves or to others.
    #[schema(format = "uuid")]
    actor_id: Option<String>,
    /// Entries of this kind: an `action` as entries have it.
    #[schema(pattern = "^[a-z_]+$")]
    action: Option<String>,
    /// Entries of then or later.
    from: Option<Timestamp>,
    /// Earlier entries.
    to: Option<Timestamp>,
    /// At most so many, 20 when it is not said.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
}

/// It was done.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
#[schema(as = StaffDone)]
struct Done {
    /// A sentence for a person.
    message: String,
}

/// The operations of this function.
pub fn operations() -> Vec<OperationDoc> {
    let users = [
        list(),
        create(),
        detail(),
        updating(Method::PUT, "replaceUser"),
        updating(Method::PATCH, "changeUser"),
        deletion::delete_user(),
        end_sessions(),
        adjust(),
        audit(),
    ];
    users.into_iter().chain(kyc::operations()).collect()
}

fn list() -> OperationDoc {
    OperationDoc::new(Method::GET, USERS, "listUsers", "List users")
        .list::<UserListing, crate::list::Listing>()
        .answers::<UserPage>(StatusCode::OK, "A page of users, newest first.")
}

fn create() -> OperationDoc {
    OperationDoc::new(Method::POST, USERS, "createUser", "Make an account for somebody")
        .description(
            "The identifier counts as verified. The account has no password: its holder signs in \
             by a code. `already_exists` names the fields that another account has.",
        )
        .body::<Creation, NewUser>()
        .exactly_one_of(&["phone_number", "email"])
        .answers::<Detail<'static>>(StatusCode::CREATED, "The user.")
        .problems(&[Code::AlreadyExists])
}

fn about_user(method: Method, path: &str, id: &'static str, summary: &'static str) -> OperationDoc {
    OperationDoc::new(method, path, id, summary)
        .path_parameter::<UserId>("user_id", "The user.")
        .problems(&[Code::NotFound])
}

fn detail() -> OperationDoc {
    about_user(Method::GET, USER, "getUser", "Read a user")
        .answers::<Detail<'static>>(StatusCode::OK, "The user.")
}

fn updating(method: Method, id: &'static str) -> OperationDoc {
    about_user(method, USER, id, "Change what is known of a user")
        .description(
            "A field that is absent stays as it is; null clears a field of the profile. PUT and \
             PATCH do the same. A status other than `ACTIVE`, or a staff right that is taken, ends \
             every session.",
        )
        .body::<UserEdit, Edits>()
        .answers::<Detail<'static>>(StatusCode::OK, "The user as it is now.")
        .problems(&[Code::AlreadyExists, Code::OwnAccount])
}

fn end_sessions() -> OperationDoc {
    let path = "/admin/users/{user_id}/sessions";
    about_user(Method::DELETE, path, "endUserSessions", "End all sessions of a user")
        .answers::<Done>(StatusCode::OK, "They have ended, with every token of them.")
}

fn adjust() -> OperationDoc {
    let path = "/admin/users/{user_id}/wallet/adjustments";
    about_user(Method::POST, path, "adjustWallet", "Correct a balance")
        .description(
            "Changes a balance together with its ledger entry, once for an `Idempotency-Key`. \
             Keys belong to the account whose wallet it is. After a 503 the same request is safe \
             to send again.",
        )
        .body::<Correction, Adjustment>()
        .exactly_one_of(&["amount", "points"])
        .answers::<Entry>(StatusCode::CREATED, "The entry.")
        .idempotent()
        .problems(&[Code::InsufficientBalance, Code::OwnAccount])
}

fn audit() -> OperationDoc {
    let path = "/admin/audit";
    OperationDoc::new(Method::GET, path, "searchAudit", "Look at what was done")
        .list::<AuditListing, crate::audit::Search>()
        .answers::<AuditPage>(StatusCode::OK, "A page of entries, newest first.")
}
