//! Bodies of requests, whole and in memory: type, encoding, size and time are bounded here.
//!
//! Input: a request whose body the layers decompress. Output: the bytes. Invariants: the
//! limit counts the *decompressed* stream as it comes, so that a bomb is cut off and never held;
//! the bytes of all bodies under way together are bounded too. Deliberately absent: what the
//! bytes mean (see `crate::wire`).

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::AppState;
use crate::api::problem::{Code, Problem};

/// Bodies of this many times the size of the largest may be under way together; a further one is
/// answered `overloaded`.
const BODIES_MAX: usize = 8;

/// The body of an operator's request is at most this large.
const DECISION_BYTES_MAX: usize = 64 * 1024;

/// A notification of Alertmanager is at most this large: a thousand alerts with long annotations.
const NOTIFICATION_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The bytes that the bodies under way may take together.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Semaphore>);

impl Budget {
    /// A budget for bodies of at most `body_bytes_max`.
    #[must_use]
    pub fn new(body_bytes_max: usize) -> Self {
        let bytes = body_bytes_max.saturating_mul(BODIES_MAX).min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(bytes)))
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let full = || Problem::new(Code::Overloaded, "too many bodies are under way");
        let bytes = u32::try_from(bytes).map_err(|_| full())?;
        Arc::clone(&self.0).try_acquire_many_owned(bytes).map_err(|_| full())
    }
}

/// A body, and its share of the budget for as long as it is held.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Bytes,
    kind: Kind,
    share: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// The bytes, decompressed; what they are; and the share, to be dropped when nothing made of
    /// the bytes is held any more.
    #[must_use]
    pub(super) fn into_parts(self) -> (Bytes, Kind, Option<OwnedSemaphorePermit>) {
        (self.bytes, self.kind, self.share)
    }
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `application/json`
    Json,
    /// `application/x-ndjson`
    Ndjson,
}

/// Reads a body of events.
///
/// # Errors
/// `unsupported_media_type`, `body_too_large`, `body_timeout`, `incomplete_body`,
/// `invalid_encoding`, `overloaded`.
pub(super) fn read_events(
    app: &AppState,
    request: Request,
) -> impl Future<Output = Result<Held, Problem>> {
    let max = app.config.load().web.body_bytes_max;
    read_charged(app, request, &[Kind::Json, Kind::Ndjson], max, 0)
}

/// Reads the body of an operator's request: small, and taken whatever else is under way.
///
/// # Errors
/// The same as [`read_events`], but never `overloaded`.
pub(super) async fn read_decision(app: &AppState, request: Request) -> Result<Bytes, Problem> {
    kind(request.headers(), &[Kind::Json])?;
    let (max, timeout) = {
        let web = &app.config.load().web;
        (web.body_bytes_max.min(DECISION_BYTES_MAX), web.body_timeout)
    };
    let body = collect(request.into_body(), max, |_| Ok(()));
    tokio::time::timeout(timeout, body).await.map_err(|_| too_slow())?
}

/// Reads a notification of Alertmanager. A small one is taken whatever else is under way; what is
/// larger takes its share of the budget.
///
/// # Errors
/// The same as [`read_events`]; `overloaded` for a large one alone.
pub(super) fn read_notification(
    app: &AppState,
    request: Request,
) -> impl Future<Output = Result<Held, Problem>> {
    let max = app.config.load().web.body_bytes_max.min(NOTIFICATION_BYTES_MAX);
    read_charged(app, request, &[Kind::Json], max, DECISION_BYTES_MAX)
}

/// Reads a body of at most `max` bytes, whose bytes after the first `free` take their share of the
/// budget.
fn read_charged(
    app: &AppState,
    request: Request,
    allowed: &[Kind],
    max: usize,
    mut free: usize,
) -> impl Future<Output = Result<Held, Problem>> {
    let kind = kind(request.headers(), allowed);
    let body = request.into_body();
    let timeout = app.config.load().web.body_timeout;
    async move {
        let kind = kind?;
        let mut share: Option<OwnedSemaphorePermit> = None;
        let body = collect(body, max, |added| {
            let charged = added.saturating_sub(free);
            free = free.saturating_sub(added);
            let more = app.budget.take(charged)?;
            match &mut share {
                None => share = Some(more),
                Some(share) => share.merge(more),
            }
            Ok(())
        });
        let bytes = tokio::time::timeout(timeout, body).await.map_err(|_| too_slow())??;
        Ok(Held { bytes, kind, share })
    }
}

