//! Bytes in hexadecimal.

use std::fmt::Write as _;

/// Two small digits for each byte.
#[must_use]
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing into a string cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    text
}
