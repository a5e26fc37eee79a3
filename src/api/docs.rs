//! The OpenAPI document and its page, which shows the document as plain HTML without a script.
//!
//! Input: the document. Output: a page with every path, parameter, answer and schema, linked.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value as Json;

use crate::api::AppState;
use crate::api::html::{Escaped, FOOT, PAGE_HEADERS, head};
use crate::api::problem::ProblemCode;

/// The OpenAPI document and its page, rendered once; requests share the bytes.
pub(super) struct PublishedDocument {
    /// The document of a server with tokens.
    pub(super) document: Bytes,
    /// The document of a server without tokens: no path needs one.
    pub(super) open_document: Bytes,
    pub(super) page: Bytes,
}

/// The OpenAPI 3.1 document
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "process",
    responses((status = 200, description = "This document", body = Object, content_type = "application/json")),
)]
pub(super) async fn get_document(State(app): State<AppState>) -> Response {
    let json = HeaderValue::from_static("application/json");
    let config = app.config.load();
    let PublishedDocument { document, open_document, .. } = &*app.published;
    let document = if config.is_open() { open_document } else { document };
    let base = config.web.external_url.as_deref().unwrap_or(&config.web.route_prefix);
    let document = with_server(document, base.trim_end_matches('/'));
    ([(header::CONTENT_TYPE, json)], document).into_response()
}

/// The document with the URL below which its paths are; empty: the root, which needs no mention.
fn with_server(document: &Bytes, url: &str) -> Bytes {
    let Some(rest) = document.strip_prefix(b"{").filter(|_| !url.is_empty()) else {
        return document.clone();
    };
    let servers = serde_json::json!([{ "url": url }]);
    [format!("{{\"servers\":{servers},").as_bytes(), rest].concat().into()
}

/// The OpenAPI document as a page
#[utoipa::path(
    get, path = "/api/v1/docs", tag = "process",
    responses((status = 200, description = "A page", body = String, content_type = "text/html; charset=utf-8")),
)]
pub(super) async fn get_docs(State(app): State<AppState>) -> Response {
    (PAGE_HEADERS, app.published.page.clone()).into_response()
}

/// Renders the document.
pub(super) fn render(document: &Json) -> String {
    let mut page = head("trading-exporter API");
    let info = document.get("info");
    // Writing to a string cannot fail.
    write!(
        page,
        "<h1>trading-exporter API</h1>\n<p class=\"dim\">Version {}</p>\n<p>{}</p>\n\
         <nav><a href=\"../../\">Status</a><a href=\"openapi.json\">OpenAPI 3.1 document</a>\
         <a href=\"#schemas\">Schemas</a><a href=\"#problems\">Problems</a></nav>\n",
        Escaped(text(info, "version")),
        Escaped(text(info, "description")),
    )
    .ok();
    for tag in list(document.get("tags")) {
        let name = text(Some(tag), "name");
        let title = text(Some(tag), "description");
        writeln!(page, "<h2>{}</h2>", Escaped(title)).ok();
        for (path, method, operation) in operations(document) {
            if list(operation.get("tags")).any(|t| t.as_str() == Some(name)) {
                push_operation(&mut page, path, method, operation);
            }
        }
    }
    page.push_str("<h2 id=\"schemas\">Schemas</h2>\n");
    let schemas = document.pointer("/components/schemas").and_then(Json::as_object);
    for (name, schema) in schemas.into_iter().flatten() {
        push_schema(&mut page, name, schema);
    }
    push_problems(&mut page);
    page.push_str(FOOT);
    page
}

