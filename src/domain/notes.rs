//! Texts that adapters keep between messages, for formats that tell one thing in two messages.
//!
//! Input: texts by sender and key. Output: the text of a key. Invariants: at most [`limits::NOTES_MAX`]
//! notes and [`limits::NOTES_BYTES_MAX`] bytes of each sender, the oldest is forgotten first; no sender
//! reads or displaces the notes of another. Absent: the meaning of a text (see `crate::adapters`).

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::domain::limits;
use crate::domain::visits;
use crate::domain::weight;

/// A text that an adapter wants to have again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// The sender: the name of its token. Empty without tokens.
    pub sender: Box<str>,
    /// Its name.
    pub key: Box<str>,
    /// The text.
    pub text: Box<str>,
}

/// The notes of all senders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes(BTreeMap<Box<str>, SenderNotes>);

/// The notes of one sender.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SenderNotes {
    texts: BTreeMap<Box<str>, Box<str>>,
    /// The keys, the oldest first.
    queue: VecDeque<Box<str>>,
    bytes: usize,
}

impl Notes {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of notes of all senders.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(|notes| notes.queue.len()).sum()
    }

    /// The text of a key.
    #[must_use]
    pub fn get(&self, sender: &str, key: &str) -> Option<&str> {
        let notes = self.0.get(sender)?;
        visits::search(notes.texts.len());
        notes.texts.get(key).map(|text| &**text)
    }

    /// Whether exactly this note is held.
    #[must_use]
    pub fn is_known(&self, note: &Note) -> bool {
        self.get(&note.sender, &note.key) == Some(&*note.text)
    }

    /// Keeps a note. A key that is known keeps its place in the queue.
    pub fn keep(&mut self, note: &Note) {
        let notes = self.0.entry(note.sender.clone()).or_default();
        visits::search(notes.texts.len());
        match notes.texts.insert(note.key.clone(), note.text.clone()) {
            None => {
                notes.queue.push_back(note.key.clone());
                notes.bytes += size(&note.key, &note.text);
            }
            Some(before) => {
                notes.bytes += note.text.len();
                notes.bytes -= before.len();
            }
        }
        while notes.queue.len() > limits::NOTES_MAX || notes.bytes > limits::NOTES_BYTES_MAX {
            let Some(oldest) = notes.queue.pop_front() else { break };
            visits::search(notes.texts.len());
            if let Some(text) = notes.texts.remove(&oldest) {
                notes.bytes -= size(&oldest, &text);
            }
        }
    }

    /// Senders, and about how many bytes their notes take.
    pub fn bytes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(sender, notes)| (&**sender, notes.bytes))
    }

    /// The first sender whose number of bytes is not the sum of its notes.
    #[must_use]
    pub fn miscounted(&self) -> Option<&str> {
        let sum = |notes: &SenderNotes| {
            notes.texts.iter().map(|(key, text)| size(key, text)).sum::<usize>()
        };
        let wrong = self
            .0
            .iter()
            .find(|(_, notes)| notes.bytes != sum(notes) || notes.queue.len() != notes.texts.len());
        wrong.map(|(sender, _)| &**sender)
    }
}

/// About the bytes of one note in memory. The key is held twice.
const fn size(key: &str, text: &str) -> usize {
    weight::NOTE + 2 * key.len() + text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn note(sender: &str, key: &str, text: &str) -> Note {
        Note { sender: sender.into(), key: key.into(), text: text.into() }
    }

    #[test]
    fn the_oldest_note_of_a_sender_is_forgotten_first() {
        let mut notes = Notes::default();
        notes.keep(&note("b", "first", "b"));
        for n in 0..=limits::NOTES_MAX {
            notes.keep(&note("a", &n.to_string(), "a"));
        }
        assert_eq!(notes.get("a", "0"), None);
        assert_eq!(notes.get("a", "1"), Some("a"));
        assert_eq!(notes.get("b", "first"), Some("b"), "no sender displaces notes of another");
        assert_eq!(notes.get("a", "first"), None, "no sender reads notes of another");
        let long = "x".repeat(limits::NOTES_BYTES_MAX / 2);
        notes.keep(&note("a", "long", &long));
        assert!(notes.is_known(&note("a", "long", &long)));
        notes.keep(&note("a", "longer", &format!("{long}{long}")));
        assert_eq!((notes.get("a", "long"), notes.get("a", "longer")), (None, None));
        assert_eq!(notes.miscounted(), None);
    }

    proptest! {
        /// A list that is searched from its end has equal notes.
        #[test]
        fn notes_are_what_was_kept_last(
            kept in prop::collection::vec((0_usize..3, 0_usize..20, ".{0,40}"), 0..100),
        ) {
            let mut notes = Notes::default();
            for (sender, key, text) in &kept {
                notes.keep(&note(&sender.to_string(), &key.to_string(), text));
                prop_assert_eq!(notes.miscounted(), None);
            }
            for (sender, key) in (0..4).flat_map(|s| (0..20).map(move |k| (s, k))) {
                let last = kept.iter().rev().find(|(s, k, _)| (*s, *k) == (sender, key));
                let found = notes.get(&sender.to_string(), &key.to_string());
                prop_assert_eq!(found, last.map(|(_, _, text)| text.as_str()));
            }
        }
    }
}
