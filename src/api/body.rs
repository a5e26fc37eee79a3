//! Request bodies, read into memory within limits of type, encoding, size and time.
//!
//! Input: a request whose body is decompressed on the way. Output: the bytes. Invariants: the limit
//! counts the *decompressed* bytes as they arrive, so a decompression bomb is cut off and never
//! held in memory; the bytes of all bodies together are limited too. Deliberately absent: what the
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

use crate::adapters::ForeignForm;
use crate::api::AppState;
use crate::api::problem::{Problem, ProblemCode};

/// All bodies together may occupy this many times the largest body. The next one is answered
/// `overloaded`.
const BODIES_MAX: usize = 8;

/// The largest body of an operator's request.
const DECISION_BYTES_MAX: usize = 64 * 1024;

/// The largest notification of Alertmanager: room for a thousand alerts with long annotations.
pub(super) const NOTIFICATION_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The bytes that all bodies may occupy together: a semaphore with a permit for each byte.
#[derive(Clone, Debug)]
pub(super) struct BodyBudget(Arc<Semaphore>);

impl BodyBudget {
    /// A budget for bodies of at most `body_bytes_max` each.
    #[must_use]
    pub(super) fn new(body_bytes_max: usize) -> Self {
        let bytes = body_bytes_max.saturating_mul(BODIES_MAX).min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(bytes)))
    }

    /// # Errors
    /// `overloaded`.
    pub(super) fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let full = || Problem::new(ProblemCode::Overloaded, "too many bodies are being read");
        let bytes = u32::try_from(bytes).map_err(|_| full())?;
        Arc::clone(&self.0).try_acquire_many_owned(bytes).map_err(|_| full())
    }
}

/// A whole body, decompressed.
#[derive(Debug)]
pub(super) struct ReadBody<F = BodyFormat> {
    pub(super) bytes: Bytes,
    pub(super) format: F,
    /// The body's share of the budget. Drop it when everything that was decoded from the bytes is
    /// gone, not with the bytes.
    pub(super) share: Option<OwnedSemaphorePermit>,
}

/// The media type of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFormat {
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
) -> impl Future<Output = Result<ReadBody, Problem>> {
    let max = app.config.load().web.body_bytes_max;
    let format = format_of(request.headers(), &[BodyFormat::Json, BodyFormat::Ndjson]);
    read_charged(app, &app.budget, request, format, (max, 0))
}

/// Reads a body in the format of another system, whatever its media type.
///
/// # Errors
/// Those of [`read_events`] without `unsupported_media_type`.
pub(super) fn read_foreign(
    app: &AppState,
    request: Request,
) -> impl Future<Output = Result<ReadBody<ForeignForm>, Problem>> {
    let max = app.config.load().web.body_bytes_max;
    let is_form = essence(request.headers()).eq_ignore_ascii_case(FORM);
    let form = if is_form { ForeignForm::Fields } else { ForeignForm::Text };
    read_charged(app, &app.budget, request, Ok(form), (max, 0))
}

/// The media type of URL-encoded fields.
const FORM: &str = "application/x-www-form-urlencoded";

/// Reads the body of an operator's request. It is small and needs no share of the budget, so a halt
/// is accepted however many events are being read.
///
/// # Errors
/// Those of [`read_events`] without `overloaded`.
pub(super) async fn read_decision(app: &AppState, request: Request) -> Result<Bytes, Problem> {
    let max = app.config.load().web.body_bytes_max.min(DECISION_BYTES_MAX);
    let limits = (max, DECISION_BYTES_MAX);
    let format = format_of(request.headers(), &[BodyFormat::Json]);
    let body = read_charged(app, &app.decision_budget, request, format, limits).await?;
    Ok(body.bytes)
}

/// Reads a notification of Alertmanager. A small one needs no share of the budget, and a large one has
/// a budget apart from that of events.
///
/// # Errors
/// Those of [`read_events`], with `overloaded` only for more than [`DECISION_BYTES_MAX`].
pub(super) fn read_notification(
    app: &AppState,
    request: Request,
) -> impl Future<Output = Result<ReadBody, Problem>> {
    let max = app.config.load().web.body_bytes_max.min(NOTIFICATION_BYTES_MAX);
    let limits = (max, DECISION_BYTES_MAX);
    let format = format_of(request.headers(), &[BodyFormat::Json]);
    read_charged(app, &app.decision_budget, request, format, limits)
}

