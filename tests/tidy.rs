//! House rules that the compiler does not check: which module may import which, and where names may be
//! used.
//!
//! Input: the files of this repository, as text. Output: failures with file and line. Invariant: each
//! rule is data, and a test shows that each check can fail. Deliberately absent: rules that clippy and
//! rustfmt check.

#![expect(clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/generated.rs"]
mod generated;
#[path = "tidy/links.rs"]
mod links;
#[path = "tidy/prose.rs"]
mod prose;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;

use source::{Path, paths, tokens};
use tree::{File, root};

/// A top-level module of `src/`, and the modules that it may import.
struct Module {
    name: &'static str,
    may_import: &'static [&'static str],
}

/// All modules.
const ALL: &str = "*";

/// The permitted imports. ARCHITECTURE.md draws the same table.
const MODULES: &[Module] = &[
    Module { name: "main", may_import: &["cli", "app"] },
    Module { name: "cli", may_import: &[ALL] },
    Module { name: "app", may_import: &[ALL] },
    Module {
        name: "api",
        may_import: &["engine", "adapters", "metrics", "wire", "config", "clock", "domain"],
    },
    Module { name: "engine", may_import: &["journal", "wire", "domain"] },
    Module { name: "adapters", may_import: &["wire", "domain"] },
    Module { name: "metrics", may_import: &["domain"] },
    Module { name: "alerting", may_import: &["domain"] },
    Module { name: "outbound", may_import: &["config", "domain"] },
    Module { name: "notify", may_import: &["outbound", "wire", "config", "domain"] },
    Module {
        name: "sources",
        may_import: &["outbound", "adapters", "wire", "config", "expression", "domain"],
    },
    Module { name: "feeds", may_import: &["wire", "config", "domain"] },
    Module { name: "demo", may_import: &["domain"] },
    Module { name: "journal", may_import: &[] },
    Module { name: "wire", may_import: &["domain"] },
    // For the names of alerts and of adapters.
    Module { name: "config", may_import: &["adapters", "alerting", "expression", "domain"] },
    Module { name: "expression", may_import: &["domain"] },
    Module { name: "clock", may_import: &["domain"] },
    Module { name: "domain", may_import: &["invariant"] },
    Module { name: "invariant", may_import: &[] },
];

/// A room inside a module, and the rooms that it may import beside itself, in its own module or in
/// another one. Naming a room includes the rooms inside it.
struct Room {
    path: &'static [&'static str],
    may_import: &'static [&'static [&'static str]],
}

const JSON: &[&str] = &["wire", "json"];
const TIME: &[&str] = &["wire", "time"];
const CONTRACT: &[&str] = &["wire", "contract"];

/// Who may import whom inside a module. Files that are in no room may import every room.
const ROOMS: &[Room] = &[
    // Knows nothing of trading.
    Room { path: JSON, may_import: &[&["domain", "units"]] },
    Room { path: TIME, may_import: &[&["domain"], JSON] },
    Room { path: CONTRACT, may_import: &[&["domain"], JSON, TIME] },
    Room { path: &["wire", "event"], may_import: &[&["domain"], JSON, TIME, CONTRACT] },
    Room { path: &["wire", "request"], may_import: &[&["domain"], JSON, TIME, CONTRACT] },
    // Knows nothing of how bodies are read.
    Room { path: &["wire", "answer"], may_import: &[&["domain"], JSON, TIME] },
];

/// A crate (or a part of `std`) that only some modules may name.
struct Confined {
    path: &'static [&'static str],
    to: &'static [&'static str],
}

