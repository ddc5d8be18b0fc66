//! Every operation of the API, once.
//!
//! Routers, the local gateway, the deployment template and the tests are all held to this table,
//! and the answer to an unknown path or method is computed from it.

use http::Method;

/// The Lambda function, and so the binary, that carries out an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// One-time codes.
    Otp,
    /// Accounts, sessions, tokens. Also answers what no route matches.
    Auth,
    /// The person's profile.
    Profile,
    /// Identity documents.
    Kyc,
    /// Balances and the ledger.
    Wallet,
    /// Usage statistics.
    Analytics,
    /// Staff operations.
    Admin,
}

impl Function {
    /// All seven.
    pub const ALL: [Self; 7] = [
        Self::Otp,
        Self::Auth,
        Self::Profile,
        Self::Kyc,
        Self::Wallet,
        Self::Analytics,
        Self::Admin,
    ];

    /// The name of its package and binary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Auth => "auth",
            Self::Profile => "profile",
            Self::Kyc => "kyc",
            Self::Wallet => "wallet",
            Self::Analytics => "analytics",
            Self::Admin => "admin",
        }
    }
}

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// No credential, or one in the body that the operation itself checks.
    Anyone,
    /// A live session.
    User,
    /// A live session of a staff account.
    Staff,
    /// An IAM identity that API Gateway verified.
    Service,
}

/// One operation: a method on a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The HTTP method.
    pub method: Method,
    /// The path; `{name}` stands for one segment.
    pub path: &'static str,
    /// Who carries it out.
    pub function: Function,
    /// Who may call it.
    pub caller: Caller,
}

impl Operation {
    const fn new(method: Method, path: &'static str, function: Function, caller: Caller) -> Self {
        Self { method, path, function, caller }
    }

    /// The API Gateway route key, `GET /auth/me`; also the operation's name in logs and costs.
    pub fn route_key(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The operation that API Gateway's route key names.
    pub fn with_route_key(key: &str) -> Option<&'static Self> {
        let (method, path) = key.split_once(' ')?;
        ALL.iter().find(|operation| operation.method == method && operation.path == path)
    }

    /// Whether HEAD is served as well: it has no route of its own and arrives by `$default`, so only
    /// where anyone may read.
    pub fn serves_head(&self) -> bool {
        self.method == Method::GET && self.caller == Caller::Anyone
    }
}

/// The name of the parameter that a segment of a path template stands for.
pub fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// The function that API Gateway's `$default` route names: it answers 404 and 405.
pub const DEFAULT_FUNCTION: Function = Function::Auth;

/// All operations.
pub const ALL: &[Operation] = {
    use Caller::{Anyone, Service, Staff, User};
    use Function::{Admin, Analytics, Auth, Kyc, Otp, Profile, Wallet};
    &[
        Operation::new(Method::POST, "/auth/otp/request", Otp, Anyone),
        Operation::new(Method::POST, "/auth/otp/verify", Otp, Anyone),
        Operation::new(Method::POST, "/auth/register", Auth, Anyone),
        Operation::new(Method::POST, "/auth/login", Auth, Anyone),
        Operation::new(Method::POST, "/auth/logout", Auth, User),
        Operation::new(Method::POST, "/auth/refresh", Auth, Anyone),
        Operation::new(Method::GET, "/auth/me", Auth, User),
        Operation::new(Method::POST, "/auth/reauthenticate", Auth, User),
        Operation::new(Method::POST, "/auth/password/change", Auth, User),
        Operation::new(Method::POST, "/auth/password/reset", Auth, Anyone),
        Operation::new(Method::POST, "/auth/identifier", Auth, User),
        Operation::new(Method::POST, "/auth/device", Auth, User),
        Operation::new(Method::GET, "/auth/devices", Auth, User),
        Operation::new(Method::DELETE, "/auth/devices/{device_id}", Auth, User),
        Operation::new(Method::GET, "/auth/sessions", Auth, User),
        Operation::new(Method::DELETE, "/auth/sessions/{session_id}", Auth, User),
        Operation::new(Method::DELETE, "/auth/account", Auth, User),
        Operation::new(Method::GET, "/auth/account/export", Auth, User),
        Operation::new(Method::GET, "/.well-known/jwks.json", Auth, Anyone),
        Operation::new(Method::GET, "/health", Auth, Anyone),
        Operation::new(Method::GET, "/users/profile", Profile, User),
        Operation::new(Method::PUT, "/users/profile", Profile, User),
        Operation::new(Method::PATCH, "/users/profile", Profile, User),
        Operation::new(Method::POST, "/users/kyc", Kyc, User),
        Operation::new(Method::PATCH, "/users/kyc", Kyc, User),
        Operation::new(Method::POST, "/users/kyc/submit", Kyc, User),
        Operation::new(Method::GET, "/users/kyc/status", Kyc, User),
        Operation::new(Method::GET, "/users/wallet", Wallet, User),
        Operation::new(Method::GET, "/users/wallet/transactions", Wallet, User),
        Operation::new(Method::POST, "/internal/wallet/entries", Wallet, Service),
        Operation::new(Method::GET, "/users/analytics/usage-stats", Analytics, User),
        Operation::new(Method::POST, "/internal/usage-events", Analytics, Service),
        Operation::new(Method::GET, "/admin/users", Admin, Staff),
        Operation::new(Method::POST, "/admin/users", Admin, Staff),
        Operation::new(Method::GET, "/admin/users/{user_id}", Admin, Staff),
        Operation::new(Method::PUT, "/admin/users/{user_id}", Admin, Staff),
        Operation::new(Method::PATCH, "/admin/users/{user_id}", Admin, Staff),
        Operation::new(Method::DELETE, "/admin/users/{user_id}", Admin, Staff),
        Operation::new(Method::DELETE, "/admin/users/{user_id}/sessions", Admin, Staff),
        Operation::new(Method::POST, "/admin/users/{user_id}/wallet/adjustments", Admin, Staff),
        Operation::new(Method::GET, "/admin/kyc", Admin, Staff),
        Operation::new(Method::GET, "/admin/kyc/{user_id}/documents", Admin, Staff),
        Operation::new(Method::POST, "/admin/kyc/{user_id}/review", Admin, Staff),
        Operation::new(Method::DELETE, "/admin/kyc/{user_id}/document-number", Admin, Staff),
        Operation::new(Method::GET, "/admin/audit", Admin, Staff),
    ]
};

