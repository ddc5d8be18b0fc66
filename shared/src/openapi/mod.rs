//! What the OpenAPI document says of an operation, written beside its handler.
//!
//! Method, caller, tag and security come from [`crate::http::operation`], statuses and titles from
//! [`Code`], schemas from `utoipa`'s derive: only what cannot be read from them is written down.
//! A body's schema is declared together with the parser that reads it, so that a test can hold
//! one against the other. Compiled with the feature `openapi` alone, which nothing deployed has.

pub mod entry;
mod problem;
mod schema;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

pub use self::{problem::components, schema::Schemas};
use crate::{
    http::{
        fields::{Body, Fields, List},
        operation::{self, Caller, Lookup, Operation},
        problem::{Code, FieldError, Problem},
        read_list,
    },
    value::Context,
};

/// The 401 of every operation that takes an access token.
const TOKEN_CODES: [Code; 3] =
    [Code::AuthenticationRequired, Code::InvalidAccessToken, Code::SessionEnded];
/// What any JSON body may be refused with.
const BODY_CODES: [Code; 4] =
    [Code::ValidationFailed, Code::InvalidJson, Code::BodyTooLarge, Code::UnsupportedMediaType];

/// Reads an object as an operation itself does.
pub type Reader = fn(Map<String, Value>, Context) -> Result<(), Vec<FieldError>>;

/// A query string: how an operation reads it.
#[derive(Debug, Clone, Copy)]
pub struct QueryDoc {
    /// Whether it is a list's, which refuses unknown parameters.
    pub is_list: bool,
    /// How the operation reads it.
    pub read: fn(&str, Context) -> Result<(), Problem>,
}

/// A request body: how it is documented and how it is read.
#[derive(Debug, Clone)]
pub struct BodyDoc {
    /// The name of its schema among the components.
    pub schema: String,
    /// An example with every field; null where a field has none.
    pub example: Value,
    /// Groups of fields of which one at least must be there.
    pub alternatives: Vec<&'static [&'static str]>,
    /// Those of the alternatives of which there may be one only.
    pub exclusive: Vec<&'static [&'static str]>,
    /// How the operation reads it.
    pub read: Reader,
}

impl BodyDoc {
    /// The example with the first of each group of alternatives alone.
    pub fn short_example(&self) -> Value {
        self.first_of(&self.alternatives)
    }

    /// The example with as many fields as a body may have.
    pub fn long_example(&self) -> Value {
        self.first_of(&self.exclusive)
    }

    fn first_of(&self, groups: &[&[&str]]) -> Value {
        let mut example = self.example.clone();
        if let Some(fields) = example.as_object_mut() {
            groups.iter().flat_map(|group| group.iter().skip(1)).for_each(|other| {
                fields.remove(*other);
            });
        }
        example
    }
}

#[derive(Debug, Clone)]
struct Answer {
    status: StatusCode,
    description: &'static str,
    schema: String,
    headers: BTreeMap<&'static str, Value>,
}

/// One operation, documented.
#[derive(Debug, Clone)]
pub struct OperationDoc {
    /// The operation.
    pub operation: &'static Operation,
    /// The schemas that it refers to, by name.
    pub schemas: Schemas,
    /// Its request body, if it reads one.
    pub body: Option<BodyDoc>,
    /// Its query, if it reads one.
    pub query: Option<QueryDoc>,
    id: &'static str,
    summary: &'static str,
    description: &'static str,
    parameters: Vec<Value>,
    replayable: bool,
    answers: Vec<Answer>,
    problems: BTreeMap<u16, BTreeSet<&'static str>>,
}

impl OperationDoc {
    /// The operation `method` on `path`. `id` is what generated clients call it.
    ///
    /// # Panics
    /// When there is no such operation.
    pub fn new(method: Method, path: &str, id: &'static str, summary: &'static str) -> Self {
        let Lookup::Found(operation) = operation::find(&method, path) else {
            panic!("{method} {path} is not in shared::operation");
        };
        let doc = Self {
            operation,
            schemas: Schemas::default(),
            body: None,
            query: None,
            id,
            summary,
            description: "",
            parameters: Vec::new(),
            replayable: false,
            answers: Vec::new(),
            problems: BTreeMap::new(),
        };
        let doc = doc.problems(&[Code::Internal, Code::Unavailable]);
        match operation.caller {
            Caller::Anyone => doc,
            Caller::User => doc.problems(&TOKEN_CODES),
            Caller::Staff => doc.problems(&TOKEN_CODES).problems(&[Code::Forbidden]),
            Caller::Service => doc.problems(&[Code::Forbidden]),
        }
    }

