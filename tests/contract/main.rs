//! Tests that packages, sources, documents, template and code agree.

mod anonymous_access;
mod common_passwords;
mod documents;
mod events;
mod grants;
mod modules;
mod openapi;
mod packages;
mod project;
mod settings;
mod sources;
mod template;
mod watch;
