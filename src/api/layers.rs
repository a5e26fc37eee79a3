//! What stands around every answer: a request id, a trace span, headers, and a net for panics.
//!
//! Invariants: a span holds the route, never the path as sent, its query, a header or a body; a
//! request id from outside is taken only if it is short and plain.

use std::any::Any;
use std::future::Future;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::{Instrument, Span};

use crate::api::AppState;
use crate::api::events::EVENTS_PATH;
use crate::api::leftover;
use crate::api::problem::{Code, Problem};
use crate::clock;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// No number of 64 bits has more.
const DIGITS_MAX: usize = 20;

/// Ids of requests: 64 random bits of this process, and a number.
#[derive(Debug)]
pub(super) struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids that start with these bits.
    #[must_use]
    pub(super) fn new(process: u64) -> Self {
        Self { process: format!("{process:016x}-"), next: AtomicU64::new(1) }
    }

    fn next(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = Vec::with_capacity(self.process.len() + DIGITS_MAX);
        id.extend_from_slice(self.process.as_bytes());
        write!(id, "{number}").ok();
        HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static("unknown"))
    }
}

/// The one layer around all routes: see [`around`].
///
/// One layer and not one for each purpose: a layer of axum boxes the service behind it for every
/// request, and five of them cost more than the rest of the way to the handler.
pub(super) async fn around_routes(
    State(app): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    around(app, route, request, |request| next.run(request)).await
}

/// What stands around every answer. It names the request and follows it with a span, sees to the
/// rest of its body, catches panics, and gives the answer its headers and its name.
///
/// Not an `async fn`, nor are those on the way of events: each would hold its request, and the future
/// of what it waits for, twice over, and the whole is copied for every request.
pub(super) fn around<F: Future<Output = Response>>(
    app: AppState,
    route: &str,
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> impl Future<Output = Response> {
    let sent = request.headers().get(&REQUEST_ID).filter(|id| is_plain(id)).cloned();
    let id = sent.unwrap_or_else(|| app.request_ids.next());
    let span = span(&id, request.method(), route);
    let started = clock::monotonic();
    async move {
        let answer = |request| {
            let answer = AssertUnwindSafe(answer(request)).catch_unwind();
            answer.map(|caught| caught.unwrap_or_else(|defect| panicked(&*defect)))
        };
        let mut response = leftover::take(&app, request, answer).await;
        log(&id, &response, clock::monotonic().saturating_duration_since(started));
        secure(response.headers_mut(), id);
        response
    }
    .instrument(span)
}

/// The span of a request. That of events stands below the usual level: hundreds of thousands come
/// in a second, nothing is logged on their way, and to write a span down costs as much as to fold
/// an event. What is logged of their answers names the request itself.
fn span(id: &HeaderValue, method: &Method, route: &str) -> Span {
    let id = id.to_str().unwrap_or_default();
    if route == EVENTS_PATH {
        return tracing::debug_span!("request", id, %method, route);
    }
    tracing::info_span!("request", id, %method, route)
}

/// Once for each answer: what went wrong by our fault, and the rest for those who look closely.
fn log(id: &HeaderValue, response: &Response, took: Duration) {
    let status = response.status();
    let code = response.extensions().get::<Code>().map(|code| code.as_str());
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if status.is_server_error() {
        let request = id.to_str().unwrap_or_default();
        tracing::warn!(request, status = status.as_u16(), code, took_ms, "refused");
    } else {
        tracing::debug!(status = status.as_u16(), code, took_ms, "answered");
    }
}

fn is_plain(id: &HeaderValue) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    (1..=128).contains(&id.len()) && id.as_bytes().iter().all(plain)
}

/// Headers of every answer that has none of its own: nothing is cached, framed, sniffed or run. With
/// places for the two that nearly every answer has.
static SECURE: LazyLock<HeaderMap> = LazyLock::new(|| {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::CONTENT_TYPE, ""),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (REQUEST_ID, ""),
    ];
    HeaderMap::from_iter(headers.map(|(name, value)| (name, HeaderValue::from_static(value))))
});

/// Gives an answer the headers of [`SECURE`], and its name. A copy of them takes those that the answer
/// has: to add five to one costs thrice as much as to add one to five, and the copy has no room for
/// another without growing, but for those that it has a place for.
fn secure(headers: &mut HeaderMap, id: HeaderValue) {
    let mut own = std::mem::replace(headers, SECURE.clone());
    match own.remove(header::CONTENT_TYPE) {
        Some(kind) => headers.insert(header::CONTENT_TYPE, kind),
        None => headers.remove(header::CONTENT_TYPE),
    };
    headers.insert(REQUEST_ID, id);
    if !own.is_empty() {
        headers.extend(own);
    }
}

/// The answer when a handler panicked: the defect is logged, and told without its message.
fn panicked(defect: &(dyn Any + Send)) -> Response {
    let message = defect
        .downcast_ref::<&str>()
        .map(|text| String::from(*text))
        .or_else(|| defect.downcast_ref::<String>().cloned());
    tracing::error!(message = message.unwrap_or_default(), "a handler panicked");
    Problem::new(Code::Internal, "a defect of the exporter; it is in its log").into_response()
}