/// Confined crates, outside tests.
const CONFINED: &[Confined] = &[
    Confined { path: &["axum"], to: &["api"] },
    Confined { path: &["tower"], to: &["api"] },
    Confined { path: &["async_compression"], to: &["api"] },
    Confined { path: &["tower_http"], to: &["api"] },
    Confined { path: &["http"], to: &["api"] },
    Confined { path: &["pulldown_cmark"], to: &["api"] },
    Confined { path: &["utoipa"], to: &["api", "wire"] },
    Confined { path: &["hyper"], to: &["api", "app"] },
    Confined { path: &["hyper_util"], to: &["api", "app"] },
    Confined { path: &["rustls"], to: &["app", "config"] },
    Confined { path: &["tokio_rustls"], to: &["app"] },
    Confined { path: &["webpki"], to: &["config"] },
    // The configuration only parses hashes.
    Confined { path: &["bcrypt"], to: &["app", "config"] },
    Confined { path: &["prometheus"], to: &["metrics"] },
    // The configuration uses it only to check URLs and headers.
    Confined { path: &["reqwest"], to: &["config", "demo", "notify", "outbound", "sources"] },
    Confined { path: &["jaq_core"], to: &["expression"] },
    Confined { path: &["jaq_json"], to: &["expression"] },
    Confined { path: &["jaq_std"], to: &["expression"] },
    Confined { path: &["clap"], to: &["cli"] },
    Confined { path: &["csv"], to: &["adapters"] },
    Confined { path: &["serde_saphyr"], to: &["config"] },
    Confined { path: &["rumqttc"], to: &["feeds"] },
    Confined { path: &["redis"], to: &["feeds"] },
    Confined { path: &["rmp_serde"], to: &["engine", "feeds"] },
    Confined { path: &["zstd"], to: &["journal"] },
    Confined { path: &["jiff"], to: &["clock", "wire"] },
    Confined { path: &["tracing_subscriber"], to: &["app", "cli"] },
    Confined {
        path: &["tokio"],
        to: &[
            "api", "app", "cli", "demo", "engine", "feeds", "journal", "notify", "outbound",
            "sources",
        ],
    },
    Confined { path: &["std", "env"], to: &["cli", "config"] },
    Confined { path: &["std", "fs"], to: &["app", "cli", "config", "feeds", "journal", "sources"] },
    Confined { path: &["std", "net"], to: &["api", "app", "cli", "config", "outbound", "sources"] },
    Confined { path: &["std", "process"], to: &["app", "cli", "main"] },
    Confined { path: &["std", "thread"], to: &["app"] },
];

/// Crates that the domain may use besides `std`. `proptest` is only for its tests, because it is a
/// dev-dependency. `serde` describes the parts of the state, so that it can be stored; the stored format
/// is in `engine`, and the wire format in `wire`.
const DOMAIN_CRATES: &[&str] =
    &["enum_map", "proptest", "rust_decimal", "serde", "siphasher", "thiserror"];

/// A name that only some files may use.
struct Word {
    /// The last segments of a path.
    path: &'static [&'static str],
    /// Files, or folders that end with `/`.
    to: &'static [&'static str],
}

/// Confined names, outside tests.
const WORDS: &[Word] = &[
    Word { path: &["StatusCode"], to: &["src/api/"] },
    Word { path: &["Instant", "now"], to: &["src/clock.rs"] },
    Word { path: &["SystemTime", "now"], to: &["src/clock.rs"] },
    Word { path: &["Timestamp", "now"], to: &["src/clock.rs"] },
    Word { path: &["Zoned", "now"], to: &["src/clock.rs"] },
    Word { path: &["spawn"], to: &["src/app.rs", "src/app/"] },
    Word { path: &["spawn_blocking"], to: &["src/app.rs", "src/app/"] },
    Word { path: &["spawn_local"], to: &["src/app.rs", "src/app/"] },
];

/// Forbidden attributes.
const ATTRIBUTES: &[&str] = &["ignore", "allow"];

/// Maximum number of lines of a file.
const LINES_MAX: usize = 600;

/// Paths of machines, which must not be in the repository. Each is written in two halves, so that this
/// file does not contain it.
const FOREIGN: &[(&str, &str)] = &[
    ("/wo", "rk/"),
    ("/tm", "p/wt"),
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("/Us", "ers/"),
    ("sha", "red/spec"),
    ("sha", "red/data"),
    (".lib", "rary/"),
];

