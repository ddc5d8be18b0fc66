//! Access tokens: JWTs of RFC 9068, signed with Ed25519.

use std::{collections::HashMap, fmt};

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::{
    crypto::jwt,
    runtime::config::TokenConfig,
    value::{SessionId, UserId},
};

/// How long an access token lives, seconds. There is no leeway on top.
pub const LIFETIME_SECONDS: i64 = 15 * 60;

/// Far longer than any token made here; longer ones are refused unread.
const MAX_BYTES: usize = 2_048;
const TYPE: &str = "at+jwt";

/// What a token that verifies says: who, in which session, and when they last proved it.
///
/// It says nothing of whether that session still lives: only [`crate::session::authentication::Authenticator`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The account, `sub`.
    pub user_id: UserId,
    /// The session, `sid`.
    pub session_id: SessionId,
    /// When a credential was last presented, `auth_time`.
    pub auth_time: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    iss: String,
    aud: String,
    sub: String,
    client_id: String,
    sid: String,
    iat: i64,
    exp: i64,
    jti: String,
    auth_time: i64,
}

/// A private key and the `kid` that names its public half.
pub struct SigningKey {
    kid: String,
    key: EncodingKey,
    public: [u8; 32],
}

impl SigningKey {
    /// The key of `seed`; `None` when the seed is no Ed25519 key.
    pub fn from_seed(kid: String, seed: &[u8; 32]) -> Option<Self> {
        jwt::install_provider();
        let public = jwt::public_key(seed).ok()?;
        Some(Self { kid, key: jwt::encoding_key(seed), public })
    }

