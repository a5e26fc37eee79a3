//! The files of this repository, read as text.
//!
//! Input: the folder of the package. Output: files with their relative paths, sorted. Deliberately
//! absent: built and fetched files (hidden folders, `target`).

use std::fs;
use std::path::{Path, PathBuf};

/// One file.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path from the root, with `/`.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The folders of the repository.
const FOLDERS: &[&str] =
    &["src", "tests", "docs", "alerts", "grafana", "deploy", "clients", "benches", "fuzz", ".ci"];

/// The folder of the package.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file that must exist.
pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Writes a file that is generated.
pub(crate) fn write(name: &str, text: &str) {
    fs::write(root().join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// The files below a folder with an extension.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<File> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    let named = found.into_iter().filter(|p| p.extension().is_some_and(|e| e == extension));
    named.filter_map(|path| file(&path)).collect()
}

/// All text files: those of all folders, and those next to Cargo.toml.
pub(crate) fn texts() -> Vec<File> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        walk(&root().join(folder), &mut found);
    }
    found.extend(entries(root()).into_iter().filter(|path| path.is_file()));
    let ours = |path: &&PathBuf| !path.ends_with("Cargo.lock") && !path.ends_with(".git");
    found.iter().filter(ours).filter_map(|path| file(path)).collect()
}

/// The Markdown documents.
pub(crate) fn documents() -> Vec<File> {
    let markdown = |f: &File| Path::new(&f.name).extension().is_some_and(|e| e == "md");
    texts().into_iter().filter(markdown).collect()
}

/// Top-level modules of `src/`: files and folders, without `lib.rs`.
pub(crate) fn modules() -> Vec<String> {
    let names = entries(&root().join("src")).into_iter().filter_map(|path| {
        let stem = path.file_stem()?.to_str()?.to_owned();
        (stem != "lib").then_some(stem)
    });
    names.collect()
}

/// The crates in Cargo.toml, with their names in code.
pub(crate) fn dependencies() -> Vec<String> {
    let manifest = read("Cargo.toml");
    let mut section = "";
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.contains("dependencies")
            && let Some((name, _)) = line.split_once('=')
        {
            names.push(name.trim().replace('-', "_"));
        }
    }
    assert!(names.iter().any(|n| n == "rust_decimal"), "{names:?}");
    names
}

/// A file, if it is text.
fn file(path: &Path) -> Option<File> {
    let text = String::from_utf8(fs::read(path).ok()?).ok()?;
    let name = path.strip_prefix(root()).ok()?.to_str()?.to_owned();
    Some(File { name, text })
}

fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
    for path in entries(folder) {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let built = matches!(name, "target" | "node_modules" | "__pycache__" | "dist");
        if path.is_dir() && !built && !name.starts_with('.') {
            walk(&path, out);
        } else if path.is_file() {
            out.push(path);
        }
    }
}

/// The entries of a folder, sorted. Empty if it does not exist.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    found.sort();
    found
}