fn operations(document: &Json) -> impl Iterator<Item = (&str, &str, &Json)> {
    let paths = document.get("paths").and_then(Json::as_object);
    paths.into_iter().flatten().flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

fn push_operation(page: &mut String, path: &str, method: &str, operation: &Json) {
    let scopes: Vec<&str> = list(operation.get("security"))
        .flat_map(|alternative| list(alternative.get("bearer")))
        .filter_map(Json::as_str)
        .collect();
    let scopes = match scopes.as_slice() {
        [] => String::from("needs no token"),
        scopes => format!("scope {}", scopes.join(" or ")),
    };
    write!(
        page,
        "<section class=\"card\">\n<h3><code>{} {}</code></h3>\n\
         <p><strong>{}</strong> <span class=\"dim\">{scopes}</span></p>\n<p>{}</p>\n",
        method.to_ascii_uppercase(),
        Escaped(path),
        Escaped(text(Some(operation), "summary")),
        CodeMarkup(text(Some(operation), "description")),
    )
    .ok();
    let mut parameters = list(operation.get("parameters")).peekable();
    if parameters.peek().is_some() {
        page.push_str("<table>\n<tr><th>Parameter</th><th>Type</th><th></th></tr>\n");
        for parameter in parameters {
            let required = parameter.get("required") == Some(&Json::Bool(true));
            let name = text(Some(parameter), "name");
            let about = text(Some(parameter), "description");
            push_row(page, name, required, &kind(parameter.get("schema")), about);
        }
        page.push_str("</table>\n");
    }
    page.push_str("<table>\n<tr><th>Body, answers</th><th>Type</th><th></th></tr>\n");
    if let Some(body) = operation.get("requestBody") {
        push_row(page, "body", false, &content(body), text(Some(body), "description"));
    }
    let responses = operation.get("responses").and_then(Json::as_object);
    for (status, response) in responses.into_iter().flatten() {
        push_row(page, status, false, &content(response), text(Some(response), "description"));
    }
    page.push_str("</table>\n</section>\n");
}

/// `kind` is already HTML; the rest is text.
fn push_row(page: &mut String, name: &str, required: bool, kind: &str, about: &str) {
    let star = if required { " *" } else { "" };
    writeln!(
        page,
        "<tr><td><code>{}</code>{star}</td><td class=\"dim\">{kind}</td><td>{}</td></tr>",
        Escaped(name),
        CodeMarkup(about),
    )
    .ok();
}

fn push_schema(page: &mut String, name: &str, schema: &Json) {
    write!(
        page,
        "<section class=\"card\" id=\"schema-{0}\">\n<h3>{0}</h3>\n<p>{1}</p>\n",
        Escaped(name),
        CodeMarkup(text(Some(schema), "description")),
    )
    .ok();
    match schema.get("properties").and_then(Json::as_object) {
        None => {
            writeln!(page, "<p class=\"dim\">{}</p>", kind(Some(schema))).ok();
        }
        Some(properties) => {
            page.push_str("<table>\n<tr><th>Field</th><th>Type</th><th></th></tr>\n");
            for (field, value) in properties {
                let mut required = list(schema.get("required"));
                let required = required.any(|name| name.as_str() == Some(field));
                let about = text(Some(value), "description");
                push_row(page, field, required, &kind(Some(value)), about);
            }
            page.push_str("</table>\n");
        }
    }
    page.push_str("</section>\n");
}

fn push_problems(page: &mut String) {
    page.push_str(
        "<h2 id=\"problems\">Problems</h2>\n<div class=\"card\">\n<table>\n\
         <tr><th>Code</th><th>Status</th><th></th></tr>\n",
    );
    for code in ProblemCode::ALL {
        push_row(page, code.as_str(), false, code.status().as_str(), code.title());
    }
    page.push_str("</table>\n</div>\n");
}

/// The media types of a body, each with its schema, as HTML.
fn content(body: &Json) -> String {
    let media = body.get("content").and_then(Json::as_object);
    let types = media.into_iter().flatten().map(|(name, media)| {
        format!("{} <code>{}</code>", kind(media.get("schema")), Escaped(name))
    });
    types.collect::<Vec<String>>().join("<br>")
}

/// The type of a schema, in a few words of HTML.
fn kind(schema: Option<&Json>) -> String {
    let Some(schema) = schema else { return String::new() };
    if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
        let name = Escaped(reference.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    for union in ["oneOf", "anyOf"] {
        if schema.get(union).is_some() && schema.get("properties").is_none() {
            let kinds = list(schema.get(union)).map(|part| kind(Some(part)));
            return kinds.collect::<Vec<String>>().join(" or ");
        }
    }
    if let Some(constant) = schema.get("const").and_then(Json::as_str) {
        return format!("<code>{}</code>", Escaped(constant));
    }
    let words: Vec<&str> = list(schema.get("enum")).filter_map(Json::as_str).collect();
    if !words.is_empty() {
        return words.iter().map(|w| Escaped(w).to_string()).collect::<Vec<String>>().join(", ");
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        several => list(several).filter_map(Json::as_str).collect(),
    };
    let types = Escaped(&types.join(" or ")).to_string();
    match (schema.get("items"), schema.get("additionalProperties"), schema.get("format")) {
        (Some(items), _, _) => format!("array of {}", kind(Some(items))),
        (None, Some(values @ Json::Object(_)), _) => format!("{types} of {}", kind(Some(values))),
        (None, _, Some(Json::String(format))) => format!("{types} ({})", Escaped(format)),
        (None, _, _) => types,
    }
}

/// Text in which backquotes mark code, as in the descriptions.
struct CodeMarkup<'a>(&'a str);

impl std::fmt::Display for CodeMarkup<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, part) in self.0.split('`').enumerate() {
            if at % 2 == 1 {
                write!(f, "<code>{}</code>", Escaped(part))?;
            } else {
                write!(f, "{}", Escaped(part))?;
            }
        }
        Ok(())
    }
}

fn text<'a>(json: Option<&'a Json>, name: &str) -> &'a str {
    json.and_then(|json| json.get(name)).and_then(Json::as_str).unwrap_or_default()
}

fn list(json: Option<&Json>) -> impl Iterator<Item = &Json> {
    json.and_then(Json::as_array).into_iter().flatten()
}