/// What a method and a path lead to.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    /// This operation.
    Found(&'static Operation),
    /// The path exists with these other methods only.
    OtherMethods(Vec<&'static Method>),
    /// No operation has this path.
    Unknown,
}

static HEAD: Method = Method::HEAD;

/// Finds the operation for a request. `path` is percent-encoded. HEAD finds the GET that serves it.
pub fn find(method: &Method, path: &str) -> Lookup {
    let on_path: Vec<_> = ALL.iter().filter(|operation| matches(operation.path, path)).collect();
    let serves = |operation: &&&Operation| {
        operation.method == method || (*method == HEAD && operation.serves_head())
    };
    if let Some(found) = on_path.iter().find(serves) {
        return Lookup::Found(found);
    }
    if on_path.is_empty() {
        return Lookup::Unknown;
    }
    let head = on_path.iter().any(|operation| operation.serves_head()).then_some(&HEAD);
    Lookup::OtherMethods(on_path.iter().map(|operation| &operation.method).chain(head).collect())
}

fn matches(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let fits = template.split('/').all(|expected| {
        segments.next().is_some_and(|segment| match parameter(expected) {
            Some(_) => !segment.is_empty(),
            None => segment == expected,
        })
    });
    fits && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_matches_whole_segments_only() {
        assert!(matches("/auth/me", "/auth/me"));
        assert!(matches("/admin/users/{user_id}", "/admin/users/7"));
        assert!(!matches("/admin/users/{user_id}", "/admin/users/"));
        assert!(!matches("/admin/users/{user_id}", "/admin/users/7/sessions"));
        assert!(!matches("/auth/me", "/auth/me/"));
        assert!(!matches("/auth/me", "/auth"));
    }

    #[test]
    fn another_method_names_those_that_exist() {
        assert_eq!(find(&Method::DELETE, "/auth/me"), Lookup::OtherMethods(vec![&Method::GET]));
        assert_eq!(find(&Method::GET, "/nowhere"), Lookup::Unknown);
        assert!(matches!(find(&Method::GET, "/auth/me"), Lookup::Found(_)));
    }

    #[test]
    fn a_route_key_names_its_operation_and_no_other_text_does() {
        for operation in ALL {
            assert_eq!(Operation::with_route_key(&operation.route_key()), Some(operation));
        }
        for other in ["$default", "", "GET", "GET /nowhere", "get /auth/me", "GET  /auth/me"] {
            assert_eq!(Operation::with_route_key(other), None);
        }
    }

    #[test]
    fn rfc_9110_head_is_served_by_the_default_function_where_anyone_may_get() {
        for operation in ALL {
            let head = find(&Method::HEAD, operation.path);
            if operation.serves_head() {
                assert_eq!(head, Lookup::Found(operation));
                assert_eq!(operation.function, DEFAULT_FUNCTION);
            }
        }
        assert!(matches!(find(&Method::HEAD, "/auth/me"), Lookup::OtherMethods(_)));
        assert_eq!(
            find(&Method::PUT, "/health"),
            Lookup::OtherMethods(vec![&Method::GET, &Method::HEAD])
        );
    }
}
