//! What the fold told the world of late, for everybody who listens.
//!
//! Input: directives in the order of their ids. Output: subscriptions, from now on or after an id.
//! Invariants: at most [`limits::DIRECTIVES_MAX`] are held beside those of the latest batch, once for
//! all subscribers: a batch of any size is lost to nobody who had all before it; who is behind by
//! more learns how many it lost; nothing between the id asked for and the
//! newest is passed over in silence. Deliberately absent: who may see what.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::domain::directive::{Directive, DirectiveId};
use crate::domain::limits;

/// The directives held, and who is woken by the next.
#[derive(Debug)]
pub(super) struct Feed {
    held: RwLock<Held>,
    /// The position after the newest.
    end: watch::Sender<u64>,
}

/// A position counts directives from [`START`] at the start of the process.
#[derive(Debug)]
struct Held {
    directives: VecDeque<Arc<Directive>>,
    /// The position of the oldest.
    first: u64,
    /// Older ones than the first came, here or before a restart.
    is_cut: bool,
}

/// Where the directives of this process begin. Those told before it have lower positions, so that
/// whoever subscribed before they were read back does not hear them again.
const START: u64 = 1 << 32;

/// One listener.
#[derive(Debug)]
pub struct Subscription {
    feed: Arc<Feed>,
    position: u64,
    end: watch::Receiver<u64>,
}

/// A subscriber was behind by more than is held; it goes on with the oldest that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} directives were lost")]
pub struct Lost(pub u64);

/// Whether everything after the id asked for is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// Everything: none is missing.
    Whole,
    /// Not the oldest of them; what is held follows.
    Cut,
}

impl Feed {
    pub(super) fn new() -> Self {
        let held = Held { directives: VecDeque::new(), first: START, is_cut: false };
        Self { held: RwLock::new(held), end: watch::Sender::new(START) }
    }

    /// What was told before the start: `recent`, oldest first.
    pub(super) fn seed(&self, recent: impl Iterator<Item = Directive>) {
        let mut held = self.held.write();
        held.directives.extend(recent.map(Arc::new));
        held.first = START.saturating_sub(held.directives.len() as u64);
        // As many as can be held: more may have been before them.
        held.is_cut |= held.directives.len() >= limits::DIRECTIVES_MAX;
    }

    /// Tells these, in order.
    pub(super) fn publish(&self, directives: Vec<Directive>) {
        if directives.is_empty() {
            return;
        }
        let mut held = self.held.write();
        held.make_room();
        held.directives.extend(directives.into_iter().map(Arc::new));
        self.end.send_replace(held.end());
    }

    /// From now on.
    pub(super) fn subscribe(self: &Arc<Self>) -> Subscription {
        let end = self.end.subscribe();
        let position = self.held.read().end();
        Subscription { feed: Arc::clone(self), position, end }
    }

    /// From the first one after `id` on.
    pub(super) fn subscribe_after(self: &Arc<Self>, id: DirectiveId) -> (Subscription, Resumed) {
        let end = self.end.subscribe();
        let held = self.held.read();
        let known = held.directives.partition_point(|directive| directive.id <= id);
        let resumed = if known == 0 && held.is_cut { Resumed::Cut } else { Resumed::Whole };
        let position = held.first + known as u64;
        drop(held);
        (Subscription { feed: Arc::clone(self), position, end }, resumed)
    }
}

impl Held {
    fn make_room(&mut self) {
        let surplus = self.directives.len().saturating_sub(limits::DIRECTIVES_MAX);
        if surplus > 0 {
            self.directives.drain(..surplus);
            self.directives.shrink_to(limits::DIRECTIVES_MAX);
            self.first += surplus as u64;
            self.is_cut = true;
        }
    }

    fn end(&self) -> u64 {
        self.first + self.directives.len() as u64
    }
}

impl Subscription {
    /// The next directive, when it is there.
    ///
    /// # Errors
    /// [`Lost`] when older ones than are held were not fetched in time.
    pub async fn next(&mut self) -> Result<Arc<Directive>, Lost> {
        loop {
            // Seen before it is looked for: what comes in between wakes again.
            self.end.borrow_and_update();
            if let Some(next) = self.ready() {
                return next;
            }
            // The sender lives in the feed, so the wait cannot fail.
            self.end.changed().await.ok();
        }
    }

    /// The id of the next directive, if it is there already.
    #[must_use]
    pub fn next_id(&self) -> Option<DirectiveId> {
        let held = self.feed.held.read();
        let offset = usize::try_from(self.position.saturating_sub(held.first)).ok()?;
        held.directives.get(offset).map(|directive| directive.id)
    }

