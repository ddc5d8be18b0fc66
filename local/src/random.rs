//! Ids as AWS makes them. Nothing secret is made here.

use base64ct::{Base64, Encoding};

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Ids that repeat would confuse a reader and nothing else.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// A random UUID: Lambda request ids, SNS message ids.
pub(crate) fn uuid() -> String {
    uuid::Builder::from_random_bytes(bytes()).into_uuid().to_string()
}

/// Sixteen characters of base64, as API Gateway's request ids are.
pub(crate) fn gateway_request_id() -> String {
    Base64::encode_string(&bytes::<11>())
}

/// Lower-case hexadecimal digits, two for each of `N` bytes.
pub(crate) fn hex<const N: usize>() -> String {
    bytes::<N>().iter().map(|byte| format!("{byte:02x}")).collect()
}
