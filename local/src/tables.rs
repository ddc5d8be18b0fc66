//! The tables, from the deployment's own template.

use std::{collections::BTreeMap, sync::LazyLock};

use dynoxide::{
    Database, DynoxideError,
    actions::{
        create_table::CreateTableRequest, delete_table::DeleteTableRequest,
        describe_table::DescribeTableRequest, update_time_to_live::UpdateTimeToLiveRequest,
    },
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The deployment.
pub(crate) const TEMPLATE: &str = include_str!("../../template.yaml");

/// What CloudFormation puts in front of a table's name.
const NAME_PREFIX: &str = "${AWS::StackName}-";

/// Why the tables could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// The template does not say what is needed.
    #[error("template.yaml: {0}")]
    Template(String),
    /// The database refused.
    #[error("DynamoDB: {0}")]
    Database(#[from] DynoxideError),
    /// A table that was there is keyed or indexed in another way.
    #[error("table {0} is not what template.yaml describes: start with a new --data-dir")]
    Outdated(String),
}

/// One table of the template.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name without the deployment's prefix: `users`.
    pub name: String,
    /// Names, types and schemas as `CreateTable` takes them, but for the table's name.
    definition: Value,
    /// The attribute that holds an item's end, if items end.
    pub ttl_attribute: Option<String>,
}

/// The template, as far as it is read here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Template {
    pub(crate) resources: BTreeMap<String, Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Resource {
    pub(crate) r#type: String,
    #[serde(default)]
    pub(crate) properties: serde_yaml_ng::Value,
}

impl Table {
    /// Every table of the template.
    pub fn all() -> Result<Vec<Self>, TablesError> {
        // Read once for all stacks of a process.
        static ALL: LazyLock<Result<Vec<Table>, String>> = LazyLock::new(|| {
            Table::read(TEMPLATE).map_err(|error| match error {
                TablesError::Template(text) => text,
                other => other.to_string(),
            })
        });
        ALL.clone().map_err(TablesError::Template)
    }

