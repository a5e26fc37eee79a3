//! Glob patterns over accounts and symbols: `*` is any run, `?` is one character, all else is literal.
//!
//! Matching is anchored, case-sensitive and linear in the text for each star (no recursion).

use serde::{Deserialize, Serialize};

/// A checked glob pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// A pattern from its text. Every text is valid.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Box::from(text))
    }

    /// The pattern that matches everything.
    #[must_use]
    pub fn any() -> Self {
        Self::new("*")
    }

    /// The text of the pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it matches only its own text.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// Whether the whole of `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), text.chars());
        // The position to continue from after a mismatch: after the last star, one character later each
        // time.
        let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
        loop {
            let here = rest.clone();
            let matched = match (pattern.next(), rest.next()) {
                (Some('*'), _) => {
                    rest = here;
                    retry = Some((pattern.clone(), rest.clone()));
                    true
                }
                (Some(p), Some(c)) => p == '?' || p == c,
                (None, None) => return true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            if matched {
                continue;
            }
            let Some((after, from)) = &mut retry else { return false };
            if from.next().is_none() {
                return false;
            }
            (pattern, rest) = (after.clone(), from.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        let check = |pattern: &str, text: &str, expect: bool| {
            assert_eq!(Pattern::new(pattern).matches(text), expect, "{pattern} on {text}");
        };
        check("*", "", true);
        check("*", "anything", true);
        check("", "", true);
        check("", "a", false);
        check("AAPL", "AAPL", true);
        check("AAPL", "AAPLX", false);
        check("BTC*", "BTCUSDT", true);
        check("*USDT", "BTCUSDT", true);
        check("*USD", "BTCUSDT", false);
        check("B?C*", "BTC/USDT", true);
        check("*a*b*c", "xxaxxbxxc", true);
        check("*a*b*c", "xxaxxcxxb", false);
        check("paper-?", "paper-", false);
    }
}
