//! Keyed digests of what items are found by but must not show: identifiers and addresses, numbers
//! of documents.

use crate::{
    crypto::{
        canonical::Canonical,
        keyring::{MacKeys, MacUse},
        secret::{Digest, MacKey},
    },
    dynamodb::Store,
    http::{ClientIp, IdempotencyKey, problem::Problem},
    kyc::document::{DocumentNumber, DocumentType},
    runtime::lambda::StartError,
    value::{Identifier, UserId},
};
use jiff::Timestamp;

/// Makes digests that are the same for the same value for as long as the deployment lives, and
/// tell nothing without its key.
#[derive(Clone)]
pub struct LookupKeys(MacKeys);

impl LookupKeys {
    /// Reads the key, or makes it.
    pub async fn load(store: &Store, now: Timestamp) -> Result<Self, StartError> {
        MacKeys::load(store, MacUse::Index, now).await.map(Self)
    }

    /// The key's digests, at `now`.
    pub async fn digests(&self, now: Timestamp) -> Result<LookupDigests, Problem> {
        Ok(LookupDigests(self.0.current(now).await?.1))
    }
}

/// The digests of one key.
#[derive(Debug)]
pub struct LookupDigests(MacKey);

impl LookupDigests {
    /// What stands for an identifier.
    pub fn identifier(&self, identifier: &Identifier) -> Digest {
        self.0.digest("identifier", &[identifier.as_str().as_bytes()])
    }

    /// What stands for an account where attempts are counted.
    pub fn account(&self, user_id: UserId) -> Digest {
        self.0.digest("account", &[user_id.as_bytes()])
    }

    /// What stands for a source address, an IPv6 /64 being one.
    pub fn source(&self, source: ClientIp) -> Digest {
        self.0.digest("source", &[&source.limit_key()])
    }

    /// What stands for an identifier and a source address together.
    pub fn pair(&self, identifier: &Digest, source: &Digest) -> Digest {
        self.0.digest("identifier and source", &[identifier.as_bytes(), source.as_bytes()])
    }

    /// What stands for an idempotency key of one operation on one identifier.
    pub fn request(&self, operation: &str, identifier: &Digest, key: &IdempotencyKey) -> Digest {
        let parts = [operation.as_bytes(), identifier.as_bytes(), key.as_bytes()];
        self.0.digest("idempotency key", &parts)
    }
}

/// As [`LookupKeys`], of numbers of identity documents, with a key of their own: only the function that
/// keeps the numbers has it.
#[derive(Clone)]
pub struct DocumentLookupKeys(MacKeys);

impl DocumentLookupKeys {
    /// Reads the key, or makes it.
    pub async fn load(store: &Store, now: Timestamp) -> Result<Self, StartError> {
        MacKeys::load(store, MacUse::Document, now).await.map(Self)
    }

    /// The key's digests, at `now`.
    pub async fn digests(&self, now: Timestamp) -> Result<DocumentLookupDigests, Problem> {
        Ok(DocumentLookupDigests(self.0.current(now).await?.1))
    }
}

/// The digests of one key.
#[derive(Debug)]
pub struct DocumentLookupDigests(MacKey);

impl DocumentLookupDigests {
    /// What stands for a document: one for all ways to type its number.
    pub fn number(&self, document_type: DocumentType, number: &DocumentNumber) -> Digest {
        let number = number.normalised();
        self.0.digest("document number", &[document_type.as_str().as_bytes(), number.as_bytes()])
    }

    /// What stands for an idempotency key of a person.
    pub fn request(&self, user_id: UserId, key: &IdempotencyKey) -> Digest {
        self.0.digest("submission key", &[user_id.as_bytes(), key.as_bytes()])
    }

    /// What stands for what was asked for under an idempotency key. Keyed, since it has the number
    /// of a document in it.
    pub fn fingerprint(&self, request: &Canonical) -> Digest {
        request.keyed_digest(&self.0)
    }
}
