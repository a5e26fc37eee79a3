//! The most recent directives, and subscriptions to them.
//!
//! Input: directives in the order of their ids. Output: subscriptions, from now on or after an id.
//! Invariants: at most [`limits::DIRECTIVES_MAX`] directives are held in addition to those of the latest
//! batch, once for all subscribers, so a subscriber that had received everything before a batch loses
//! none of it, however large it is; a subscriber that falls further behind learns how many directives it
//! lost; no directive between the id asked for and the newest is skipped silently. Deliberately absent:
//! access control.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::domain::directive::Directive;
use crate::domain::ids::DirectiveId;
use crate::domain::limits;

/// The directives held, and the channel that wakes subscribers.
#[derive(Debug)]
pub(super) struct DirectiveFeed {
    held: RwLock<HeldDirectives>,
    /// The position after the newest directive.
    end: watch::Sender<u64>,
}

/// Positions number the directives in order; the first one of this process has [`START`].
#[derive(Debug)]
struct HeldDirectives {
    directives: VecDeque<Arc<Directive>>,
    /// The position of the oldest one held.
    first: u64,
    /// Whether directives older than `first` were published, here or before a restart.
    is_truncated: bool,
}

/// The position of the first directive of this process. Directives published before the restart get
/// lower positions, so that a subscriber from before they were read back does not receive them again.
const START: u64 = 1 << 32;

/// A subscription to directives.
#[derive(Debug)]
pub struct Subscription {
    feed: Arc<DirectiveFeed>,
    position: u64,
    end: watch::Receiver<u64>,
}

/// A subscriber fell behind by more directives than are held; it continues with the oldest one held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} directives were lost")]
pub struct LostDirectives(pub u64);

/// Whether a subscription after an id receives every directive after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// No directive is missing.
    Complete,
    /// The oldest ones are no longer held; the subscription starts with the oldest one held.
    Truncated,
}

impl DirectiveFeed {
    pub(super) fn new() -> Self {
        let held =
            HeldDirectives { directives: VecDeque::new(), first: START, is_truncated: false };
        Self { held: RwLock::new(held), end: watch::Sender::new(START) }
    }

    /// Adds the directives published before the restart, oldest first.
    pub(super) fn seed(&self, recent: impl Iterator<Item = Directive>) {
        let mut held = self.held.write();
        held.directives.extend(recent.map(Arc::new));
        held.first = START.saturating_sub(held.directives.len() as u64);
        // As many as a state keeps: there may have been older ones.
        held.is_truncated |= held.directives.len() >= limits::DIRECTIVES_MAX;
    }

    /// Publishes directives, in order.
    pub(super) fn publish(&self, directives: Vec<Directive>) {
        if directives.is_empty() {
            return;
        }
        let mut held = self.held.write();
        held.make_room();
        held.directives.extend(directives.into_iter().map(Arc::new));
        self.end.send_replace(held.end());
    }

    /// Subscribes from the next directive on.
    pub(super) fn subscribe(self: &Arc<Self>) -> Subscription {
        let end = self.end.subscribe();
        let position = self.held.read().end();
        Subscription { feed: Arc::clone(self), position, end }
    }

    /// Subscribes from the first directive after `id` on.
    pub(super) fn subscribe_after(self: &Arc<Self>, id: DirectiveId) -> (Subscription, Resumed) {
        let end = self.end.subscribe();
        let held = self.held.read();
        let known = held.directives.partition_point(|directive| directive.id <= id);
        let is_truncated = known == 0 && held.is_truncated;
        let resumed = if is_truncated { Resumed::Truncated } else { Resumed::Complete };
        let position = held.first + known as u64;
        drop(held);
        (Subscription { feed: Arc::clone(self), position, end }, resumed)
    }
}

impl HeldDirectives {
    fn make_room(&mut self) {
        let surplus = self.directives.len().saturating_sub(limits::DIRECTIVES_MAX);
        if surplus > 0 {
            self.directives.drain(..surplus);
            self.directives.shrink_to(limits::DIRECTIVES_MAX);
            self.first += surplus as u64;
            self.is_truncated = true;
        }
    }

