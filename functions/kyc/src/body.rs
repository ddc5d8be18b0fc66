//! What the operations are asked for.

use shared::{
    crypto::{canonical::Canonical, lookup::DocumentLookupDigests, secret::Digest},
    http::fields::{Body, Edit, Fields},
    kyc::document::{
        ContentType, DocumentNumber, DocumentType, ExpectedFile, FileDigest, MAX_FILE_BYTES,
    },
    value::Invalid,
};

/// `POST /users/kyc`.
#[derive(Debug, Clone)]
pub(crate) struct NewSubmission {
    pub(crate) document_type: DocumentType,
    pub(crate) document_number: DocumentNumber,
    pub(crate) front: ExpectedFile,
    pub(crate) back: Option<ExpectedFile>,
}

impl Body for NewSubmission {
    fn read(fields: &mut Fields) -> Option<Self> {
        let document_type = fields.optional("document_type", DocumentType::parse);
        let document_number = fields.required("document_number", DocumentNumber::parse);
        let documents = fields.required_object("documents", |documents| {
            let front = documents.required_object("front", expected_file);
            let back = documents.optional_object("back", expected_file);
            front.zip(back)
        });
        let (front, back) = documents?;
        Some(Self {
            document_type: document_type?.unwrap_or_default(),
            document_number: document_number?,
            front,
            back,
        })
    }
}

impl NewSubmission {
    /// Equal for requests that ask for the same.
    pub(crate) fn fingerprint(&self, digests: &DocumentLookupDigests) -> Digest {
        digests.fingerprint(&self.canonical())
    }

    fn canonical(&self) -> Canonical {
        let (front, back) = (&self.front, self.back.as_ref());
        Canonical::new("submission")
            .with("document_type", self.document_type.as_str())
            .with("document_number", self.document_number.as_str())
            .with("front.content_type", front.content_type.as_str())
            .with("front.size", front.size.to_string())
            .with("front.sha256", front.sha256.to_string())
            .with_some("back.content_type", back.map(|back| back.content_type.as_str()))
            .with_some("back.size", back.map(|back| back.size.to_string()))
            .with_some("back.sha256", back.map(|back| back.sha256.to_string()))
    }
}

/// `PATCH /users/kyc`: what is absent stays, and null is the same as absent but for the back,
/// which there need not be.
#[derive(Debug, Clone)]
pub(crate) struct Edits {
    pub(crate) document_type: Option<DocumentType>,
    pub(crate) document_number: Option<DocumentNumber>,
    pub(crate) front: Option<ExpectedFile>,
    pub(crate) back: Edit<ExpectedFile>,
}

impl Body for Edits {
    fn read(fields: &mut Fields) -> Option<Self> {
        let document_type = fields.optional("document_type", DocumentType::parse);
        let document_number = fields.optional("document_number", DocumentNumber::parse);
        let documents = fields.optional_object("documents", |documents| {
            let front = documents.optional_object("front", expected_file);
            let back = documents.edit_object("back", expected_file);
            front.zip(back)
        });
        let (front, back) = documents?.unwrap_or((None, Edit::Keep));
        Some(Self { document_type: document_type?, document_number: document_number?, front, back })
    }
}

/// A file that is to be uploaded.
fn expected_file(fields: &mut Fields) -> Option<ExpectedFile> {
    let content_type = fields.required("content_type", ContentType::parse);
    let size = fields.required_integer("size", |size| match u64::try_from(size) {
        Ok(size @ 1..=MAX_FILE_BYTES) => Ok(size),
        Ok(0) | Err(_) => {
            Err(Invalid { code: "too_small", detail: "A file has one byte at least." })
        }
        Ok(_) => Err(Invalid { code: "too_large", detail: "A file may be 10 MiB long." }),
    });
    let sha256 = fields.required("sha256", FileDigest::parse);
    Some(ExpectedFile { content_type: content_type?, size: size?, sha256: sha256? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_under_an_idempotency_key_is_pinned() {
        let expected_file = |content_type, size| ExpectedFile {
            content_type,
            size,
            sha256: FileDigest::from_bytes([0xab; 32]),
        };
        let alone = NewSubmission {
            document_type: DocumentType::Passport,
            document_number: DocumentNumber::parse(" PA-1234 ").unwrap(),
            front: expected_file(ContentType::Jpeg, 7),
            back: None,
        };
        let digest = "ab".repeat(32);
        let expected = Canonical::new("submission")
            .with("document_type", "PASSPORT")
            .with("document_number", "PA-1234")
            .with("front.content_type", "image/jpeg")
            .with("front.size", "7")
            .with("front.sha256", &*digest);
        assert!(alone.canonical() == expected);
        let both = NewSubmission { back: Some(expected_file(ContentType::Pdf, 8)), ..alone };
        let expected = expected
            .with("back.content_type", "application/pdf")
            .with("back.size", "8")
            .with("back.sha256", &*digest);
        assert!(both.canonical() == expected);
    }
}
