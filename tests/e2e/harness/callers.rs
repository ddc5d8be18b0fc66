//! Operations as the table and the OpenAPI document have them, and people who may call them.

use serde_json::{Map, Value};
use shared::http::operation::{Caller, Operation};
use tests::{openapi::operations, path_of};

use super::{App, Request, User, random_source, random_username};

/// Somebody for each kind of caller that the stack under test can have.
#[derive(Debug, Clone)]
pub struct Callers {
    pub user: User,
    /// Made staff in the tables; only where the stack is the test's own.
    staff: Option<User>,
}

impl Callers {
    /// Whether one of them may call an operation. A service needs the local gateway, as staff do.
    pub fn may_call(&self, operation: &Operation) -> bool {
        self.staff.is_some() || matches!(operation.caller, Caller::Anyone | Caller::User)
    }
}

/// An operation that reads a body.
#[derive(Debug, Clone)]
pub struct WithBody {
    pub operation: &'static Operation,
    /// A well-formed body with as many fields as it may have.
    pub body: Value,
    /// Groups of fields of which one is enough: the others of a group may then not be read.
    pub alternatives: Vec<&'static [&'static str]>,
}

impl WithBody {
    /// Every operation with a body, as the document has it.
    pub fn all() -> Vec<Self> {
        let documented = operations().into_iter();
        let documented = documented.filter_map(|doc| {
            let documented = doc.body?;
            let mut body = documented.long_example();
            // The caller of the test is to stay signed in.
            if let Some(all) = body.get_mut("all") {
                *all = Value::Bool(false);
            }
            let alternatives = documented.alternatives;
            Some(Self { operation: doc.operation, body, alternatives })
        });
        let documented: Vec<_> = documented.collect();
        assert!(documented.len() > 20, "the document has lost its bodies");
        documented
    }

    /// Those that these may call.
    pub fn by(callers: &Callers) -> Vec<Self> {
        Self::all().into_iter().filter(|each| callers.may_call(each.operation)).collect()
    }

    /// What it is called in messages.
    pub fn name(&self) -> String {
        self.operation.route_key()
    }

    /// The fields of the body, those within objects and arrays too: their JSON pointers, and their
    /// names as problems have them.
    pub fn fields(&self) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        collect(self.body.as_object().unwrap(), "", "", &mut fields);
        fields
    }

    /// The body with another value at this pointer, and without what could stand in for that field.
    pub fn with(&self, pointer: &str, value: Value) -> Value {
        let mut body = self.body.clone();
        let field = pointer[1..].split('/').next().unwrap();
        let groups = self.alternatives.iter().filter(|group| group.contains(&field));
        for other in groups.flat_map(|group| group.iter()).filter(|other| **other != field) {
            body.as_object_mut().unwrap().remove(*other);
        }
        *body.pointer_mut(pointer).unwrap() = value;
        body
    }
}

fn collect(
    object: &Map<String, Value>,
    pointer: &str,
    name: &str,
    fields: &mut Vec<(String, String)>,
) {
    for (key, value) in object {
        let pointer = format!("{pointer}/{key}");
        let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        match value {
            Value::Object(object) => collect(object, &pointer, &name, fields),
            Value::Array(items) => {
                let first = items[0].as_object().unwrap();
                collect(first, &format!("{pointer}/0"), &format!("{name}[0]"), fields);
            }
            _ => {}
        }
        fields.push((pointer, name));
    }
}

impl App {
    /// Somebody for each kind of caller that this stack can have.
    pub async fn callers(&self) -> Callers {
        let staff = if self.stack.is_some() { Some(self.staff().await) } else { None };
        Callers { user: self.register_user().await, staff }
    }

    /// A request to an operation by one who may call it, from an address of its own and with an
    /// `Idempotency-Key` of its own. `prepare` adds the rest: a signature covers it.
    pub fn call(
        &self,
        callers: &Callers,
        operation: &Operation,
        named: &str,
        prepare: impl FnOnce(Request) -> Request,
    ) -> Request {
        self.call_at(callers, operation, &path_of(operation, named), prepare)
    }

    /// The same, at this path.
    pub fn call_at(
        &self,
        callers: &Callers,
        operation: &Operation,
        path: &str,
        prepare: impl FnOnce(Request) -> Request,
    ) -> Request {
        let request = self.request(operation.method.as_str(), path);
        let request = prepare(request.key(&random_username()).from(&random_source()));
        match operation.caller {
            Caller::Anyone => request,
            Caller::User => request.bearer(&callers.user.access_token),
            Caller::Staff => request.bearer(&callers.staff.as_ref().unwrap().access_token),
            Caller::Service => request.signed(),
        }
    }
}
