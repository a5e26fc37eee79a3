//! The OpenAPI 3.1 document: the published form of the contract, generated from the code.
//!
//! Input: the descriptions of the handlers, the list of routes, the tables of the wire format.
//! Output: one JSON value, assembled once. Invariant: the document has every route of the list with
//! its scopes and refusals, and no other path.

use std::sync::LazyLock;

use axum::http::{HeaderName, Method, StatusCode, header};
use bytes::Bytes;
use serde_json::{Map, Value as Json, json};
use utoipa::OpenApi;

use crate::api::auth::Access;
use crate::api::docs::{self, PublishedDocument};
use crate::api::problem::{PROBLEM_JSON, ProblemBody, ProblemCode};
use crate::api::routes::{Operations, ROUTES, Route};
use crate::domain::state::TradingState;
use crate::wire::{answer, schema};

/// The parts of the document that belong to no route.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "trading-exporter",
        description = "An independent witness beside any trading engine. Exact decimals are JSON \
            strings, statistics are JSON numbers, times are RFC 3339 in UTC; an unknown value is \
            null, never 0. Errors are RFC 9457 problems, and one code means one status. If no tokens \
            are configured, everybody who reaches the server may call every path.",
    ),
    tags(
        (name = "ingest", description = "Events in"),
        (name = "read", description = "The state"),
        (name = "operate", description = "Decisions of operators"),
        (name = "process", description = "The process itself, and pages for people"),
    ),
    components(schemas(ProblemBody, TradingState, answer::Directive)),
)]
struct Preamble;

static DOCUMENT: LazyLock<Json> = LazyLock::new(assemble);

/// The document. It is assembled once.
#[must_use]
pub fn document() -> &'static Json {
    &DOCUMENT
}

/// The document and its page, as the handlers send them.
pub(super) fn publish() -> PublishedDocument {
    PublishedDocument {
        document: to_bytes(&DOCUMENT),
        open_document: to_bytes(&without_security(&DOCUMENT)),
        page: docs::render(&DOCUMENT).into(),
    }
}

fn to_bytes(document: &Json) -> Bytes {
    let Ok(bytes) = serde_json::to_vec(document) else {
        impossible!("a JSON value always serializes");
        return Bytes::new();
    };
    bytes.into()
}

fn assemble() -> Json {
    let mut openapi = Preamble::openapi();
    openapi.merge(Operations::openapi());
    let Ok(mut document) = serde_json::to_value(openapi) else {
        impossible!("a derived document always serializes");
        return Json::Null;
    };
    if let Some(info) = object_at(&mut document, "/info") {
        info.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        info.remove("license");
        info.remove("contact");
    }
    if let Some(schemas) = object_at(&mut document, "/components/schemas") {
        schemas.extend(schema::schemas());
    }
    if let Some(components) = object_at(&mut document, "/components") {
        let bearer = json!({
            "type": "http",
            "scheme": "bearer",
            "description": "A token of the configuration. Required only if at least one is configured.",
        });
        let basic = json!({
            "type": "http",
            "scheme": "basic",
            "description": "A token as the password, with any user name; or a user of the web \
                configuration file, who may only scrape and read.",
        });
        let query = json!({
            "type": "apiKey",
            "in": "query",
            "name": "token",
            "description": "A token in the query, for systems that can configure only a URL. It is \
                never logged here; proxies on the way may log it.",
        });
        let schemes = json!({ "bearer": bearer, "basic": basic, "query": query });
        components.insert("securitySchemes".into(), schemes);
    }
    for route in ROUTES.iter() {
        if let Some(operation) = object_at(&mut document, &pointer_to(route)) {
            complete(operation, route);
        }
    }
    document
}

/// The document of a server without tokens: no path needs one.
fn without_security(document: &Json) -> Json {
    let mut document = document.clone();
    for route in ROUTES.iter() {
        if let Some(operation) = object_at(&mut document, &pointer_to(route)) {
            operation.insert("security".into(), json!([]));
        }
    }
    document
}

/// The JSON pointer of a route's operation.
fn pointer_to(route: &Route) -> String {
    let method = route.method.as_str().to_ascii_lowercase();
    format!("/paths/{}/{method}", route.path.replace('~', "~0").replace('/', "~1"))
}

fn object_at<'a>(document: &'a mut Json, pointer: &str) -> Option<&'a mut Map<String, Json>> {
    document.pointer_mut(pointer).and_then(Json::as_object_mut)
}

