//! Users for each kind of caller, and the operations that they may call.

use serde_json::{Map, Value};
use shared::http::operation::{Caller, Operation};
use tests::{openapi::operations, path_of};

use super::{App, Request, User, random_ip, random_username};

/// A user for each kind of caller that the stack under test supports.
#[derive(Debug, Clone)]
pub struct Callers {
    pub user: User,
    /// Made a staff member in the tables; only if the stack is the test's own.
    staff: Option<User>,
}

impl Callers {
    /// Whether one of them may call an operation. Calls of services and of staff need the test's own
    /// stack.
    pub fn may_call(&self, operation: &Operation) -> bool {
        self.staff.is_some() || matches!(operation.caller, Caller::Anyone | Caller::User)
    }
}

/// An operation that reads a request body.
#[derive(Debug, Clone)]
pub struct WithBody {
    pub operation: &'static Operation,
    /// A valid body with as many fields as possible.
    pub body: Value,
    /// Groups of fields of which one is enough. If one is present, the others of its group may be
    /// ignored.
    pub alternatives: Vec<&'static [&'static str]>,
}

impl WithBody {
    /// Every operation with a body in the OpenAPI document.
    pub fn all() -> Vec<Self> {
        let documented = operations().into_iter();
        let documented = documented.filter_map(|doc| {
            let documented = doc.body?;
            let mut body = documented.long_example();
            // The caller must stay signed in.
            if let Some(all) = body.get_mut("all") {
                *all = Value::Bool(false);
            }
            let alternatives = documented.alternatives;
            Some(Self { operation: doc.operation, body, alternatives })
        });
        let documented: Vec<_> = documented.collect();
        assert!(documented.len() > 20, "the document has too few request bodies");
        documented
    }

    /// The operations with a body that these callers may call.
    pub fn by(callers: &Callers) -> Vec<Self> {
        Self::all().into_iter().filter(|each| callers.may_call(each.operation)).collect()
    }

    /// The name of the operation in messages.
    pub fn name(&self) -> String {
        self.operation.route_key()
    }

    /// The fields of the body, also in nested objects and arrays: their JSON pointers, and their
    /// names in problem responses.
    pub fn fields(&self) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        collect(self.body.as_object().unwrap(), "", "", &mut fields);
        fields
    }

    /// The body with another value at this pointer and without the alternatives of the field.
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
    /// A user for each kind of caller that this stack supports.
    pub async fn callers(&self) -> Callers {
        let staff = if self.stack.is_some() { Some(self.staff().await) } else { None };
        Callers { user: self.register_user().await, staff }
    }

    /// A request to an operation by a permitted caller, with its own client IP and
    /// `Idempotency-Key`. `prepare` adds the rest before the request is signed.
    pub fn call(
        &self,
        callers: &Callers,
        operation: &Operation,
        named: &str,
        prepare: impl FnOnce(Request) -> Request,
    ) -> Request {
        self.call_at(callers, operation, &path_of(operation, named), prepare)
    }

    /// Like [`App::call`], with this path.
    pub fn call_at(
        &self,
        callers: &Callers,
        operation: &Operation,
        path: &str,
        prepare: impl FnOnce(Request) -> Request,
    ) -> Request {
        let request = self.request(operation.method.as_str(), path);
        let request = prepare(request.key(&random_username()).with_client_ip(&random_ip()));
        match operation.caller {
            Caller::Anyone => request,
            Caller::User => request.bearer(&callers.user.access_token),
            Caller::Staff => request.bearer(&callers.staff.as_ref().unwrap().access_token),
            Caller::Service => request.signed(),
        }
    }
}
