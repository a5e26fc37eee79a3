//! Bodies of requests that are not events: the decisions of operators, notifications of alerts.
//!
//! Input: a whole body. Output: a checked request, or which field is wrong and why. Absent: who may
//! ask, and whether it can be done.

pub mod decisions;
pub mod notification;