    /// The next directive, if it is there already.
    pub fn ready(&mut self) -> Option<Result<Arc<Directive>, Lost>> {
        let held = self.feed.held.read();
        if self.position < held.first {
            let lost = held.first - self.position;
            self.position = held.first;
            return Some(Err(Lost(lost)));
        }
        let offset = usize::try_from(self.position - held.first).ok()?;
        let next = held.directives.get(offset)?;
        self.position += 1;
        Some(Ok(Arc::clone(next)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::domain::directive::DirectiveKind;
    use crate::domain::ids::Account;
    use crate::domain::state::TradingState;
    use crate::domain::time::Timestamp;

    const MAX: u64 = limits::DIRECTIVES_MAX as u64;

    fn id(sequence: u64) -> DirectiveId {
        DirectiveId { sequence, index: 0 }
    }

    fn directives(sequences: std::ops::RangeInclusive<u64>) -> Vec<Directive> {
        let kind = DirectiveKind::Release { state: TradingState::Active, epoch: 1 };
        let (at, account) = (Timestamp::MIN, Account::default());
        let one = |sequence| Directive {
            id: id(sequence),
            at,
            account: account.clone(),
            kind: kind.clone(),
        };
        sequences.map(one).collect()
    }

    fn rest(subscription: &mut Subscription) -> Vec<u64> {
        std::iter::from_fn(|| subscription.ready())
            .map(|d| d.expect("none lost").id.sequence)
            .collect()
    }

    #[tokio::test]
    async fn a_subscriber_hears_what_comes_after_it() {
        let feed = Arc::new(Feed::new());
        feed.publish(directives(1..=2));
        let mut subscription = feed.subscribe();
        assert_eq!(subscription.ready(), None);
        feed.publish(directives(3..=4));
        assert_eq!(subscription.next().await.expect("held").id, id(3));
        assert_eq!(rest(&mut subscription), [4]);
        let waits = subscription.next();
        let (next, ()) = tokio::join!(waits, async { feed.publish(directives(5..=5)) });
        assert_eq!(next.expect("held").id, id(5));
    }

    #[test]
    fn it_resumes_after_an_id() {
        let feed = Arc::new(Feed::new());
        let check = |after: u64, expect: (Resumed, Vec<u64>)| {
            let (mut subscription, resumed) = feed.subscribe_after(id(after));
            assert_eq!((resumed, rest(&mut subscription)), expect, "{after}");
        };
        check(7, (Resumed::Whole, vec![]));
        feed.publish(directives(11..=13));
        check(0, (Resumed::Whole, vec![11, 12, 13]));
        check(12, (Resumed::Whole, vec![13]));
        check(13, (Resumed::Whole, vec![]));
        check(99, (Resumed::Whole, vec![]));
        feed.publish(directives(14..=MAX + 11));
        check(10, (Resumed::Whole, (11..=MAX + 11).collect()));
        feed.publish(directives(MAX + 12..=MAX + 12));
        check(10, (Resumed::Cut, (12..=MAX + 12).collect()));
        check(11, (Resumed::Cut, (12..=MAX + 12).collect()));
        check(12, (Resumed::Whole, (13..=MAX + 12).collect()));
    }

    #[test]
    fn who_is_too_slow_learns_it() {
        let feed = Arc::new(Feed::new());
        let mut slow = feed.subscribe();
        let mut quick = feed.subscribe();
        feed.publish(directives(1..=MAX + 3));
        assert_eq!(rest(&mut quick).len() as u64, MAX + 3);
        feed.publish(directives(MAX + 4..=MAX + 4));
        assert_eq!(rest(&mut quick), [MAX + 4]);
        assert_eq!(slow.ready(), Some(Err(Lost(3))));
        assert_eq!(rest(&mut slow).len() as u64, MAX + 1);
    }

    #[test]
    fn what_was_told_before_the_start_is_held() {
        let feed = Arc::new(Feed::new());
        let mut early = feed.subscribe();
        feed.seed(directives(5..=6).into_iter());
        feed.publish(directives(7..=7));
        assert_eq!(rest(&mut early), [7], "the others were told before");
        let (mut subscription, resumed) = feed.subscribe_after(id(5));
        assert_eq!((resumed, rest(&mut subscription)), (Resumed::Whole, vec![6, 7]));
        let full = Arc::new(Feed::new());
        full.seed(directives(101..=100 + MAX).into_iter());
        assert_eq!(full.subscribe_after(id(99)).1, Resumed::Cut);
    }
}
