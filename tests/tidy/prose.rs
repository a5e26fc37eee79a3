//! Rules for the language: how doc comments begin, and that a type name means one thing.
//!
//! Input: source files as text. Output: findings with file and line. Invariant: each rule has a
//! sample in `each_check_can_fail`. Absent: a judgement of style. These rules catch the patterns
//! that made older comments hard to read; the rest is for reviewers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::source::{paths, test_lines, tokens};
use crate::tree::File;

/// No doc comment begins with one of these. Say the noun: "the text after the quote", not "what
/// stands behind its quote".
const OPENINGS: &[&str] = &["What", "The same", "Whoever"];

/// Phrases that no comment or document uses.
const PHRASES: &[&str] = &["told of", "whoever"];

/// Type names that may be declared more than once, each with its reason.
const SHARED_NAMES: &[(&str, &str)] = &[];

/// Files whose types are shapes of answers: several answers may have a part of one name.
const ANSWERS: &str = "src/wire/answer/";

/// Doc comments that begin with one of [`OPENINGS`].
pub(crate) fn openings(file: &File) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut inside = false;
    for (n, line) in file.text.lines().enumerate() {
        let line = line.trim_start();
        let text = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        if let (Some(text), false) = (text, inside)
            && let Some(opening) = OPENINGS.iter().find(|o| begins_with_words(text.trim(), o))
        {
            wrong.push(format!("{}:{}: a doc comment begins with `{opening}`", file.name, n + 1));
        }
        inside = text.is_some_and(|text| !text.trim().is_empty());
    }
    wrong
}

/// Comments that hold one of [`PHRASES`].
pub(crate) fn phrases(file: &File) -> Vec<String> {
    let markdown = Path::new(&file.name).extension().is_some_and(|e| e == "md");
    let found = file.text.lines().enumerate().filter_map(|(n, line)| {
        let comment = if markdown { Some(line) } else { line.find("//").map(|at| &line[at..]) }?;
        let comment = comment.to_lowercase();
        let phrase = PHRASES.iter().find(|phrase| holds_words(&comment, phrase))?;
        Some(format!("{}:{}: `{phrase}`", file.name, n + 1))
    });
    found.collect()
}

/// Type names declared more than once in `src/`, outside tests, answers and [`SHARED_NAMES`].
pub(crate) fn repeated_names(files: &[File]) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files.iter().filter(|f| !f.name.starts_with(ANSWERS)) {
        let tokens = tokens(&file.text);
        let tests = test_lines(&tokens);
        for pair in tokens.windows(2) {
            let [keyword, name] = pair else { continue };
            let declares = match keyword.text.as_str() {
                "struct" | "enum" | "union" | "trait" => true,
                // Only those of a file, not the associated types of an impl.
                "type" => file
                    .text
                    .lines()
                    .nth(keyword.line - 1)
                    .is_some_and(|line| !line.starts_with(char::is_whitespace)),
                _ => false,
            };
            let typed = name.text.starts_with(|c: char| c.is_ascii_uppercase());
            if declares && typed && !tests.iter().any(|range| range.contains(&name.line)) {
                let place = format!("{}:{}", file.name, name.line);
                places.entry(name.text.clone()).or_default().push(place);
            }
        }
    }
    let shared = |name: &str| SHARED_NAMES.iter().any(|(shared, _)| *shared == name);
    let repeated = places.into_iter().filter(|(name, at)| at.len() > 1 && !shared(name));
    repeated.map(|(name, at)| format!("`{name}` is declared at {}", at.join(", "))).collect()
}

/// Dependencies that no path in these files begins with.
pub(crate) fn unused(dependencies: &[String], files: &[File]) -> Vec<String> {
    let firsts: BTreeSet<String> = files
        .iter()
        .flat_map(|file| paths(&tokens(&file.text)))
        .filter_map(|path| path.segments.into_iter().next())
        .collect();
    let unused = dependencies.iter().filter(|name| !firsts.contains(*name));
    unused.map(|name| format!("Cargo.toml: nothing uses `{name}`")).collect()
}

/// Subjects of commits that are longer than 72 characters.
pub(crate) fn long_subjects(subjects: &str) -> Vec<String> {
    let long = subjects.lines().filter(|subject| subject.chars().count() > 72);
    long.map(|subject| format!("the subject of a commit has at most 72 characters: {subject}"))
        .collect()
}

fn holds_words(text: &str, words: &str) -> bool {
    let is_end = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    text.match_indices(words).any(|(at, _)| {
        is_end(text[..at].chars().next_back()) && is_end(text[at + words.len()..].chars().next())
    })
}

fn begins_with_words(text: &str, words: &str) -> bool {
    text.strip_prefix(words).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
}
