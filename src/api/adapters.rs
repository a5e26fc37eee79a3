//! `POST /api/v1/adapters/{name}`: messages of other systems, in their own format.
//!
//! Invariants: those of `events`, whose batch commits what an adapter made; what a message means is
//! decided before it is journaled, by `crate::adapters`, from the message and the state at that moment. A
//! message that says nothing here is counted and answered 2xx, since some systems repeat what is refused
//! and wait for it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::Bytes;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::adapters::{
    AdaptedBody, AdapterName, AdapterOptions, CsvMapping, ForeignForm, HeldBook, HeldOrder,
    KnownState, adapt,
};
use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::body::{self, ReadBody};
use crate::api::events::{self, IngestBatch};
use crate::api::problem::{Problem, ProblemCode};
use crate::api::query::{QueryParameters, invalid, path};
use crate::clock;
use crate::domain::account::AccountState;
use crate::domain::closed_set::ClosedSet;
use crate::domain::event::Source;
use crate::domain::ids::{EventId, Symbol};
use crate::domain::monitor::Monitor;
use crate::engine::QueuePlace;
use crate::wire::answer::IngestAnswer;

/// Accepts messages of another system
///
/// The body is in the format of that system: one message, an array or one per line where the format is
/// JSON, FIX messages one after the other. Its media type does not matter, except for URL-encoded fields.
/// The answer is that of events, with `ignored`: the number of messages that say nothing here. `index` is
/// that of the message, which may become several events. Messages that were sent before count as
/// `duplicates`.
///
/// The token may also be the password of Basic, or the parameter `token`.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    post, path = "/api/v1/adapters/{name}", tag = "ingest",
    params(
        ("name" = inline(AdapterName), Path, description = "The system"),
        ("account" = Option<String>, Query, description = "The account of every event; if missing, the one that a message names, or else `default`", max_length = 128),
        ("role" = inline(Option<Source>), Query, description = "The side that reports positions; if missing, the usual one of the format"),
        ("mapping" = Option<String>, Query, description = "For `csv`: the name of a mapping of the configuration; if missing, the columns are named like the fields", max_length = 128),
        ("token" = Option<String>, Query, description = "The token, for systems that can configure only a URL"),
    ),
    request_body(content(
        (serde_json::Value = "application/json"),
        (String = "application/x-ndjson"),
        (serde_json::Value = "application/x-www-form-urlencoded"),
        (String = "text/plain"),
        (String = "text/csv"),
    ), description = "Messages of the system"),
    responses(
        (status = 200, description = "All events are in the journal and applied, or were known already; or there was none", body = IngestAnswer),
        (status = 207, description = "Some messages were refused; the others are in the journal and applied", body = IngestAnswer),
        (status = 404, description = "`unknown_path`: there is no adapter of that name", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "All messages were refused", body = IngestAnswer),
    ),
)]
pub(super) async fn post_adapter(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let started = clock::monotonic();
    let answer = take(&app, &caller, name, request).await;
    events::respond(&app, started, answer)
}

impl PartialSchema for AdapterName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .enum_values(Some(Self::WORDS.iter().copied()))
            .into()
    }
}

impl ToSchema for AdapterName {}

