//! A URL whose path and query may hold a key.

use std::fmt;

/// The URL of a probe or a webhook. `Debug` shows scheme, host and port alone, because path and query
/// may hold a key.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Takes a URL that was checked. A probe with an invalid one fails.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The whole URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        write!(f, "\"{scheme}://{host}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_origin_alone() {
        let check = |url: &str, expect: &str| {
            assert_eq!(format!("{:?}", SecretUrl::new(url)), format!("{expect:?}"));
        };
        check("https://hooks.example:8443/T0/canary?key=canary", "https://hooks.example:8443");
        check("https://h", "https://h");
        check("http://h?key=canary", "http://h");
    }
}