/// Reads a body of at most `max` bytes. The first `free` bytes are not charged to the budget.
fn read_charged<F>(
    app: &AppState,
    budget: &BodyBudget,
    request: Request,
    format: Result<F, Problem>,
    (max, mut free): (usize, usize),
) -> impl Future<Output = Result<ReadBody<F>, Problem>> {
    let body = request.into_body();
    let timeout = app.config.load().web.body_timeout;
    async move {
        // A body of a wrong type is refused before a byte of it is read.
        let format = format?;
        let mut share: Option<OwnedSemaphorePermit> = None;
        let body = collect(body, max, |added| {
            let charged = added.saturating_sub(free);
            free = free.saturating_sub(added);
            if charged == 0 {
                return Ok(());
            }
            let more = budget.take(charged)?;
            match &mut share {
                None => share = Some(more),
                Some(share) => share.merge(more),
            }
            Ok(())
        });
        let bytes = tokio::time::timeout(timeout, body).await.map_err(|_| too_slow())??;
        Ok(ReadBody { bytes, format, share })
    }
}

async fn collect(
    mut body: Body,
    max: usize,
    mut admit: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    // Hot path: most bodies arrive in one piece, which needs no copy.
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

/// The bytes without a byte order mark. Editors and shells of Windows put one before UTF-8.
fn without_mark(bytes: Bytes) -> Bytes {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if bytes.starts_with(MARK) { bytes.slice(MARK.len()..) } else { bytes }
}

/// The media type that `Content-Type` names, without parameters (`charset`).
fn essence(headers: &HeaderMap) -> &str {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    text.and_then(|t| t.split(';').next()).unwrap_or_default().trim()
}

/// The format that `Content-Type` names.
fn format_of(headers: &HeaderMap, allowed: &[BodyFormat]) -> Result<BodyFormat, Problem> {
    let essence = essence(headers);
    let name = |format: BodyFormat| match format {
        BodyFormat::Json => "application/json",
        BodyFormat::Ndjson => "application/x-ndjson",
    };
    let found = allowed.iter().copied().find(|format| essence.eq_ignore_ascii_case(name(*format)));
    found.ok_or_else(|| {
        let names: Vec<&str> = allowed.iter().map(|format| name(*format)).collect();
        let names = names.join(", ");
        let problem = Problem::new(
            ProblemCode::UnsupportedMediaType,
            format!("Content-Type must be {names}"),
        );
        // RFC 9110, section 15.5.16: name the accepted types.
        match HeaderValue::try_from(names) {
            Ok(value) => problem.with_header(header::ACCEPT, value),
            Err(_) => problem,
        }
    })
}

/// Checks a request before its body is decompressed: at most one known encoding, and a compressed
/// size within the limit on the decompressed body. A body that is larger compressed than
/// decompressed only wastes time.
///
/// # Errors
/// `unsupported_encoding`, `body_too_large`.
pub(super) fn bound_encoded(app: &AppState, mut request: Request) -> Result<Request, Problem> {
    let max = app.config.load().web.body_bytes_max;
    let headers = request.headers_mut();
    normalize_encoding(headers)?;
    // hyper reads exactly as many bytes as Content-Length says.
    match request.body().size_hint().exact() {
        Some(bytes) if bytes > max as u64 => Err(too_large(max)),
        Some(_) => Ok(request),
        None => Ok(request.map(|body| Body::new(Limited::new(body, max)))),
    }
}

/// Reduces `Content-Encoding` to `gzip`, `zstd` or nothing, in this spelling.
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

/// The problem of a body that could not be read: too large as sent, not decompressible, or cut off.
fn unreadable(error: &axum::Error, max: usize) -> Problem {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut undecodable = false;
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return too_large(max);
        }
        if error.is::<hyper::Error>() {
            return Problem::new(ProblemCode::IncompleteBody, "the body ended early")
                .with_header(header::CONNECTION, HeaderValue::from_static("close"));
        }
        undecodable |= error.is::<std::io::Error>();
        cause = error.source();
    }
    if undecodable {
        return Problem::new(ProblemCode::InvalidEncoding, "the body does not decompress");
    }
    Problem::new(ProblemCode::IncompleteBody, "the body cannot be read")
}

fn too_large(max: usize) -> Problem {
    Problem::new(ProblemCode::BodyTooLarge, format!("the body is larger than {max} bytes"))
}

fn too_slow() -> Problem {
    Problem::new(ProblemCode::BodyTimeout, "the body did not arrive in time")
        .with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

fn unknown_encoding() -> Problem {
    // RFC 9110, section 12.5.3: name the accepted encodings.
    Problem::new(ProblemCode::UnsupportedEncoding, "Content-Encoding must be one of gzip and zstd")
        .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"))
}
