//! `GET /metrics`: the scrape of Prometheus.
//!
//! The state is copied, encoded and sent in steps, and other tasks run between two steps. [`ScrapeSnapshot`]
//! explains how the result still shows one moment. A token that is confined to accounts gets only
//! the series of those accounts. It gets none about the exporter itself, whose values depend on
//! accounts that the token may not see, so that neither content nor length of the answer reveals
//! anything about them.
//!
//! # Design
//!
//! An engine that posts an event must not notice a scrape, however many series there are. On a
//! machine with one core three things could delay it, and each has its step size in `engine::fairness`, which describes who yields to whom. A long copy
//! would hold the read lock: rows are copied a few at a time. A long computation would keep the
//! other tasks of this thread waiting: [`ScrapeTurns`] runs after each step. The kernel would let
//! this busy thread run on while the writer's thread waits for the core: if a request waits for the
//! writer, the thread yields its core as well.
//!
//! The number of scrapes under way, and the bytes of their answers, are bounded: see [`scrapes`](crate::api::scrapes).
//!
//! The answer is compressed here and not by a layer: it is compressed while it is encoded, so that
//! the plain text is never held as a whole, and in steps.

use std::collections::BTreeMap;
use std::io::Write;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use parking_lot::Mutex;

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::origin::{BulkAnswer, Client, Origin};
use crate::api::problem::{Problem, ProblemCode};
use crate::api::scrapes::{GaveWay, ScrapePlace};
use crate::clock;
use crate::domain::ids::Account;
use crate::engine::fairness::{
    SCRAPE_PASSES_MAX, SCRAPE_ROWS_LEFT_MAX, SCRAPE_STEP_BYTES, SCRAPE_YIELDS_MAX, ScrapeShare,
};
use crate::metrics::{Exposition, Format, ScrapeSnapshot, SeriesBudget, accepts_coding};