    /// What a client should know besides the summary. Markdown.
    pub fn description(mut self, text: &'static str) -> Self {
        self.description = text;
        self
    }

    /// A JSON body: `S` documents it, `B` reads it. Every field of `S` has an example.
    pub fn body<S: ToSchema, B: Body>(mut self) -> Self {
        let schema = self.schemas.request::<S>();
        let read = |object, context| Fields::new(object, context).parse::<B>().map(drop);
        let example = self.schemas.example(&schema);
        let (alternatives, exclusive) = (Vec::new(), Vec::new());
        self.body = Some(BodyDoc { schema, example, alternatives, exclusive, read });
        self.problems(&BODY_CODES)
    }

    /// One at least of these fields of the body must be there; a flag counts when it is true. The
    /// documented example has the first.
    pub fn at_least_one_of(mut self, fields: &'static [&'static str]) -> Self {
        if let Some(body) = &mut self.body {
            self.schemas.require_one_of(&body.schema, fields);
            body.alternatives.push(fields);
        }
        self
    }

    /// One of these fields of the body must be there, and no other of them.
    pub fn exactly_one_of(mut self, fields: &'static [&'static str]) -> Self {
        if let Some(body) = &mut self.body {
            self.schemas.require_exactly_one_of(&body.schema, fields);
            body.alternatives.push(fields);
            body.exclusive.push(fields);
        }
        self
    }

    /// This field of the body must be there exactly where `decider` has `value`, which it has in the
    /// example.
    pub fn needed_with(
        mut self,
        decider: &str,
        value: &str,
        field: &'static [&'static str; 1],
    ) -> Self {
        if let Some(body) = &mut self.body {
            self.schemas.require_with(&body.schema, decider, value, field[0]);
            body.alternatives.push(field);
        }
        self
    }

    /// A segment of the path.
    pub fn path_parameter<T: PartialSchema>(self, name: &str, description: &str) -> Self {
        self.parameter::<T>("path", name, description)
    }

    /// The query string: each property of `S` is a parameter, `B` reads them.
    pub fn query<S: PartialSchema, B: Body>(self) -> Self {
        let read = |query: &str, context| {
            let fields = Fields::from_query(query, context);
            fields.parse::<B>().map(drop).map_err(Problem::validation)
        };
        self.query_read_by::<S>(QueryDoc { is_list: false, read })
    }

    /// The query string of a list: each property of `S` is a parameter, `L` reads them.
    ///
    /// # Panics
    /// When `S` documents other parameters than `L` reads.
    pub fn list<S: PartialSchema, L: List>(self) -> Self {
        let read = |query: &str, context| read_list::<L>(query, context).map(drop);
        let doc = self.query_read_by::<S>(QueryDoc { is_list: true, read });
        let documented: BTreeSet<_> =
            doc.query_parameters().filter_map(|p| p["name"].as_str()).collect();
        assert_eq!(documented, L::PARAMETERS.iter().copied().collect(), "{}", doc.id);
        doc.problems(&[Code::UnknownParameter, Code::InvalidCursor])
    }

    fn query_read_by<S: PartialSchema>(mut self, query: QueryDoc) -> Self {
        let schema = serde_json::to_value(S::schema()).unwrap_or_default();
        self.parameters.extend(schema::query_parameters(&schema));
        self.query = Some(query);
        self.problems(&[Code::ValidationFailed])
    }

    /// The Parameter Objects of its query.
    pub fn query_parameters(&self) -> impl Iterator<Item = &Value> {
        self.parameters.iter().filter(|parameter| parameter["in"] == "query")
    }

    fn parameter<T: PartialSchema>(mut self, place: &str, name: &str, description: &str) -> Self {
        self.parameters.push(json!({
            "in": place,
            "name": name,
            "description": description,
            "required": place == "path",
            "schema": serde_json::to_value(T::schema()).unwrap_or_default(),
        }));
        self
    }

    /// Its answers carry an `ETag`.
    pub fn etag(self) -> Self {
        self.answer_header("ETag", "The state that was answered, for `If-Match`.")
    }

    /// It honours `If-Match`.
    pub fn if_match(self) -> Self {
        let description = "Carries the change out only if the `ETag` is still this one.";
        self.parameter::<String>("header", "If-Match", description)
            .problems(&[Code::PreconditionFailed])
    }

    /// It honours an `Idempotency-Key`, in a way that its description tells.
    pub fn idempotency_key(mut self) -> Self {
        self.parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
        self.problems(&[Code::ValidationFailed])
    }

    /// It honours an `Idempotency-Key`: a repeated request is answered as the first was.
    pub fn replayable(mut self) -> Self {
        self.replayable = true;
        self.idempotency_key().problems(&[Code::IdempotencyKeyReused])
    }

    /// It needs an `Idempotency-Key`: a repeated request is answered as the first was.
    pub fn idempotent(mut self) -> Self {
        self.replayable = true;
        let key = json!({ "$ref": "#/components/parameters/RequiredIdempotencyKey" });
        self.parameters.push(key);
        self.problems(&[Code::ValidationFailed, Code::IdempotencyKeyReused])
    }

    /// A success.
    pub fn answers<T: ToSchema>(mut self, status: StatusCode, description: &'static str) -> Self {
        let schema = self.schemas.response::<T>();
        self.answers.push(Answer { status, description, schema, headers: BTreeMap::new() });
        self
    }

    /// A header of the answers so far.
    pub fn answer_header(mut self, name: &'static str, description: &str) -> Self {
        for answer in &mut self.answers {
            let header = json!({ "description": description, "schema": { "type": "string" } });
            answer.headers.insert(name, header);
        }
        self
    }

    /// What it fails with, each under its own status.
    pub fn problems(self, codes: &[Code]) -> Self {
        codes.iter().fold(self, |doc, code| doc.problem_as(code.status(), *code))
    }

    /// A failure that this operation answers with another status than the code's own.
    pub fn problem_as(mut self, status: StatusCode, code: Code) -> Self {
        self.problems.entry(status.as_u16()).or_default().insert(code.as_str());
        self
    }

    /// It asks no dependency, so none can be unavailable.
    pub fn from_memory(mut self) -> Self {
        self.problems.remove(&Code::Unavailable.status().as_u16());
        self
    }

    /// The Operation Object.
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "operationId": self.id,
            "summary": self.summary,
            "tags": [self.operation.function.name()],
            "security": security(self.operation.caller),
            "x-caller": caller(self.operation.caller),
            "responses": self.responses(),
        });
        if !self.description.is_empty() {
            object["description"] = self.description.into();
        }
        if !self.parameters.is_empty() {
            object["parameters"] = self.parameters.clone().into();
        }
        if let Some(body) = &self.body {
            let schema = json!({ "$ref": format!("#/components/schemas/{}", body.schema) });
            let content = json!({ "schema": schema, "example": body.short_example() });
            let content = json!({ "application/json": content });
            object["requestBody"] = json!({ "required": true, "content": content });
        }
        object
    }

    fn responses(&self) -> Map<String, Value> {
        let answers = self.answers.iter().map(|answer| {
            let schema = json!({ "$ref": format!("#/components/schemas/{}", answer.schema) });
            let mut response = json!({
                "description": answer.description,
                "content": { "application/json": { "schema": schema } },
                "headers": { "X-Request-Id": { "$ref": "#/components/headers/RequestId" } },
            });
            for (name, header) in &answer.headers {
                response["headers"][*name] = header.clone();
            }
            if self.replayable {
                let header = json!({ "$ref": "#/components/headers/IdempotentReplayed" });
                response["headers"]["Idempotent-Replayed"] = header;
            }
            (answer.status.as_str().to_owned(), response)
        });
        let problems = self.problems.iter();
        let problems =
            problems.map(|(status, codes)| (status.to_string(), problem::response(*status, codes)));
        answers.chain(problems).collect()
    }
}

/// Who may call, in one word.
pub fn caller(caller: Caller) -> &'static str {
    match caller {
        Caller::Anyone => "anyone",
        Caller::User => "user",
        Caller::Staff => "staff",
        Caller::Service => "service",
    }
}

fn security(caller: Caller) -> Value {
    match caller {
        Caller::Anyone => json!([]),
        Caller::User | Caller::Staff => json!([{ "bearer": [] }]),
        Caller::Service => json!([{ "iam": [] }]),
    }
}
