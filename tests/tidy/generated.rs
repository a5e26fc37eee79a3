//! Sections of the documents that are generated from tables in the code.
//!
//! Input: the tables. Output: Markdown between two marks, rewritten if it is out of date. Invariant: if
//! the test passes, the documents agree with the code.

use serde_json::Value;
use trading_exporter::api::{self, ProblemCode, Route};
use trading_exporter::metrics::catalogue;
use trading_exporter::wire::contract::spec::{FieldSpec, Presence};
use trading_exporter::wire::event::{ENVELOPE, KINDS, KindSpec};

use crate::tree;

/// A section of a document.
pub(crate) struct Section {
    document: &'static str,
    /// The name in its marks.
    name: &'static str,
    text: fn() -> String,
}

/// All of them.
pub(crate) const SECTIONS: &[Section] = &[
    Section { document: "docs/metrics.md", name: "metrics", text: catalogue::markdown },
    Section { document: "docs/http-api.md", name: "envelope", text: envelope },
    Section { document: "docs/http-api.md", name: "events", text: events },
    Section { document: "docs/http-api.md", name: "paths", text: routes },
    Section { document: "docs/http-api.md", name: "codes", text: codes },
];

impl Section {
    /// Updates the section. Returns a failure if it was out of date.
    pub(crate) fn renew(&self) -> Option<String> {
        let Self { document, name, text } = self;
        let before = tree::read(document);
        let Some(after) = replaced(&before, name, &text()) else {
            return Some(format!("{document}: no marks of the section `{name}`"));
        };
        if before == after {
            return None;
        }
        tree::write(document, &after);
        Some(format!("{document}: the section `{name}` was out of date; written anew: commit it"))
    }
}

/// The document with the text between `<!-- NAME:begin -->` and `<!-- NAME:end -->` replaced.
fn replaced(markdown: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
    let (head, rest) = markdown.split_once(&begin)?;
    let (_, tail) = rest.split_once(&end)?;
    Some(format!("{head}{begin}{text}{end}{tail}"))
}

/// The fields of every event.
fn envelope() -> String {
    let rows =
        ENVELOPE.iter().map(|field| format!("| `{}` | {} |\n", field.field.name(), field.about));
    std::iter::once("| field | meaning |\n|---|---|\n".to_owned()).chain(rows).collect()
}

/// The event types with their own fields.
fn events() -> String {
    let row = |kind: &&KindSpec| {
        let own = kind.fields().filter(|f| !ENVELOPE.iter().any(|e| e.field == f.field));
        let names: Vec<String> = own.map(name).collect();
        format!("| `{}` | {} | {} |\n", kind.name, kind.about, names.join(", "))
    };
    let head = "| type | what it says | fields (* required) |\n|---|---|---|\n".to_owned();
    std::iter::once(head).chain(KINDS.iter().map(row)).collect()
}

/// Every path of the server; its summary and its parameters come from the OpenAPI document.
fn routes() -> String {
    let head = "| path | what it does | scope |\n|---|---|---|\n".to_owned();
    std::iter::once(head).chain(api::ROUTES.iter().map(route)).collect()
}

fn route(route: &Route) -> String {
    let method = route.method.as_str();
    let operation = &api::document()["paths"][&route.path][method.to_lowercase()];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let parameters: Vec<String> = list(&operation["parameters"])
        .iter()
        .filter(|parameter| parameter["in"] == "query")
        .filter_map(|parameter| Some(format!("{}=", parameter["name"].as_str()?)))
        .collect();
    let query = if parameters.is_empty() { "" } else { "?" };
    let summary = operation["summary"].as_str().unwrap_or_default();
    let scopes: Vec<String> =
        route.access.scopes().iter().map(|scope| format!("`{}`", scope.as_str())).collect();
    format!(
        "| `{method} {}{query}{}` | {summary} | {} |\n",
        route.path,
        parameters.join("&"),
        scopes.join(" or "),
    )
}

/// Every error code.
fn codes() -> String {
    let row = |code: &ProblemCode| {
        format!("| {} | `{}` | {} |\n", code.status().as_u16(), code.as_str(), code.title())
    };
    let head = "| status | code | meaning |\n|---|---|---|\n".to_owned();
    std::iter::once(head).chain(ProblemCode::ALL.iter().map(row)).collect()
}

fn name(field: &FieldSpec) -> String {
    let mark = if field.presence == Presence::Required { "*" } else { "" };
    format!("{}{mark}", field.field.name())
}

#[test]
fn a_section_is_replaced_between_its_marks() {
    let check = |text: &str, expect: Option<&str>| {
        assert_eq!(replaced(text, "x", "new\n").as_deref(), expect, "{text}");
    };
    check(
        "a\n<!-- x:begin -->\n<!-- x:end -->\nb",
        Some("a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb"),
    );
    check("<!-- x:begin -->\nold\n<!-- x:end -->", Some("<!-- x:begin -->\nnew\n<!-- x:end -->"));
    check("<!-- y:begin -->\n<!-- y:end -->", None);
    check("<!-- x:begin -->\n", None);
}
