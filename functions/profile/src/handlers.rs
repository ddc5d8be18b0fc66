//! The operations at the edge.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use jiff::civil::Date;
use shared::{
    clock::whole_second,
    etag::{ETag, IfMatch},
    fields::{Body, Edit, Fields},
    http::Json,
    problem::{Code, Problem},
    profile as rules,
    table::profile::{self, Profile, Saved},
    token::Claims,
    view::ProfileView,
};

use crate::App;

/// How often a change is made anew that another one overtook.
const ATTEMPTS: usize = 8;

/// What is to become of each field.
#[derive(Clone)]
pub(crate) struct Edits {
    full_name: Edit<String>,
    date_of_birth: Edit<Date>,
    address: Edit<String>,
    avatar_url: Edit<String>,
}

impl Body for Edits {
    fn read(fields: &mut Fields) -> Option<Self> {
        let now = fields.context.now;
        let full_name = fields.edit("full_name", rules::full_name);
        let date_of_birth = fields.edit("date_of_birth", |text| rules::date_of_birth(text, now));
        let address = fields.edit("address", rules::address);
        let avatar_url = fields.edit("avatar_url", rules::avatar_url);
        Some(Self {
            full_name: full_name?,
            date_of_birth: date_of_birth?,
            address: address?,
            avatar_url: avatar_url?,
        })
    }
}

impl Edits {
    /// The profile after a merge: what is absent stays.
    fn merge_into(self, before: Profile) -> Profile {
        Profile {
            full_name: self.full_name.apply(before.full_name),
            date_of_birth: self.date_of_birth.apply(before.date_of_birth),
            address: self.address.apply(before.address),
            avatar_url: self.avatar_url.apply(before.avatar_url),
            ..before
        }
    }

    /// The profile after a replacement: what is absent goes.
    fn replace(self, before: Profile) -> Profile {
        let emptied = Profile::empty(before.user_id, before.created_at);
        self.merge_into(Profile { revision: before.revision, ..emptied })
    }
}

/// `GET /users/profile`.
pub(crate) async fn show(State(app): State<App>, claims: Claims) -> Result<Response, Problem> {
    let profile = match read(&app, &claims, false).await? {
        Some(profile) => profile,
        // Perhaps it is not there yet: right after a registration.
        None => read(&app, &claims, true)
            .await?
            .ok_or_else(|| Problem::new(Code::NotFound, "There is no profile."))?,
    };
    Ok(answer(&profile))
}

/// `PUT /users/profile`.
pub(crate) async fn replace(
    State(app): State<App>,
    claims: Claims,
    if_match: IfMatch,
    Json(edits): Json<Edits>,
) -> Result<Response, Problem> {
    change(&app, &claims, &if_match, |before| edits.clone().replace(before)).await
}

/// `PATCH /users/profile`.
pub(crate) async fn merge(
    State(app): State<App>,
    claims: Claims,
    if_match: IfMatch,
    Json(edits): Json<Edits>,
) -> Result<Response, Problem> {
    change(&app, &claims, &if_match, |before| edits.clone().merge_into(before)).await
}

/// Reads, changes and writes, and does it again if another change came between: a request
/// without `If-Match` asks for no particular state. What the first read says may be a moment old,
/// so nothing is refused on its word.
async fn change(
    app: &App,
    claims: &Claims,
    if_match: &IfMatch,
    edit: impl Fn(Profile) -> Profile,
) -> Result<Response, Problem> {
    for attempt in 0..ATTEMPTS {
        let is_fresh = attempt > 0;
        let before = match read(app, claims, is_fresh).await? {
            Some(before) if if_match.allows(&etag(&before)) => before,
            _ if !is_fresh => continue,
            Some(_) => return Err(changed()),
            None => return Err(Problem::internal("a user has no profile")),
        };
        let after = Profile { updated_at: whole_second(app.clock.now()), ..edit(before.clone()) };
        match profile::save(&app.store, &before, after).await? {
            Saved::As(profile) => return Ok(answer(&profile)),
            Saved::Overtaken => {}
        }
    }
    Err(Problem::unavailable("a profile changed too often"))
}

async fn read(app: &App, claims: &Claims, consistent: bool) -> Result<Option<Profile>, Problem> {
    let key = profile::key(claims.user_id).read_consistently(consistent);
    let (_, profile) = app.gate.enter(claims, key).await?;
    Ok(profile)
}

fn changed() -> Problem {
    let detail = "The profile has changed since it was read. Read it again.";
    Problem::new(Code::PreconditionFailed, detail)
}

fn etag(profile: &Profile) -> ETag {
    ETag::of_revision(profile.revision)
}

fn answer(profile: &Profile) -> Response {
    let etag = etag(profile).to_string();
    ([(header::ETAG, etag)], Json(ProfileView::from(profile))).into_response()
}