async fn take(
    app: &AppState,
    caller: &Caller,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<IngestAnswer, Problem> {
    let name = path(name)?;
    let Some(adapter) = AdapterName::from_word(&name) else {
        let known = AdapterName::WORDS.join(", ");
        let detail = format!("there is no adapter of that name, only {known}");
        return Err(Problem::new(ProblemCode::UnknownPath, detail));
    };
    let parameters = QueryParameters::parse(request.uri(), &["account", "role", "mapping"])?;
    let options = AdapterOptions {
        csv: mapping(app, parameters.text("mapping"))?,
        account: parameters.account()?,
        role: parameters.member::<Source>("role")?,
    };
    // Before the body is read, so that a sender with a wrong URL learns it from its first message.
    if let Some(account) = &options.account {
        caller.check_account(account.as_str())?;
    }
    let ReadBody { bytes, format, share } = body::read_foreign(app, request).await?;
    // As for events: a request that the writer has no room for is refused before it is decoded.
    let place = events::reserve(app, bytes.len()).await?;
    let answer = commit(app, caller, (adapter, &options), (bytes, format), place).await;
    drop(share);
    answer
}

/// Translates a body, and commits what it became.
///
/// # Errors
/// See [`Problem`].
pub(super) async fn commit(
    app: &AppState,
    caller: &Caller,
    (adapter, options): (AdapterName, &AdapterOptions),
    (bytes, format): (Bytes, ForeignForm),
    place: QueuePlace,
) -> Result<IngestAnswer, Problem> {
    let limits = events::limits(app);
    let turn = app.turns.turn(bytes.len(), app.engine.queue().0).await;
    let state = StateForAdapters { app, caller };
    let translated = adapt(adapter, (&bytes, format), options, &state, &limits)?;
    drop(bytes);
    let AdaptedBody { decoded, ignored, notes, known, messages } = translated;
    let metrics = &app.runtime.ingest;
    metrics.adapter_messages.with_label_values(&[adapter.as_str()]).inc_by(messages as u64);
    metrics.adapter_ignored.with_label_values(&[adapter.as_str()]).inc_by(ignored.len() as u64);
    let batch = IngestBatch::new(app, caller, decoded)?.with_notes(caller, notes);
    let mut answer = batch.commit(app, caller, (place, turn)).await?;
    answer.duplicates += known;
    // A sender that names its account learns its state, also if the message became no event.
    if let Some(account) = options.account.clone().filter(|_| answer.states.is_empty()) {
        let state = app.engine.read(|monitor| {
            monitor.account(account.as_str()).map(|_| monitor.permit(account.as_str()).state)
        });
        answer.states.extend(state.map(|state| (account, state)));
    }
    answer.ignored = Some(ignored.len());
    Ok(answer)
}

/// The mapping of this name.
fn mapping(app: &AppState, name: Option<&str>) -> Result<Arc<CsvMapping>, Problem> {
    let Some(name) = name else { return Ok(Arc::default()) };
    let config = app.config.load();
    let found = config.csv.iter().find(|mapping| mapping.name == name);
    found.cloned().ok_or_else(|| invalid("mapping", "is no mapping of the configuration"))
}

/// The state of the engine, as adapters ask for it for one caller. Each question takes the read lock for
/// one look-up. Of an account that the caller may not see, nothing is known: a message may name any.
struct StateForAdapters<'a> {
    app: &'a AppState,
    caller: &'a Caller,
}

impl StateForAdapters<'_> {
    fn ask<T>(
        &self,
        account: &str,
        question: impl FnOnce(&Monitor, &AccountState) -> Option<T>,
    ) -> Option<T> {
        if !self.caller.may_see(account) {
            return None;
        }
        self.app.engine.read(|monitor| question(monitor, monitor.account(account)?))
    }
}

impl KnownState for StateForAdapters<'_> {
    fn order(&self, account: &str, order_id: &str) -> Option<HeldOrder> {
        self.ask(account, |_, held| {
            let order = held.execution.order(&held.symbols, None, order_id)?;
            Some(HeldOrder {
                is_submitted: order.submitted_at.is_some(),
                has_ended: order.outcome.is_some(),
                side: order.side,
                quantity: order.quantity,
                filled: order.filled_quantity,
                average_price: order.average_price,
            })
        })
    }

    fn has_event(&self, account: &str, event_id: &str) -> bool {
        let Ok(id) = EventId::new(event_id) else { return false };
        self.ask(account, |_, held| held.horizon.contains(&id).then_some(())).is_some()
    }

    fn note(&self, key: &str) -> Option<String> {
        let sender = self.caller.share().unwrap_or_default();
        self.app.engine.read(|monitor| monitor.notes().get(&sender, key).map(str::to_owned))
    }

    fn book(&self, account: &str, symbol: &str) -> Option<HeldBook> {
        let symbol = Symbol::new(symbol).ok()?;
        self.ask(account, |monitor, held| {
            let aliases = &monitor.settings().aliases;
            let renamed = aliases.name(account, Source::Local, symbol.as_str());
            let symbol = renamed.unwrap_or(symbol);
            let position = held.books.position(&held.symbols, held.symbols.get(&symbol)?)?;
            Some(HeldBook { local: position.local, ledger: position.ledger })
        })
    }
}