/// The top-level module of a file of `src/`. `None` for `lib.rs`.
fn module_of(file: &str) -> Option<&str> {
    let inside = file.strip_prefix("src/")?;
    let first = inside.split('/').next()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib").then_some(name)
}

/// The path from the root of the crate: `crate::`, `self::`, `super::` resolved.
fn absolute(file: &str, path: &Path) -> Option<Vec<String>> {
    let mut here: Vec<String> = file
        .strip_prefix("src/")?
        .trim_end_matches(".rs")
        .split('/')
        .filter(|part| !matches!(*part, "mod" | "lib"))
        .map(str::to_owned)
        .chain(path.inside.iter().cloned())
        .collect();
    let mut rest = path.segments.as_slice();
    match path.segments.first()?.as_str() {
        // `main.rs` is a crate of its own beside the library.
        "crate" | "trading_exporter" => here.clear(),
        "self" | "super" => {}
        _ => return None,
    }
    while let Some((first, tail)) = rest.split_first() {
        match first.as_str() {
            "crate" | "self" | "trading_exporter" => {}
            "super" => drop(here.pop()),
            _ => break,
        }
        rest = tail;
    }
    here.extend_from_slice(rest);
    Some(here)
}

/// Whether a path that begins in another crate begins with `prefix`.
fn begins_with(path: &Path, prefix: &[&str]) -> bool {
    path.segments.iter().map(String::as_str).take(prefix.len()).eq(prefix.iter().copied())
}

/// Imports that [`MODULES`] does not permit.
fn foreign_imports(file: &File) -> Vec<String> {
    let Some(module) = module_of(&file.name) else { return Vec::new() };
    let Some(row) = MODULES.iter().find(|m| m.name == module) else {
        return vec![format!("{}: no row for the module `{module}` in MODULES", file.name)];
    };
    let arrows = paths(&tokens(&file.text)).into_iter().filter_map(|path| {
        let target = absolute(&file.name, &path)?.first()?.clone();
        let known = MODULES.iter().any(|m| m.name == target);
        let allowed = target == module
            || row.may_import.contains(&ALL)
            || row.may_import.contains(&target.as_str());
        (known && !allowed)
            .then(|| format!("{}:{}: {module} must not import {target}", file.name, path.line))
    });
    arrows.collect()
}

/// Imports between rooms that [`ROOMS`] does not permit, outside tests.
fn foreign_rooms(file: &File) -> Vec<String> {
    let inside = file.name.strip_prefix("src/").unwrap_or_default().trim_end_matches(".rs");
    let here: Vec<&str> = inside.split('/').collect();
    let Some(room) = ROOMS.iter().find(|room| here.starts_with(room.path)) else {
        return Vec::new();
    };
    if here.last() == Some(&"tests") {
        return Vec::new();
    }
    let arrows = paths(&tokens(&file.text)).into_iter().filter(|path| !path.in_tests);
    let wrong = arrows.filter_map(|path| {
        let target = absolute(&file.name, &path)?;
        let target: Vec<&str> = target.iter().map(String::as_str).collect();
        let known = MODULES.iter().any(|m| Some(&m.name) == target.first());
        let mut allowed = room.may_import.iter().copied().chain([room.path]);
        (known && !allowed.any(|prefix| target.starts_with(prefix))).then(|| {
            let (from, to) = (room.path.join("::"), target.join("::"));
            format!("{}:{}: {from} must not import {to}", file.name, path.line)
        })
    });
    wrong.collect()
}

