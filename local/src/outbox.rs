//! Every SMS and e-mail that was sent, for a developer or a test to read.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use serde::Serialize;

use crate::{clock::MovableClock, sync::lock};

/// How a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// SNS to a phone number.
    Sms,
    /// SES.
    Email,
}

/// One message to one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// How it went.
    pub channel: Channel,
    /// E.164, or the address in lower case.
    pub to: String,
    /// Its text.
    pub body: String,
    /// The six-digit code in it, if there is one.
    pub code: Option<String>,
    /// When, on the product's clock.
    pub sent_at: Timestamp,
}

/// The messages of one stack, in memory.
#[derive(Debug)]
pub struct Outbox {
    clock: Arc<MovableClock>,
    messages: Mutex<VecDeque<Message>>,
}

impl Outbox {
    /// Beyond this many the oldest go.
    const MAX_MESSAGES: usize = 100_000;

    /// An empty one that stamps messages by `clock`.
    pub fn new(clock: Arc<MovableClock>) -> Self {
        Self { clock, messages: Mutex::default() }
    }

    /// Keeps a message.
    pub(crate) fn record(&self, channel: Channel, to: &str, body: &str) {
        let message = Message {
            channel,
            to: to.to_lowercase(),
            body: body.to_owned(),
            code: code_in(body),
            sent_at: self.clock.now(),
        };
        let mut messages = lock(&self.messages);
        if messages.len() == Self::MAX_MESSAGES {
            messages.pop_back();
        }
        messages.push_front(message);
    }

    /// Newest first; those to `to` only, if it is given.
    pub fn list(&self, to: Option<&str>) -> Vec<Message> {
        let messages = lock(&self.messages);
        let wanted = messages.iter().filter(|message| to.is_none_or(|to| message.to == to));
        wanted.cloned().collect()
    }

    /// Forgets all of them.
    pub(crate) fn clear(&self) {
        lock(&self.messages).clear();
    }
}

/// The first run of exactly six digits.
fn code_in(body: &str) -> Option<String> {
    let runs = body.split(|character: char| !character.is_ascii_digit());
    runs.into_iter().find(|run| run.len() == 6).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_exactly_six_digits() {
        assert_eq!(code_in("045678 is your code. Valid 5 minutes."), Some("045678".to_owned()));
        assert_eq!(code_in("1234567 is long\n\n@app.example #654321"), Some("654321".to_owned()));
        assert_eq!(code_in("Your number was changed 2 times"), None);
    }

    #[test]
    fn newest_first_and_by_recipient() {
        let outbox = Outbox::new(Arc::new(MovableClock::new(None)));
        outbox.record(Channel::Sms, "+9779841234567", "one");
        outbox.record(Channel::Email, "Sita@Example.com", "two");
        let bodies: Vec<_> = outbox.list(None).into_iter().map(|message| message.body).collect();
        assert_eq!(bodies, ["two", "one"]);
        assert_eq!(outbox.list(Some("sita@example.com")).len(), 1);
        assert!(outbox.list(Some("+977")).is_empty());
        outbox.clear();
        assert!(outbox.list(None).is_empty());
    }
}
