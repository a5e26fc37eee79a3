//! `GET /api/v1/stream`: directives as server-sent events.
//!
//! Input: directives as they are committed, and the time. Output: the text of an event stream.
//! Invariants: a directive is sent as soon as it is committed; nothing is buffered for a single
//! subscriber, so one that is behind the shared buffer is disconnected with an `end` event; a client
//! that cannot resume gets a `reset` event; a stream ends with the process, with its token, or after
//! an hour, and says why.
//!
//! The format is that of <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

mod text;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use crate::api::AppState;
use crate::api::accounts::check_strict;
use crate::api::auth::Caller;
use crate::api::listeners::ListenerSlot;
use crate::api::origin::{Client, Origin};
use crate::api::permit;
use crate::api::problem::Problem;
use crate::api::query::QueryParameters;
use crate::clock;
use crate::config::StorageMode;
use crate::domain::directive::Directive;
use crate::domain::ids::Account;
use crate::domain::ids::DirectiveId;
use crate::domain::monitor::Monitor;
use crate::engine::{LostDirectives, Resumed, Subscription};
use crate::metrics::{ListenerKind, StreamEnd};
use text::{ResetReason, StreamChunk, UnreadyNotice};

/// No further event is added to a write of this size.
const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// A stream ends after this time. Its client reconnects, which checks its token again and limits the
/// drift of the two clocks.
const LIFETIME: Duration = Duration::from_hours(1);
/// The longest pause between two heartbeats.
const HEARTBEAT_MAX: Duration = Duration::from_secs(5);

/// Headers of the answer.
const HEADERS: [(HeaderName, &str); 2] = [
    (header::CONTENT_TYPE, "text/event-stream"),
    // A proxy that buffers the stream would delay a halt.
    (HeaderName::from_static("x-accel-buffering"), "no"),
];

/// Follows the directives
///
/// Server-sent events: `halt`, `release`, `reconcile`, `drift`, `anomaly`, `health`, each with the
/// id of its directive and a `Directive` as data. With `account`, the stream has the directives of
/// this account and of `*`, and a `permit` event (its data is a `Permit`) at the start, after each
/// change, and at least three times within its validity, so that no other request is needed.
/// Without `account`, it has the directives of all accounts that the token covers, and their
/// `states` at the start.
///
/// `Last-Event-ID` resumes after that event. A `reset` event says that directives after it are no
/// longer available, an `unready` event that no permit is issued now, and an `end` event why the
/// stream ends. Lines that start with a colon are heartbeats. At most 256 streams are open.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/stream", tag = "read",
    params(
        ("account" = Option<String>, Query, description = "The account, or `*`; all if missing", max_length = 128),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client received"),
    ),
    responses((status = 200, description = "Events, until the stream ends", body = String, content_type = "text/event-stream")),
)]
pub(super) async fn get_stream(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(origin): Extension<Origin>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = clock::monotonic();
    let account = QueryParameters::parse(&uri, &["account"])?.account()?;
    if let Some(account) = &account {
        caller.check_account(account.as_str())?;
        app.engine.read(|monitor| check_strict(monitor, account))?;
    }
    let slot = app.listeners.acquire(ListenerKind::Stream, Client::of(&caller, origin), &app)?;
    let last = headers.get("last-event-id").map(HeaderValue::as_bytes);
    let stream = DirectiveStream::start(app, caller, account, asked, last, slot);
    let chunks = stream::unfold(stream, |stream| async {
        let (chunk, stream) = stream.next().await?;
        Some((Ok::<Bytes, Infallible>(chunk), stream))
    });
    Ok((HEADERS, Body::from_stream(chunks)).into_response())
}

/// One open stream.
struct DirectiveStream {
    app: AppState,
    caller: Caller,
    /// `None`: all accounts that the caller may see.
    account: Option<Account>,
    /// When the request arrived. Permits count from here.
    asked: Instant,
    directives: Subscription,
    /// Heartbeats and renewed permits.
    renewal: Interval,
    chunk: StreamChunk,
    /// See [`id_suffix`].
    suffix: String,
    /// Set once the `end` event is written: the stream ends when it has been sent.
    end: Option<StreamEnd>,
    _slot: ListenerSlot,
}

/// The next thing that a stream reacts to.
enum StreamSignal {
    Closing,
    Renewal,
    Directive(Result<Arc<Directive>, LostDirectives>),
}

impl DirectiveStream {
    /// Opens a stream, with its first events ready to be sent.
    fn start(
        app: AppState,
        caller: Caller,
        account: Option<Account>,
        asked: Instant,
        last: Option<&[u8]>,
        slot: ListenerSlot,
    ) -> Self {
        let suffix = id_suffix(&app);
        let mut chunk = StreamChunk::opening();
        // Subscribe before reading the state, or a change between the two would be missed.
        let directives = match last.filter(|id| !id.is_empty()) {
            None => app.engine.directives(),
            Some(id) => {
                let concerns = |of: &Account| concerns(&caller, account.as_ref(), of);
                resume(&app, id, &suffix, &mut chunk, concerns)
            }
        };
        let valid_for = app.engine.read(|monitor| monitor.settings().permit.valid_for);
        let period = (valid_for / 3).min(HEARTBEAT_MAX);
        let mut renewal = interval_at(clock::monotonic().into(), period);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        renewal.reset();
        let mut stream = Self {
            app,
            caller,
            account,
            asked,
            directives,
            renewal,
            chunk,
            suffix,
            end: None,
            _slot: slot,
        };
        stream.push_state();
        stream
    }

