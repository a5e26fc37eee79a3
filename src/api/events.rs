//! `POST /api/v1/events`: events in, one object, an array, or a line each.
//!
//! Decoding happens here, in the task of the request. Invariants: 2xx means that the events are in
//! the journal and folded into the state; a refused event changes nothing of the others; `index`
//! is the event's place in the body.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::body::{self, Kind};
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::clock;
use crate::config::Scope;
use crate::domain::compact::OneOrMany;
use crate::domain::event::{Body, Event, Heartbeat, Source};
use crate::domain::ids::Account;
use crate::domain::record::{Entry, Refusal, Verdict};
use crate::domain::warning::Warning;
use crate::engine::Receipt;
use crate::wire::answer::{IngestAnswer, IngestWarning, Rejection};
use crate::wire::contract::field::Field;
use crate::wire::decode::{DecodeLimits, Decoded, decode_json, decode_ndjson};

/// Where events are taken.
pub(super) const EVENTS_PATH: &str = "/api/v1/events";

/// Takes events
///
/// One object or an array (`application/json`), or a line each (`application/x-ndjson`), plain or
/// in gzip or zstd. Sending the same events again is safe, whole or in part. A token with
/// `ingest` may send everything but `positions` of `source: "broker"`; one with `ingest:broker`
/// those and heartbeats of the component `broker`, and nothing else; a heartbeat is of the side that
/// its token is of, and of what the two sides say of a component the worse counts. Events of accounts that the
/// token is not for are refused as `forbidden`, one by one if others are taken.
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
        (status = 200, description = "All are in the journal and folded, or were known already", body = IngestAnswer),
        (status = 207, description = "Some were refused, the others are in the journal and folded", body = IngestAnswer),
        (status = 422, description = "All were refused", body = IngestAnswer),
    ),
)]
pub(super) async fn post_events(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    ingest(&app, &caller, request).await
}

/// Takes the events of a request, and tells how long that took and what was refused.
///
/// # Errors
/// See [`Problem`].
pub(super) async fn ingest(
    app: &AppState,
    caller: &Caller,
    request: Request,
) -> Result<Response, Problem> {
    let started = clock::monotonic();
    let answer = match take(app, caller, request).await {
        Ok(answer) => {
            let mut response = Response::new(answer.to_json().into());
            *response.status_mut() = status(&answer);
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            Ok(response)
        }
        Err(problem) => {
            app.runtime.event_rejected(problem.code().as_str());
            Err(problem)
        }
    };
    app.runtime.ingest_duration(clock::monotonic().saturating_duration_since(started));
    answer
}

/// The body of an ingest request, for the document; [`document`](crate::api::document) puts the
/// kinds of events in.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = Events)]
#[expect(dead_code, reason = "a schema, never a value")]
pub(super) struct EventsBody(serde_json::Value);

async fn take(app: &AppState, caller: &Caller, request: Request) -> Result<IngestAnswer, Problem> {
    Parameters::parse(request.uri(), &[])?;
    let held = body::read_events(app, request).await?;
    let limits = {
        let web = &app.config.load().web;
        DecodeLimits {
            events_max: web.events_max,
            text_bytes_max: web.text_bytes_max,
            depth_max: web.depth_max,
        }
    };
    let (bytes, kind, share) = held.into_parts();
    let decoded = match kind {
        Kind::Json => decode_json(&bytes, &limits),
        Kind::Ndjson => decode_ndjson(&bytes, &limits),
    }?;
    drop(bytes);
    let batch = Batch::new(app, caller, decoded)?;
    let answer = batch.commit(app).await;
    // Held until here: the decoded events are the greater part of what the body costs.
    drop(share);
    answer
}

