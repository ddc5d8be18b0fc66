//! Why a value was refused.

/// Why a text is not the value it should be: one field's line in a problem answer.
///
/// Neither part ever contains the text itself, so it can be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalid {
    /// A stable snake_case word for a program.
    pub code: &'static str,
    /// A sentence for a person.
    pub detail: &'static str,
}
