//! Limits on a body.

use crate::domain::limits;

/// The most that a body may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Events in one body.
    pub events_max: usize,
    /// Bytes of a string that is not an identifier.
    pub text_bytes_max: usize,
    /// Levels of nesting; an event of scalars in an array has 2.
    pub depth_max: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            events_max: limits::EVENTS_MAX,
            text_bytes_max: limits::TEXT_BYTES_MAX,
            depth_max: limits::DEPTH_MAX,
        }
    }
}
