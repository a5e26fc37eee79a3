//! JSON contract v1: bytes to domain values, and domain values to bytes.
//!
//! Input: bodies of requests, whole and in memory. Output: checked events and requests, or what is
//! wrong with each of them; canonical JSON of an event; the schemas of the published document.
//! Invariants: numbers never pass through a float; memory and stack are bounded by the body; no
//! input panics. Deliberately absent: I/O, HTTP and its statuses (see `crate::api`), a clock.

pub mod error;
pub mod field;
pub mod time;
mod raw;
mod names;
mod value;
pub mod spec;
mod eight;
mod flat;
mod digits;
mod object;
pub mod event;
pub mod decode;
pub mod encode;
pub mod operate;
pub mod alertmanager;
pub mod schema;
pub mod view;
#[cfg(test)]
mod spelling;
#[cfg(test)]
mod tests;
