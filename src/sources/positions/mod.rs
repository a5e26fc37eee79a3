//! Position sources: lists of positions that the exporter fetches from brokers and engines itself.
//!
//! Input: a [`PositionSource`] of the configuration, and the time. Output: for each list an event, or the
//! reason why there is none. Invariants: a list is dated by when it was asked for; only an answer that is
//! understood as a whole becomes an event, since a symbol that is left out counts as flat; an answer is
//! bounded in size and time; messages repeat no URL and no secret. Deliberately absent: tasks, and when the
//! next pull is (`crate::app`, [`PullPace`]); the meaning of a list (`crate::domain`).

mod client;
mod pace;
mod sign;
mod token;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::adapters::{
    AdaptedBody, AdapterName, AdapterOptions, ForeignForm, ListedPosition, NothingKnown, adapt,
    position_list,
};
use crate::config::{ListReader, ListRequest, PositionSource};
use crate::domain::event::{Body, Event, Source};
use crate::domain::ids::EventId;
use crate::domain::limits;
use crate::domain::time::Timestamp;
use crate::expression::{Expression, ExpressionRow, check_json};
use crate::wire::contract::error::BodyError;
use crate::wire::decode::DecodeLimits;
use client::ListClient;
pub(crate) use pace::{PullPace, ServerLoad};

/// The rows of an answer, or the reason why there are none.
pub(crate) type Evaluated =
    Pin<Box<dyn Future<Output = Result<Vec<ExpressionRow>, String>> + Send>>;
/// Runs an expression on an answer, apart from this process.
pub(crate) type Evaluate = Arc<dyn Fn(Expression, Vec<u8>) -> Evaluated + Send + Sync>;

/// Bytes of an answer that a message repeats.
const BEGINNING_BYTES_MAX: usize = 200;

/// A source that is ready to be asked.
pub(crate) struct PositionPuller {
    source: PositionSource,
    client: Result<ListClient, String>,
    evaluate: Evaluate,
}

/// The list of one side, or the failure.
pub(crate) struct PulledSide {
    pub(crate) role: Source,
    pub(crate) result: Result<Event, PullFailure>,
}

/// The reason why there is no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PullFailure {
    /// For people, without secrets.
    pub(crate) why: String,
    /// The status of the answer, if there was one.
    pub(crate) status: Option<u16>,
    /// The pause that the server asked for.
    pub(crate) retry_after: Option<Duration>,
}

impl PullFailure {
    fn because(why: impl Into<String>) -> Self {
        Self { why: why.into(), status: None, retry_after: None }
    }

    /// The load of the server, by its answer.
    pub(crate) fn load(&self) -> ServerLoad {
        match (self.status, self.retry_after) {
            // 418 is Binance's word for an address that is banned, 403 Bybit's.
            (Some(403 | 418 | 429 | 500..), Some(pause)) => ServerLoad::BusyFor(pause),
            (Some(403 | 418 | 429 | 500..), None) => ServerLoad::Busy,
            (_, _) => ServerLoad::Ready,
        }
    }
}

impl PositionPuller {
    pub(crate) fn new(source: PositionSource, evaluate: Evaluate) -> Self {
        let client = ListClient::new(&source);
        Self { source, client, evaluate }
    }

    /// Asks for every list at once. Ends within the timeout of the source.
    pub(crate) async fn pull(&self, now: Timestamp) -> Vec<PulledSide> {
        let sides = self.source.lists.iter().map(async |list| {
            let limit = self.source.timeout;
            let has_answer = AtomicBool::new(false);
            let pulled = tokio::time::timeout(limit, self.list(list, now, &has_answer)).await;
            let result = pulled.unwrap_or_else(|_| {
                let has_answer = has_answer.load(Ordering::Relaxed);
                let late = if has_answer { "the expression has not ended" } else { "no answer" };
                let why = format!("{late} within {} s", limit.as_secs_f64());
                Err(PullFailure::because(why))
            });
            let result = result.map_err(|failure| self.without_secrets(failure));
            PulledSide { role: list.role, result }
        });
        futures_util::future::join_all(sides).await
    }

