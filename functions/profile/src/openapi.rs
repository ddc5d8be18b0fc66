//! The operations as the OpenAPI document shows them.

use http::{Method, StatusCode};
use jiff::civil::Date;
use shared::{http::problem::Code, openapi::OperationDoc, profile::Edits, user::view::ProfileView};
use utoipa::ToSchema;

const PATH: &str = "/users/profile";

/// What a person says of themselves.
#[derive(ToSchema)]
#[schema(as = ProfileEdit)]
#[allow(dead_code, reason = "only its schema is used")]
struct ProfileEdit {
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

/// The operations of this function.
pub fn operations() -> Vec<OperationDoc> {
    vec![
        OperationDoc::new(Method::GET, PATH, "getProfile", "Read one's profile")
            .answers::<ProfileView<'static>>(StatusCode::OK, "The profile.")
            .etag()
            .problems(&[Code::NotFound]),
        changing(Method::PUT, "replaceProfile"),
        changing(Method::PATCH, "changeProfile"),
    ]
}

fn changing(method: Method, id: &'static str) -> OperationDoc {
    OperationDoc::new(method, PATH, id, "Change one's profile")
        .description(
            "A field that is absent stays as it is; null clears it. PUT and PATCH do the same. \
             Changes of different fields at the same time do not undo each other.",
        )
        .body::<ProfileEdit, Edits>()
        .if_match()
        .answers::<ProfileView<'static>>(StatusCode::OK, "The profile as it is now.")
        .etag()
}
