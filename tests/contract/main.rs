//! What crates, sources, documents and code promise each other.

mod arrows;
mod common_passwords;
mod documents;
mod events;
mod grants;
mod openapi;
mod project;
mod settings;
mod sources;
mod strangers;
mod template;
mod watch;
