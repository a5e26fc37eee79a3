//! What stands around every answer: a request id, a trace span, headers, and a net for panics.
//!
//! Invariants: a span holds the route, never the path as sent, its query, a header or a body; a
//! request id from outside is taken only if it is short and plain.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use crate::api::AppState;
use crate::api::problem::{Code, Problem};
use crate::clock;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Ids of requests: 64 random bits of this process, and a number.
#[derive(Debug)]
pub(super) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids that start with these bits.
    #[must_use]
    pub(super) const fn new(process: u64) -> Self {
        Self { process, next: AtomicU64::new(1) }
    }

    fn next(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        HeaderValue::try_from(format!("{:016x}-{number}", self.process))
            .unwrap_or(HeaderValue::from_static("unknown"))
    }
}

/// The outermost layer: names the request, follows it with a span, and answers with its name.
pub(super) async fn trace(
    State(app): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let sent = request.headers().get(&REQUEST_ID).filter(|id| is_plain(id)).cloned();
    let id = sent.unwrap_or_else(|| app.request_ids.next());
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        route = route.unwrap_or("none"),
    );
    let started = clock::monotonic();
    async move {
        let mut response = next.run(request).await;
        log(&response, clock::monotonic().saturating_duration_since(started));
        response.headers_mut().insert(REQUEST_ID, id);
        response
    }
    .instrument(span)
    .await
}

/// Once for each answer: what went wrong by our fault, and the rest for those who look closely.
fn log(response: &Response, took: Duration) {
    let status = response.status();
    let code = response.extensions().get::<Code>().map(|code| code.as_str());
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if status.is_server_error() {
        tracing::warn!(status = status.as_u16(), code, took_ms, "refused");
    } else {
        tracing::debug!(status = status.as_u16(), code, took_ms, "answered");
    }
}

fn is_plain(id: &HeaderValue) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    (1..=128).contains(&id.len()) && id.as_bytes().iter().all(plain)
}

/// Headers of every answer that has none of its own: nothing is cached, framed, sniffed or run.
pub(super) async fn secure(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The answer when a handler panicked: the defect is logged, and told without its message.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub(super) fn panicked(defect: Box<dyn Any + Send + 'static>) -> Response {
    let message = defect
        .downcast_ref::<&str>()
        .map(|text| String::from(*text))
        .or_else(|| defect.downcast_ref::<String>().cloned());
    tracing::error!(message = message.unwrap_or_default(), "a handler panicked");
    Problem::new(Code::Internal, "a defect of the exporter; it is in its log").into_response()
}
