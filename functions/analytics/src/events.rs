//! The events of a batch, read one by one: a bad one is rejected, the others are counted.

use jiff::Timestamp;
use shared::{
    crypto::{canonical::Canonical, secret::Digest},
    http::fields::{Body, Fields},
    value::{Amount, Invalid, UserId, rfc3339, text},
};

/// Events of one request.
pub(crate) const MAX_EVENTS: usize = 25;
/// The oldest event that is counted, seconds: younger than what is remembered.
const MAX_AGE_SECONDS: i64 = 35 * 24 * 60 * 60;
/// How far another machine's clock may be ahead, seconds.
const MAX_AHEAD_SECONDS: i64 = 5 * 60;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    RentalCompleted { amount: Amount, on_time: bool },
    StationFavorited { station_id: String },
    StationUnfavorited { station_id: String },
}

/// An event that can be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) event_id: String,
    pub(crate) user_id: UserId,
    pub(crate) occurred_at: Timestamp,
    pub(crate) kind: Kind,
}

impl Event {
    /// Equal for events that say the same, however they are written. Whose they are is part of the
    /// place where they are remembered.
    pub(crate) fn content(&self) -> Digest {
        let content =
            Canonical::new("usage event").with_word("occurred_at", Some(self.occurred_at));
        let content = match &self.kind {
            Kind::RentalCompleted { amount, on_time } => content
                .with("type", "RENTAL_COMPLETED")
                .with("amount_minor", amount.minor().to_string())
                .with("on_time", if *on_time { "true" } else { "false" }),
            Kind::StationFavorited { station_id } => {
                content.with("type", "STATION_FAVORITED").with("station_id", station_id.as_str())
            }
            Kind::StationUnfavorited { station_id } => {
                content.with("type", "STATION_UNFAVORITED").with("station_id", station_id.as_str())
            }
        };
        content.digest()
    }
}

/// An event as it came: its id, and either the event or the code of what is wrong with it.
pub(crate) struct Given {
    pub(crate) event_id: String,
    pub(crate) event: Result<Event, &'static str>,
}

/// A batch.
pub(crate) struct Batch(pub(crate) Vec<Given>);

impl Body for Batch {
    /// Only what leaves an event without a name makes the whole request a bad one.
    fn read(fields: &mut Fields) -> Option<Self> {
        let objects = fields.objects("events", MAX_EVENTS)?;
        let mut given = Vec::with_capacity(objects.len());
        for (number, mut object) in objects {
            match object.required("event_id", name) {
                Some(event_id) => {
                    let event = read(event_id.clone(), object);
                    given.push(Some(Given { event_id, event }));
                }
                None => {
                    fields.refuse_within("events", number, object);
                    given.push(None);
                }
            }
        }
        given.into_iter().collect::<Option<_>>().map(Self)
    }
}

fn read(event_id: String, mut fields: Fields) -> Result<Event, &'static str> {
    let now = fields.context.now;
    let event = event(event_id, &mut fields).ok_or("invalid_event")?;
    let age_seconds = now.as_second() - event.occurred_at.as_second();
    match age_seconds {
        _ if age_seconds > MAX_AGE_SECONDS => Err("too_old"),
        _ if age_seconds < -MAX_AHEAD_SECONDS => Err("in_future"),
        _ => Ok(event),
    }
}

fn event(event_id: String, fields: &mut Fields) -> Option<Event> {
    let currency = fields.context.currency;
    let user_id = fields.required("user_id", UserId::parse)?;
    let occurred_at = fields.required("occurred_at", rfc3339::time)?;
    fields.optional("currency", |text| currency.must_be(text))?;
    let kind = match fields.required("type", |text| Ok(text.to_owned()))?.as_str() {
        "RENTAL_COMPLETED" => Kind::RentalCompleted {
            amount: fields.required("amount", |text| Amount::parse(text, currency))?,
            on_time: fields.required_flag("on_time")?,
        },
        "STATION_FAVORITED" => {
            Kind::StationFavorited { station_id: fields.required("station_id", name)? }
        }
        "STATION_UNFAVORITED" => {
            Kind::StationUnfavorited { station_id: fields.required("station_id", name)? }
        }
        _ => return None,
    };
    Some(Event { event_id, user_id, occurred_at, kind })
}

/// A name that another system gave: 1 to 100 visible ASCII characters.
fn name(text: &str) -> Result<String, Invalid> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = "This must be visible ASCII characters.";
        return Err(Invalid { code: "invalid_name", detail });
    }
    text::within(text.len(), 1..=100)?;
    Ok(text.to_owned())
}
