//! A stack, a client, and the steps that most tests start with.

mod app;
mod budget;
mod callers;
mod control;
mod data;
mod invoke;
pub mod kyc;
mod people;
mod person;
mod request;
mod response;
mod service;
mod staff;

pub use app::{App, Needs};
pub use budget::assert_budget;
pub use callers::{Callers, WithBody};
pub use control::repeat_until_race_happens;
pub use people::{NewUser, User, random_email, random_ip, random_phone, random_username};
pub use person::Person;
pub use request::Request;
pub use response::Response;
pub use service::{money, points};

use tokio::task::JoinSet;

/// A password that every rule accepts.
pub const PASSWORD: &str = "orange lamp tuesday 77";

/// Runs all of them concurrently; the results have no fixed order.
pub async fn concurrently<F, T>(all: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let tasks: JoinSet<T> = all.into_iter().collect();
    tasks.join_all().await
}

/// The number of responses with this status.
pub fn count(responses: &[Response], status: u16) -> usize {
    responses.iter().filter(|response| response.status == status).count()
}
