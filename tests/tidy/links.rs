//! Links between the documents.
//!
//! Input: Markdown. Output: links to files or headings that do not exist. Deliberately absent: links to
//! other sites, which cannot be checked without a network.

use crate::tree::File;

/// The names in the last column of the table of threats for which there is no test.
pub(crate) fn missing_tests(markdown: &str, files: &[File]) -> Vec<String> {
    let rows = markdown.lines().skip_while(|line| *line != "| threat | control | tests |").skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let mut missing = Vec::new();
    for row in rows {
        let column = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let names: Vec<&str> = column.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            missing.push(format!("no test for: {row}"));
        }
        let is_test = |name: &str| files.iter().any(|f| f.text.contains(&format!("fn {name}(")));
        missing.extend(names.into_iter().filter(|name| !is_test(name)).map(str::to_owned));
    }
    missing
}

/// The broken links of a document.
pub(crate) fn broken(
    document: &File,
    exists: &dyn Fn(&str) -> bool,
    anchors: &dyn Fn(&str) -> Vec<String>,
) -> Vec<String> {
    let folder = document.name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut wrong = Vec::new();
    for (line, target) in targets(&document.text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let path = if path.is_empty() { document.name.clone() } else { join(folder, path) };
        let found = exists(&path);
        if !found || !anchor.is_empty() && !anchors(&path).iter().any(|a| a == anchor) {
            wrong.push(format!("{}:{line}: {target} leads nowhere", document.name));
        }
    }
    wrong
}

/// The anchors of a document's headings, as on GitHub.
pub(crate) fn anchors(markdown: &str) -> Vec<String> {
    let headings = prose(markdown).filter(|(_, line)| line.starts_with('#'));
    let slug = |(_, line): (usize, &str)| {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(slug).collect()
}

/// The lines outside fenced code, with their numbers.
fn prose(markdown: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    markdown.lines().enumerate().filter_map(move |(n, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fence && !fenced).then_some((n + 1, line))
    })
}

/// The targets in `](…)`.
fn targets(markdown: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    for (line, text) in prose(markdown) {
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            out.push((line, target.to_owned()));
        }
    }
    out
}

/// `folder/path` with `..` and `.` resolved.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[test]
fn broken_links_are_found() {
    let check = |text: &str, expect: usize| {
        let document = File { name: "docs/a.md".into(), text: text.into() };
        let exists = |path: &str| matches!(path, "docs/a.md" | "README.md" | "docs/b.md");
        let anchors = |_: &str| vec!["one-two".to_owned()];
        assert_eq!(broken(&document, &exists, &anchors).len(), expect, "{text}");
    };
    check("[a](b.md), [b](../README.md) and [c](https://example.org/x)", 0);
    check("[a](c.md)", 1);
    check("[a](../b.md)", 1);
    check("[a](#one-two) [b](b.md#one-two)", 0);
    check("[a](#two)", 1);
    check("```\n[a](c.md)\n```", 0);
}

#[test]
fn headings_become_anchors() {
    let found = anchors("# One: `two`, three\ntext\n```\n# no\n```\n## A_b-c d");
    assert_eq!(found, ["one-two-three", "a_b-c-d"]);
}

#[test]
fn missing_tests_are_found() {
    let test = File { name: "tests/x.rs".into(), text: "fn a() {}".into() };
    let head = "| threat | control | tests |\n|---|---|---|\n";
    let files = std::slice::from_ref(&test);
    let missing = |rows: &str| missing_tests(&format!("{head}{rows}"), files).len();
    assert_eq!(missing("| t | c | `a` |"), 0);
    assert_eq!(missing("| t | `x` | `b` |"), 1);
    assert_eq!(missing("| t | c | |"), 1);
}
