//! Places for scrapes: how many are computed and sent at once, and who gives way.
//!
//! Input: the client of a scrape, and the time. Output: a place, or `overloaded`. Invariants: at most
//! [`SCRAPES_MAX`] scrapes are under way and at most [`UNSENT_BYTES_MAX`] of their answers are held,
//! except that a single larger answer may be; one scrape is computed at a time; a place is free again
//! when its answer is sent or given up.
//!
//! # Design
//!
//! A place is for the computing *and* the sending, because the answer is held until it is sent. A
//! client that asks and does not read must not keep a place from one that does. So if all places are
//! taken, somebody gives way: first the scrape whose client has read nothing for the longest, at
//! least [`STALLED_AFTER`]; otherwise the newest one of the client that has the most places, if that
//! has two more than the client that asks. A client is a token, or a peer without one. If nobody gives
//! way, the request is answered 503. A scrape that gives way loses its answer at once; the connection
//! ends when its client reads on, or when the deadline of writes cuts it off (`crate::app`).
//!
//! The scrapes are computed one after the other: they share the rows of the one before, and the rows
//! of a large state take more memory than the text.
//!
//! Rejected: a place for the computing alone, since nothing would then bound the answers held; and
//! places by token alone, since without tokens all clients would be one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::api::origin::Client;
use crate::api::problem::{Problem, ProblemCode};
use crate::metrics::{Runtime, ScrapeRefusal};

/// Scrapes under way at once.
pub(super) const SCRAPES_MAX: usize = 8;
/// Bytes of answers that are not sent yet.
const UNSENT_BYTES_MAX: usize = 24 << 20;
/// A client that has read nothing for so long gives way.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// All places.
#[derive(Debug)]
pub(super) struct ScrapePlaces {
    taken: Arc<Mutex<TakenPlaces>>,
    computing: Semaphore,
    runtime: Arc<Runtime>,
}

#[derive(Debug, Default)]
struct TakenPlaces {
    by_number: BTreeMap<u64, TakenPlace>,
    next: u64,
}

#[derive(Debug)]
struct TakenPlace {
    client: Client,
    answer: Arc<UnsentAnswer>,
}

/// The answer of one scrape, as far as it is not sent.
#[derive(Debug, Default)]
struct UnsentAnswer {
    state: Mutex<AnswerState>,
    /// Wakes the computation when the scrape gives way.
    gave_way: Notify,
}

#[derive(Debug, Default)]
enum AnswerState {
    #[default]
    Computing,
    /// The bytes that are left, and when the last ones were taken.
    Sending(Bytes, Instant),
    GaveWay,
}

/// One place. Dropping it frees it.
#[derive(Debug)]
pub(super) struct ScrapePlace {
    number: u64,
    taken: Arc<Mutex<TakenPlaces>>,
    answer: Arc<UnsentAnswer>,
    runtime: Arc<Runtime>,
}

/// The scrape gave way to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scrape gave way to another one")]
pub(super) struct GaveWay;

impl ScrapePlaces {
    pub(super) fn new(runtime: Arc<Runtime>) -> Self {
        Self { taken: Arc::default(), computing: Semaphore::new(1), runtime }
    }

    /// Takes a place for a client.
    ///
    /// # Errors
    /// `overloaded` when all are taken and nobody gives way.
    pub(super) fn take(&self, client: Client, now: Instant) -> Result<ScrapePlace, Problem> {
        let mut taken = self.taken.lock();
        if taken.by_number.len() >= SCRAPES_MAX {
            let loser = taken.stalled(now).or_else(|| taken.surplus_of(&client));
            let Some(loser) = loser else {
                drop(taken);
                return Err(self.refused());
            };
            taken.make_way(loser, &self.runtime);
        }
        let number = taken.next;
        taken.next += 1;
        let answer = Arc::new(UnsentAnswer::default());
        taken.by_number.insert(number, TakenPlace { client, answer: Arc::clone(&answer) });
        drop(taken);
        let (taken, runtime) = (Arc::clone(&self.taken), Arc::clone(&self.runtime));
        Ok(ScrapePlace { number, taken, answer, runtime })
    }

    /// Holds the answer of a scrape until it is sent.
    ///
    /// # Errors
    /// `overloaded` when too many bytes are held and nobody gives way.
    pub(super) fn hold(
        &self,
        place: &ScrapePlace,
        bytes: Bytes,
        now: Instant,
    ) -> Result<(), Problem> {
        let mut taken = self.taken.lock();
        loop {
            let unsent = taken.unsent_bytes();
            if unsent == 0 || unsent + bytes.len() <= UNSENT_BYTES_MAX {
                break;
            }
            let Some(loser) = taken.stalled(now) else {
                drop(taken);
                return Err(self.refused());
            };
            taken.make_way(loser, &self.runtime);
        }
        let mut state = place.answer.state.lock();
        if matches!(*state, AnswerState::Computing) {
            *state = AnswerState::Sending(bytes, now);
        }
        Ok(())
    }

    /// Waits for the turn to compute.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.computing.acquire().await.ok()
    }

    fn refused(&self) -> Problem {
        self.runtime.service.scrapes_refused.of(ScrapeRefusal::Full).inc();
        let detail = format!("{SCRAPES_MAX} scrapes are under way");
        Problem::new(ProblemCode::Overloaded, detail)
    }
}

impl TakenPlaces {
    /// The scrape whose client has read nothing for the longest.
    fn stalled(&self, now: Instant) -> Option<u64> {
        let waits = self.by_number.iter().filter_map(|(number, place)| {
            let AnswerState::Sending(_, at) = &*place.answer.state.lock() else { return None };
            Some((now.saturating_duration_since(*at), *number))
        });
        waits.max().filter(|(wait, _)| *wait >= STALLED_AFTER).map(|(_, number)| number)
    }

