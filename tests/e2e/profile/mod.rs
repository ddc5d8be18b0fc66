//! `/users/profile`.

mod own_profile;
