//! Ed25519 signatures for `jsonwebtoken`, with ring.
//!
//! The crate's own providers also support RSA and the NIST curves. This provider supports EdDSA
//! only, so a token cannot choose another algorithm (RFC 8725, section 3.1).

use std::sync::Once;

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind, Result},
};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use signature::{Error as SignatureError, Signer, Verifier};
use zeroize::Zeroizing;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Installs the provider for the whole process. Must be called before signing or verifying.
pub(crate) fn install_provider() {
    static ONCE: Once = Once::new();
    // This fails only if another provider is installed, and the program installs no other.
    ONCE.call_once(|| {
        let _ = PROVIDER.install_default();
    });
}

/// The PKCS#8 v1 frame of RFC 8410 around a 32-byte seed.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The signing key of `seed`.
pub(crate) fn encoding_key(seed: &[u8; 32]) -> EncodingKey {
    let der = Zeroizing::new([&PKCS8_PREFIX[..], seed].concat());
    EncodingKey::from_ed_der(&der)
}

/// The public half of `seed`.
pub(crate) fn public_key(seed: &[u8; 32]) -> Result<[u8; 32]> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| invalid_key())?;
    pair.public_key().as_ref().try_into().map_err(|_| invalid_key())
}

fn invalid_key() -> Error {
    ErrorKind::InvalidEddsaKey.into()
}

struct Ed25519Signer(Ed25519KeyPair);

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if *algorithm != Algorithm::EdDSA {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.as_bytes());
    Ok(Box::new(Ed25519Signer(pair.map_err(|_| invalid_key())?)))
}

impl Signer<Vec<u8>> for Ed25519Signer {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, SignatureError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for Ed25519Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct Ed25519Verifier(UnparsedPublicKey<Vec<u8>>);

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if *algorithm != Algorithm::EdDSA {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let key = UnparsedPublicKey::new(&ED25519, key.try_get_as_bytes()?.to_vec());
    Ok(Box::new(Ed25519Verifier(key)))
}

impl Verifier<Vec<u8>> for Ed25519Verifier {
    fn verify(
        &self,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> std::result::Result<(), SignatureError> {
        self.0.verify(message, signature).map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for Ed25519Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}
