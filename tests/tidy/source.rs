//! Rust source as tokens: enough of a lexer to find paths, without a compiler.
//!
//! Input: the text of a file. Output: identifiers and punctuation with their lines, without comments and
//! the content of literals; the paths that they form, with `use` groups expanded. Deliberately absent:
//! macro expansion, types, and everything that needs name resolution.

/// One token: an identifier, `::`, or a single character of punctuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A path (with `use` groups expanded): its segments and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// Inline modules around it, outermost first.
    pub(crate) inside: Vec<String>,
    /// Whether it is in a `#[cfg(test)]` module.
    pub(crate) in_tests: bool,
}

/// Whether the character can be part of an identifier.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The tokens of a file. A string or character literal becomes one token `"`.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut at, mut line, mut out) = (0, 1, Vec::new());
    while at < chars.len() {
        let rest = &chars[at..];
        let (length, token) = next(rest);
        if let Some(text) = token {
            out.push(Token { text, line });
        }
        line += rest[..length].iter().filter(|c| **c == '\n').count();
        at += length;
    }
    out
}

/// Length of the next lexical element of `rest`, and its token, if it has one.
fn next(rest: &[char]) -> (usize, Option<String>) {
    let starts = |text: &str| rest.iter().copied().take(text.len()).eq(text.chars());
    let c = rest[0];
    if c.is_whitespace() {
        (1, None)
    } else if starts("//") {
        (rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()), None)
    } else if starts("/*") {
        (block_comment(rest), None)
    } else if let Some(length) = raw_string(rest) {
        (length, Some("\"".into()))
    } else if c == '"' || starts("b\"") || starts("c\"") {
        let head = if c == '"' { 1 } else { 2 };
        (quoted(rest, head, '"'), Some("\"".into()))
    } else if starts("b'") {
        (quoted(rest, 2, '\''), Some("\"".into()))
    } else if c == '\'' {
        quote(rest)
    } else if starts("r#") && rest.get(2).is_some_and(|c| is_word(*c)) {
        let end = rest[2..].iter().position(|c| !is_word(*c)).map_or(rest.len(), |n| n + 2);
        // The underscore avoids the keyword.
        (end, Some(rest[2..end].iter().chain(&['_']).collect()))
    } else if is_word(c) {
        let end = rest.iter().position(|c| !is_word(*c)).unwrap_or(rest.len());
        (end, Some(rest[..end].iter().collect()))
    } else if starts("::") {
        (2, Some("::".into()))
    } else {
        (1, Some(c.to_string()))
    }
}

