//! `GET /metrics`: what Prometheus scrapes.
//!
//! The state is copied, encoded and sent piece by piece, with turns for others in between: see
//! [`ScrapeSnapshot`] for how that shows one moment. A token that is confined to accounts
//! gets the series of those alone, and nothing of the exporter itself, whose figures move with
//! accounts that it may not see: the length of its answer says nothing of others.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Write;
use std::mem;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use parking_lot::Mutex;

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::clock;
use crate::domain::ids::Account;
use crate::metrics::{Budget, Exposition, Format, ScrapeSnapshot, accepts_coding};

/// What Prometheus scrapes
///
/// Text 0.0.4 or OpenMetrics 1.0, by `Accept`; compressed by `Accept-Encoding`. A token that is
/// confined to accounts gets the series of those alone.
#[utoipa::path(
    get, path = "/metrics", tag = "process",
    responses(
        (status = 200, description = "All series", content(
            (String = "text/plain; version=0.0.4; charset=utf-8"),
            (String = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        )),
    ),
)]
pub(super) async fn get_metrics(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    let started = clock::monotonic();
    let accept: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let accept = (!accept.is_empty()).then(|| accept.join(","));
    let format = Format::negotiate(accept.as_deref());
    let encoding = Encoding::of(&headers);
    let body = if caller.may_see(Account::ALL) {
        let mut lent = Lent::by(&app);
        copy(&app, &mut lent.snapshot, |_| true).await;
        let (depth, limit) = app.engine.queue();
        app.runtime.queue(depth, limit);
        let exposition = lent.snapshot.exposition(Some(&app.runtime), format);
        let body = write(&app, exposition, encoding).await;
        app.runtime.scrape_duration(clock::monotonic().saturating_duration_since(started));
        body
    } else {
        let mut snapshot = confined(&app, &caller);
        copy(&app, &mut snapshot, |account| caller.may_see(account.as_str())).await;
        write(&app, snapshot.exposition(None, format), encoding).await
    };
    let length = body.len();
    let mut response = in_pieces(app, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length.into());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if encoding == Encoding::Gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Bytes of text between two turns of others: less than a tenth of a millisecond, compressed.
const TURN_BYTES: usize = 8 * 1024;
/// Bytes of an answer that are handed to the kernel at once.
const PIECE_BYTES: usize = 64 * 1024;
/// How often a step lets the writer go first: it gives the core back once, to wait for others.
const WAYS_MAX: usize = 3;
/// How often the state is gone through for what changed meanwhile, before it is locked for the rest.
const PASSES_MAX: usize = 3;
/// So many rows that changed meanwhile are few enough to be copied under that lock.
const ROWS_LEFT_MAX: usize = 32;

/// Lets the other tasks of this thread have a turn: an engine must not wait until a scrape is over,
/// nor notice how many series there are. And if then a request waits for the writer, the thread gives
/// way, for they may share a core: the kernel would let a thread that has so much to do run on for
/// some milliseconds.
async fn give_turns(app: &AppState) {
    tokio::task::yield_now().await;
    for _ in 0..WAYS_MAX {
        if !app.engine.is_waited_for() {
            return;
        }
        (app.give_way)();
        // What the writer answered goes out before the next step.
        tokio::task::yield_now().await;
    }
}

/// The snapshot that scrapes share, on loan: it goes back however a scrape ends. A second scrape at the
/// same time begins with an empty one.
struct Lent {
    snapshot: ScrapeSnapshot,
    owner: AppState,
}

impl Lent {
    fn by(app: &AppState) -> Self {
        let snapshot = app.snapshot.lock().take();
        let empty = || ScrapeSnapshot::under(app.budgets.of(None));
        Self { snapshot: snapshot.unwrap_or_else(empty), owner: app.clone() }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.owner.snapshot.lock() = Some(mem::take(&mut self.snapshot));
    }
}

/// The budgets of series: one for those who see all accounts, and one for each token that does not,
/// so that what it is shown says nothing of others.
#[derive(Debug, Default)]
pub(super) struct Budgets(Mutex<BTreeMap<Option<String>, Arc<Mutex<Budget>>>>);

impl Budgets {
    fn of(&self, token: Option<&str>) -> Arc<Mutex<Budget>> {
        Arc::clone(self.0.lock().entry(token.map(str::to_owned)).or_default())
    }
}

/// An empty snapshot for a caller who sees some accounts alone.
fn confined(app: &AppState, caller: &Caller) -> ScrapeSnapshot {
    ScrapeSnapshot::under(app.budgets.of(Some(caller.token())))
}

/// A snapshot of what the caller may see.
pub(super) async fn snapshot_for(app: &AppState, caller: &Caller) -> ScrapeSnapshot {
    let mut snapshot = if caller.may_see(Account::ALL) {
        ScrapeSnapshot::under(app.budgets.of(None))
    } else {
        confined(app, caller)
    };
    copy(app, &mut snapshot, |account| caller.may_see(account.as_str())).await;
    snapshot
}

/// Takes a snapshot of the state as it is at one moment, with turns for others while it is prepared.
async fn copy(app: &AppState, snapshot: &mut ScrapeSnapshot, visible: impl Fn(&Account) -> bool) {
    for _ in 0..PASSES_MAX {
        let mut copied = 0;
        loop {
            let step = app.engine.read(|monitor| snapshot.catch_up(monitor, &visible));
            copied += step.copied;
            give_turns(app).await;
            if step.is_last {
                break;
            }
        }
        if copied <= ROWS_LEFT_MAX {
            break;
        }
    }
    app.engine.read(|monitor| snapshot.take(monitor, &visible));
    while snapshot.work_out() {
        give_turns(app).await;
    }
}

/// Writes the exposition, with turns for others after every [`TURN_BYTES`].
async fn write(app: &AppState, mut exposition: Exposition<'_>, encoding: Encoding) -> Vec<u8> {
    let mut text = String::with_capacity(2 * TURN_BYTES);
    let room = match encoding {
        Encoding::Identity => exposition.size_bytes(),
        Encoding::Gzip => exposition.size_bytes() / 16,
    };
    let (mut plain, mut gzip) = (Vec::new(), None);
    match encoding {
        Encoding::Identity => plain.reserve(room),
        Encoding::Gzip => {
            gzip = Some(GzEncoder::new(Vec::with_capacity(room), Compression::fast()));
        }
    }
    loop {
        text.clear();
        let is_more = exposition.write_some(&mut text, TURN_BYTES);
        match &mut gzip {
            // Writing to memory cannot fail.
            Some(gzip) => gzip.write_all(text.as_bytes()).unwrap_or_default(),
            None => plain.extend_from_slice(text.as_bytes()),
        }
        give_turns(app).await;
        if !is_more {
            return gzip.map_or(plain, |gzip| gzip.finish().unwrap_or_default());
        }
    }
}

/// The body of an answer, with turns for others after every [`PIECE_BYTES`]: the kernel takes
/// megabytes at once, and copies them before it returns.
fn in_pieces(app: AppState, bytes: Vec<u8>) -> Body {
    let pieces = stream::unfold((app, Bytes::from(bytes)), async |(app, mut left)| {
        if left.is_empty() {
            return None;
        }
        let piece = left.split_to(left.len().min(PIECE_BYTES));
        give_turns(&app).await;
        Some((Ok::<_, Infallible>(piece), (app, left)))
    });
    Body::from_stream(pieces)
}

/// How an answer is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// gzip, if the scraper takes it (RFC 9110, section 12.5.3).
    fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT_ENCODING).iter();
        let mut values = values.filter_map(|value| value.to_str().ok());
        if values.any(|value| accepts_coding(value, "gzip")) { Self::Gzip } else { Self::Identity }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let check = |accept: Option<&'static str>, expect: Encoding| {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accept));
            }
            assert_eq!(Encoding::of(&headers), expect, "{accept:?}");
        };
        check(None, Encoding::Identity);
        check(Some(""), Encoding::Identity);
        check(Some("gzip"), Encoding::Gzip);
        check(Some("zstd, GZIP;q=0.5"), Encoding::Gzip);
        check(Some("gzip;q=0, zstd"), Encoding::Identity);
        check(Some("gzip; q=0.001"), Encoding::Gzip);
        check(Some("gzip;level=9"), Encoding::Identity);
        check(Some("deflate, br"), Encoding::Identity);
    }
}