/// The metrics, for Prometheus
///
/// Text 0.0.4 or OpenMetrics 1.0, by `Accept`; gzip by `Accept-Encoding`. A token that is confined
/// to accounts gets only the series of those accounts.
#[utoipa::path(
    get, path = "/metrics", tag = "process",
    responses(
        (status = 200, description = "All series", content(
            (String = "text/plain; version=0.0.4; charset=utf-8"),
            (String = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        )),
        (status = 503, description = "`overloaded`: eight scrapes are under way", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_metrics(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let started = clock::monotonic();
    let accept: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let accept = (!accept.is_empty()).then(|| accept.join(","));
    let format = Format::negotiate(accept.as_deref());
    let encoding = ContentCoding::of(&headers);
    let place = app.scrapes.take(Client::of(&caller, origin), started)?;
    let body = tokio::select! {
        biased;
        () = place.gave_way() => {
            return Err(Problem::new(ProblemCode::Overloaded, GaveWay.to_string()));
        }
        body = exposition(&app, &caller, format, encoding) => body,
    };
    let length = body.len();
    app.scrapes.hold(&place, body.into(), clock::monotonic())?;
    let mut response = in_pieces(app, place).into_response();
    response.extensions_mut().insert(BulkAnswer);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length.into());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if encoding == ContentCoding::Gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// A number of bytes as a gauge holds it.
fn clamped(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Computes the series that the caller may see, as text.
async fn exposition(
    app: &AppState,
    caller: &Caller,
    format: Format,
    encoding: ContentCoding,
) -> Vec<u8> {
    let _turn = app.scrapes.turn().await;
    let started = clock::monotonic();
    let mut turns = ScrapeTurns::begin();
    if caller.may_see(Account::ALL) {
        // The copy of the last scrape is brought up to date; a row that did not change is kept.
        let mut loan = SnapshotLoan::of(app);
        copy(app, &mut turns, &mut loan.snapshot, |_| true).await;
        // The queue is sampled here: it has no event at which it could be recorded.
        let (depth, limit) = app.engine.queue();
        app.runtime.service.queue_depth.set(depth);
        app.runtime.service.queue_limit.set(limit);
        let (bytes, bytes_max) = app.engine.state_bytes();
        app.runtime.service.state_bytes.set(clamped(bytes));
        app.runtime.service.state_bytes_limit.set(clamped(bytes_max));
        let exposition = loan.snapshot.exposition(Some(&app.runtime), format);
        let body = write(app, &mut turns, exposition, encoding).await;
        let took = clock::monotonic().saturating_duration_since(started);
        app.runtime.service.scrape_duration.set(took.as_secs_f64());
        body
    } else {
        let mut snapshot = confined(app, caller);
        copy(app, &mut turns, &mut snapshot, |account| caller.may_see(account.as_str())).await;
        write(app, &mut turns, snapshot.exposition(None, format), encoding).await
    }
}

/// Bytes of one piece of an answer. hyper holds up to 16 pieces for a connection that does not read.
const PIECE_BYTES: usize = 8 * 1024;
/// Pieces that are handed to the kernel in one call, which copies them.
const PIECES_AT_ONCE: usize = 8;

/// The turns that one scrape gives to others.
struct ScrapeTurns {
    started: Instant,
    share: ScrapeShare,
}

impl ScrapeTurns {
    fn begin() -> Self {
        Self { started: clock::monotonic(), share: ScrapeShare::default() }
    }

    fn elapsed(&self) -> Duration {
        clock::monotonic().saturating_duration_since(self.started)
    }

    /// Lets the other tasks of this thread run, and the writer's thread if a request waits for it, as
    /// long as the share of the scrape allows.
    async fn yield_to(&mut self, app: &AppState) {
        if !self.share.worked(self.elapsed()) {
            return;
        }
        tokio::task::yield_now().await;
        for _ in 0..SCRAPE_YIELDS_MAX {
            if !self.share.waited(self.elapsed()) || !app.engine.is_waited_for() {
                return;
            }
            (app.yield_thread)();
            // The writer has answered: send that before the next step.
            tokio::task::yield_now().await;
        }
        self.share.waited(self.elapsed());
    }
}

/// The snapshot that scrapes share, while one scrape uses it. It is put back in whatever way the
/// scrape ends, also if the client disconnects. A scrape at the same time starts with an empty one.
struct SnapshotLoan {
    snapshot: ScrapeSnapshot,
    owner: AppState,
}

impl SnapshotLoan {
    fn of(app: &AppState) -> Self {
        let snapshot = app.snapshot.lock().take();
        let empty = || ScrapeSnapshot::with_budget(app.budgets.of(None));
        Self { snapshot: snapshot.unwrap_or_else(empty), owner: app.clone() }
    }
}

impl Drop for SnapshotLoan {
    fn drop(&mut self) {
        *self.owner.snapshot.lock() = Some(mem::take(&mut self.snapshot));
    }
}

/// The budgets of series: one for callers who see all accounts, and one for each confined token. A
/// shared budget would fold the series of a token because of accounts that it may not see.
#[derive(Debug, Default)]
pub(super) struct SeriesBudgets(Mutex<BTreeMap<Option<String>, Arc<Mutex<SeriesBudget>>>>);

impl SeriesBudgets {
    fn of(&self, token: Option<&str>) -> Arc<Mutex<SeriesBudget>> {
        Arc::clone(self.0.lock().entry(token.map(str::to_owned)).or_default())
    }
}

/// An empty snapshot for a caller with a confined token.
fn confined(app: &AppState, caller: &Caller) -> ScrapeSnapshot {
    ScrapeSnapshot::with_budget(app.budgets.of(Some(caller.token())))
}

/// Reads a snapshot of the accounts that the caller may see, in turn with the scrapes.
pub(super) async fn with_snapshot<R>(
    app: &AppState,
    caller: &Caller,
    read: impl FnOnce(&ScrapeSnapshot) -> R,
) -> R {
    let _turn = app.scrapes.turn().await;
    let mut snapshot = if caller.may_see(Account::ALL) {
        ScrapeSnapshot::with_budget(app.budgets.of(None))
    } else {
        confined(app, caller)
    };
    let mut turns = ScrapeTurns::begin();
    copy(app, &mut turns, &mut snapshot, |account| caller.may_see(account.as_str())).await;
    read(&snapshot)
}

/// Brings a snapshot to the state at one moment. Other tasks run between the steps.
async fn copy(
    app: &AppState,
    turns: &mut ScrapeTurns,
    snapshot: &mut ScrapeSnapshot,
    visible: impl Fn(&Account) -> bool,
) {
    // While rows are copied in small steps, others change. Each pass copies those that changed
    // during the pass before, which are fewer and fewer.
    for _ in 0..SCRAPE_PASSES_MAX {
        let mut copied = 0;
        loop {
            let step = app.engine.read(|monitor| snapshot.catch_up(monitor, &visible));
            copied += step.copied;
            turns.yield_to(app).await;
            if step.is_last {
                break;
            }
        }
        if copied <= SCRAPE_ROWS_LEFT_MAX {
            break;
        }
    }
    // One lock for the rest makes it one moment.
    app.engine.read(|monitor| snapshot.take(monitor, &visible));
    // Sums and rankings need no lock.
    while snapshot.compute() {
        turns.yield_to(app).await;
    }
}

/// Encodes the exposition. Other tasks run after every [`SCRAPE_STEP_BYTES`].
async fn write(
    app: &AppState,
    turns: &mut ScrapeTurns,
    mut exposition: Exposition<'_>,
    encoding: ContentCoding,
) -> Vec<u8> {
    let mut text = String::with_capacity(2 * SCRAPE_STEP_BYTES);
    let mut buffer = ExpositionBuffer::new(encoding, exposition.size_bytes());
    loop {
        text.clear();
        let is_more = exposition.write_some(&mut text, SCRAPE_STEP_BYTES);
        buffer.push(text.as_bytes());
        turns.yield_to(app).await;
        if !is_more {
            return buffer.finish();
        }
    }
}

/// The answer so far, as it will be sent.
enum ExpositionBuffer {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl ExpositionBuffer {
    /// An empty answer with room for `size_bytes` of text.
    fn new(encoding: ContentCoding, size_bytes: usize) -> Self {
        match encoding {
            ContentCoding::Identity => Self::Plain(Vec::with_capacity(size_bytes)),
            // Series compress to about a sixteenth.
            ContentCoding::Gzip => {
                Self::Gzip(GzEncoder::new(Vec::with_capacity(size_bytes / 16), Compression::fast()))
            }
        }
    }

    fn push(&mut self, text: &[u8]) {
        let written = match self {
            Self::Plain(plain) => plain.write_all(text),
            Self::Gzip(gzip) => gzip.write_all(text),
        };
        invariant!(written.is_ok(), "writing to memory cannot fail");
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Plain(plain) => plain,
            Self::Gzip(gzip) => gzip.finish().unwrap_or_else(|_| {
                impossible!("writing to memory cannot fail");
                Vec::new()
            }),
        }
    }
}

/// The body of an answer. Other tasks run after every [`PIECES_AT_ONCE`]: the kernel would accept
/// megabytes in one call, and copy them before it returns.
fn in_pieces(app: AppState, place: ScrapePlace) -> Body {
    let turns = ScrapeTurns::begin();
    let pieces = stream::unfold((app, place, turns, 0), async |(app, place, mut turns, sent)| {
        if sent % PIECES_AT_ONCE == 0 {
            turns.yield_to(&app).await;
        }
        let piece = place.next(PIECE_BYTES, clock::monotonic()).transpose()?;
        Some((piece, (app, place, turns, sent + 1)))
    });
    Body::from_stream(pieces)
}

/// The content coding of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentCoding {
    Identity,
    Gzip,
}

impl ContentCoding {
    /// gzip if the client accepts it (RFC 9110, section 12.5.3).
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT_ENCODING).iter();
        let mut values = values.filter_map(|value| value.to_str().ok());
        if values.any(|value| accepts_coding(value, "gzip")) { Self::Gzip } else { Self::Identity }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_scrapers_that_accept_it() {
        let check = |accept: Option<&'static str>, expect: ContentCoding| {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accept));
            }
            assert_eq!(ContentCoding::of(&headers), expect, "{accept:?}");
        };
        check(None, ContentCoding::Identity);
        check(Some(""), ContentCoding::Identity);
        check(Some("gzip"), ContentCoding::Gzip);
        check(Some("zstd, GZIP;q=0.5"), ContentCoding::Gzip);
        check(Some("gzip;q=0, zstd"), ContentCoding::Identity);
        check(Some("gzip; q=0.001"), ContentCoding::Gzip);
        check(Some("gzip;level=9"), ContentCoding::Identity);
        check(Some("deflate, br"), ContentCoding::Identity);
    }
}
