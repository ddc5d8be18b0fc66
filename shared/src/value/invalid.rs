//! The error for a value that is not valid.

/// Why a text is not valid. It becomes the error of one field in a problem response.
///
/// It never contains the text itself, so it can be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalid {
    /// A stable code for programs, in snake_case.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: &'static str,
}