async fn collect(
    mut body: Body,
    max: usize,
    mut admit: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    // Most bodies come in one piece, and that need not be copied.
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unreadable(&error, max))?;
        let Ok(chunk) = frame.into_data() else { continue };
        let held = first.len().max(all.len());
        if chunk.len() > max - held {
            return Err(too_large(max));
        }
        admit(chunk.len())?;
        if held == 0 {
            first = chunk;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(without_mark(if all.is_empty() { first } else { all.freeze() }))
}

/// The bytes behind a byte order mark, which editors and shells of Windows write before UTF-8.
fn without_mark(bytes: Bytes) -> Bytes {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if bytes.starts_with(MARK) { bytes.slice(MARK.len()..) } else { bytes }
}

/// What `Content-Type` says; parameters do not matter.
fn kind(headers: &HeaderMap, allowed: &[Kind]) -> Result<Kind, Problem> {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = text.and_then(|t| t.split(';').next()).unwrap_or_default().trim();
    let name = |kind: Kind| match kind {
        Kind::Json => "application/json",
        Kind::Ndjson => "application/x-ndjson",
    };
    let found = allowed.iter().copied().find(|kind| essence.eq_ignore_ascii_case(name(*kind)));
    found.ok_or_else(|| {
        let names: Vec<&str> = allowed.iter().map(|kind| name(*kind)).collect();
        let names = names.join(", ");
        let problem =
            Problem::new(Code::UnsupportedMediaType, format!("Content-Type must be {names}"));
        // RFC 9110, section 15.5.16: what would have been accepted.
        match HeaderValue::try_from(names) {
            Ok(value) => problem.with_header(header::ACCEPT, value),
            Err(_) => problem,
        }
    })
}

/// What stands before decompression: one known encoding or none, and no more bytes as sent than a
/// body may have decompressed. What is longer before than after is made to waste time.
///
/// # Errors
/// `unsupported_encoding`, `body_too_large`.
pub(super) fn bound_encoded(app: &AppState, mut request: Request) -> Result<Request, Problem> {
    let max = app.config.load().web.body_bytes_max;
    let headers = request.headers_mut();
    normalize_encoding(headers)?;
    // A body with a length is exactly so long.
    match request.body().size_hint().exact() {
        Some(bytes) if bytes > max as u64 => Err(too_large(max)),
        Some(_) => Ok(request),
        None => Ok(request.map(|body| Body::new(Limited::new(body, max)))),
    }
}

/// Leaves at most one of `gzip` and `zstd`, spelt so.
fn normalize_encoding(headers: &mut HeaderMap) -> Result<(), Problem> {
    let values: Vec<_> = headers.get_all(header::CONTENT_ENCODING).iter().collect();
    let [value] = values.as_slice() else {
        return if values.is_empty() { Ok(()) } else { Err(unknown_encoding()) };
    };
    let text = value.as_bytes().trim_ascii().to_ascii_lowercase();
    let known = match text.as_slice() {
        b"gzip" | b"x-gzip" => Some(HeaderValue::from_static("gzip")),
        b"zstd" => Some(HeaderValue::from_static("zstd")),
        b"identity" => None,
        _ => return Err(unknown_encoding()),
    };
    headers.remove(header::CONTENT_ENCODING);
    if let Some(value) = known {
        headers.insert(header::CONTENT_ENCODING, value);
    }
    Ok(())
}

/// Why a body could not be read: too long as sent, not decompressible, or cut off.
fn unreadable(error: &axum::Error, max: usize) -> Problem {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut undecodable = false;
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return too_large(max);
        }
        if error.is::<hyper::Error>() {
            return Problem::new(Code::IncompleteBody, "the body ended early")
                .with_header(header::CONNECTION, HeaderValue::from_static("close"));
        }
        undecodable |= error.is::<std::io::Error>();
        cause = error.source();
    }
    if undecodable {
        return Problem::new(Code::InvalidEncoding, "the body does not decompress");
    }
    Problem::new(Code::IncompleteBody, "the body cannot be read")
}

fn too_large(max: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("the body is larger than {max} bytes"))
}

fn too_slow() -> Problem {
    Problem::new(Code::BodyTimeout, "the body did not come in time")
        .with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

fn unknown_encoding() -> Problem {
    // RFC 9110, section 12.5.3: what would have been accepted.
    Problem::new(Code::UnsupportedEncoding, "Content-Encoding must be one of gzip and zstd")
        .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"))
}
