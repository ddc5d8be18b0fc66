//! The operations at the edge.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use shared::{
    http::{
        Json,
        etag::{ETag, IfMatch},
        problem::{Code, Problem},
    },
    profile::{self, Edits, Profile, SaveOutcome},
    runtime::clock::whole_second,
    session::access_token::Claims,
    user::view::ProfileView,
};

use crate::app::App;

/// How often a change is made anew that another one overtook.
const ATTEMPTS: usize = 8;

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

/// `PUT` and `PATCH /users/profile`. Both keep what they do not name: clients of the system before
/// send PUT with the fields that they change.
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
        let after = edit(before.clone());
        if after == before {
            // That there is nothing to change is believed only of what was read consistently.
            match is_fresh {
                true => return Ok(answer(&before)),
                false => continue,
            }
        }
        let after = Profile { updated_at: whole_second(app.clock.now()), ..after };
        match profile::save(&app.store, &before, after).await? {
            SaveOutcome::Saved(profile) => return Ok(answer(&profile)),
            SaveOutcome::Conflict => {}
        }
    }
    Err(Problem::unavailable("a profile changed too often"))
}

async fn read(app: &App, claims: &Claims, consistent: bool) -> Result<Option<Profile>, Problem> {
    let key = profile::key(claims.user_id).consistent_if(consistent);
    let (_, profile) = app.authenticator.authenticate(claims, key).await?;
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