    /// The public half, as it stands in a JWK's `x` before encoding.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// An access token that says `claims`, alive from `now`. `jti` is random.
    pub fn sign(
        &self,
        config: &TokenConfig,
        claims: &Claims,
        now: Timestamp,
        jti: [u8; 16],
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(self.kid.clone());
        let iat = now.as_second();
        let payload = Payload {
            iss: config.issuer.clone(),
            aud: config.audience.clone(),
            sub: claims.user_id.to_string(),
            client_id: config.client_id.clone(),
            sid: claims.session_id.to_string(),
            iat,
            exp: iat + LIFETIME_SECONDS,
            jti: crate::crypto::secret::base64url(&jti),
            auth_time: claims.auth_time.as_second(),
        };
        jsonwebtoken::encode(&header, &payload, &self.key)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The public keys that tokens are verified with, by `kid`.
#[derive(Clone, Default)]
pub struct VerifyingKeys(HashMap<String, DecodingKey>);

impl VerifyingKeys {
    /// The keys of `(kid, public key)` pairs.
    pub fn new(keys: impl IntoIterator<Item = (String, [u8; 32])>) -> Self {
        jwt::install_provider();
        let keys = keys.into_iter().map(|(kid, key)| (kid, DecodingKey::from_ed_der(&key)));
        Self(keys.collect())
    }

    /// Whether a key of that name is known.
    pub fn knows(&self, kid: &str) -> bool {
        self.0.contains_key(kid)
    }

    /// Reads a token: signature, `typ`, `iss`, `aud`, `exp` and `iat`; `client_id` must be present,
    /// with any value, so that a deployment may change its own. Keys that the token itself carries or
    /// points to (`jwk`, `jku`, `x5u`) are never looked at.
    pub fn verify(&self, config: &TokenConfig, token: &str, now: Timestamp) -> Option<Claims> {
        let key = self.0.get(&kid(token)?)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The crate would read the system's clock.
        validation.validate_exp = false;
        let data = jsonwebtoken::decode::<Payload>(token, key, &validation).ok()?;
        let payload = data.claims;
        let now = now.as_second();
        if payload.exp <= now || payload.iat > now {
            return None;
        }
        Some(Claims {
            user_id: UserId::parse(&payload.sub).ok()?,
            session_id: SessionId::parse(&payload.sid).ok()?,
            auth_time: Timestamp::from_second(payload.auth_time).ok()?,
        })
    }
}

impl fmt::Debug for VerifyingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The `kid` of a token whose header is one of ours.
pub fn kid(token: &str) -> Option<String> {
    if token.len() > MAX_BYTES {
        return None;
    }
    let header = jsonwebtoken::decode_header(token).ok()?;
    let ours = header.alg == Algorithm::EdDSA
        && header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(TYPE))
        && header.crit.is_none();
    header.kid.filter(|_| ours)
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use serde_json::{Value, json};

    use super::*;

    fn config() -> TokenConfig {
        TokenConfig {
            issuer: "https://issuer.example".into(),
            audience: "api".into(),
            client_id: "app".into(),
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn key() -> SigningKey {
        SigningKey::from_seed("k1".into(), &[7; 32]).unwrap()
    }

    fn keys() -> VerifyingKeys {
        VerifyingKeys::new([("k1".to_owned(), key().public())])
    }

    fn claims() -> Claims {
        Claims {
            user_id: UserId::new(now(), [1; 10]),
            session_id: SessionId::new(now(), [2; 10]),
            auth_time: now(),
        }
    }

    fn token() -> String {
        key().sign(&config(), &claims(), now(), [3; 16]).unwrap()
    }

    /// The token with its header or payload changed and, unless it is our key, unsigned.
    fn forged(change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let token = token();
        let mut parts = token.split('.');
        let mut read = || -> Value {
            let part = Base64UrlUnpadded::decode_vec(parts.next().unwrap()).unwrap();
            serde_json::from_slice(&part).unwrap()
        };
        let (mut header, mut payload) = (read(), read());
        change(&mut header, &mut payload);
        let encode = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let message = format!("{}.{}", encode(&header), encode(&payload));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &key().key, Algorithm::EdDSA).unwrap();
        format!("{message}.{signature}")
    }

    #[test]
    fn a_token_says_what_was_signed_until_it_expires() {
        assert_eq!(keys().verify(&config(), &token(), now()), Some(claims()));
        assert!(keys().verify(&config(), &token(), at(LIFETIME_SECONDS - 1)).is_some());
        assert_eq!(keys().verify(&config(), &token(), at(LIFETIME_SECONDS)), None);
        assert_eq!(keys().verify(&config(), &token(), at(-1)), None, "from the future");
    }

    #[test]
    fn rfc_9068_every_required_claim_is_in_a_token_and_its_absence_refused() {
        for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
            let without = forged(|_, payload| {
                assert!(payload.as_object_mut().unwrap().remove(name).is_some(), "{name}");
            });
            assert_eq!(keys().verify(&config(), &without, now()), None, "{name}");
            let null = forged(|_, payload| payload[name] = Value::Null);
            assert_eq!(keys().verify(&config(), &null, now()), None, "{name}");
        }
        let other = forged(|_, payload| payload["client_id"] = json!("another"));
        assert_eq!(keys().verify(&config(), &other, now()), Some(claims()));
    }

    #[test]
    fn rfc_8725_algorithms_types_and_names_are_fixed() {
        let changes: [fn(&mut Value, &mut Value); 9] = [
            |header, _| header["alg"] = json!("none"),
            |header, _| header["alg"] = json!("HS256"),
            |header, _| header["typ"] = json!("JWT"),
            |header, _| header["kid"] = json!("k2"),
            |header, _| header["crit"] = json!(["b64"]),
            |_, payload| payload["iss"] = json!("https://other.example"),
            |_, payload| payload["aud"] = json!("other"),
            |_, payload| payload["sub"] = json!("not-an-id"),
            |_, payload| drop(payload.as_object_mut().unwrap().remove("exp")),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert_eq!(keys().verify(&config(), &forged(change), now()), None, "{number}");
        }
        assert!(keys().verify(&config(), &forged(|_, _| ()), now()).is_some(), "unchanged");
    }

    #[test]
    fn hs256_with_the_public_key_is_refused() {
        use hmac::{Hmac, KeyInit, Mac};
        let token = forged(|header, _| header["alg"] = json!("HS256"));
        let message = token.rsplit_once('.').unwrap().0;
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key().public()).unwrap();
        mac.update(message.as_bytes());
        let signature = Base64UrlUnpadded::encode_string(&mac.finalize().into_bytes());
        assert_eq!(keys().verify(&config(), &format!("{message}.{signature}"), now()), None);
    }

    #[test]
    fn keys_that_the_token_brings_are_not_looked_at() {
        let other = SigningKey::from_seed("k1".into(), &[8; 32]).unwrap();
        let token = other.sign(&config(), &claims(), now(), [3; 16]).unwrap();
        assert_eq!(keys().verify(&config(), &token, now()), None);
    }

    #[test]
    fn every_flipped_bit_of_the_payload_or_signature_is_refused() {
        let token = token();
        let start = token.find('.').unwrap() + 1;
        for index in start..token.len() - 1 {
            let mut bytes = token.clone().into_bytes();
            bytes[index] ^= 1;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            assert_eq!(keys().verify(&config(), &text, now()), None, "byte {index}");
        }
    }

    #[test]
    fn an_oversized_token_is_not_read() {
        let token = forged(|_, payload| payload["pad"] = json!("x".repeat(MAX_BYTES)));
        assert_eq!(keys().verify(&config(), &token, now()), None);
    }
}
