//! `--staff`: an account becomes staff as soon as it is registered, and its first session with it.
//!
//! In a deployment this is one line of the runbook, typed by whoever holds the AWS account.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use shared::{
    runtime::config::Config,
    value::{Identifier, identifier::Kind},
};

/// Accounts to make staff, by the claims of their verified identifiers.
#[derive(Debug, Clone)]
pub(crate) struct Staff {
    client: Client,
    table_prefix: String,
    claims: Vec<String>,
}

type Item = HashMap<String, AttributeValue>;
type Outcome<T> = Result<T, aws_sdk_dynamodb::Error>;

impl Staff {
    /// Reads the identifiers; answers the first that is none.
    pub(crate) fn new(
        client: Client,
        config: &Config,
        identifiers: &[String],
    ) -> Result<Self, String> {
        let claims = identifiers.iter().map(|text| {
            Identifier::parse(text, config.phone_region)
                .map(|identifier| claim(&identifier))
                .map_err(|_| text.clone())
        });
        let claims = claims.collect::<Result<_, _>>()?;
        Ok(Self { client, table_prefix: config.table_prefix.clone(), claims })
    }

    /// Makes those of them staff that are registered by now.
    pub(crate) async fn promote(&self) {
        for claim in &self.claims {
            if let Err(error) = self.promote_holder(claim).await {
                tracing::error!(%error, "an account could not be made staff");
            }
        }
    }

    async fn promote_holder(&self, claim: &str) -> Outcome<()> {
        let key = s(claim);
        let table = self.table("users");
        let found = self.client.get_item().table_name(table).key("pk", key).send().await?;
        let Some(user_id) = found.item.and_then(|mut item| item.remove("user_id")) else {
            return Ok(());
        };
        let pk = user_id.as_s().map(|id| s(format!("USER#{id}")));
        if let Ok(pk) = pk {
            self.set(self.table("users"), [("pk".to_owned(), pk)].into()).await?;
        }
        for session in self.sessions(&user_id).await? {
            self.set(self.table("sessions"), session).await?;
        }
        Ok(())
    }

    /// The keys of the user's sessions: at most twenty, so one page.
    async fn sessions(&self, user_id: &AttributeValue) -> Outcome<Vec<Item>> {
        let query = self.client.query().table_name(self.table("sessions"));
        let query = query.consistent_read(true).projection_expression("user_id, session_id");
        let query = query.key_condition_expression("user_id = :user");
        let found = query.expression_attribute_values(":user", user_id.clone()).send().await?;
        Ok(found.items.unwrap_or_default())
    }

    /// Marks an item that is still there.
    async fn set(&self, table: String, key: Item) -> Outcome<()> {
        let mut names = key.keys();
        let update = self.client.update_item().table_name(table);
        let update = update.update_expression("SET is_staff = :true");
        let update = update.expression_attribute_values(":true", AttributeValue::Bool(true));
        let update = update.condition_expression("attribute_exists(#key)");
        let update = update.set_expression_attribute_names(
            names.next().map(|name| HashMap::from([("#key".to_owned(), name.clone())])),
        );
        match update.set_key(Some(key)).send().await.map_err(aws_sdk_dynamodb::Error::from) {
            Ok(_) | Err(aws_sdk_dynamodb::Error::ConditionalCheckFailedException(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn table(&self, name: &str) -> String {
        format!("{}{name}", self.table_prefix)
    }
}

fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn claim(identifier: &Identifier) -> String {
    let kind = match identifier.kind() {
        Kind::Phone => "PHONE",
        Kind::Email => "EMAIL",
    };
    format!("{kind}#{}", identifier.as_str())
}
