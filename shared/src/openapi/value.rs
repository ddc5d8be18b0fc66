//! The schemas of value types. The descriptions here are for clients; the doc comments of the types
//! are for readers of the code.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, SchemaFormat, Type},
    },
};

use crate::value::{Email, PhoneNumber, Username, id};

macro_rules! texts {
    ($($type:path as $name:literal, $format:literal, $example:literal, $description:literal;)+) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                let format: &str = $format;
                let format = (!format.is_empty()).then(|| SchemaFormat::Custom(format.to_owned()));
                let object = ObjectBuilder::new()
                    .schema_type(Type::String)
                    .format(format)
                    .examples([$example])
                    .description(Some($description));
                object.into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    )+};
}

texts! {
    id::UserId as "UserId", "uuid", "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b11", "The id of an account.";
    id::SessionId as "SessionId", "uuid", "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b12", "The id of a session.";
    id::EntryId as "EntryId", "uuid", "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b13", "The id of a ledger entry.";
    id::DeviceId as "DeviceId", "uuid", "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b14", "The id of a registered device.";
    id::SubmissionId as "SubmissionId", "uuid", "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b15", "The id of a KYC submission.";
    id::AuditId as "AuditId", "uuid", "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b16", "The id of an audit entry.";
    Username as "Username", "", "sita.rai", "A username as it was typed. Usernames are unique regardless of case.";
    Email as "Email", "email", "sita@example.com", "An e-mail address, in lower case.";
    PhoneNumber as "PhoneNumber", "", "+9779841234567", "A phone number in E.164.";
}
