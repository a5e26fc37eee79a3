//! `POST /api/v1/events`: events as one object, an array, or one object per line.
//!
//! Events are decoded here, in the task of the request, so that requests decode in parallel.
//! Invariants: 2xx means that the events are in the journal and applied to the state; a refused
//! event does not affect the others; `index` is the position of the event in the body.

use std::time::Instant;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::body::{self, BodyFormat, ReadBody};
use crate::api::problem::{Problem, ProblemCode};
use crate::api::query::QueryParameters;
use crate::api::turns::DecodeTurn;
use crate::clock;
use crate::config::Scope;
use crate::domain::compact::OneOrMany;
use crate::domain::event::{Body, Event, Heartbeat, Source};
use crate::domain::ids::Account;
use crate::domain::notes::Note;
use crate::domain::record::{Entry, Refusal, Verdict};
use crate::domain::warning::Warning;
use crate::engine::{QueuePlace, Receipt};
use crate::wire::answer::{IngestAnswer, IngestWarning, Rejection};
use crate::wire::contract::field::Field;
use crate::wire::decode::{DecodeLimits, Decoded, decode_json, decode_ndjson};

/// The state has no room for the event.
const NO_ROOM: Verdict = Verdict::Refused(Refusal::StateFull);

pub(super) const EVENTS_PATH: &str = "/api/v1/events";

/// Accepts events
///
/// One object or an array (`application/json`), or one object per line (`application/x-ndjson`),
/// plain or compressed with gzip or zstd. Sending the same events again is safe, whole or in part.
///
/// A token with `ingest` may send everything except `positions` with `source: "broker"`. A token
/// with `ingest:broker` may send those, and heartbeats of the component `broker`, and nothing else.
/// A heartbeat belongs to the side of its token; if the two sides report a component differently,
/// the worse report counts. Events of accounts that the token does not cover are refused as
/// `forbidden`, one by one if others are accepted.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    post, path = EVENTS_PATH, tag = "ingest",
    request_body(content(
        (inline(EventsBody) = "application/json"),
        (String = "application/x-ndjson"),
    ), description = "Events"),
    responses(
        (status = 200, description = "All events are in the journal and applied, or were known already", body = IngestAnswer),
        (status = 207, description = "Some events were refused; the others are in the journal and applied", body = IngestAnswer),
        (status = 422, description = "All events were refused", body = IngestAnswer),
    ),
)]
pub(super) async fn post_events(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    ingest(&app, &caller, request).await
}

/// Accepts the events of a request, and records its duration and refusal as metrics.
///
/// # Errors
/// See [`Problem`].
pub(super) async fn ingest(
    app: &AppState,
    caller: &Caller,
    request: Request,
) -> Result<Response, Problem> {
    let started = clock::monotonic();
    let answer = take(app, caller, request).await;
    respond(app, started, answer)
}

/// The response to a request with events.
///
/// # Errors
/// The problem that it is given.
pub(super) fn respond(
    app: &AppState,
    started: Instant,
    answer: Result<IngestAnswer, Problem>,
) -> Result<Response, Problem> {
    let answer = match answer {
        Ok(answer) => {
            let mut response = Response::new(answer.to_json().into());
            *response.status_mut() = status(&answer);
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            Ok(response)
        }
        Err(problem) => Err(problem),
    };
    observe(app, started, answer.as_ref().err());
    answer
}

/// Records the duration of a request with events, and its refusal, as metrics.
pub(super) fn observe(app: &AppState, started: Instant, refusal: Option<&Problem>) {
    if let Some(problem) = refusal {
        app.runtime.ingest.events_rejected.with_label_values(&[problem.code().as_str()]).inc();
    }
    let took = clock::monotonic().saturating_duration_since(started);
    app.runtime.ingest.ingest_duration.observe(took.as_secs_f64());
}

/// The schema of an ingest body. [`document`](crate::api::document) adds the kinds of events.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = Events)]
#[expect(dead_code, reason = "a schema, never a value")]
pub(super) struct EventsBody(serde_json::Value);

