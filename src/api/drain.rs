//! Reading the rest of a body that was refused before its end, so that the client gets the answer.
//!
//! A server that closes while its peer still sends makes the peer's kernel drop the answer (RFC
//! 9112, section 9.6): the client sees a broken pipe instead of 413 or 503. Input: a request, and
//! the future of its answer. Output: the same answer, once the body has been read.
//!
//! Invariants: nothing of the rest is kept; bytes and time are bounded, and past the bound the
//! connection closes. Deliberately absent: bodies that wait for `100 Continue`. When the request is
//! refused they are never sent.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;

use crate::api::AppState;

/// A body up to this size arrives with its head or fits into the socket buffers, so that a client
/// has sent all of it and reads the answer.
const SMALL_BYTES: u64 = 32 * 1024;

/// The rest of a body is read up to this many times the largest body that is accepted.
const BODIES_MAX: usize = 8;

/// A body that the handler and the drain share. They use it one after the other, in one task; the
/// mutex is there because a body must be `Sync`, and nobody ever waits for it.
#[derive(Clone)]
struct SharedBody(Arc<Mutex<PolledBody>>);

struct PolledBody {
    body: Body,
    /// Whether the handler asked for a byte of it.
    was_polled: bool,
}

impl HttpBody for SharedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut inner = self.0.lock();
        inner.was_polled = true;
        Pin::new(&mut inner.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().body.size_hint()
    }
}

/// Gets the answer of `answer`, then reads what it left of the body.
pub(super) async fn drained<F: Future<Output = Response>>(
    app: &AppState,
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    // Hot path: nearly every body is small, and needs no drain.
    if request.body().size_hint().upper().is_some_and(|bytes| bytes <= SMALL_BYTES) {
        return answer(request).await;
    }
    let waits = waits_for_continue(request.headers());
    let (parts, body) = request.into_parts();
    let shared = SharedBody(Arc::new(Mutex::new(PolledBody { body, was_polled: false })));
    let request = Request::from_parts(parts, Body::new(shared.clone()));
    let response = answer(request).await;
    // hyper sends `100 Continue` on the first poll. Without one the client has sent no body, and to
    // read here would ask for it.
    if waits && !shared.0.lock().was_polled {
        return response;
    }
    let (bytes_max, timeout) = {
        let web = &app.config.load().web;
        (web.body_bytes_max.saturating_mul(BODIES_MAX), web.body_timeout)
    };
    // After the timeout the answer is sent all the same, and hyper closes the connection.
    tokio::time::timeout(timeout, discard(shared, bytes_max)).await.ok();
    response
}

fn waits_for_continue(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Reads to the end of the body, to its first error, or past the bound.
async fn discard(mut body: SharedBody, bytes_max: usize) {
    let mut left = bytes_max;
    while !body.is_end_stream() {
        let Some(Ok(frame)) = body.frame().await else { return };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(bytes) else { return };
        left = rest;
    }
}
