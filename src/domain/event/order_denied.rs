//! The engine's own checks refused the order: it never left.

/// The engine's own checks refused the order: it never left.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderDenied {
    /// The reason, in the engine's words.
    pub reason: Option<Box<str>>,
}