async fn take(app: &AppState, caller: &Caller, request: Request) -> Result<IngestAnswer, Problem> {
    QueryParameters::parse(request.uri(), &[])?;
    let ReadBody { bytes, format, share } = body::read_events(app, request).await?;
    let limits = limits(app);
    // A request that the writer has no room for is refused before it is decoded.
    let place = reserve(app, bytes.len()).await?;
    let turn = app.turns.turn(bytes.len(), app.engine.queue().0).await;
    // A body that is not JSON at all fails here as a whole. Errors of single events are in `decoded`.
    let decoded = match format {
        BodyFormat::Json => decode_json(&bytes, &limits),
        BodyFormat::Ndjson => decode_ndjson(&bytes, &limits),
    }?;
    // Events own their text, so the bytes can go before the wait for the journal.
    drop(bytes);
    // The sender is checked once the account and the kind of an event are known.
    let batch = IngestBatch::new(app, caller, decoded)?;
    let answer = batch.commit(app, caller, (place, turn)).await;
    // The share is returned only now: decoded events take more memory than their bytes did.
    drop(share);
    answer
}

/// Takes a place in the queue of the writer. A refusal lets the other tasks run first: a connection may
/// have many requests in its buffer, and all of them would be refused in one go.
///
/// # Errors
/// Overload, or that the exporter shuts down.
pub(super) async fn reserve(app: &AppState, body_bytes: usize) -> Result<QueuePlace, Problem> {
    match app.engine.reserve(body_bytes) {
        Ok(place) => Ok(place),
        Err(error) => {
            tokio::task::yield_now().await;
            Err(error.into())
        }
    }
}

/// The limits on a body that the configuration in force sets.
pub(super) fn limits(app: &AppState) -> DecodeLimits {
    let web = &app.config.load().web;
    DecodeLimits {
        events_max: web.events_max,
        text_bytes_max: web.text_bytes_max,
        depth_max: web.depth_max,
    }
}

/// In place of a type, for the note of an adapter.
const NOTE: &str = "note";

