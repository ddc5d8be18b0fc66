//! The requests' bodies.

use shared::{
    crypto::secret::Token,
    http::fields::{Body, Fields, text},
    sign_in::password::Password,
    value::{Email, Identifier, Invalid, PhoneNumber, WantedUsername},
};

/// Longer than any token or code that is made here.
const MAX_OPAQUE_CHARS: usize = 512;

/// A text that is either one of our verification tokens or wrong, which is for later to say.
fn verification_token(given: &str) -> Result<Option<Token>, Invalid> {
    text::<MAX_OPAQUE_CHARS>(given).map(|given| Token::parse(&given))
}

/// `POST /auth/register`.
#[derive(Clone)]
pub(crate) struct Register {
    pub(crate) username: WantedUsername,
    pub(crate) password: Password,
    pub(crate) verification_token: Option<Token>,
    pub(crate) email: Option<Email>,
    pub(crate) phone_number: Option<PhoneNumber>,
    /// As it was typed: whether it is a code is answered differently from a bad field.
    pub(crate) referral_code: Option<String>,
}

impl Body for Register {
    fn read(fields: &mut Fields) -> Option<Self> {
        let region = fields.context.region;
        let context = fields.context.clone();
        let username = fields.required("username", |text| WantedUsername::parse(text, &context));
        let password = fields.required_password("password", Password::choose);
        let token = fields.required("verification_token", verification_token);
        let email = fields.optional("email", Email::parse);
        let phone = fields.optional("phone_number", |text| PhoneNumber::parse(text, region));
        let referral_code = fields.optional("referral_code", text::<MAX_OPAQUE_CHARS>);
        if !fields.has("email") && !fields.has("phone_number") {
            let one = "Give an e-mail address or a phone number.";
            fields.refuse::<()>("email", Invalid { code: "required", detail: one });
            fields.refuse::<()>("phone_number", Invalid { code: "required", detail: one });
        }
        // Whether the account has verified the identifier is known when the token is.
        let own = email.as_ref().zip(phone.as_ref());
        let own = own.map(|(email, phone)| identifiers(email, phone));
        let username = username.and_then(|username| match username.check(own) {
            Ok(()) => Some(username),
            Err(invalid) => fields.refuse("username", invalid),
        });
        Some(Self {
            username: username?,
            password: password?,
            verification_token: token?,
            email: email?,
            phone_number: phone?,
            referral_code: referral_code?,
        })
    }
}

fn identifiers(
    email: &Option<Email>,
    phone_number: &Option<PhoneNumber>,
) -> impl Iterator<Item = Identifier> {
    let phone = phone_number.clone().map(Identifier::Phone);
    phone.into_iter().chain(email.clone().map(Identifier::Email))
}

impl Register {
    /// The identifiers that it names.
    pub(crate) fn identifiers(&self) -> impl Iterator<Item = Identifier> {
        identifiers(&self.email, &self.phone_number)
    }
}

/// `POST /auth/login`.
pub(crate) struct Login {
    pub(crate) identifier: Identifier,
    pub(crate) password: Option<Password>,
    /// `Some(None)` is a text that cannot be a token.
    pub(crate) verification_token: Option<Option<Token>>,
}

impl Body for Login {
    fn read(fields: &mut Fields) -> Option<Self> {
        let region = fields.context.region;
        let identifier = fields.required("identifier", |text| Identifier::parse(text, region));
        let credentials = credentials(fields);
        let (identifier, (password, verification_token)) = (identifier?, credentials?);
        Some(Self { identifier, password, verification_token })
    }
}

/// A password, a verification token, or both. `Some(None)` is a text that cannot be a token.
fn credentials(fields: &mut Fields) -> Option<(Option<Password>, Option<Option<Token>>)> {
    let password = fields.optional_password("password", Password::present);
    let verification_token = fields.optional("verification_token", verification_token);
    if !fields.has("password") && !fields.has("verification_token") {
        let one = "Give a password or a verification token.";
        fields.refuse::<()>("password", Invalid { code: "required", detail: one });
        fields.refuse::<()>("verification_token", Invalid { code: "required", detail: one });
    }
    Some((password?, verification_token?))
}

/// `POST /auth/reauthenticate`.
pub(crate) struct Reauthenticate {
    pub(crate) password: Option<Password>,
    /// `Some(None)` is a text that cannot be a token.
    pub(crate) verification_token: Option<Option<Token>>,
}

impl Body for Reauthenticate {
    fn read(fields: &mut Fields) -> Option<Self> {
        let (password, verification_token) = credentials(fields)?;
        Some(Self { password, verification_token })
    }
}

/// `POST /auth/password/change`.
pub(crate) struct ChangePassword {
    pub(crate) old_password: Password,
    pub(crate) new_password: Password,
}

impl Body for ChangePassword {
    fn read(fields: &mut Fields) -> Option<Self> {
        let old_password = fields.required_password("old_password", Password::present);
        let new_password = fields.required_password("new_password", Password::choose);
        Some(Self { old_password: old_password?, new_password: new_password? })
    }
}

/// `POST /auth/password/reset`.
pub(crate) struct ResetPassword {
    pub(crate) identifier: Identifier,
    pub(crate) verification_token: Option<Token>,
    pub(crate) new_password: Password,
}

impl Body for ResetPassword {
    fn read(fields: &mut Fields) -> Option<Self> {
        let region = fields.context.region;
        let identifier = fields.required("identifier", |text| Identifier::parse(text, region));
        let token = fields.required("verification_token", verification_token);
        let new_password = fields.required_password("new_password", Password::choose);
        Some(Self {
            identifier: identifier?,
            verification_token: token?,
            new_password: new_password?,
        })
    }
}

/// `POST /auth/identifier`.
pub(crate) struct ChangeIdentifier {
    pub(crate) identifier: Identifier,
    pub(crate) verification_token: Option<Token>,
}

impl Body for ChangeIdentifier {
    fn read(fields: &mut Fields) -> Option<Self> {
        let region = fields.context.region;
        let identifier = fields.required("identifier", |text| Identifier::parse(text, region));
        let token = fields.required("verification_token", verification_token);
        Some(Self { identifier: identifier?, verification_token: token? })
    }
}

/// `POST /auth/refresh`.
pub(crate) struct Refresh {
    pub(crate) refresh_token: String,
}

impl Body for Refresh {
    fn read(fields: &mut Fields) -> Option<Self> {
        let name = refresh_token_name(fields);
        let refresh_token = fields.required(name, text::<MAX_OPAQUE_CHARS>)?;
        Some(Self { refresh_token })
    }
}

/// The field that has the refresh token: SimpleJWT clients call it `refresh`.
fn refresh_token_name(fields: &Fields) -> &'static str {
    match fields.has("refresh_token") || !fields.has("refresh") {
        true => "refresh_token",
        false => "refresh",
    }
}

/// `POST /auth/logout`.
pub(crate) enum Logout {
    /// Every session of the user.
    All,
    /// The session of this token, which stands in the field `name`.
    Of { name: &'static str, token: String },
}

impl Body for Logout {
    fn read(fields: &mut Fields) -> Option<Self> {
        let all = fields.flag("all");
        let name = refresh_token_name(fields);
        let token = fields.optional(name, text::<MAX_OPAQUE_CHARS>);
        match (all?, token?) {
            (true, _) => Some(Self::All),
            (false, Some(token)) => Some(Self::Of { name, token }),
            (false, None) => fields.refuse_missing("refresh_token"),
        }
    }
}