    fn read(template: &str) -> Result<Vec<Self>, TablesError> {
        let template: Template = serde_yaml_ng::from_str(template).map_err(template_error)?;
        let resources = template.resources.into_values();
        let tables = resources.filter(|resource| resource.r#type == "AWS::DynamoDB::Table");
        tables.map(|resource| Self::parse(&resource.properties)).collect()
    }

    fn parse(properties: &serde_yaml_ng::Value) -> Result<Self, TablesError> {
        let property = |name: &str| match properties.get(name) {
            Some(value) => serde_json::to_value(value).map_err(template_error),
            None => Ok(Value::Null),
        };
        let mut definition = json!({});
        for name in ["AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes"] {
            let value = property(name)?;
            if !value.is_null() {
                definition[name] = value;
            }
        }
        let ttl = property("TimeToLiveSpecification")?;
        Ok(Self {
            name: table_name(properties)?,
            definition,
            ttl_attribute: ttl["AttributeName"].as_str().map(str::to_owned),
        })
    }

    /// The name of its partition key, and of each index's: `users`, `users/index/by_joined`.
    pub(crate) fn partition_keys(&self) -> Vec<(String, String)> {
        let partition_key = |schema: &Value| {
            let mut keys = schema.as_array().into_iter().flatten();
            let key = keys.find(|key| key["KeyType"] == "HASH");
            key.and_then(|key| key["AttributeName"].as_str()).unwrap_or_default().to_owned()
        };
        let indexes = self.definition["GlobalSecondaryIndexes"].as_array();
        let indexes = indexes.into_iter().flatten().map(|index| {
            let name = index["IndexName"].as_str().unwrap_or_default();
            (format!("{}/index/{name}", self.name), partition_key(&index["KeySchema"]))
        });
        let own = (self.name.clone(), partition_key(&self.definition["KeySchema"]));
        indexes.chain([own]).collect()
    }

    /// Makes the table, if it is not there already.
    pub(crate) fn ensure(&self, database: &Database, prefix: &str) -> Result<(), TablesError> {
        let name = format!("{prefix}{}", self.name);
        match database.describe_table(DescribeTableRequest { table_name: name.clone() }) {
            Ok(described) => {
                let described = serde_json::to_value(&described.table).map_err(template_error)?;
                match self.describes(&described) {
                    true => return Ok(()),
                    false => return Err(TablesError::Outdated(name)),
                }
            }
            Err(DynoxideError::ResourceNotFoundException(_)) => {}
            Err(error) => return Err(error.into()),
        }
        self.create(database, name)
    }

    fn create(&self, database: &Database, name: String) -> Result<(), TablesError> {
        let mut definition = self.definition.clone();
        definition["TableName"] = Value::String(name.clone());
        database.create_table(request::<CreateTableRequest>(definition)?)?;
        if let Some(attribute) = &self.ttl_attribute {
            let specification = json!({"AttributeName": attribute, "Enabled": true});
            let ttl = json!({"TableName": name, "TimeToLiveSpecification": specification});
            database.update_time_to_live(request::<UpdateTimeToLiveRequest>(ttl)?)?;
        }
        Ok(())
    }

    /// Makes the table anew, empty.
    pub(crate) fn recreate(&self, database: &Database, prefix: &str) -> Result<(), TablesError> {
        let name = format!("{prefix}{}", self.name);
        match database.delete_table(DeleteTableRequest { table_name: name.clone() }) {
            Ok(_) | Err(DynoxideError::ResourceNotFoundException(_)) => self.create(database, name),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a table that is there has the same keys and indexes.
    fn describes(&self, described: &Value) -> bool {
        let shape = |table: &Value| {
            let indexes = table["GlobalSecondaryIndexes"].as_array().cloned().unwrap_or_default();
            let mut indexes: Vec<Value> = indexes
                .iter()
                .map(|index| json!([index["IndexName"], index["KeySchema"], index["Projection"]]))
                .collect();
            indexes.sort_by_key(Value::to_string);
            json!([table["KeySchema"], indexes])
        };
        shape(&self.definition) == shape(described)
    }
}

fn request<T: DeserializeOwned>(json: Value) -> Result<T, TablesError> {
    serde_json::from_value(json).map_err(template_error)
}

fn template_error(error: impl ToString) -> TablesError {
    TablesError::Template(error.to_string())
}

/// `users` from `TableName: !Sub "${AWS::StackName}-users"`.
fn table_name(properties: &serde_yaml_ng::Value) -> Result<String, TablesError> {
    let name = match properties.get("TableName") {
        Some(serde_yaml_ng::Value::Tagged(tagged)) if tagged.tag == "Sub" => tagged.value.as_str(),
        _ => None,
    };
    name.and_then(|name| name.strip_prefix(NAME_PREFIX))
        .map(str::to_owned)
        .ok_or_else(|| template_error(format!("a TableName must be !Sub \"{NAME_PREFIX}…\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_the_tables() {
        let names: Vec<_> = Table::all().unwrap().into_iter().map(|table| table.name).collect();
        for name in
            ["audit", "keys", "kyc", "otp", "profiles", "sessions", "usage", "users", "wallets"]
        {
            assert_eq!(names.iter().filter(|known| *known == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn a_table_can_be_made_found_again_and_emptied() {
        let database = Database::memory().unwrap();
        let tables = Table::all().unwrap();
        for table in &tables {
            table.ensure(&database, "test-").unwrap();
            table.ensure(&database, "test-").unwrap();
            table.recreate(&database, "test-").unwrap();
        }
        assert_eq!(database.table_count().unwrap(), tables.len());
    }

    #[test]
    fn another_schema_is_noticed() {
        let database = Database::memory().unwrap();
        let mut tables = Table::all().unwrap();
        let users = tables.iter_mut().find(|table| table.name == "users").unwrap();
        users.ensure(&database, "test-").unwrap();
        users.definition["GlobalSecondaryIndexes"] = json!([]);
        assert!(matches!(users.ensure(&database, "test-"), Err(TablesError::Outdated(_))));
    }
}
