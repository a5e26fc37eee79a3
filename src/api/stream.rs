//! `GET /api/v1/stream`: what the exporter tells, as server-sent events.
//!
//! Input: directives as they are committed, and the time. Output: the text of an event stream.
//! Invariants: a directive is sent in the round of its commit; nothing is held for one subscriber
//! alone: whoever is behind by more than all can have is cut off, and told; what cannot be resumed
//! is told too; a stream ends with the process, its token, or after an hour, and says why.
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
use crate::api::listeners::Listener;
use crate::api::permit;
use crate::api::problem::Problem;
use crate::api::query::Parameters;
use crate::clock;
use crate::config::StorageMode;
use crate::domain::directive::{Directive, DirectiveId};
use crate::domain::ids::Account;
use crate::domain::monitor::Monitor;
use crate::engine::{Lost, Resumed, Subscription};
use crate::metrics::StreamEnd;
use text::{Chunk, Reset, Unready};

/// Bytes of one write, at most by one event more.
const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// A stream ends after this time: its client comes back, with a token that is looked at anew and a
/// clock that has not drifted.
const LIFETIME: Duration = Duration::from_hours(1);
/// Signs of life come at least so often.
const HEARTBEAT_MAX: Duration = Duration::from_secs(5);

/// Headers of the answer.
const HEADERS: [(HeaderName, &str); 2] = [
    (header::CONTENT_TYPE, "text/event-stream"),
    // A proxy that gathers what comes would hold a halt back.
    (HeaderName::from_static("x-accel-buffering"), "no"),
];

/// Follows what the exporter tells
///
/// Server-sent events: `halt`, `release`, `reconcile`, `drift`, `anomaly`, `health`, each with the
/// id of its directive and a `Directive` as data. With `account`, those of the account and of `*`,
/// and a `permit` (the data is a `Permit`) at the start, after each change, and at least three
/// times within its validity, so that no other request is needed. Without, those of all accounts
/// that the token is for, and their `states` at the start.
///
/// `Last-Event-ID` resumes after that event; `reset` says that something after it is not held any
/// more. `unready` says that no permit is issued now; `end` that the stream ends, and why. Lines
/// that begin with a colon are signs of life. At most 256 streams.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/stream", tag = "read",
    params(
        ("account" = Option<String>, Query, description = "The account, or `*`; all if missing", max_length = 128),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen"),
    ),
    responses((status = 200, description = "Events, without an end of their own", body = String, content_type = "text/event-stream")),
)]
pub(super) async fn get_stream(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = clock::monotonic();
    let account = Parameters::parse(&uri, &["account"])?.account()?;
    if let Some(account) = &account {
        caller.check_account(account.as_str())?;
        app.engine.read(|monitor| check_strict(monitor, account))?;
    }
    let listener = app.listeners.stream(&app)?;
    let last = headers.get("last-event-id").map(HeaderValue::as_bytes);
    let stream = Stream::start(app, caller, account, asked, last, listener);
    let chunks = stream::unfold(stream, |stream| async {
        let (chunk, stream) = stream.next().await?;
        Some((Ok::<Bytes, Infallible>(chunk), stream))
    });
    Ok((HEADERS, Body::from_stream(chunks)).into_response())
}

/// One stream.
struct Stream {
    app: AppState,
    caller: Caller,
    account: Option<Account>,
    asked: Instant,
    directives: Subscription,
    renewal: Interval,
    /// What waits to be sent.
    chunk: Chunk,
    /// What ids end with: see [`suffix`].
    suffix: String,
    end: Option<StreamEnd>,
    _listener: Listener,
}

/// What happened first.
enum Next {
    Closing,
    Renewal,
    Directive(Result<Arc<Directive>, Lost>),
}

impl Stream {
    /// A stream with its first events.
    fn start(
        app: AppState,
        caller: Caller,
        account: Option<Account>,
        asked: Instant,
        last: Option<&[u8]>,
        listener: Listener,
    ) -> Self {
        let suffix = suffix(&app);
        let mut chunk = Chunk::opening();
        // Subscribed before the state is read: a change in between must not be missed.
        let directives = match last.filter(|id| !id.is_empty()) {
            None => app.engine.directives(),
            Some(id) => resume(&app, id, &suffix, &mut chunk),
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
            _listener: listener,
        };
        stream.push_state();
        stream
    }

    /// The next bytes; none when it has ended.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        while self.chunk.is_empty() {
            if self.end.is_some() {
                return None;
            }
            let next = tokio::select! {
                biased;
                () = self.app.engine.closing() => Next::Closing,
                _ = self.renewal.tick() => Next::Renewal,
                directive = self.directives.next() => Next::Directive(directive),
            };
            match next {
                Next::Closing => self.end(StreamEnd::Draining),
                Next::Renewal => self.renew(),
                Next::Directive(directive) => self.tell(directive),
            }
        }
        Some((self.chunk.take(), self))
    }

    /// Sends a directive and those that wait behind it; then the permit, if one of them changed it.
    fn tell(&mut self, first: Result<Arc<Directive>, Lost>) {
        let mut next = Some(first);
        let mut changed = false;
        while let Some(directive) = next {
            let Ok(directive) = directive else { return self.end(StreamEnd::Slow) };
            if self.concerns(&directive) {
                self.chunk.push_directive(&directive, &self.suffix);
                changed |= directive.kind.is_of_latch();
            }
            next = if self.chunk.len() < CHUNK_BYTES_MAX { self.directives.ready() } else { None };
        }
        if changed && self.account.is_some() {
            self.push_state();
        }
    }

    /// Whether this stream is about the account of a directive. What is said of `*` concerns all.
    fn concerns(&self, directive: &Directive) -> bool {
        let of = &directive.account;
        of.is_all()
            || match &self.account {
                Some(account) => account == of,
                None => self.caller.may_see(of.as_str()),
            }
    }

    /// A sign of life, and the permit anew; or the end.
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

    /// The permit of the account, or the states of all.
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
            Err(problem) => self.chunk.push_unready(&Unready::new(&problem)),
        }
    }

    fn end(&mut self, why: StreamEnd) {
        self.chunk.push_end(why);
        self.end = Some(why);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Without a reason of ours, the client has gone.
        self.app.runtime.stream_ended(self.end.unwrap_or(StreamEnd::Client));
    }
}

/// A subscription after the event of that id, or a `reset` that says what is missing.
fn resume(app: &AppState, id: &[u8], suffix: &str, chunk: &mut Chunk) -> Subscription {
    let text = std::str::from_utf8(id).ok().and_then(|text| text.strip_suffix(suffix));
    let id = text.and_then(DirectiveId::parse);
    // An id beyond the newest record is one of another journal.
    let newest = app.engine.read(Monitor::sequence);
    let Some(id) = id.filter(|id| id.sequence <= newest) else {
        chunk.push_reset(Reset::UnknownId);
        return app.engine.directives();
    };
    let (directives, resumed) = app.engine.directives_after(id);
    if resumed == Resumed::Cut {
        chunk.push_reset(Reset::TooOld);
    }
    directives
}

/// What ids of events end with. Sequences go on across a restart when they are on disk; when they
/// are in memory they begin anew, and an id of the process before would be taken for another.
fn suffix(app: &AppState) -> String {
    match app.config.load().storage.mode {
        StorageMode::Journal => String::new(),
        StorageMode::Memory => format!(".{:08x}", app.process),
    }
}