    fn end(&self) -> u64 {
        self.first + self.directives.len() as u64
    }
}

impl Subscription {
    /// Waits for the next directive.
    ///
    /// # Errors
    /// [`LostDirectives`] when the subscriber fell behind.
    pub async fn next(&mut self) -> Result<Arc<Directive>, LostDirectives> {
        loop {
            // Mark as seen before looking, so that a directive published in between wakes the wait.
            self.end.borrow_and_update();
            if let Some(next) = self.ready() {
                return next;
            }
            // The sender lives in the feed, so the wait cannot fail.
            self.end.changed().await.ok();
        }
    }

    /// The id of the next directive, if it is published already.
    #[must_use]
    pub fn next_id(&self) -> Option<DirectiveId> {
        let held = self.feed.held.read();
        let offset = usize::try_from(self.position.saturating_sub(held.first)).ok()?;
        held.directives.get(offset).map(|directive| directive.id)
    }

    /// The next directive, if it is published already.
    pub fn ready(&mut self) -> Option<Result<Arc<Directive>, LostDirectives>> {
        let held = self.feed.held.read();
        if self.position < held.first {
            let lost = held.first - self.position;
            self.position = held.first;
            return Some(Err(LostDirectives(lost)));
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
    async fn a_subscriber_receives_later_directives() {
        let feed = Arc::new(DirectiveFeed::new());
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
    fn a_subscription_resumes_after_an_id() {
        let feed = Arc::new(DirectiveFeed::new());
        let check = |after: u64, expect: (Resumed, Vec<u64>)| {
            let (mut subscription, resumed) = feed.subscribe_after(id(after));
            assert_eq!((resumed, rest(&mut subscription)), expect, "{after}");
        };
        check(7, (Resumed::Complete, vec![]));
        feed.publish(directives(11..=13));
        check(0, (Resumed::Complete, vec![11, 12, 13]));
        check(12, (Resumed::Complete, vec![13]));
        check(13, (Resumed::Complete, vec![]));
        check(99, (Resumed::Complete, vec![]));
        feed.publish(directives(14..=MAX + 11));
        check(10, (Resumed::Complete, (11..=MAX + 11).collect()));
        feed.publish(directives(MAX + 12..=MAX + 12));
        check(10, (Resumed::Truncated, (12..=MAX + 12).collect()));
        check(11, (Resumed::Truncated, (12..=MAX + 12).collect()));
        check(12, (Resumed::Complete, (13..=MAX + 12).collect()));
    }

    #[test]
    fn a_slow_subscriber_learns_how_many_it_lost() {
        let feed = Arc::new(DirectiveFeed::new());
        let mut slow = feed.subscribe();
        let mut quick = feed.subscribe();
        feed.publish(directives(1..=MAX + 3));
        assert_eq!(rest(&mut quick).len() as u64, MAX + 3);
        feed.publish(directives(MAX + 4..=MAX + 4));
        assert_eq!(rest(&mut quick), [MAX + 4]);
        assert_eq!(slow.ready(), Some(Err(LostDirectives(3))));
        assert_eq!(rest(&mut slow).len() as u64, MAX + 1);
    }

    #[test]
    fn directives_from_before_the_restart_are_held() {
        let feed = Arc::new(DirectiveFeed::new());
        let mut early = feed.subscribe();
        feed.seed(directives(5..=6).into_iter());
        feed.publish(directives(7..=7));
        assert_eq!(rest(&mut early), [7], "the others were published before");
        let (mut subscription, resumed) = feed.subscribe_after(id(5));
        assert_eq!((resumed, rest(&mut subscription)), (Resumed::Complete, vec![6, 7]));
        let full = Arc::new(DirectiveFeed::new());
        full.seed(directives(101..=100 + MAX).into_iter());
        assert_eq!(full.subscribe_after(id(99)).1, Resumed::Truncated);
    }
}
