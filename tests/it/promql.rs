//! Names in `PromQL`: metrics with the labels of their matchers, and labels of groupings.
//!
//! A scanner that is sufficient for rules and panels. Templates around a query are skipped.

/// A name that a query uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// A metric, and the labels of its matchers.
    Metric { name: String, labels: Vec<String> },
    /// A label in `by (...)`, `on (...)` and the like.
    Grouping(String),
}

const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

fn is_metric(word: &str) -> bool {
    word.contains(':')
        || ["trading_", "process_"].iter().any(|prefix| word.starts_with(prefix))
        || ["up", "ALERTS"].contains(&word)
}

/// All names, in order.
pub(crate) fn names(query: &str) -> Vec<Name> {
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '"') {
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix('"') {
            rest = after.split_once('"').map_or("", |(_, after)| after);
            continue;
        }
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        let inside = after.trim_start();
        if is_metric(word) && !word.ends_with(':') {
            let labels = inside.strip_prefix('{').map(matchers).unwrap_or_default();
            if inside.starts_with('{') {
                rest = inside.split_once('}').map_or("", |(_, after)| after);
            }
            found.push(Name::Metric { name: word.to_owned(), labels });
        } else if GROUPINGS.contains(&word)
            && let Some((list, after)) = inside.strip_prefix('(').and_then(|i| i.split_once(')'))
        {
            let labels = list.split(',').map(str::trim).filter(|label| !label.is_empty());
            found.extend(labels.map(|label| Name::Grouping(label.to_owned())));
            rest = after;
        }
    }
    found
}

/// The labels in `label="value",...}`.
fn matchers(inside: &str) -> Vec<String> {
    let mut labels = Vec::new();
    let mut label = String::new();
    let mut quoted = false;
    for c in inside.chars() {
        match c {
            '"' => quoted = !quoted,
            '}' if !quoted => break,
            ',' if !quoted => label.clear(),
            '=' | '!' if !quoted && !label.is_empty() => labels.push(std::mem::take(&mut label)),
            c if !quoted && (c.is_ascii_alphanumeric() || c == '_') => label.push(c),
            _ if !quoted => {}
            _ => {}
        }
        if quoted || c == '"' {
            label.clear();
        }
    }
    labels
}

#[test]
fn names_are_found() {
    let metric = |name: &str, labels: &[&str]| Name::Metric {
        name: name.to_owned(),
        labels: labels.iter().map(|l| (*l).to_owned()).collect(),
    };
    let grouping = |label: &str| Name::Grouping(label.to_owned());
    let check = |query: &str, expect: &[Name]| assert_eq!(names(query), expect, "{query}");
    check("trading_state == 2", &[metric("trading_state", &[])]);
    check(
        r#"max by (job, account) (last_over_time(trading_x{a="b,c=}",d!~"e|f"}[2m])) > 0"#,
        &[grouping("job"), grouping("account"), metric("trading_x", &["a", "d"])],
    );
    check(
        "a:trading_y:max >= on (job) group_left () up",
        &[metric("a:trading_y:max", &[]), grouping("job"), metric("up", &[])],
    );
    check(
        "Local {{ with query (printf `max(trading_z{q=%q})` $labels.x) }}",
        &[metric("trading_z", &["q"])],
    );
    check(r#"label_replace(x, "trading_no", "$1", "y", "(.*)")"#, &[]);
}
