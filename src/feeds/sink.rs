//! The way of messages into the engine: tried again until they are taken.
//!
//! Input: messages. Output: whether all were taken, for good. Invariants: a busy engine is waited for and
//! nothing is dropped; a message that makes a whole delivery fail costs no other one its place.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::{FeedContext, FeedCounts, FeedDelivery, FeedEvent, FeedMessage};

/// The longest pause while the engine is busy.
const BUSY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Whether messages were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Committed {
    /// Each is recorded, or refused for good.
    All,
    /// The feed was stopped before.
    Stopped,
}

/// Commits messages, and waits as long as the engine is busy.
pub(super) async fn commit(
    context: &FeedContext,
    messages: Vec<FeedMessage>,
    stop: &CancellationToken,
) -> Committed {
    let mut waiting = portions(messages, (context.message_bytes_max)());
    let mut backoff = Backoff::up_to(BUSY_PAUSE_MAX);
    while let Some(mut messages) = waiting.pop() {
        if messages.is_empty() {
            continue;
        }
        match (context.deliver)(messages.clone()).await {
            FeedDelivery::Taken(counts) => {
                backoff.reset();
                context.observe(FeedEvent::Taken(counts));
            }
            FeedDelivery::Later(why) => {
                context.observe(FeedEvent::Waiting(why));
                waiting.push(messages);
                if stop.run_until_cancelled(tokio::time::sleep(backoff.next())).await.is_none() {
                    return Committed::Stopped;
                }
            }
            FeedDelivery::Refused(why) if messages.len() == 1 => {
                let counts = FeedCounts { refused: 1, why: Some(why), ..FeedCounts::default() };
                context.observe(FeedEvent::Taken(counts));
            }
            // One of them is to blame: the first half goes first.
            FeedDelivery::Refused(_) => {
                let rest = messages.split_off(messages.len() / 2);
                waiting.push(rest);
                waiting.push(messages);
            }
        }
    }
    Committed::All
}

/// Messages in deliveries that are as large as a body may be, the last one first.
fn portions(messages: Vec<FeedMessage>, bytes_max: usize) -> Vec<Vec<FeedMessage>> {
    let mut all: Vec<Vec<FeedMessage>> = Vec::new();
    let mut bytes = 0_usize;
    for message in messages {
        let more = message.text.len() + 1;
        bytes = bytes.saturating_add(more);
        match all.last_mut() {
            Some(portion) if bytes <= bytes_max => portion.push(message),
            Some(_) | None => {
                bytes = more;
                all.push(vec![message]);
            }
        }
    }
    all.reverse();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Arc;

    use parking_lot::Mutex;

    /// A context whose engine is busy the first time, and refuses a delivery with a `bad` message whole.
    fn context(
        taken: &Arc<Mutex<Vec<String>>>,
        events: &Arc<Mutex<Vec<FeedEvent>>>,
    ) -> FeedContext {
        let (taken, events) = (Arc::clone(taken), Arc::clone(events));
        let busy = Arc::new(Mutex::new(true));
        FeedContext {
            deliver: Arc::new(move |messages| {
                let (taken, busy) = (Arc::clone(&taken), Arc::clone(&busy));
                Box::pin(async move {
                    if std::mem::take(&mut *busy.lock()) {
                        return FeedDelivery::Later(String::from("full"));
                    }
                    if messages.iter().any(|message| message.text == "bad") {
                        return FeedDelivery::Refused(String::from("not JSON"));
                    }
                    let texts = messages.iter().map(|m| String::from_utf8_lossy(&m.text).into());
                    taken.lock().extend(texts);
                    FeedDelivery::Taken(FeedCounts {
                        accepted: messages.len(),
                        ..FeedCounts::default()
                    })
                })
            }),
            observe: Arc::new(move |event| events.lock().push(event)),
            message_bytes_max: Arc::new(|| 100),
            settle: Arc::new(|| Box::pin(async { None })),
            blocking: Arc::new(|call| call()),
            directory: None,
            journal: (String::new(), 0),
        }
    }

    #[test]
    fn a_delivery_is_no_larger_than_a_body() {
        let check = |lengths: &[usize], bytes_max: usize, expect: &[usize]| {
            let message = |length: &usize| FeedMessage::new(&vec![b'x'; *length], String::new());
            let portions = portions(lengths.iter().map(message).collect(), bytes_max);
            let sizes: Vec<usize> = portions.iter().rev().map(Vec::len).collect();
            assert_eq!(sizes, expect, "{lengths:?}");
        };
        check(&[], 10, &[]);
        check(&[4, 4, 4], 10, &[2, 1]);
        check(&[10, 1, 1], 10, &[1, 2]);
        check(&[1, 20, 1], 10, &[1, 1, 1]);
    }

    #[tokio::test]
    async fn a_bad_message_costs_no_other_its_place() {
        let (taken, events) = (Arc::default(), Arc::default());
        let context = context(&taken, &events);
        let messages = ["a", "b", "bad", "c", "d"]
            .map(|text| FeedMessage::new(text.as_bytes(), String::new()));
        let stop = CancellationToken::new();
        assert_eq!(commit(&context, messages.to_vec(), &stop).await, Committed::All);
        assert_eq!(*taken.lock(), ["a", "b", "c", "d"]);
        let refused = events
            .lock()
            .iter()
            .filter(|event| matches!(event, FeedEvent::Taken(FeedCounts { refused: 1, .. })))
            .count();
        assert_eq!(refused, 1);
        assert!(matches!(events.lock().first(), Some(FeedEvent::Waiting(_))));
    }

    #[tokio::test]
    async fn a_feed_that_is_stopped_leaves_a_busy_engine() {
        let (taken, events) = (Arc::default(), Arc::default());
        let context = context(&taken, &events);
        let stop = CancellationToken::new();
        stop.cancel();
        let messages = vec![FeedMessage::new(b"a", String::new())];
        assert_eq!(commit(&context, messages, &stop).await, Committed::Stopped);
        assert!(taken.lock().is_empty());
    }
}
