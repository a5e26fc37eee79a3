//! JSON contract v1: bytes to domain values, and domain values to bytes.
//!
//! Input: bodies of requests, whole and in memory. Output: checked events and requests, or what is
//! wrong with each of them; canonical JSON of an event; the schemas of the published document; the
//! answers of the API. Invariants: numbers never pass through a float; memory and stack are bounded
//! by the body; no input panics. Absent: I/O, HTTP and its statuses (see `crate::api`), a clock.
//!
//! In reading order: `json` scans and writes JSON text and knows nothing of trading; `contract` says
//! what a field is; `event` and `request` say which fields an event or a request has; `decode` and
//! `encode` do whole bodies; `answer` holds the other direction, views of the domain as JSON.

mod json;
pub mod contract;
pub mod event;
pub mod decode;
pub mod encode;
pub mod request;
pub mod schema;
pub mod answer;
#[cfg(test)]
mod tests;
