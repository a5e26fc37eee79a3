//! The composition root.

pub mod serve;
mod turns;