/// Uses of crates that [`CONFINED`] does not permit.
fn foreign_crates(file: &File, dependencies: &[String]) -> Vec<String> {
    let Some(module) = module_of(&file.name) else { return Vec::new() };
    let found = paths(&tokens(&file.text)).into_iter().filter(|p| !p.in_tests);
    let wrong = found.filter_map(|path| {
        let first = path.segments.first()?.as_str();
        let confined =
            CONFINED.iter().any(|c| begins_with(&path, c.path) && !c.to.contains(&module));
        let impure = module == "domain"
            && dependencies.iter().any(|d| d == first)
            && !DOMAIN_CRATES.contains(&first);
        (confined || impure).then(|| {
            format!(
                "{}:{}: {module} must not name {}",
                file.name,
                path.line,
                path.segments.join("::")
            )
        })
    });
    wrong.collect()
}

/// Names of [`WORDS`] outside their files. Method calls count: `.spawn(` is `spawn`.
fn foreign_words(file: &File) -> Vec<String> {
    if file.name.ends_with("/tests.rs") {
        return Vec::new();
    }
    let tokens = tokens(&file.text);
    let tests = source::test_lines(&tokens);
    let mut wrong = Vec::new();
    for word in WORDS.iter().filter(|w| !w.to.iter().any(|to| file.name.starts_with(to))) {
        let spelled: Vec<&str> = word.path.iter().flat_map(|s| ["::", s]).skip(1).collect();
        for window in tokens.windows(spelled.len() + 1) {
            let (name, after) = window.split_at(spelled.len());
            let same = name.iter().map(|t| t.text.as_str()).eq(spelled.iter().copied());
            // Our own functions with such a name are declared with `fn` and called with a path.
            let called = word.path.len() > 1 || matches!(after[0].text.as_str(), "(" | "::" | ";");
            let line = name[0].line;
            if same && called && !tests.iter().any(|range| range.contains(&line)) {
                wrong.push(format!(
                    "{}:{line}: {} stands only in {:?}",
                    file.name,
                    word.path.join("::"),
                    word.to
                ));
            }
        }
    }
    wrong
}

/// Attributes of [`ATTRIBUTES`].
fn foreign_attributes(file: &File) -> Vec<String> {
    let tokens = tokens(&file.text);
    let at = |n: usize| tokens.get(n).map_or("", |t| t.text.as_str());
    (0..tokens.len())
        .filter(|n| at(*n) == "#")
        .map(|n| if at(n + 1) == "!" { n + 2 } else { n + 1 })
        .filter(|n| at(*n) == "[" && ATTRIBUTES.contains(&at(n + 1)))
        .map(|n| format!("{}:{}: no #[{}]", file.name, tokens[n].line, at(n + 1)))
        .collect()
}

/// A file begins with `//!`, and is not too long.
fn shape(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let head = file.text.lines().next().unwrap_or_default();
    let mut wrong = Vec::new();
    if !head.starts_with("//! ")
        || !head.ends_with(['.', ':', '?'])
            && file.text.lines().nth(1).is_none_or(|l| !l.starts_with("//!"))
    {
        wrong
            .push(format!("{}:1: begins with a sentence in `//!` that says what it is", file.name));
    }
    if lines > LINES_MAX {
        wrong.push(format!("{}: {lines} lines, at most {LINES_MAX}: split it by topic", file.name));
    }
    wrong
}

/// Tests outside of `tests/it` read no clock, so `tests/run later` leaves them out.
fn clocks_of_pure_tests(file: &File) -> Vec<String> {
    let is_pure =
        ["tests/fold/", "tests/sim/", "tests/fuzz/"].iter().any(|f| file.name.starts_with(f));
    let words = ["trading_exporter::clock", "Instant", "SystemTime"];
    let hits = words.iter().filter(|word| is_pure && file.text.contains(**word));
    hits.map(|word| format!("{}: `{word}` in a test without a clock", file.name)).collect()
}

/// Words of [`FOREIGN`].
fn foreign_places(file: &File) -> Vec<String> {
    let words: Vec<String> = FOREIGN.iter().map(|(a, b)| format!("{a}{b}")).collect();
    let found = file.text.lines().enumerate().flat_map(|(n, line)| {
        let line = line.to_lowercase();
        let hits = words.iter().filter(move |w| line.contains(&w.to_lowercase()));
        hits.map(move |w| format!("{}:{}: `{w}` has no place here", file.name, n + 1))
    });
    found.collect()
}

