//! Randomness, digests, MACs and the secrets made of them.
//!
//! Everything that is hashed is framed: each part is preceded by its length, so that no two
//! different lists of parts are ever the same bytes.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::value::{Invalid, text};

/// Random bytes from the operating system's CSPRNG: the one place that draws any.
///
/// # Panics
/// When the system has none to give, which Linux does only before its first seeding at boot.
/// Nothing could be done safely then.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's random bytes");
    bytes
}

/// Unpadded base64url (RFC 4648, 5).
pub fn base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// Reads unpadded base64url, strictly: there is one text for one list of bytes, any other
/// (padding, white space, stray last bits) is refused.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text).ok()
}

/// Feeds parts to a hash, each after its length.
fn frame(parts: &[&[u8]], mut update: impl FnMut(&[u8])) {
    for part in parts {
        update(&(part.len() as u64).to_be_bytes());
        update(part);
    }
}

/// A SHA-256 digest. Compared in constant time; `Debug` does not show it.
#[derive(Clone, Copy, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `parts`, framed. The first part should say what is digested.
    pub fn sha256(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        frame(parts, |bytes| hash.update(bytes));
        Self(hash.finalize().into())
    }

    /// A digest that was stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its bytes in base64url, 43 characters.
    pub fn text(&self) -> String {
        base64url(&self.0)
    }

    /// Reads [`Digest::text`].
    pub fn from_text(text: &str) -> Option<Self> {
        from_base64url(text)?.try_into().ok().map(Self)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::hash::Hash for Digest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(redacted)")
    }
}

/// The bytes of a key. Wiped from memory when dropped.
pub type KeyBytes = Zeroizing<[u8; 32]>;

/// A 256-bit key for HMAC-SHA-256 (RFC 2104). Wiped from memory when dropped.
#[derive(Clone)]
pub struct MacKey(KeyBytes);

impl ZeroizeOnDrop for MacKey {}

impl MacKey {
    /// The key of these bytes, which must be random.
    pub fn new(bytes: impl Into<KeyBytes>) -> Self {
        Self(bytes.into())
    }

    /// The MAC of `parts`, framed. A MAC of one `domain` is worth nothing in another, so one key
    /// can serve several uses.
    pub fn mac(&self, domain: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("a key of any length");
        frame(&[domain.as_bytes()], |bytes| mac.update(bytes));
        frame(parts, |bytes| mac.update(bytes));
        mac.finalize().into_bytes().into()
    }

    /// Whether `tag` is the MAC of `parts`; takes the same time wherever they differ.
    pub fn verify(&self, domain: &str, parts: &[&[u8]], tag: &[u8; 32]) -> bool {
        self.mac(domain, parts).ct_eq(tag).into()
    }

    /// The MAC of `parts` as a digest: what stands for a value that must not be stored, and
    /// cannot be found by trying all values without the key.
    pub fn digest(&self, domain: &str, parts: &[&[u8]]) -> Digest {
        Digest(self.mac(domain, parts))
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(redacted)")
    }
}

/// A bearer secret of 256 random bits, handed out once and stored only as its digest.
#[derive(Clone)]
pub struct Token(Zeroizing<[u8; 32]>);

impl Token {
    /// The token of these bytes, which must be fresh from a CSPRNG.
    pub fn new(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// Reads [`Token::text`]: 43 characters of base64url.
    pub fn parse(text: &str) -> Option<Self> {
        // A longer text is not worth decoding.
        if text.len() != 43 {
            return None;
        }
        from_base64url(text)?.try_into().ok().map(Self::new)
    }

    /// The token as it is handed out.
    pub fn text(&self) -> String {
        base64url(&*self.0)
    }

    /// What is stored in its stead. No key is needed: 256 bits cannot be guessed.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&[b"token", &*self.0])
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// A one-time code: six decimal digits, every one of the million as likely.
///
/// There is no comparison: a code is only ever compared through its MAC.
#[derive(Clone)]
pub struct Code(Zeroizing<String>);

impl Code {
    const INVALID: Invalid =
        Invalid { code: "invalid_code", detail: "A code has exactly six digits." };

    /// The code of these bytes, which must be fresh from a CSPRNG. The remainder of so large a
    /// number favours no code by more than one part in 2^108.
    pub fn new(random: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(random) % 1_000_000;
        Self(Zeroizing::new(format!("{number:06}")))
    }

    /// The longest text that is read, characters.
    const MAX_CHARS: usize = 32;

    /// Reads six digits of any script; spaces and hyphens do not matter.
    ///
    /// # Errors
    /// `invalid_code`, `too_long`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        text::within(text.chars().count(), 0..=Self::MAX_CHARS)?;
        let digits = Zeroizing::new(text::with_plain_digits(text));
        match digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => Ok(Self(digits)),
            false => Err(Self::INVALID),
        }
    }