    /// The newest scrape of the client that has the most places, if that has two more than this one.
    fn surplus_of(&self, client: &Client) -> Option<u64> {
        let mut counts: BTreeMap<&Client, (usize, u64)> = BTreeMap::new();
        for (number, place) in &self.by_number {
            let (count, newest) = counts.entry(&place.client).or_default();
            *count += 1;
            *newest = *number;
        }
        let own = counts.get(client).map_or(0, |(count, _)| *count);
        let most = counts.into_values().max()?;
        (most.0 >= own + 2).then_some(most.1)
    }

    fn make_way(&mut self, number: u64, runtime: &Runtime) {
        if let Some(place) = self.by_number.remove(&number) {
            *place.answer.state.lock() = AnswerState::GaveWay;
            place.answer.gave_way.notify_one();
            runtime.service.scrapes_refused.of(ScrapeRefusal::GaveWay).inc();
        }
    }

    fn unsent_bytes(&self) -> usize {
        let bytes = |place: &TakenPlace| match &*place.answer.state.lock() {
            AnswerState::Sending(bytes, _) => bytes.len(),
            AnswerState::Computing | AnswerState::GaveWay => 0,
        };
        self.by_number.values().map(bytes).sum()
    }
}

impl ScrapePlace {
    /// Completes when the scrape gave way.
    pub(super) async fn gave_way(&self) {
        self.answer.gave_way.notified().await;
    }

    /// The next bytes to send: at most `bytes_max` of them, as a copy, so that a connection holds no
    /// more than those. `None` at the end.
    ///
    /// # Errors
    /// [`GaveWay`]: the rest is gone.
    pub(super) fn next(&self, bytes_max: usize, now: Instant) -> Result<Option<Bytes>, GaveWay> {
        match &mut *self.answer.state.lock() {
            AnswerState::Sending(left, _) if left.is_empty() => Ok(None),
            AnswerState::Sending(left, at) => {
                *at = now;
                let piece = left.split_to(left.len().min(bytes_max));
                Ok(Some(Bytes::copy_from_slice(&piece)))
            }
            AnswerState::Computing | AnswerState::GaveWay => Err(GaveWay),
        }
    }
}

impl Drop for ScrapePlace {
    fn drop(&mut self) {
        self.taken.lock().by_number.remove(&self.number);
        let state = self.answer.state.lock();
        if matches!(&*state, AnswerState::Sending(left, _) if !left.is_empty()) {
            self.runtime.service.scrapes_refused.of(ScrapeRefusal::Unread).inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::clock;
    use crate::metrics::Build;

    fn places() -> ScrapePlaces {
        let build = Build { version: "0", revision: "0", rustversion: "0" };
        ScrapePlaces::new(Arc::new(Runtime::new(&build).unwrap()))
    }

    fn client(name: &str) -> Client {
        Client::Token(name.into())
    }

    fn text(bytes: usize) -> Bytes {
        vec![b'x'; bytes].into()
    }

    #[test]
    fn a_client_with_fewer_places_displaces_the_newest_of_the_one_with_most() {
        let (places, now) = (places(), clock::monotonic());
        let mut greedy: Vec<ScrapePlace> =
            (0..SCRAPES_MAX).map(|_| places.take(client("greedy"), now).unwrap()).collect();
        assert!(places.take(client("greedy"), now).is_err(), "it displaces nobody");
        let honest = places.take(client("honest"), now).unwrap();
        places.hold(&honest, text(10), now).unwrap();
        let newest = greedy.pop().unwrap();
        places.hold(&newest, text(10), now).unwrap();
        assert_eq!(newest.next(4, now), Err(GaveWay));
        drop(newest);
        let first = greedy.first().unwrap();
        places.hold(first, text(10), now).unwrap();
        assert_eq!(first.next(4, now), Ok(Some(text(4))));
        assert_eq!(honest.next(100, now), Ok(Some(text(10))));
        assert_eq!(honest.next(100, now), Ok(None));
        drop(honest);
        let _free = places.take(client("greedy"), now).unwrap();
        assert!(places.take(client("greedy"), now).is_err());
    }

    #[test]
    fn a_client_that_reads_nothing_gives_way_even_to_itself() {
        let (places, now) = (places(), clock::monotonic());
        let taken: Vec<ScrapePlace> =
            (0..SCRAPES_MAX).map(|_| places.take(client("one"), now).unwrap()).collect();
        for place in &taken {
            places.hold(place, text(10), now).unwrap();
        }
        let later = now + STALLED_AFTER;
        taken[0].next(1, later).unwrap();
        assert!(places.take(client("one"), now + STALLED_AFTER / 2).is_err());
        let _next = places.take(client("one"), later).unwrap();
        let kept = taken.iter().filter(|place| place.next(1, later).is_ok()).count();
        assert_eq!(kept, SCRAPES_MAX - 1);
        assert!(taken[0].next(1, later).is_ok(), "it reads");
    }

    #[test]
    fn the_bytes_of_answers_are_bounded() {
        let (places, now) = (places(), clock::monotonic());
        let take = || places.take(client("one"), now).unwrap();
        let (first, second) = (take(), take());
        places.hold(&first, text(UNSENT_BYTES_MAX + 1), now).unwrap();
        assert!(places.hold(&second, text(1), now).is_err());
        places.hold(&second, text(1), now + STALLED_AFTER).unwrap();
        assert_eq!(first.next(1, now), Err(GaveWay));
        assert_eq!(second.next(1, now), Ok(Some(text(1))));
    }
}