/// The events of one request that its sender may send, and the refusals so far.
pub(super) struct IngestBatch {
    entries: Vec<Entry>,
    /// Index in the body and `type` of each entry; [`NOTE`] for a note.
    origins: OneOrMany<(usize, &'static str)>,
    /// The accounts of the entries, each once: the answer has their trading states.
    accounts: Vec<Account>,
    rejected: Vec<Rejection>,
    warnings: Vec<(usize, Warning)>,
}

impl IngestBatch {
    /// # Errors
    /// `forbidden` when the caller may send none of the events.
    pub(super) fn new(app: &AppState, caller: &Caller, decoded: Decoded) -> Result<Self, Problem> {
        let received_at = clock::now();
        let mut batch = Self {
            entries: Vec::with_capacity(decoded.events.len()),
            origins: OneOrMany::default(),
            accounts: Vec::with_capacity(1),
            rejected: Vec::new(),
            warnings: decoded.warnings,
        };
        let mut forbidden = None;
        let mut received: OneOrMany<(&'static str, u64)> = OneOrMany::default();
        // A batch of delays is worth its three allocations only for several events.
        let delays = (decoded.events.len() > 1).then(|| app.runtime.ingest.local_delays());
        for (index, mut event) in decoded.events {
            let kind = event.body.kind();
            if let Some((_, count)) = received.iter_mut().find(|(known, _)| *known == kind) {
                *count += 1;
            } else {
                received.push((kind, 1));
            }
            if let Err(why) = check_sender(caller, &mut event) {
                forbidden.get_or_insert((index, why));
                batch.reject(app, index, ProblemCode::Forbidden.as_str(), None, why.to_owned());
                continue;
            }
            match (event.time, &delays) {
                (Some(time), Some(delays)) => delays.observe(time, received_at),
                (Some(time), None) => app.runtime.ingest.observe_delay(time, received_at),
                (None, _) => {}
            }
            // Nearly always all events are of one account.
            if batch.accounts.last() != Some(&event.account) {
                batch.accounts.push(event.account.clone());
            }
            batch.origins.push((index, kind));
            batch.entries.push(Entry::Event(event));
        }
        batch.accounts.sort_unstable();
        batch.accounts.dedup();
        for (kind, count) in received {
            app.runtime.ingest.events_received.with_label_values(&[kind]).inc_by(count);
        }
        // If the token covers none of the events, the request as a whole is forbidden.
        if let Some((index, why)) = forbidden
            && batch.rejected.len() == decoded.total
        {
            return Err(Problem::new(ProblemCode::Forbidden, why).of_event(index));
        }
        for error in decoded.refused {
            batch.reject(app, error.index, error.code.as_str(), error.field, error.message);
        }
        Ok(batch)
    }

    /// Adds texts that an adapter keeps: the index of the message, key and text. They are written with
    /// the events.
    pub(super) fn with_notes(
        mut self,
        caller: &Caller,
        notes: Vec<(usize, String, String)>,
    ) -> Self {
        let sender = caller.share().unwrap_or_default();
        for (index, key, text) in notes {
            let note = Note { sender: (&*sender).into(), key: key.into(), text: text.into() };
            self.origins.push((index, NOTE));
            self.entries.push(Entry::Note(note));
        }
        self
    }

    fn reject(
        &mut self,
        app: &AppState,
        index: usize,
        code: &'static str,
        field: Option<String>,
        message: String,
    ) {
        app.runtime.ingest.events_rejected.with_label_values(&[code]).inc();
        self.rejected.push(Rejection { index, code, field, message });
    }

    /// Writes the events to the journal and applies them.
    ///
    /// # Errors
    /// Those of the engine: overload, a failed journal, no room.
    pub(super) async fn commit(
        mut self,
        app: &AppState,
        caller: &Caller,
        (place, turn): (QueuePlace, Option<DecodeTurn<'_>>),
    ) -> Result<IngestAnswer, Problem> {
        let receipt = if self.entries.is_empty() {
            let sequence = app.engine.read(crate::domain::monitor::Monitor::sequence);
            Receipt { verdicts: Vec::new(), sequence, states: Vec::new() }
        } else {
            let entries = std::mem::take(&mut self.entries);
            let accounts = std::mem::take(&mut self.accounts);
            // Encoded and queued at once, so that the next request can be decoded.
            let submitted = place.submit_from(caller.share(), entries, accounts)?;
            drop(turn);
            submitted.received().await?
        };
        // Verdicts are in the order of the entries.
        let (mut accepted, mut duplicates) = (0, 0);
        for ((index, kind), verdict) in
            std::mem::take(&mut self.origins).into_iter().zip(&receipt.verdicts)
        {
            match verdict {
                // A note is no event.
                Verdict::Accepted | Verdict::Duplicate if kind == NOTE => {}
                Verdict::Accepted | Verdict::Decided { .. } => accepted += 1,
                Verdict::Warned(warnings) => {
                    accepted += 1;
                    self.warnings.extend(warnings.iter().map(|warning| (index, warning)));
                }
                Verdict::Duplicate => {
                    duplicates += 1;
                    app.runtime.ingest.events_duplicate.with_label_values(&[kind]).inc();
                }
                Verdict::Refused(refusal) => {
                    if *refusal == Refusal::Conflict {
                        app.runtime.ingest.events_conflict.with_label_values(&[kind]).inc();
                    }
                    self.reject(app, index, refusal.as_str(), None, refusal.to_string());
                }
                Verdict::Contradicts(why) => {
                    app.runtime.ingest.events_conflict.with_label_values(&[kind]).inc();
                    let field = Some(Field::Symbol.name().to_owned());
                    self.reject(app, index, Refusal::Conflict.as_str(), field, why.to_string());
                }
            }
        }
        if !self.rejected.is_empty() {
            self.check_room(app, &receipt.verdicts)?;
        }
        self.rejected.sort_by_key(|rejection| rejection.index);
        let Receipt { sequence, states, .. } = receipt;
        let warnings = self.warnings_of_accepted(app);
        Ok(IngestAnswer {
            accepted,
            duplicates,
            rejected: self.rejected,
            sequence,
            states,
            warnings,
            ignored: None,
        })
    }

    /// Counts the events for which the state had no room.
    ///
    /// # Errors
    /// `state_full` if there was room for none: the request as a whole may be sent again.
    fn check_room(&self, app: &AppState, verdicts: &[Verdict]) -> Result<(), Problem> {
        let full = verdicts.iter().filter(|verdict| **verdict == NO_ROOM).count();
        app.runtime.ingest.state_full.inc_by(full as u64);
        if full > 0 && full == verdicts.len() && full == self.rejected.len() {
            return Err(Refusal::StateFull.into());
        }
        Ok(())
    }

    /// The warnings about events that were not refused after all, counted as metrics.
    fn warnings_of_accepted(&mut self, app: &AppState) -> Vec<IngestWarning> {
        let mut warnings = std::mem::take(&mut self.warnings);
        let is_refused =
            |index: usize| self.rejected.binary_search_by_key(&index, |r| r.index).is_ok();
        warnings.retain(|(index, _)| !is_refused(*index));
        warnings.sort_unstable();
        for (_, warning) in &warnings {
            app.runtime.ingest.ingest_warnings.with_label_values(&[warning.as_str()]).inc();
        }
        warnings.into_iter().map(|(index, warning)| IngestWarning::new(index, warning)).collect()
    }
}

/// Checks that the caller may send an event. Drift and health compare two independent witnesses, so
/// reports of the broker need a scope of their own. A heartbeat gets the side of its token.
fn check_sender(caller: &Caller, event: &mut Event) -> Result<(), &'static str> {
    if !caller.may_see(event.account.as_str()) {
        return Err("the token is confined to other accounts");
    }
    if let Body::Heartbeat(heartbeat) = &mut event.body {
        return check_heartbeat(caller, heartbeat);
    }
    let of_broker = event.body.sender() == Some(Source::Broker);
    let needed = if of_broker { Scope::IngestBroker } else { Scope::Ingest };
    match (caller.has(needed), of_broker) {
        (true, _) => Ok(()),
        (false, true) => Err("broker positions need the scope ingest:broker"),
        (false, false) => Err(BROKER_ONLY),
    }
}

const BROKER_ONLY: &str =
    "the scope ingest:broker allows only broker positions and heartbeats of the broker";

/// Sets the side of a heartbeat to that of its token. Without tokens the heartbeat states its side.
fn check_heartbeat(caller: &Caller, heartbeat: &mut Heartbeat) -> Result<(), &'static str> {
    let (is_engine, is_broker) = (caller.has(Scope::Ingest), caller.has(Scope::IngestBroker));
    match heartbeat.source {
        None | Some(Source::Local) if is_engine => Ok(()),
        Some(Source::Broker) if !is_broker => {
            Err("heartbeats of the source broker need the scope ingest:broker")
        }
        Some(Source::Local) => Err("heartbeats of the source local need the scope ingest"),
        None | Some(Source::Broker) => {
            if !is_engine && heartbeat.component.as_str() != "broker" {
                return Err(BROKER_ONLY);
            }
            heartbeat.source = Some(Source::Broker);
            Ok(())
        }
    }
}

fn status(answer: &IngestAnswer) -> StatusCode {
    let taken = answer.accepted + answer.duplicates + answer.ignored.unwrap_or_default();
    match (taken, answer.rejected.len()) {
        (_, 0) => StatusCode::OK,
        (0, _) => StatusCode::UNPROCESSABLE_ENTITY,
        (_, _) => StatusCode::MULTI_STATUS,
    }
}
