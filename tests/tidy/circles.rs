//! Circles of imports between the files of one room.
//!
//! Input: files, as text. Output: one circle of each group of files, if there is one. Invariant: only
//! imports count, by `use` or by a path; those of tests do not. Deliberately absent: macros, which the
//! lexer does not expand.

use std::collections::{BTreeMap, BTreeSet};

use crate::absolute;
use crate::source::{paths, tokens};
use crate::tree::File;

/// Groups of files without circles: files, or folders that end with `/`.
pub(crate) const ACYCLIC: &[&[&str]] = &[
    &["src/metrics/"],
    &["src/domain/control.rs", "src/domain/record.rs", "src/domain/state.rs"],
    &["src/domain/directive.rs", "src/domain/drift/"],
    &["src/domain/health.rs", "src/domain/health/"],
];

/// For each file, the files that it imports.
type Graph<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// A circle among the files of a group.
pub(crate) fn circle(files: &[File], group: &[&str]) -> Option<String> {
    let is_of = |file: &File, name: &str| {
        file.name == name || name.ends_with('/') && file.name.starts_with(name)
    };
    for name in group {
        assert!(files.iter().any(|file| is_of(file, name)), "{name} is gone: correct {group:?}");
    }
    let is_member = |file: &&File| group.iter().any(|name| is_of(file, name));
    let members: Vec<&File> = files.iter().filter(is_member).collect();
    let graph = members.iter().map(|file| (file.name.as_str(), imports(file, &members))).collect();
    let mut done = BTreeSet::new();
    members.iter().find_map(|file| walk(&file.name, &graph, &mut Vec::new(), &mut done))
}

/// Follows imports in depth. The circle, if one leads back to a file on the way.
fn walk<'a>(
    file: &'a str,
    graph: &Graph<'a>,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<String> {
    if let Some(start) = way.iter().position(|earlier| *earlier == file) {
        let circle: Vec<&str> = way[start..].iter().copied().chain([file]).collect();
        return Some(circle.join(" -> "));
    }
    if done.contains(file) {
        return None;
    }
    way.push(file);
    let found = graph[file].iter().find_map(|next| walk(next, graph, way, done));
    way.pop();
    done.insert(file);
    found
}

/// The other members that a file imports.
fn imports<'a>(file: &File, members: &[&'a File]) -> BTreeSet<&'a str> {
    let found = paths(&tokens(&file.text)).into_iter().filter(|path| !path.in_tests);
    let targets = found.filter_map(|path| {
        let target = absolute(&file.name, &path).or_else(|| {
            // `use child::Item` of a module that the file declares.
            let here = module_path(&file.name);
            Some(here.into_iter().chain(path.segments.iter().cloned()).collect())
        })?;
        owner(&target, members)
    });
    targets.filter(|target| *target != file.name).collect()
}

/// The file of the innermost module on a path.
fn owner<'a>(path: &[String], members: &[&'a File]) -> Option<&'a str> {
    (1..=path.len()).rev().find_map(|length| {
        let module = &path[..length];
        members.iter().find(|file| module_path(&file.name) == module).map(|file| file.name.as_str())
    })
}

/// The path of the module that a file of `src/` is.
fn module_path(file: &str) -> Vec<String> {
    let inside = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    inside.split('/').map(str::to_owned).collect()
}

#[test]
fn circles_are_found() {
    let check = |texts: &[(&str, &str)], expect: Option<&str>| {
        let files: Vec<File> = texts
            .iter()
            .map(|(name, text)| File { name: (*name).to_owned(), text: (*text).to_owned() })
            .collect();
        assert_eq!(circle(&files, &["src/m/"]).as_deref(), expect, "{texts:?}");
    };
    let (a, b, c) = ("src/m/a.rs", "src/m/b.rs", "src/m/b/c.rs");
    check(&[(a, "use crate::m::b::B;"), (b, "use std::fmt;")], None);
    check(
        &[(a, "use crate::m::b::B;"), (b, "fn f() { super::a::g() }")],
        Some("src/m/a.rs -> src/m/b.rs -> src/m/a.rs"),
    );
    check(
        &[(a, "use crate::m::b::B;"), (b, "mod tests;\n#[cfg(test)] mod t { use crate::m::a; }")],
        None,
    );
    check(
        &[(a, "use super::b::c::C;"), (b, "pub use c::C;"), (c, "use crate::{m::a::A, n::B};")],
        Some("src/m/a.rs -> src/m/b/c.rs -> src/m/a.rs"),
    );
    check(
        &[(b, "use c::C;"), (c, "use super::B;")],
        Some("src/m/b.rs -> src/m/b/c.rs -> src/m/b.rs"),
    );
    // The paths in a macro count in the file that declares it.
    check(
        &[(a, "macro_rules! m { () => { $crate::m::b::B }; }"), (b, "use crate::m::a;")],
        Some("src/m/a.rs -> src/m/b.rs -> src/m/a.rs"),
    );
}