/// The events of a request that its sender may send, and those already refused.
struct Batch {
    entries: Vec<Entry>,
    /// Place in the body and `type` of each entry.
    places: OneOrMany<(usize, &'static str)>,
    /// Those of the entries.
    accounts: Vec<Account>,
    rejected: Vec<Rejection>,
    warnings: Vec<(usize, Warning)>,
}

impl Batch {
    fn new(app: &AppState, caller: &Caller, decoded: Decoded) -> Result<Self, Problem> {
        let received_at = clock::now();
        let mut batch = Self {
            entries: Vec::with_capacity(decoded.events.len()),
            places: OneOrMany::default(),
            accounts: Vec::with_capacity(1),
            rejected: Vec::new(),
            warnings: decoded.warnings,
        };
        let mut forbidden = None;
        let mut received: OneOrMany<(&'static str, u64)> = OneOrMany::default();
        // Gathered for many, for it costs three allocations.
        let delays = (decoded.events.len() > 1).then(|| app.runtime.delays());
        for (index, mut event) in decoded.events {
            let kind = event.body.kind();
            if let Some((_, count)) = received.iter_mut().find(|(known, _)| *known == kind) {
                *count += 1;
            } else {
                received.push((kind, 1));
            }
            if let Err(why) = check_sender(caller, &mut event) {
                forbidden.get_or_insert((index, why));
                batch.reject(app, index, Code::Forbidden.as_str(), None, why.to_owned());
                continue;
            }
            match (event.time, &delays) {
                (Some(time), Some(delays)) => delays.observe(time, received_at),
                (Some(time), None) => app.runtime.event_delay(time, received_at),
                (None, _) => {}
            }
            // Mostly all are of one.
            if batch.accounts.last() != Some(&event.account) {
                batch.accounts.push(event.account.clone());
            }
            batch.places.push((index, kind));
            batch.entries.push(Entry::Event(event));
        }
        batch.accounts.sort_unstable();
        batch.accounts.dedup();
        for (kind, count) in received {
            app.runtime.events_received(kind, count);
        }
        match forbidden {
            Some((index, why)) if batch.rejected.len() == decoded.total => {
                return Err(Problem::new(Code::Forbidden, why).of_event(index));
            }
            Some(_) | None => {}
        }
        for error in decoded.refused {
            batch.reject(app, error.index, error.code.as_str(), error.field, error.message);
        }
        Ok(batch)
    }

    fn reject(
        &mut self,
        app: &AppState,
        index: usize,
        code: &'static str,
        field: Option<String>,
        message: String,
    ) {
        app.runtime.event_rejected(code);
        self.rejected.push(Rejection { index, code, field, message });
    }

    async fn commit(mut self, app: &AppState) -> Result<IngestAnswer, Problem> {
        let receipt = if self.entries.is_empty() {
            let sequence = app.engine.read(crate::domain::monitor::Monitor::sequence);
            Receipt { verdicts: Vec::new(), sequence, states: Vec::new() }
        } else {
            let entries = std::mem::take(&mut self.entries);
            let accounts = std::mem::take(&mut self.accounts);
            app.engine.submit(entries, accounts).await?
        };
        let (mut accepted, mut duplicates) = (0, 0);
        for ((index, kind), verdict) in
            std::mem::take(&mut self.places).into_iter().zip(&receipt.verdicts)
        {
            match verdict {
                Verdict::Accepted | Verdict::Decided { .. } => accepted += 1,
                Verdict::Warned(warnings) => {
                    accepted += 1;
                    self.warnings.extend(warnings.iter().map(|warning| (index, warning)));
                }
                Verdict::Duplicate => {
                    duplicates += 1;
                    app.runtime.event_duplicate(kind);
                }
                Verdict::Refused(refusal) => {
                    if *refusal == Refusal::Conflict {
                        app.runtime.event_conflict(kind);
                    }
                    self.reject(app, index, refusal.code(), None, refusal.to_string());
                }
                Verdict::Contradicts(why) => {
                    app.runtime.event_conflict(kind);
                    let field = Some(Field::Symbol.name().to_owned());
                    self.reject(app, index, Refusal::Conflict.code(), field, why.to_string());
                }
            }
        }
        self.rejected.sort_by_key(|rejection| rejection.index);
        let Receipt { sequence, states, .. } = receipt;
        let warnings = self.warnings_of_taken(app);
        Ok(IngestAnswer {
            accepted,
            duplicates,
            rejected: self.rejected,
            sequence,
            states,
            warnings,
        })
    }

    /// What there is to say about the events that were not refused.
    fn warnings_of_taken(&mut self, app: &AppState) -> Vec<IngestWarning> {
        let mut warnings = std::mem::take(&mut self.warnings);
        let is_refused =
            |index: usize| self.rejected.binary_search_by_key(&index, |r| r.index).is_ok();
        warnings.retain(|(index, _)| !is_refused(*index));
        warnings.sort_unstable();
        for (_, warning) in &warnings {
            app.runtime.event_warned(*warning);
        }
        warnings.into_iter().map(|(index, warning)| IngestWarning::new(index, warning)).collect()
    }
}

/// Whether the caller may send an event; drift and health are judged between independent witnesses,
/// so what the broker says has a scope of its own. A heartbeat gets the witness of its token.
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
        (false, false) => Err(BROKER_ALONE),
    }
}

const BROKER_ALONE: &str =
    "the scope ingest:broker is for broker positions and heartbeats of the broker alone";

/// Gives a heartbeat the witness of its token. Without tokens it is whose it says.
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
                return Err(BROKER_ALONE);
            }
            heartbeat.source = Some(Source::Broker);
            Ok(())
        }
    }
}

const fn status(answer: &IngestAnswer) -> StatusCode {
    match (answer.accepted + answer.duplicates, answer.rejected.len()) {
        (_, 0) => StatusCode::OK,
        (0, _) => StatusCode::UNPROCESSABLE_ENTITY,
        (_, _) => StatusCode::MULTI_STATUS,
    }
}
