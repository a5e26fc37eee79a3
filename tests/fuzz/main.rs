//! Bounded fuzzing on stable Rust: every file of the corpus, then random edits of them (proptest).
//!
//! `libfuzzer/` searches for longer, by coverage; what it finds joins the corpus. CONTRIBUTING.md says
//! how to run it.

#![cfg(test)]

mod targets;

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::Index;

use targets::{TARGETS, Target};

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("a corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a file")).collect()
}

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Edit {
    Flip(Index, u8),
    Cut(Index),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
    /// Continues as another file of the corpus from a place in it on.
    Splice(Index, Index, Index),
}

/// Pieces that mean something to one of the readers.
const PIECES: &[&str] = &[
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\n",
    "null",
    "true",
    "-",
    "0",
    "1e9",
    "1e-400",
    "9223372036854775807",
    "99999999999999999999999999999",
    "0.0000000000000000001",
    "-0",
    "\u{feff}",
    "\u{202e}",
    "*",
    "__other__",
    "&a",
    "*a",
    "<<: ",
    "- ",
    "  ",
    "#",
    "!!",
    "\0\0\0\0",
    "\u{7f}",
    "1970-01-01T00:00:00Z",
    "2199-12-31T23:59:59.999999999Z",
    "1d",
    "10%",
];

fn any_edit() -> impl Strategy<Value = Edit> {
    let piece = prop_oneof![
        proptest::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 1..9),
    ];
    prop_oneof![
        3 => (any::<Index>(), 1_u8..).prop_map(|(at, mask)| Edit::Flip(at, mask)),
        1 => any::<Index>().prop_map(Edit::Cut),
        2 => (any::<Index>(), 1_usize..40).prop_map(|(at, len)| Edit::Remove(at, len)),
        4 => (any::<Index>(), piece).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        1 => (any::<Index>(), 1_usize..200).prop_map(|(at, len)| Edit::Repeat(at, len)),
        1 => (any::<Index>(), any::<Index>(), any::<Index>())
            .prop_map(|(at, file, from)| Edit::Splice(at, file, from)),
    ]
}

fn edited(corpus: &[Vec<u8>], file: Index, edits: &[Edit]) -> Vec<u8> {
    let mut bytes = file.get(corpus).clone();
    for edit in edits {
        let place = |at: &Index| at.index(bytes.len() + 1);
        match edit {
            Edit::Flip(at, mask) => {
                let at = place(at);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= mask);
            }
            Edit::Cut(at) => bytes.truncate(place(at)),
            Edit::Remove(at, len) => {
                let at = place(at);
                drop(bytes.drain(at..(at + len).min(bytes.len())));
            }
            Edit::Insert(at, piece) => {
                let at = place(at);
                bytes.splice(at..at, piece.iter().copied());
            }
            Edit::Repeat(at, len) => {
                let at = place(at);
                let part = bytes[at..(at + len).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
            Edit::Splice(at, file, from) => {
                let other = file.get(corpus);
                let from = from.index(other.len() + 1);
                bytes.truncate(place(at));
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
    bytes
}

/// Runs a target on its corpus, and on `cases` edits of it.
fn fuzz(name: &str, cases: u32) {
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    let target: Target = found.expect("a target of that name").1;
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "the corpus of {name} has a file");
    for bytes in &corpus {
        target(bytes);
    }
    let edits = (any::<Index>(), proptest::collection::vec(any_edit(), 1..6));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    proptest!(config, |((file, edits) in edits)| target(&edited(&corpus, file, &edits)));
}

#[test]
fn events_of_any_bytes() {
    fuzz("ingest", 2_000);
}

#[test]
fn messages_of_other_systems_of_any_bytes() {
    fuzz("adapter", 500);
}

#[test]
fn notifications_of_any_bytes() {
    fuzz("notification", 2_000);
}

#[test]
fn decisions_of_any_bytes() {
    fuzz("decision", 1_000);
}

#[test]
fn configuration_of_any_bytes() {
    fuzz("config", 1_000);
}

#[test]
fn records_of_any_bytes() {
    fuzz("record", 1_500);
}

#[test]
fn frames_of_any_bytes() {
    fuzz("frame", 500);
}

#[test]
fn snapshots_of_any_bytes() {
    fuzz("snapshot", 1_000);
}

#[test]
fn states_of_any_bytes() {
    fuzz("state", 300);
}