    async fn list(
        &self,
        list: &ListRequest,
        now: Timestamp,
        has_answer: &AtomicBool,
    ) -> Result<Event, PullFailure> {
        let client = self.client.as_ref().map_err(PullFailure::because)?;
        let answer = client.fetch(list, now).await?;
        has_answer.store(true, Ordering::Relaxed);
        check_json(&answer).map_err(|why| unreadable(&why, &answer))?;
        let beginning = beginning(&answer);
        let adapted = match &list.reader {
            ListReader::Alpaca => self.read_alpaca(list, &answer),
            ListReader::Expression(expression) => {
                let rows = (self.evaluate)(expression.clone(), answer).await;
                let rows = rows.map_err(|why| {
                    PullFailure::because(format!("{why}; the answer begins {beginning}"))
                })?;
                let rows = rows.into_iter().map(listed).collect();
                position_list(rows, &self.options(list), &limits_of_list())
            }
        };
        let adapted = adapted.map_err(|error| PullFailure::because(error.to_string()))?;
        self.event(list, adapted, now).map_err(PullFailure::because)
    }

    fn read_alpaca(&self, list: &ListRequest, answer: &[u8]) -> Result<AdaptedBody, BodyError> {
        let body = (answer, ForeignForm::Text);
        adapt(AdapterName::Alpaca, body, &self.options(list), &NothingKnown, &limits_of_list())
    }

    fn options(&self, list: &ListRequest) -> AdapterOptions {
        AdapterOptions {
            account: Some(self.source.account.clone()),
            role: Some(list.role),
            ..AdapterOptions::default()
        }
    }

    /// The one event of a list, dated and named. Anything else is no list of positions.
    fn event(
        &self,
        list: &ListRequest,
        adapted: AdaptedBody,
        now: Timestamp,
    ) -> Result<Event, String> {
        if let Some(error) = adapted.decoded.refused.first() {
            let place = error.field.as_deref().unwrap_or("positions");
            return Err(format!("{place}: {}", error.message));
        }
        let mut events = adapted.decoded.events.into_iter();
        let (Some((_, mut event)), None) = (events.next(), events.next()) else {
            return Err(String::from("the answer is not a list of positions"));
        };
        let Body::Positions(positions) = &event.body else {
            return Err(String::from("the answer is not a list of positions"));
        };
        if positions.source != list.role {
            return Err(String::from("the answer is a list of the other side"));
        }
        if let Some(why) = &positions.failure {
            return Err(format!("the answer is an error: {why}"));
        }
        event.time = Some(now);
        event.event_id = event_id(&self.source.name, list.role, "list", now);
        Ok(event)
    }

    fn without_secrets(&self, mut failure: PullFailure) -> PullFailure {
        for secret in self.source.secrets().filter(|secret| secret.len() >= 4) {
            failure.why = failure.why.replace(secret, "<secret>");
            // The begin of an answer may end within a secret.
            let begins = (8..secret.len()).rev().filter_map(|end| secret.get(..end));
            for begin in begins {
                failure.why = failure.why.replace(&format!("{begin}\""), "<secret>\"");
            }
        }
        failure.why.truncate(failure.why.floor_char_boundary(limits::TEXT_BYTES_MAX));
        failure
    }
}

/// An id of its own for what a pull of that moment reports, so that a commit that is tried again is a
/// duplicate.
pub(crate) fn event_id(
    source: &str,
    role: Source,
    what: &str,
    asked_at: Timestamp,
) -> Option<EventId> {
    EventId::new(&format!("{source}:{}:{what}:{}", role.as_str(), asked_at.as_nanos())).ok()
}

/// A list may have more rows than a request of a client may have events: it is one event.
fn limits_of_list() -> DecodeLimits {
    DecodeLimits::default()
}

fn listed(row: ExpressionRow) -> ListedPosition {
    let ExpressionRow { symbol, quantity, average_price, market_price } = row;
    ListedPosition { symbol, quantity, average_price, market_price }
}

/// A failure with the begin of the answer.
fn unreadable(why: &str, answer: &[u8]) -> PullFailure {
    PullFailure::because(format!("{why}; the answer begins {}", beginning(answer)))
}

/// The begin of an answer as one quoted line.
fn beginning(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer.get(..BEGINNING_BYTES_MAX).unwrap_or(answer));
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("\"{}\"", line.trim())
}
