//! The one way to send a message to somebody: within the deployment's cap, counted, and with its
//! place in the cap given back where it was refused.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    crypto::secret::{self, base64url},
    dynamodb::Store,
    http::problem::{Code, Problem},
    message::{delivery::Delivery, email::EmailSender, sms::SmsSender},
    otp::limits::{self, SmsReservation},
    runtime::{
        config::{Config, OtpConfig},
        metrics::{Metric, Metrics},
    },
    value::Identifier,
};

/// Sends messages.
#[derive(Clone)]
pub struct Notifier {
    config: Arc<Config>,
    store: Store,
    metrics: Metrics,
    sms: SmsSender,
    mail: Option<EmailSender>,
}

/// Which part of the cap an SMS may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All of it.
    Whole,
    /// The share of sign-ups.
    SignUp,
}

/// A message to be sent. No `Debug`: the text may hold a code.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The recipient.
    pub to: &'a Identifier,
    /// The text.
    pub text: &'a str,
    /// Which part of the cap it may use.
    pub share: Share,
    /// Whether it is sent at all. One that is not passes the same cap and adds nothing to it.
    pub is_sent: bool,
    /// The time of the send.
    pub at: Timestamp,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The service took it, or may have.
    Sent,
    /// It was not to be sent.
    NotSent,
    /// The service refused it, for this reason.
    Refused(String),
    /// The cap has no room for it.
    CapReached {
        /// Until there may be room.
        seconds: i64,
    },
    /// Nothing may be sent to such a recipient.
    Unsupported(Code),
}

impl Notifier {
    /// A notifier that sends through these services; without `mail`, e-mail is off.
    pub fn new(
        config: Arc<Config>,
        store: Store,
        metrics: Metrics,
        sms: SmsSender,
        mail: Option<EmailSender>,
    ) -> Self {
        Self { config, store, metrics, sms, mail }
    }

    /// Whether anything may be sent to such a recipient. A refusal is counted.
    ///
    /// # Errors
    /// Why not.
    pub fn supports(&self, to: &Identifier, at: Timestamp) -> Result<(), Code> {
        let Some(code) = unsupported(to, &self.config.otp) else { return Ok(()) };
        self.count(Metric::SmsRefused, to, at);
        Err(code)
    }

    /// Sends a message, asking the service once.
    pub async fn send(&self, message: &Message<'_>) -> Result<Outcome, Problem> {
        if let Err(code) = self.supports(message.to, message.at) {
            return Ok(Outcome::Unsupported(code));
        }
        let Some(place) = place(message) else { return self.deliver(message).await };
        match limits::reserve_sms(&self.store, &place, &self.config.otp).await? {
            Ok(percent) => self.metrics.record(Metric::SmsUsedOfDay, percent, message.at),
            Err(seconds) => {
                self.metrics.count(Metric::SmsCeilingReached, message.at);
                self.count(Metric::SmsRefused, message.to, message.at);
                return Ok(Outcome::CapReached { seconds });
            }
        }
        let outcome = self.deliver(message).await;
        let is_refused = !matches!(outcome, Ok(Outcome::Sent | Outcome::NotSent));
        if is_refused
            && let Err(problem) = limits::release_sms(&self.store, &place, &self.config.otp).await
        {
            // It is only spent: the cap is reached one SMS early.
            tracing::warn!(cause = problem.cause_chain(), "an SMS kept its place in the cap");
        }
        outcome
    }

    async fn deliver(&self, message: &Message<'_>) -> Result<Outcome, Problem> {
        if !message.is_sent {
            return Ok(Outcome::NotSent);
        }
        let config = &self.config.otp;
        let delivery = match (message.to, &self.mail) {
            (Identifier::Phone(phone), _) => self.sms.send(phone, message.text, config).await?,
            (Identifier::Email(email), Some(mail)) => {
                mail.send(email, &config.email_subject, message.text).await?
            }
            (Identifier::Email(_), None) => return Ok(Outcome::Unsupported(Code::EmailNotEnabled)),
        };
        match delivery {
            Delivery::Refused(reason) => {
                self.count(Metric::SmsRefused, message.to, message.at);
                Ok(Outcome::Refused(reason))
            }
            Delivery::Accepted => {
                self.count(Metric::SmsSent, message.to, message.at);
                Ok(Outcome::Sent)
            }
            Delivery::Unknown => {
                tracing::warn!("no response says whether a message was taken");
                self.count(Metric::SmsSent, message.to, message.at);
                Ok(Outcome::Sent)
            }
        }
    }

    /// Counts an SMS by its country; e-mail costs next to nothing and is not counted.
    fn count(&self, metric: Metric, to: &Identifier, at: Timestamp) {
        if let Identifier::Phone(phone) = to {
            self.metrics.count_by_country(metric, phone.region(), at);
        }
    }
}

/// The place that an SMS takes in the cap.
fn place(message: &Message<'_>) -> Option<SmsReservation> {
    matches!(message.to, Identifier::Phone(_)).then(|| SmsReservation {
        at: message.at,
        is_sign_up: message.share == Share::SignUp,
        is_sent: message.is_sent,
        nonce: base64url(&secret::random::<16>()),
    })
}

/// Why nothing may be sent to such a recipient: only mobile numbers of the configured countries get
/// SMS, and e-mail needs a sender.
fn unsupported(to: &Identifier, config: &OtpConfig) -> Option<Code> {
    match to {
        Identifier::Email(_) => config.email_sender.is_none().then_some(Code::EmailNotEnabled),
        Identifier::Phone(phone) => match phone.region() {
            Some(region) if config.sms_countries.contains(&region) => {
                (!phone.is_mobile()).then_some(Code::UnsupportedNumber)
            }
            _ => Some(Code::UnsupportedCountry),
        },
    }
}
