//! Messages of feeds, which take the way of a request without HTTP.
//!
//! Input: messages that a feed read, each with its origin. Output: the answer that a sender would get.
//! Invariants: those of `events` and `adapters`, whose checks, limits, shares and turns apply; a feed acts
//! for its account alone, as the holder of a token `feed:NAME` that is confined to it; an event without
//! an id gets one from its text and its origin, so that a repetition is a duplicate. Deliberately absent:
//! where messages come from, and when to try again (see `crate::feeds`).

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::adapters::{AdapterOptions, ForeignForm};
use crate::api::auth::Caller;
use crate::api::events::{self, IngestBatch};
use crate::api::problem::Problem;
use crate::api::{AppState, adapters};
use crate::clock;
use crate::config::{Feed, FeedFormat, Scope, Token};
use crate::domain::event::Source;
use crate::domain::ids::{Account, EventId};
use crate::domain::pattern::Pattern;
use crate::domain::record::Refusal;
use crate::wire::answer::IngestAnswer;
use crate::wire::contract::error::{BodyError, EventError, FieldCode};
use crate::wire::decode::{DecodeLimits, Decoded, decode_json};
use crate::wire::hex::hex;

/// Bytes of a digest that become an id.
const ID_BYTES: usize = 16;

/// Why messages of a feed were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FeedRefusal {
    /// None is recorded, or not all: the same messages may be taken later.
    Later(String),
    /// They would be refused again.
    Never(String),
}

/// The way into the engine for one feed.
#[derive(Clone, Debug)]
pub(crate) struct FeedDoor {
    app: AppState,
    caller: Caller,
    format: FeedFormat,
    options: AdapterOptions,
}

impl FeedDoor {
    pub(crate) fn new(app: AppState, feed: &Feed) -> Self {
        // As for tokens, no feed speaks for both sides: drift compares two witnesses.
        let scope = match feed.role {
            Some(Source::Broker) => Scope::IngestBroker,
            Some(Source::Local) | None => Scope::Ingest,
        };
        let name: Arc<str> = Arc::from(feed.component.as_str());
        let options = AdapterOptions {
            account: Some(feed.account.clone()),
            role: feed.role,
            ..AdapterOptions::default()
        };
        let accounts = vec![Pattern::new(feed.account.as_str())];
        let token = Token { name, sha256: [0; 32], scopes: vec![scope], accounts };
        Self { app, caller: Caller::Holder(Arc::new(token)), format: feed.format, options }
    }

    /// The bytes of a message, at most.
    pub(crate) fn message_bytes_max(&self) -> usize {
        self.app.config.load().web.body_bytes_max
    }

    /// Commits messages: each is its text, without a line break, and its origin.
    ///
    /// # Errors
    /// See [`FeedRefusal`].
    pub(crate) async fn deliver(
        &self,
        messages: &[(&[u8], &str)],
    ) -> Result<IngestAnswer, FeedRefusal> {
        let started = clock::monotonic();
        let answer = self.take(messages).await;
        events::observe(&self.app, started, answer.as_ref().err());
        match answer {
            Ok(answer) => {
                // The others are duplicates the next time.
                let full = Refusal::StateFull;
                match answer.rejected.iter().find(|r| r.code == full.as_str()) {
                    Some(rejection) => Err(FeedRefusal::Later(rejection.message.clone())),
                    None => Ok(answer),
                }
            }
            Err(problem) if problem.code().status().is_server_error() => {
                Err(FeedRefusal::Later(problem.detail().to_owned()))
            }
            Err(problem) => Err(FeedRefusal::Never(problem.detail().to_owned())),
        }
    }

    async fn take(&self, messages: &[(&[u8], &str)]) -> Result<IngestAnswer, Problem> {
        let app = &self.app;
        let bytes = messages.iter().map(|(text, _)| text.len() + 1).sum();
        let share = app.budget.take(bytes)?;
        let place = events::reserve(app, bytes).await?;
        let answer = match self.format {
            FeedFormat::Adapter(adapter) => {
                let mut body = Vec::with_capacity(bytes);
                for (text, _) in messages {
                    body.extend_from_slice(text);
                    body.push(b'\n');
                }
                let body = (body.into(), ForeignForm::Text);
                adapters::commit(app, &self.caller, (adapter, &self.options), body, place).await
            }
            FeedFormat::Events => {
                let turn = app.turns.turn(bytes, app.engine.queue().0).await;
                let decoded = self.decode(messages, &events::limits(app));
                let batch = IngestBatch::new(app, &self.caller, decoded)?;
                batch.commit(app, &self.caller, (place, turn)).await
            }
        };
        drop(share);
        answer
    }

    /// The events of the messages. A message that is none costs no other its place.
    fn decode(&self, messages: &[(&[u8], &str)], limits: &DecodeLimits) -> Decoded {
        let mut all = Decoded::default();
        for (index, (text, origin)) in messages.iter().enumerate() {
            match decode_json(text, limits) {
                Ok(found) => {
                    all.total += found.total;
                    for (place, mut event) in found.events {
                        if event.event_id.is_none() {
                            event.event_id = id_of(text, origin, place);
                        }
                        // The decoder gives an event without an account this one.
                        if event.account.as_str() == Account::DEFAULT
                            && let Some(own) = &self.options.account
                        {
                            event.account = own.clone();
                        }
                        all.events.push((index, event));
                    }
                    let refused = found.refused.into_iter();
                    all.refused.extend(refused.map(|error| EventError { index, ..error }));
                    all.warnings.extend(found.warnings.into_iter().map(|(_, w)| (index, w)));
                }
                Err(error) => {
                    all.total += 1;
                    all.refused.push(refused(index, &error));
                }
            }
        }
        all
    }
}

fn refused(index: usize, error: &BodyError) -> EventError {
    EventError { index, code: FieldCode::InvalidJson, field: None, message: error.to_string() }
}

/// An id that the same message gets again: of its text, its origin, and its place in the message.
fn id_of(text: &[u8], origin: &str, place: usize) -> Option<EventId> {
    let mut digest = Sha256::new();
    digest.update(origin);
    digest.update(place.to_be_bytes());
    digest.update(text);
    let digest = digest.finalize();
    let id = format!("feed:{}", hex(digest.get(..ID_BYTES)?));
    EventId::new(&id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_text_origin_and_place() {
        let id = |text: &str, origin: &str, place| id_of(text.as_bytes(), origin, place);
        let one = id("{}", "1:2:0", 0);
        assert_eq!(one, id("{}", "1:2:0", 0));
        assert_eq!(one.as_ref().map(|id| id.as_str().len()), Some(37));
        for other in [id("{} ", "1:2:0", 0), id("{}", "1:2:7", 0), id("{}", "1:2:0", 1)] {
            assert_ne!(one, other);
        }
    }
}