/// Length of a block comment; they nest.
fn block_comment(rest: &[char]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        match (rest[at], rest.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

/// Length of a raw string (`r"…"`, `r#"…"#`, `br"…"`) at the head, if there is one.
fn raw_string(rest: &[char]) -> Option<usize> {
    let head = usize::from(matches!(rest[0], 'b' | 'c'));
    (rest.get(head) == Some(&'r')).then_some(())?;
    let hashes = rest[head + 1..].iter().take_while(|c| **c == '#').count();
    let open = head + 1 + hashes;
    (rest.get(open) == Some(&'"')).then_some(())?;
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = rest[open + 1..].windows(close.len()).position(|w| w == close);
    Some(body.map_or(rest.len(), |n| open + 1 + n + close.len()))
}

/// Length of a literal that ends with `end`, escapes skipped; its body starts at `from`.
fn quoted(rest: &[char], from: usize, end: char) -> usize {
    let mut at = from;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            c if c == end => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A character literal, or the quote of a lifetime.
fn quote(rest: &[char]) -> (usize, Option<String>) {
    match (rest.get(1), rest.get(2)) {
        (Some('\\'), _) | (_, Some('\'')) => (quoted(rest, 1, '\''), Some("\"".into())),
        _ => (1, Some("'".into())),
    }
}

/// An open brace around a token.
struct Scope {
    /// The name, if the brace belongs to `mod name {`.
    module: Option<String>,
    test: bool,
}

/// The paths of a file. Plain identifiers count as paths of one segment only inside `use`.
pub(crate) fn paths(tokens: &[Token]) -> Vec<Path> {
    let mut out = Vec::new();
    let mut scopes: Vec<Scope> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let inside: Vec<String> = scopes.iter().filter_map(|s| s.module.clone()).collect();
        let in_tests = scopes.iter().any(|s| s.test);
        let mut push = |(segments, line): (Vec<String>, usize)| {
            out.push(Path { segments, line, inside: inside.clone(), in_tests });
        };
        match text(tokens, at) {
            "{" => scopes.push(scope(tokens, at)),
            "}" => drop(scopes.pop()),
            "use" => {
                let end = until(tokens, at, ";");
                use_tree(&tokens[at + 1..end], &[], &mut push);
                at = end;
            }
            word if word.chars().all(is_word) && text(tokens, at.wrapping_sub(1)) != "::" => {
                let segments = spelled(tokens, at);
                if segments.len() > 1 {
                    push((segments, tokens[at].line));
                }
            }
            _ => {}
        }
        at += 1;
    }
    out
}

/// The lines of `#[cfg(test)]` modules.
pub(crate) fn test_lines(tokens: &[Token]) -> Vec<std::ops::RangeInclusive<usize>> {
    let opens = (0..tokens.len()).filter(|at| text(tokens, *at) == "{" && scope(tokens, *at).test);
    let range = |at: usize| {
        let last = tokens.get(closing(tokens, at)).or(tokens.last());
        tokens[at].line..=last.map_or(usize::MAX, |t| t.line)
    };
    opens.map(range).collect()
}

fn text(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |t| &t.text)
}

fn until(tokens: &[Token], from: usize, end: &str) -> usize {
    (from..tokens.len()).find(|at| text(tokens, *at) == end).unwrap_or(tokens.len())
}

/// `a::b::c` from `at` on, generic arguments not followed.
fn spelled(tokens: &[Token], at: usize) -> Vec<String> {
    let mut segments = vec![text(tokens, at).to_owned()];
    let mut at = at + 1;
    while text(tokens, at) == "::" && text(tokens, at + 1).chars().all(is_word) {
        segments.push(text(tokens, at + 1).to_owned());
        at += 2;
    }
    segments
}

/// The scope that the brace at `at` opens: looks back for `mod name` and for `#[cfg(test)]` before it.
fn scope(tokens: &[Token], at: usize) -> Scope {
    let is_module = at >= 2 && text(tokens, at - 2) == "mod";
    if !is_module {
        return Scope { module: None, test: false };
    }
    let head: Vec<&str> = (at.saturating_sub(16)..at).map(|n| text(tokens, n)).collect();
    let cfg = ["#", "[", "cfg", "(", "test", ")", "]"];
    let from = head.iter().rposition(|t| matches!(*t, ";" | "}" | "{")).map_or(0, |n| n + 1);
    let test = head[from..].windows(cfg.len()).any(|w| w == cfg);
    Scope { module: Some(text(tokens, at - 1).to_owned()), test }
}

/// Expands a `use` tree: `a::{b, c::{d, e}}` is `a::b`, `a::c::d`, `a::c::e`.
fn use_tree(tokens: &[Token], prefix: &[String], push: &mut impl FnMut((Vec<String>, usize))) {
    let mut at = 0;
    let mut segments = prefix.to_vec();
    while at < tokens.len() {
        match text(tokens, at) {
            "{" => {
                let end = closing(tokens, at);
                for item in items(&tokens[at + 1..end]) {
                    use_tree(item, &segments, push);
                }
                return;
            }
            "as" => break,
            "::" => {}
            word => segments.push(word.to_owned()),
        }
        at += 1;
    }
    if let Some(first) = tokens.first() {
        push((segments, first.line));
    }
}

/// The brace that closes the one at `open`.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for at in open..tokens.len() {
        match text(tokens, at) {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

/// The items of a group, split at its own commas.
fn items(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut depth, mut from, mut out) = (0, 0, Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 0 => {
                out.push(&tokens[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    out.push(&tokens[from..]);
    out
}

#[test]
fn use_groups_and_inline_paths_are_found_and_comments_are_not() {
    let check = |source: &str, expect: &[&str]| {
        let found: Vec<String> =
            paths(&tokens(source)).iter().map(|p| p.segments.join("::")).collect();
        assert_eq!(found, expect, "{source}");
    };
    check("use crate::a::b;", &["crate::a::b"]);
    check(
        "pub use crate::a::{self, b as c, d::{e, f::*},};",
        &["crate::a::self", "crate::a::b", "crate::a::d::e", "crate::a::d::f::*"],
    );
    check("use {std::io, crate::x};", &["std::io", "crate::x"]);
    check("let x = crate::a::B::<u8>::new(c::d());", &["crate::a::B", "c::d"]);
    check("impl<'a> Foo<'a> for x::Y {} // crate::no\n/* a /* crate::b */ c::d */", &["x::Y"]);
    check(r##"f("crate::a", 'a', '\'', b'"', "\"x::y", r#"" crate::z"#, 'x: loop {})"##, &[]);
    check("fn r#use() { r#mod::x() }", &["mod_::x"]);
    check("x.y::<u8>(1..a::b)", &["a::b"]);
}

#[test]
fn modules_around_a_path_are_known() {
    let source =
        "mod a { fn f() { b::c() } }\n#[cfg(test)]\nmod tests {\n use super::*;\n}\nd::e();";
    let found: Vec<_> = paths(&tokens(source))
        .into_iter()
        .map(|p| (p.segments.join("::"), p.line, p.inside.join("/"), p.in_tests))
        .collect();
    assert_eq!(
        found,
        [
            ("b::c".into(), 1, "a".into(), false),
            ("super::*".into(), 4, "tests".into(), true),
            ("d::e".into(), 6, String::new(), false),
        ]
    );
}