/// Fails with a list of all findings.
fn none(findings: impl Iterator<Item = String>) {
    let findings: Vec<String> = findings.collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// Applies a check to every Rust file below `src/`.
fn each_source(check: impl Fn(&File) -> Vec<String>) {
    let files = tree::files("src", "rs");
    assert!(files.len() > 20, "found only {} files", files.len());
    none(files.iter().flat_map(check));
}

#[test]
fn modules_import_only_what_the_table_permits() {
    each_source(foreign_imports);
}

#[test]
fn rooms_import_only_what_the_table_permits() {
    each_source(foreign_rooms);
    for room in ROOMS {
        let path = format!("src/{}", room.path.join("/"));
        let exists = root().join(&path).is_dir() || root().join(format!("{path}.rs")).is_file();
        assert!(exists, "{path} is in ROOMS and does not exist");
    }
}

#[test]
fn files_of_a_room_do_not_import_in_circles() {
    let files = tree::files("src", "rs");
    none(circles::ACYCLIC.iter().filter_map(|group| circles::circle(&files, group)));
}

#[test]
fn crates_are_used_only_where_the_table_permits() {
    let dependencies = tree::dependencies();
    each_source(|file| foreign_crates(file, &dependencies));
}

#[test]
fn clocks_spawns_and_statuses_are_used_only_in_their_files() {
    each_source(foreign_words);
}

#[test]
fn files_begin_with_a_description_and_are_short() {
    each_source(shape);
    none(tree::files("tests", "rs").iter().flat_map(shape));
    none(tree::files("benches", "rs").iter().flat_map(shape));
}

#[test]
fn no_test_is_ignored_and_no_lint_is_disabled() {
    each_source(foreign_attributes);
    none(tree::files("tests", "rs").iter().flat_map(foreign_attributes));
    none(tree::files("benches", "rs").iter().flat_map(foreign_attributes));
}

#[test]
fn pure_tests_read_no_clock() {
    none(tree::files("tests", "rs").iter().flat_map(clocks_of_pure_tests));
    let file =
        |name: &str| File { name: name.into(), text: "trading_exporter::clock::now()".into() };
    assert_eq!(clocks_of_pure_tests(&file("tests/sim/x.rs")).len(), 1);
    assert_eq!(clocks_of_pure_tests(&file("tests/it/x.rs")).len(), 0);
}

#[test]
fn no_file_contains_a_path_of_a_machine() {
    none(tree::texts().iter().flat_map(foreign_places));
}

#[test]
fn the_map_of_the_architecture_has_every_module() {
    let map = tree::read("ARCHITECTURE.md");
    let missing = tree::modules().into_iter().filter(|name| {
        let row = MODULES.iter().any(|m| m.name == name);
        let drawn = [format!("{name}.rs"), format!("{name}/")];
        !row || !drawn.iter().any(|d| map.contains(d.as_str()))
    });
    none(missing.map(|name| format!("src/{name}: not in the map of ARCHITECTURE.md")));
}

#[test]
fn doc_comments_say_the_noun() {
    for folder in ["src", "tests", "benches"] {
        none(tree::files(folder, "rs").iter().flat_map(prose::openings));
    }
}

#[test]
fn comments_and_documents_are_plain() {
    for folder in ["src", "tests", "benches"] {
        none(tree::files(folder, "rs").iter().flat_map(prose::phrases));
    }
    none(tree::documents().iter().flat_map(prose::phrases));
}

#[test]
fn a_type_name_is_declared_once() {
    // Files of tests alone may name their types as they like.
    let of_tests = |name: &str| name.ends_with("/tests.rs") || name.contains("/scenario/");
    let files = tree::files("src", "rs").into_iter().filter(|f| !of_tests(&f.name));
    none(prose::repeated_names(&files.collect::<Vec<_>>()).into_iter());
}

#[test]
fn every_dependency_is_used() {
    let files: Vec<File> =
        ["src", "tests", "benches"].iter().flat_map(|f| tree::files(f, "rs")).collect();
    none(prose::unused(&tree::dependencies(), &files).into_iter());
}

/// Commits made since this rule was agreed on. An export without a history has none.
#[test]
fn subjects_of_commits_are_short() {
    if !root().join(".git").exists() {
        return;
    }
    let log = std::process::Command::new("git")
        .args(["-c", "safe.directory=*", "log", "--since=2026-11-30T19:00:00Z", "--format=%s"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(log.status.success(), "{}", String::from_utf8_lossy(&log.stderr));
    none(prose::long_subjects(&String::from_utf8_lossy(&log.stdout)).into_iter());
}

#[test]
fn links_in_the_documents_are_valid() {
    let documents = tree::documents();
    assert!(documents.len() >= 4, "found only {} documents", documents.len());
    let exists = |path: &str| root().join(path).exists();
    let anchors = |path: &str| links::anchors(&tree::read(path));
    none(documents.iter().flat_map(|d| links::broken(d, &exists, &anchors)));
}

/// The controls of the table of threats are tested.
#[test]
fn tests_in_the_table_of_threats_exist() {
    let files: Vec<File> = ["src", "tests"].iter().flat_map(|f| tree::files(f, "rs")).collect();
    let missing = links::missing_tests(&tree::read("SECURITY.md"), &files);
    assert_eq!(missing, [""; 0]);
}

#[test]
fn generated_sections_of_the_documents_are_up_to_date() {
    none(generated::SECTIONS.iter().filter_map(generated::Section::renew));
}

/// Every check finds the violation in a bad sample, and nothing in a good one.
#[test]
fn each_check_can_fail() {
    type Check = fn(&File) -> Vec<String>;
    let check = |rule: Check, name: &str, text: &str, expect: usize| {
        let file = File { name: name.into(), text: text.into() };
        assert_eq!(rule(&file).len(), expect, "{name}: {text}\n{:?}", rule(&file));
    };
    let crates: Check =
        |file| foreign_crates(file, &["serde_json".to_owned(), "rust_decimal".to_owned()]);
    let long = format!("//! Long.\n{}", "\n".repeat(LINES_MAX));
    let [a, b] = [FOREIGN[0].0, FOREIGN[0].1];

    check(foreign_imports, "src/domain/x.rs", "use crate::{domain::y, wire::z};", 1);
    check(foreign_imports, "src/domain/x.rs", "use super::super::engine::Handle;", 1);
    check(foreign_imports, "src/domain/x.rs", "mod t { use super::super::y; }", 0);
    check(foreign_imports, "src/domain/x.rs", "mod t { use super::super::super::api; }", 1);
    check(foreign_imports, "src/wire/mod.rs", "fn f() -> crate::config::Config {}", 1);
    check(foreign_imports, "src/wire/mod.rs", "fn f() -> crate::domain::Event {}", 0);
    check(foreign_imports, "src/engine/mod.rs", "#[cfg(test)] mod t { use crate::api::x; }", 1);
    check(foreign_imports, "src/app.rs", "use crate::{api, engine};", 0);
    check(foreign_imports, "src/main.rs", "use trading_exporter::domain::ids;", 1);
    check(foreign_imports, "src/novel/mod.rs", "", 1);

    check(foreign_rooms, "src/wire/json/x.rs", "use crate::domain::units::Decimal;", 0);
    check(foreign_rooms, "src/wire/json/x.rs", "use crate::domain::ids::Symbol;", 1);
    check(foreign_rooms, "src/wire/json/x.rs", "use super::super::contract::field::Field;", 1);
    check(foreign_rooms, "src/wire/json/x.rs", "use super::scan; use crate::wire::json::y;", 0);
    check(foreign_rooms, "src/wire/json/tests.rs", "use crate::domain::ids::Symbol;", 0);
    check(foreign_rooms, "src/wire/contract/x.rs", "use crate::wire::event::KINDS;", 1);
    check(foreign_rooms, "src/wire/event/x.rs", "use crate::wire::request::decisions::HALT;", 1);
    check(foreign_rooms, "src/wire/event/x.rs", "use crate::wire::contract::field::Field;", 0);
    check(foreign_rooms, "src/wire/answer/x.rs", "use crate::wire::contract::error::Code;", 1);
    check(foreign_rooms, "src/wire/decode.rs", "use crate::wire::{event, contract::error};", 0);

    check(crates, "src/domain/x.rs", "use serde_json::Value;", 1);
    check(crates, "src/domain/x.rs", "use rust_decimal::Decimal; use serde::Serialize;", 0);
    check(crates, "src/domain/x.rs", "fn f() { std::fs::read(p) }", 1);
    check(crates, "src/engine/x.rs", "use axum::Router;", 1);
    check(crates, "src/api/x.rs", "use axum::Router;", 0);
    check(crates, "src/api/x.rs", "use prometheus::Registry;", 1);
    check(crates, "src/wire/x.rs", "#[cfg(test)] mod tests { use tokio::net; }", 0);

    check(foreign_words, "src/engine/x.rs", "let t = std::time::Instant::now();", 1);
    check(foreign_words, "src/engine/x.rs", "let f = SystemTime::now;", 1);
    check(foreign_words, "src/clock.rs", "let t = SystemTime::now();", 0);
    check(foreign_words, "src/engine/x.rs", "tracker.spawn(run());", 1);
    check(foreign_words, "src/app.rs", "tracker.spawn(run());", 0);
    check(foreign_words, "src/engine/x.rs", "#[cfg(test)]\nmod tests {\n tokio::spawn(f());\n}", 0);
    check(foreign_words, "src/engine/x.rs", "fn f() -> StatusCode {}", 0);
    check(foreign_words, "src/engine/x.rs", "fn f() { StatusCode::OK }", 1);

    check(foreign_attributes, "src/x.rs", "#[ignore] #[allow(dead_code)] #![allow(x)]", 3);
    check(foreign_attributes, "src/x.rs", "#[expect(x, reason = \"allow\")] // #[ignore]", 0);

    check(shape, "src/x.rs", "//! A thing.\n", 0);
    check(shape, "src/x.rs", "use std::fmt;\n", 1);
    check(shape, "src/x.rs", &long, 1);

    check(prose::openings, "src/x.rs", "/// What is held.\nfn f() {}", 1);
    check(prose::openings, "src/x.rs", "//! The same again.\n//! Whatever.", 1);
    check(prose::openings, "src/x.rs", "/// A thing.\n/// What it holds.\n/// Whatever.", 0);
    check(prose::phrases, "src/x.rs", &format!("f(); // what was told{} it", " of"), 1);
    check(prose::phrases, "README.md", &format!("{}ever reads this", "Who"), 1);
    check(prose::phrases, "src/x.rs", "let whoever = told_of();", 0);

    let names = |file: &File| prose::repeated_names(std::slice::from_ref(file));
    check(names, "src/x.rs", "struct Entry; mod y { enum Entry {} }", 1);
    check(names, "src/x.rs", "struct Entry; #[cfg(test)] mod y { enum Entry {} }", 0);
    let unused: Check = |file| prose::unused(&["bytes".to_owned()], std::slice::from_ref(file));
    check(unused, "src/x.rs", "use hex::bytes; // bytes", 1);
    check(unused, "src/x.rs", "use bytes::Bytes;", 0);
    check(|file| prose::long_subjects(&file.text), "log", &format!("a: b\n{}", "x".repeat(73)), 1);

    check(foreign_places, "README.md", &format!("see {a}{b}notes"), 1);
    check(foreign_places, "README.md", "a network of workers", 0);
}
