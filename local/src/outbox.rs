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

impl Message {
    /// The bytes of its texts.
    fn size(&self) -> usize {
        self.to.len() + self.body.len()
    }
}

/// The messages of one stack, in memory.
#[derive(Debug)]
pub struct Outbox {
    clock: Arc<MovableClock>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Newest first.
    messages: VecDeque<Message>,
    /// The bytes of all their texts.
    size: usize,
}

impl Kept {
    fn push(&mut self, message: Message) {
        self.size += message.size();
        self.messages.push_front(message);
        let is_over =
            |kept: &Self| kept.messages.len() > MAX_MESSAGES || kept.size > MAX_MESSAGE_BYTES;
        // The newest stays, however long it is.
        while self.messages.len() > 1 && is_over(self) {
            let oldest = self.messages.pop_back();
            self.size -= oldest.map_or(0, |message| message.size());
        }
    }
}

/// Beyond this many messages, or this many bytes of their texts, the oldest go.
pub const MAX_MESSAGES: usize = 10_000;
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

impl Outbox {
    /// An empty one that stamps messages by `clock`.
    pub fn new(clock: Arc<MovableClock>) -> Self {
        Self { clock, kept: Mutex::default() }
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
        lock(&self.kept).push(message);
    }

    /// Newest first; those to `to` only, if it is given.
    pub fn list(&self, to: Option<&str>) -> Vec<Message> {
        let kept = lock(&self.kept);
        let wanted = kept.messages.iter().filter(|message| to.is_none_or(|to| message.to == to));
        wanted.cloned().collect()
    }

    /// Forgets all of them.
    pub(crate) fn clear(&self) {
        *lock(&self.kept) = Kept::default();
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

    #[test]
    fn the_oldest_go_where_there_are_too_many() {
        let outbox = Outbox::new(Arc::new(MovableClock::new(None)));
        for number in 0..MAX_MESSAGES + 7 {
            outbox.record(Channel::Sms, "+9779841234567", &number.to_string());
        }
        let kept = outbox.list(None);
        assert_eq!(kept.len(), MAX_MESSAGES);
        assert_eq!(kept[0].body, (MAX_MESSAGES + 6).to_string());
        assert_eq!(kept[MAX_MESSAGES - 1].body, "7");
    }

    #[test]
    fn the_oldest_go_where_they_are_too_long() {
        let outbox = Outbox::new(Arc::new(MovableClock::new(None)));
        let body = "x".repeat(MAX_MESSAGE_BYTES / 4);
        for to in ["a@b.example", "c@d.example", "e@f.example", "g@h.example", "i@j.example"] {
            outbox.record(Channel::Email, to, &body);
            let size: usize = outbox.list(None).iter().map(Message::size).sum();
            assert!(size <= MAX_MESSAGE_BYTES, "{size}");
            assert_eq!(size, lock(&outbox.kept).size);
        }
        let kept: Vec<_> = outbox.list(None).into_iter().map(|message| message.to).collect();
        assert_eq!(kept, ["i@j.example", "g@h.example", "e@f.example"]);
        outbox.record(Channel::Email, "k@l.example", &"x".repeat(MAX_MESSAGE_BYTES + 1));
        assert_eq!(outbox.list(None).len(), 1, "the newest stays");
        outbox.clear();
        assert_eq!(lock(&outbox.kept).size, 0);
    }
}