    /// The six digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_tells_apart_what_joins_to_the_same_bytes() {
        let lists: [&[&[u8]]; 6] =
            [&[b"ab", b"c"], &[b"a", b"bc"], &[b"abc"], &[b"abc", b""], &[b"", b"abc"], &[]];
        let key = MacKey::new([7; 32]);
        for (i, a) in lists.iter().enumerate() {
            for b in &lists[..i] {
                assert_ne!(Digest::sha256(a), Digest::sha256(b));
                assert_ne!(key.mac("d", a), key.mac("d", b));
            }
        }
        assert_ne!(key.mac("d", &[b"x"]), key.mac("", &[b"d", b"x"]));
        assert_ne!(key.mac("d", &[b"x"]), key.mac("e", &[b"x"]));
    }

    /// Computed apart, with Python's `hashlib` and `hmac`: stored digests and living tokens hang
    /// on these bytes, so they may never change.
    #[test]
    fn the_bytes_are_those_of_yesterday() {
        let digest = Digest::sha256(&[b"a", b"bc"]);
        assert_eq!(digest.text(), "P6-hzy8Zp8ESm-sgzwmD9zpImiIfwN0vFtG-KS0IkgU");
        let mac = MacKey::new([7; 32]).mac("domain", &[b"a", b"bc"]);
        assert_eq!(base64url(&mac), "3Erg2rpN052Ti4FotgugofQnFB1JiMtrj5qKsq0Ginw");
    }

    #[test]
    fn a_mac_verifies_with_its_key_its_domain_and_its_parts() {
        let key = MacKey::new([7; 32]);
        let mut tag = key.mac("d", &[b"x"]);
        assert!(key.verify("d", &[b"x"], &tag));
        assert!(!key.verify("e", &[b"x"], &tag));
        assert!(!key.verify("d", &[b"y"], &tag));
        assert!(!MacKey::new([8; 32]).verify("d", &[b"x"], &tag));
        tag[31] ^= 1;
        assert!(!key.verify("d", &[b"x"], &tag));
    }

    #[test]
    fn base64url_has_one_text_for_one_list_of_bytes() {
        assert_eq!(base64url(&[0xff, 0xef]), "_-8");
        assert_eq!(from_base64url("_-8"), Some(vec![0xff, 0xef]));
        for bad in ["_-9", "_-8=", "_-8 ", "_-8\n", "/+8", "_", "ééé"] {
            assert_eq!(from_base64url(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_token_is_43_characters_and_known_by_its_digest() {
        let token = Token::new([0xfb; 32]);
        let text = token.text();
        assert_eq!(text.len(), 43);
        assert_eq!(Token::parse(&text).unwrap().digest(), token.digest());
        assert_eq!(Digest::from_text(&token.digest().text()), Some(token.digest()));
        assert_ne!(token.digest().text(), text);
        for bad in [
            "",
            &text[1..],
            &format!("{text}A"),
            &format!("{text}="),
            &"é".repeat(21),
            &"!".repeat(43),
        ] {
            assert!(Token::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_code_is_six_digits() {
        assert_eq!(Code::new([0; 16]).as_str(), "000000");
        assert_eq!(Code::new([255; 16]).as_str(), "211455");
        assert_eq!(Code::parse(" 012345 ").unwrap().as_str(), "012345");
        for good in
            ["12 3456", "123-456", "1-2 3\u{a0}4\u{2011}56", "१२३४५६", "१२३ ४५६", "１２３４５６"]
        {
            assert_eq!(Code::parse(good).unwrap().as_str(), "123456", "{good}");
        }
        for bad in ["", "12345", "1234567", "12345a", "+12345", "123.456", "½23456", "123\n456"] {
            assert_eq!(Code::parse(bad).unwrap_err().code, "invalid_code", "{bad}");
        }
        let spaced = format!("123{}456", " ".repeat(27));
        assert_eq!(Code::parse(&spaced).unwrap_err().code, "too_long");
    }

    #[test]
    fn every_digit_of_a_code_is_as_likely() {
        const CODES: usize = 60_000;
        let mut counts = [[0_u32; 10]; 6];
        for _ in 0..CODES {
            let code = Code::new(random());
            for (place, digit) in code.as_str().bytes().enumerate() {
                counts[place][usize::from(digit - b'0')] += 1;
            }
        }
        // 6,000 expected, standard deviation 73: six of them, or one false alarm in ten million.
        assert!(counts.iter().flatten().all(|count| count.abs_diff(6_000) < 440), "{counts:?}");
    }

    #[test]
    fn debug_tells_no_secret() {
        let code = Code::new([1; 16]);
        let shown = format!(
            "{:?} {:?} {:?} {code:?}",
            Digest::sha256(&[]),
            MacKey::new([1; 32]),
            Token::new([1; 32])
        );
        assert_eq!(shown, "Digest(redacted) MacKey(redacted) Token(redacted) Code(redacted)");
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random::<32>(), random::<32>());
    }
}