    /// The next bytes to send. `None` after the `end` event.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        while self.chunk.is_empty() {
            if self.end.is_some() {
                return None;
            }
            let signal = tokio::select! {
                biased;
                () = self.app.engine.closing() => StreamSignal::Closing,
                _ = self.renewal.tick() => StreamSignal::Renewal,
                directive = self.directives.next() => StreamSignal::Directive(directive),
            };
            match signal {
                StreamSignal::Closing => self.end(StreamEnd::Draining),
                StreamSignal::Renewal => self.renew(),
                StreamSignal::Directive(directive) => self.push_directives(directive),
            }
        }
        Some((self.chunk.take(), self))
    }

    /// Writes a directive and those that are ready after it, then the permit if one of them changed
    /// it.
    fn push_directives(&mut self, first: Result<Arc<Directive>, LostDirectives>) {
        let mut next = Some(first);
        let mut changed = false;
        while let Some(directive) = next {
            match directive {
                Ok(directive) if self.concerns(&directive.account) => {
                    self.chunk.push_directive(&directive, &self.suffix);
                    changed |= directive.kind.is_of_latch();
                }
                // What other accounts lost is not missing here.
                Err(lost) if lost.may_concern(|account| self.concerns(account)) => {
                    return self.end(StreamEnd::Slow);
                }
                Ok(_) | Err(_) => {}
            }
            next = if self.chunk.len() < CHUNK_BYTES_MAX { self.directives.ready() } else { None };
        }
        if changed && self.account.is_some() {
            self.push_state();
        }
    }

    /// Whether directives of an account belong in this stream. Those of `*` belong in every stream.
    fn concerns(&self, of: &Account) -> bool {
        concerns(&self.caller, self.account.as_ref(), of)
    }

    /// Writes a heartbeat and a fresh permit, or ends the stream.
    fn renew(&mut self) {
        if !self.caller.still_holds(&self.app) {
            return self.end(StreamEnd::Token);
        }
        if clock::monotonic().saturating_duration_since(self.asked) > LIFETIME {
            return self.end(StreamEnd::Lifetime);
        }
        self.chunk.push_heartbeat();
        if self.account.is_some() {
            self.push_state();
        }
    }

    /// Writes the permit of the account, or the states of all accounts.
    fn push_state(&mut self) {
        let Some(account) = &self.account else {
            let (states, sequence) = self.app.engine.read(|monitor| {
                let seen = monitor.accounts().map(|account| account.name.as_str());
                let names = seen.filter(|name| self.caller.may_see(name)).chain([Account::ALL]);
                let state = |name: &str| (name.to_owned(), monitor.permit(name).state);
                (names.map(state).collect(), monitor.sequence())
            });
            return self.chunk.push_states(states, sequence);
        };
        match permit::issue(&self.app, account, self.asked) {
            Ok(permit) => self.chunk.push_permit(&permit),
            Err(problem) => self.chunk.push_unready(&UnreadyNotice::new(&problem)),
        }
    }

    fn end(&mut self, why: StreamEnd) {
        self.chunk.push_end(why);
        self.end = Some(why);
    }
}

impl Drop for DirectiveStream {
    fn drop(&mut self) {
        // A stream that is dropped before it ended was closed by its client.
        let end = self.end.unwrap_or(StreamEnd::Client);
        self.app.runtime.listeners.streams_ended.of(end).inc();
    }
}

/// Whether directives of the account `of` belong in a stream of `account`, or of all that the caller
/// may see.
fn concerns(caller: &Caller, account: Option<&Account>, of: &Account) -> bool {
    of.is_all()
        || match account {
            Some(account) => account == of,
            None => caller.may_see(of.as_str()),
        }
}

/// Subscribes after the event with this id. Writes a `reset` event if directives are missing.
fn resume(
    app: &AppState,
    id: &[u8],
    suffix: &str,
    chunk: &mut StreamChunk,
    is_concerned: impl Fn(&Account) -> bool,
) -> Subscription {
    let text = std::str::from_utf8(id).ok().and_then(|text| text.strip_suffix(suffix));
    let id = text.and_then(DirectiveId::parse);
    // An id after the newest record belongs to another journal.
    let newest = app.engine.read(Monitor::sequence);
    let Some(id) = id.filter(|id| id.sequence <= newest) else {
        chunk.push_reset(ResetReason::UnknownId);
        return app.engine.directives();
    };
    let (directives, resumed) = app.engine.directives_after(id);
    if matches!(resumed, Resumed::Truncated(lost) if lost.may_concern(is_concerned)) {
        chunk.push_reset(ResetReason::TooOld);
    }
    directives
}

/// The end of every event id. A journal on disk continues its sequence after a restart. In memory the
/// sequence starts again, and without the suffix an id from before the restart would be mistaken for
/// one of this process.
fn id_suffix(app: &AppState) -> String {
    match app.config.load().storage.mode {
        StorageMode::Journal => String::new(),
        StorageMode::Memory => format!(".{:08x}", app.process),
    }
}
