//! The parts of a request's way that leave its body alone: request id, span, log line, headers.
//!
//! Invariants: a span holds the route, never the path as sent, its query, a header or a body; a
//! request id from outside is accepted only if it is short and plain. The order of the parts is in
//! [`service`](crate::api::service).

use std::io::Write;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use tower_http::request_id::{MakeRequestId, RequestId};
use tracing::Span;

use crate::api::AppState;
use crate::api::events::EVENTS_PATH;
use crate::api::problem::ProblemCode;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Decimal digits of the largest `u64`.
const DIGITS_MAX: usize = 20;

/// Makes request ids: 64 random bits of this process, and a number.
#[derive(Debug)]
pub(super) struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new(process: u64) -> Self {
        Self { process: format!("{process:016x}-"), next: AtomicU64::new(1) }
    }

    fn next(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = Vec::with_capacity(self.process.len() + DIGITS_MAX);
        id.extend_from_slice(self.process.as_bytes());
        let written = write!(id, "{number}");
        let Ok(value) = HeaderValue::from_bytes(&id) else {
            impossible!("hexadecimal, a dash and digits are a header value");
            return HeaderValue::from_static("unknown");
        };
        invariant!(written.is_ok(), "writing to memory cannot fail");
        value
    }
}

impl MakeRequestId for AppState {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        Some(RequestId::new(self.request_ids.next()))
    }
}

/// The id of a request: the client's if it is plain, or else a new one.
pub(super) fn request_id(app: &AppState, headers: &HeaderMap) -> HeaderValue {
    let sent = headers.get(&REQUEST_ID).filter(|id| is_plain(id)).cloned();
    sent.unwrap_or_else(|| app.request_ids.next())
}

/// Removes an id that is not plain, so that the request gets one of ours.
pub(super) fn remove_odd_request_id(mut request: Request) -> Request {
    if request.headers().get(&REQUEST_ID).is_some_and(|id| !is_plain(id)) {
        request.headers_mut().remove(&REQUEST_ID);
    }
    request
}

/// At most 128 characters, none of which means anything in a log or a header.
fn is_plain(id: &HeaderValue) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    (1..=128).contains(&id.len()) && id.as_bytes().iter().all(plain)
}

/// The span of a request. The span of an event request is at debug level: hundreds of thousands
/// arrive in a second, nothing is logged while they are handled, and recording a span costs as much
/// as folding an event. The log line of a failed event request names the request itself.
pub(super) fn span(id: Option<&HeaderValue>, method: &Method, route: &str) -> Span {
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    if route == EVENTS_PATH {
        return tracing::debug_span!("request", id, %method, route);
    }
    tracing::info_span!("request", id, %method, route)
}

/// Counts an answer if it is a refusal, and logs it, once: a failure of the exporter as a warning, any
/// other answer at debug level.
pub(super) fn log(app: &AppState, response: &Response, took: Duration) {
    let status = response.status();
    let code = response.extensions().get::<ProblemCode>().map(|code| code.as_str());
    if let Some(code) = code {
        app.runtime.connections.refused.with_label_values(&[code]).inc();
    }
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if status.is_server_error() {
        let request = response.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok());
        tracing::warn!(request, status = status.as_u16(), code, took_ms, "refused");
    } else {
        tracing::debug!(status = status.as_u16(), code, took_ms, "answered");
    }
}

/// Headers of every answer that does not set them itself: nothing is cached, framed, sniffed or
/// run. The two without a value reserve the slots for headers that nearly every answer has.
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

/// Adds the headers of [`SECURE`], and the request id if it is given.
///
/// Hot path: it starts from a clone of `SECURE` and moves the answer's own headers into it. An
/// answer has one or two of its own, and to insert those is cheaper than to insert five. The map
/// does not grow either, since `SECURE` has the slots.
pub(super) fn secure(headers: &mut HeaderMap, id: Option<HeaderValue>) {
    let mut own = std::mem::replace(headers, SECURE.clone());
    let mut fill = |name: HeaderName, value: Option<HeaderValue>| match value {
        Some(value) => headers.insert(name, value),
        None => headers.remove(name),
    };
    fill(header::CONTENT_TYPE, own.remove(header::CONTENT_TYPE));
    fill(REQUEST_ID, id);
    if !own.is_empty() {
        headers.extend(own);
    }
}
