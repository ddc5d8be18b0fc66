//! The local stack, from outside. One binary: each would link everything anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod binary;
mod control;
mod gateway;
mod iam;
mod kill;
mod lambda;
mod messages;
mod sign_up;
mod stack;
