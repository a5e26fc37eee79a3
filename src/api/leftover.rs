//! The rest of a body that was refused before its end: taken and thrown away, so that the answer
//! is read.
//!
//! A server that closes while its peer still sends makes the peer's kernel drop the answer (RFC
//! 9112, section 9.6), and the client sees a broken pipe instead of 413 or 503. Input: requests
//! whose body may not have come whole with the head. Output: the same answers, after the body.
//! Invariants: no byte of the rest is held; bytes and time are bounded, and past them the
//! connection closes. Deliberately absent: bodies that wait for `100 Continue`, which are not sent
//! when they are refused.

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

/// Bodies up to this size come with their head or lie in the buffers of the sockets.
const SMALL_BYTES: u64 = 32 * 1024;

/// The rest of a body is read up to this many times the size of the largest that is taken.
const BODIES_MAX: usize = 8;

/// A body that two hold: the handler, and who takes what the handler left.
#[derive(Clone)]
struct Shared(Arc<Mutex<Inner>>);

struct Inner {
    body: Body,
    /// Whether anybody asked for a byte of it.
    asked: bool,
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut inner = self.0.lock();
        inner.asked = true;
        Pin::new(&mut inner.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().body.size_hint()
    }
}

/// Lets `answer` answer, and takes what it left of the body.
pub(super) async fn take<F: Future<Output = Response>>(
    app: &AppState,
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    if request.body().size_hint().upper().is_some_and(|bytes| bytes <= SMALL_BYTES) {
        return answer(request).await;
    }
    let waits = waits_for_continue(request.headers());
    let (parts, body) = request.into_parts();
    let shared = Shared(Arc::new(Mutex::new(Inner { body, asked: false })));
    let request = Request::from_parts(parts, Body::new(shared.clone()));
    let response = answer(request).await;
    if waits && !shared.0.lock().asked {
        return response;
    }
    let (bytes_max, timeout) = {
        let web = &app.config.load().web;
        (web.body_bytes_max.saturating_mul(BODIES_MAX), web.body_timeout)
    };
    // If it takes too long the answer goes out all the same.
    tokio::time::timeout(timeout, discard(shared, bytes_max)).await.ok();
    response
}

fn waits_for_continue(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Reads to the end, or until the bound.
async fn discard(mut body: Shared, bytes_max: usize) {
    let mut left = bytes_max;
    while !body.is_end_stream() {
        let Some(Ok(frame)) = body.frame().await else { return };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(bytes) else { return };
        left = rest;
    }
}