/// Adds everything that follows from the route: scopes, the body, and the refusals that any handler
/// with this access and body can give.
fn complete(operation: &mut Map<String, Json>, route: &Route) {
    operation.insert("security".into(), security(route.access));
    let parameters = operation.get_mut("parameters").and_then(Json::as_array_mut);
    let mut names_account = false;
    for parameter in parameters.into_iter().flatten() {
        let name = parameter.get("name").and_then(Json::as_str);
        names_account |= name == Some("account");
        let is_name = name.is_some_and(is_name);
        let is_required = parameter.get("required").and_then(Json::as_bool) == Some(true);
        if let Some(schema) = object_at(parameter, "/schema").filter(|_| is_name) {
            schema.insert("pattern".into(), schema::NAME.into());
            schema.insert("minLength".into(), usize::from(is_required).into());
        }
    }
    let body = match route.path.as_str() {
        "/api/v1/events" => Some(schema::EVENTS),
        "/api/v1/halts" => Some(schema::HALT_REQUEST),
        "/api/v1/halts/release" => Some(schema::RELEASE_REQUEST),
        "/api/v1/drift/reconcile" => Some(schema::RECONCILE_REQUEST),
        "/api/v1/alertmanager" => Some(schema::NOTIFICATION),
        _ => None,
    };
    if let Some(name) = body
        && let Some(request) = operation.get_mut("requestBody").and_then(Json::as_object_mut)
    {
        request.insert("required".into(), true.into());
        if let Some(json) = request.get_mut("content").and_then(|c| c.get_mut("application/json")) {
            *json = json!({ "schema": schema::reference(name) });
        }
    }
    let Some(responses) = operation.get_mut("responses").and_then(Json::as_object_mut) else {
        impossible!("every operation describes an answer");
        return;
    };
    // Every read of an account that nobody knows is refused.
    let unknown = names_account.then_some(StatusCode::NOT_FOUND);
    for status in refusals(route, body.is_some()).into_iter().chain(unknown) {
        // A refusal that the handler describes itself is more precise.
        responses.entry(status.as_str()).or_insert_with(|| refusal(status));
    }
}

/// The alternatives, one of which is enough.
fn security(access: Access) -> Json {
    let mut ways: Vec<Json> = match access {
        Access::Public | Access::Probe => return json!([]),
        Access::Page => vec![json!({ "bearer": [] })],
        Access::AnyOf(scopes) | Access::Webhook(scopes) | Access::Unconfined(scopes) => {
            scopes.iter().map(|scope| json!({ "bearer": [scope.as_str()] })).collect()
        }
    };
    if access.takes_basic() {
        ways.push(json!({ "basic": [] }));
    }
    if matches!(access, Access::Webhook(_)) {
        ways.push(json!({ "query": [] }));
    }
    ways.into()
}

/// Whether a parameter of that name is an identifier.
fn is_name(parameter: &str) -> bool {
    ["account", "symbol", "strategy", "component", "order_id", "session", "actor"]
        .contains(&parameter)
}

/// The statuses of the refusals that any handler with this access and body can give.
fn refusals(route: &Route, has_body: bool) -> Vec<StatusCode> {
    let mut statuses = Vec::new();
    let is_page = matches!(route.access, Access::Public | Access::Page | Access::Probe);
    let api = route.path.starts_with("/api/v1/") && !is_page;
    if api {
        statuses.push(StatusCode::BAD_REQUEST);
    }
    // Public paths check a token that is sent, too.
    statuses.push(StatusCode::UNAUTHORIZED);
    if !is_page {
        statuses.push(StatusCode::FORBIDDEN);
    }
    if route.method == Method::POST {
        statuses.extend([StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE]);
    }
    if has_body {
        statuses.push(StatusCode::REQUEST_TIMEOUT);
    }
    let submits = !matches!(route.method, Method::GET) && api;
    if submits {
        statuses.push(StatusCode::UNPROCESSABLE_ENTITY);
    }
    if submits || matches!(route.path.as_str(), "/-/ready" | "/api/v1/permit" | "/api/v1/stream") {
        statuses.push(StatusCode::SERVICE_UNAVAILABLE);
    }
    statuses
}

fn refusal(status: StatusCode) -> Json {
    let codes: Vec<String> = ProblemCode::ALL
        .iter()
        .filter(|code| code.status() == status)
        .map(|code| format!("`{}`", code.as_str()))
        .collect();
    let mut response = json!({
        "description": format!("One of {}", codes.join(", ")),
        "content": { PROBLEM_JSON: { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    let text = |what: &str| json!({ "description": what, "schema": { "type": "string" } });
    let header: Option<(HeaderName, Json)> = match status {
        StatusCode::UNAUTHORIZED => {
            Some((header::WWW_AUTHENTICATE, text("The challenge of RFC 6750.")))
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            Some((header::RETRY_AFTER, text("Seconds to wait before the next attempt.")))
        }
        _ => None,
    };
    if let (Some((name, value)), Some(response)) = (header, response.as_object_mut()) {
        response.insert("headers".into(), json!({ name.as_str(): value }));
    }
    response
}
