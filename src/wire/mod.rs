//! JSON contract v1: bytes to domain values, and domain values to bytes.
//!
//! Input: bodies of requests, whole and in memory. Output: checked events and requests, or the errors
//! of each of them; canonical JSON of an event; the schemas of the published document; the answers of
//! the API. Invariants: numbers never pass through a float; memory and stack are bounded by the body;
//! no input panics. Absent: I/O, HTTP and its statuses (see `crate::api`), a clock.
//!
//! A body passes through three rooms: `json` splits text into names and unparsed values and knows
//! nothing of trading; `contract` knows the fields, and turns an unparsed value into a checked one;
//! `event` and `request` know which fields an event or another request has. `decode` does this for
//! whole bodies of events, `encode` is the way back. `answer` is the other half of the contract, views
//! of the domain as JSON; it shares only `json` and `time` with the first. A test holds who may import
//! whom.

pub(crate) mod json;
pub(crate) mod hex;
pub mod time;
pub mod local_time;
pub mod contract;
pub mod event;
pub mod decode;
pub mod encode;
pub mod request;
pub mod schema;
pub mod answer;
#[cfg(test)]
mod tests;
