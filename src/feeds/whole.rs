//! A file that is written again as a whole: its messages, and which of them are new.
//!
//! Input: the bytes of the file, and the part of it that was taken before. Output: the messages after that
//! part. Invariant: if the file does not begin with that part any more, all of its messages are new: their
//! ids tell which are known.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::FeedMessage;
use crate::wire::hex::hex;
use crate::wire::json::general;

/// The messages at the beginning of a file that were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TakenPart {
    /// How many.
    count: usize,
    /// A digest of their text.
    digest: String,
}

/// The messages of a file.
#[derive(Debug, Default)]
pub(super) struct WholeFile {
    messages: Vec<FeedMessage>,
}

impl WholeFile {
    /// Reads a JSON array of messages, or one message. `name` tells files apart.
    ///
    /// # Errors
    /// When it is not JSON: perhaps it is being written.
    pub(super) fn read(bytes: &[u8], name: &str) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let text = text.trim_start_matches('\u{feff}').trim();
        let mut messages = Vec::new();
        let mut add = |json: &str| {
            let origin = format!("{name}:{}", messages.len());
            messages.push(FeedMessage::new(json.as_bytes(), origin));
        };
        if text.starts_with('[') {
            let walk = general::each_element(text, |element| {
                add(element);
                ControlFlow::<()>::Continue(())
            });
            walk.map(drop).map_err(|error| error.to_string())?;
        } else if !text.is_empty() {
            general::check(text).map_err(|error| error.to_string())?;
            add(text);
        }
        Ok(Self { messages })
    }

    /// The number of messages.
    pub(super) const fn len(&self) -> usize {
        self.messages.len()
    }

    /// At most `max` messages after the first `from`.
    pub(super) fn after(&self, from: usize, max: usize) -> Vec<FeedMessage> {
        self.messages.iter().skip(from).take(max).cloned().collect()
    }

    /// The first `count` messages, as taken.
    pub(super) fn taken(&self, count: usize) -> TakenPart {
        let mut digest = Sha256::new();
        for message in self.messages.iter().take(count) {
            digest.update(&message.text);
            digest.update(b"\n");
        }
        TakenPart { count, digest: hex(&digest.finalize()) }
    }

    /// How many messages need not be taken again.
    pub(super) fn known(&self, taken: &TakenPart) -> usize {
        let is_same = taken.count <= self.len() && self.taken(taken.count) == *taken;
        if is_same { taken.count } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_added_is_new() {
        let file = |text: &str| WholeFile::read(text.as_bytes(), "f").unwrap();
        let two = file("[{\"a\":1},\n{\"b\":\n2}]");
        assert_eq!(two.len(), 2);
        assert_eq!(two.after(1, 9)[0].text, "{\"b\": 2}");
        let taken = two.taken(2);
        let check =
            |text: &str, expect: usize| assert_eq!(file(text).known(&taken), expect, "{text}");
        check("[{\"a\":1},{\"b\":\n2},{\"c\":3}]", 2);
        check("[{\"a\":1}]", 0);
        check("[{\"a\":2},{\"b\":\n2}]", 0);
        check("", 0);
        assert_eq!(file("{\"a\":1}").len(), 1);
        assert!(WholeFile::read(b"[{\"a\":1},", "f").is_err());
    }
}
