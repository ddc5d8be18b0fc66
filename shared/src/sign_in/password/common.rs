//! The list of commonly used passwords.
//!
//! A finite state transducer that is searched where it lies in the binary: nothing is read or
//! allocated at start. `common-passwords.txt.gz` is what it is made from, and
//! `common-passwords.LICENSE.txt` says where that comes from. Make it anew with
//! `UPDATE_COMMON_PASSWORDS=1 cargo test -p tests --test contract common_passwords`.

use fst::Set;

static LIST: &[u8] = include_bytes!("common-passwords.fst");

/// Whether a password in lower case is on the list.
pub(super) fn contains(password: &str) -> bool {
    // The list is part of the build, and a test reads all of it.
    Set::new(LIST).is_ok_and(|list| list.contains(password))
}
