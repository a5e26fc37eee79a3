//! The most recent directives, and subscriptions to them.
//!
//! Input: directives in the order of their ids. Output: subscriptions, from now on or after an id.
//! Invariants: at most [`limits::DIRECTIVES_MAX`] directives of each class are held in addition to those
//! of the latest batch, once for all subscribers, so a subscriber that had received everything before a
//! batch loses none of it, however large it is; a subscriber that falls further behind learns how many
//! directives it lost, and of which accounts; no directive between the id asked for and the newest is
//! skipped silently. Deliberately absent: access control.
//!
//! # Design
//!
//! There are two classes: halts, releases and reconciliations, which somebody must act on, and all
//! others. Each has its own bound, so the second class never displaces one of the first. Within a
//! class, the account that holds the most loses its oldest first, so an account that floods the feed
//! loses only its own directives. Both classes share one order of positions: a subscriber receives
//! directives in the order of their ids, whatever was dropped between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use enum_map::{Enum, EnumMap};
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::domain::directive::{Directive, DirectiveKind};
use crate::domain::ids::{Account, DirectiveId};
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
    directives: BTreeMap<u64, Arc<Directive>>,
    shares: EnumMap<DirectiveClass, ClassShares>,
    /// The position after the newest directive.
    end: u64,
    /// Whether directives before the oldest one that was ever held were published, before a restart.
    is_truncated: bool,
}

/// The two classes of directives.
#[derive(Clone, Copy, Debug, Enum)]
enum DirectiveClass {
    /// Halts, releases, reconciliations: somebody must act on them.
    Vital,
    Ordinary,
}

/// The directives of one class, by account.
#[derive(Debug, Default)]
struct ClassShares {
    held: usize,
    by_account: BTreeMap<Account, AccountShare>,
    /// The number held of each account, to find the largest.
    sizes: BTreeSet<(usize, Account)>,
    /// The newest directive dropped of an account of which none is held any more.
    dropped: Option<DroppedDirective>,
}

/// The directives of one account in one class.
#[derive(Debug, Default)]
struct AccountShare {
    positions: VecDeque<u64>,
    dropped: Option<DroppedDirective>,
}

/// The newest directive of those that were dropped. Ordered by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct DroppedDirective {
    position: u64,
    id: DirectiveId,
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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} directives were lost")]
pub struct LostDirectives {
    /// The number of directives.
    pub count: u64,
    /// The accounts that may have lost one. `None`: any account may.
    pub accounts: Option<BTreeSet<Account>>,
}

impl LostDirectives {
    /// Whether a directive of such an account may be lost.
    pub fn may_concern(&self, is_concerned: impl Fn(&Account) -> bool) -> bool {
        self.accounts.as_ref().is_none_or(|accounts| accounts.iter().any(is_concerned))
    }
}

/// Whether a subscription after an id receives every directive after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// No directive is missing.
    Complete,
    /// Directives after the id are no longer held: at least these.
    Truncated(LostDirectives),
}

impl DirectiveFeed {
    pub(super) fn new() -> Self {
        let held = HeldDirectives {
            directives: BTreeMap::new(),
            shares: EnumMap::default(),
            end: START,
            is_truncated: false,
        };
        Self { held: RwLock::new(held), end: watch::Sender::new(START) }
    }

    /// Adds the directives published before the restart, oldest first.
    pub(super) fn seed(&self, recent: impl Iterator<Item = Directive>) {
        let recent: Vec<Directive> = recent.collect();
        let mut held = self.held.write();
        // As many as a state keeps: there may have been older ones.
        held.is_truncated |= recent.len() >= limits::DIRECTIVES_MAX;
        let first = START.saturating_sub(recent.len() as u64);
        for (position, directive) in (first..).zip(recent) {
            held.insert(position, directive);
        }
    }

    /// Publishes directives, in order.
    pub(super) fn publish(&self, directives: Vec<Directive>) {
        if directives.is_empty() {
            return;
        }
        let mut held = self.held.write();
        held.make_room();
        for directive in directives {
            let position = held.end;
            held.insert(position, directive);
            held.end += 1;
        }
        self.end.send_replace(held.end);
    }

    /// Subscribes from the next directive on.
    pub(super) fn subscribe(self: &Arc<Self>) -> Subscription {
        let end = self.end.subscribe();
        let position = self.held.read().end;
        Subscription { feed: Arc::clone(self), position, end }
    }

    /// Subscribes from the first directive after `id` on.
    pub(super) fn subscribe_after(self: &Arc<Self>, id: DirectiveId) -> (Subscription, Resumed) {
        let end = self.end.subscribe();
        let held = self.held.read();
        let (position, resumed) = held.after(id);
        drop(held);
        (Subscription { feed: Arc::clone(self), position, end }, resumed)
    }
}

impl DirectiveClass {
    const fn of(kind: &DirectiveKind) -> Self {
        match kind {
            DirectiveKind::Halt { .. }
            | DirectiveKind::Release { .. }
            | DirectiveKind::Reconcile { .. } => Self::Vital,
            DirectiveKind::Drift(_)
            | DirectiveKind::Anomaly { .. }
            | DirectiveKind::Health { .. } => Self::Ordinary,
        }
    }
}

impl HeldDirectives {
    fn insert(&mut self, position: u64, directive: Directive) {
        let class = DirectiveClass::of(&directive.kind);
        self.shares[class].add(&directive.account, position);
        self.directives.insert(position, Arc::new(directive));
    }

    /// Drops directives until each class is within its bound.
    fn make_room(&mut self) {
        let Self { directives, shares, .. } = self;
        for class in shares.values_mut() {
            while class.held > limits::DIRECTIVES_MAX {
                let dropped = class.drop_one(|at| directives.remove(&at).map(|d| d.id));
                if dropped.is_none() {
                    impossible!("a class above its bound has an account, and all that it counts");
                    break;
                }
            }
        }
    }

    /// The position of the first directive after `id`, and whether some after it are missing.
    fn after(&self, id: DirectiveId) -> (u64, Resumed) {
        // Ids and positions have the same order.
        let next = self.directives.iter().find(|(_, directive)| directive.id > id);
        let is_first = self.directives.values().next().is_some_and(|first| first.id > id);
        let position = next.map_or(self.end, |(position, _)| *position);
        if is_first && self.is_truncated {
            return (position, Resumed::Truncated(LostDirectives { count: 1, accounts: None }));
        }
        let lost = self.lost(|dropped| dropped.id > id);
        match lost {
            Some(accounts) => (position, Resumed::Truncated(LostDirectives { count: 1, accounts })),
            None => (position, Resumed::Complete),
        }
    }

    /// The accounts whose newest dropped directive fulfils the condition: `Some(None)` if any account
    /// may be one, `None` if there is none.
    #[expect(clippy::option_option, reason = "the inner one is the content of LostDirectives")]
    fn lost(
        &self,
        is_lost: impl Fn(&DroppedDirective) -> bool,
    ) -> Option<Option<BTreeSet<Account>>> {
        let mut accounts = BTreeSet::new();
        for class in self.shares.values() {
            if class.dropped.as_ref().is_some_and(&is_lost) {
                return Some(None);
            }
            let of_class = class.by_account.iter();
            let lost = of_class.filter(|(_, share)| share.dropped.as_ref().is_some_and(&is_lost));
            accounts.extend(lost.map(|(account, _)| account.clone()));
        }
        (!accounts.is_empty()).then_some(Some(accounts))
    }
}

impl ClassShares {
    fn add(&mut self, account: &Account, position: u64) {
        let share = match self.by_account.get_mut(account) {
            Some(share) => share,
            None => self.by_account.entry(account.clone()).or_default(),
        };
        let size = share.positions.len();
        share.positions.push_back(position);
        self.held += 1;
        self.sizes.remove(&(size, account.clone()));
        self.sizes.insert((size + 1, account.clone()));
    }

    /// Drops the oldest directive of the account that holds the most. `remove` gets its position and
    /// returns its id. `None` if there is none.
    fn drop_one(&mut self, remove: impl FnOnce(u64) -> Option<DirectiveId>) -> Option<()> {
        let (size, account) = self.sizes.pop_last()?;
        let share = self.by_account.get_mut(&account)?;
        let position = share.positions.pop_front()?;
        let id = remove(position)?;
        self.held -= 1;
        share.dropped = Some(DroppedDirective { position, id });
        if share.positions.is_empty() {
            self.dropped = self.dropped.max(share.dropped);
            self.by_account.remove(&account);
        } else {
            self.sizes.insert((size - 1, account));
        }
        Some(())
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
        held.directives.range(self.position..).next().map(|(_, directive)| directive.id)
    }

    /// The next directive, if it is published already.
    pub fn ready(&mut self) -> Option<Result<Arc<Directive>, LostDirectives>> {
        let held = self.feed.held.read();
        let next = held.directives.range(self.position..).next();
        let position = next.map_or(held.end, |(position, _)| *position);
        // Positions have no gaps, so those that are missing were dropped.
        let count = position.saturating_sub(self.position);
        if count > 0 {
            let from = self.position;
            self.position = position;
            let accounts = held.lost(|dropped| dropped.position >= from).flatten();
            return Some(Err(LostDirectives { count, accounts }));
        }
        let (_, directive) = next?;
        self.position += 1;
        Some(Ok(Arc::clone(directive)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::domain::health::Health;
    use crate::domain::ids::Component;
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

    /// Health changes of one account.
    fn flood(account: &str, sequences: std::ops::RangeInclusive<u64>) -> Vec<Directive> {
        let component = Component::new("gateway").unwrap();
        let kind = DirectiveKind::Health { component, health: Health::Degraded };
        let account = Account::new(account).unwrap();
        let change =
            |directive| Directive { account: account.clone(), kind: kind.clone(), ..directive };
        directives(sequences).into_iter().map(change).collect()
    }

    /// A loss of one account alone.
    fn lost_of(account: &str, count: u64) -> LostDirectives {
        let accounts = Some([Account::new(account).unwrap()].into());
        LostDirectives { count, accounts }
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
        let truncated = || Resumed::Truncated(lost_of("default", 1));
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
        check(10, (truncated(), (12..=MAX + 12).collect()));
        check(11, (Resumed::Complete, (12..=MAX + 12).collect()));
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
        assert_eq!(slow.ready(), Some(Err(lost_of("default", 3))));
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
        let unknown = LostDirectives { count: 1, accounts: None };
        assert_eq!(full.subscribe_after(id(99)).1, Resumed::Truncated(unknown));
    }

    #[test]
    fn a_flood_of_one_account_drops_only_its_own() {
        let feed = Arc::new(DirectiveFeed::new());
        let mut slow = feed.subscribe();
        feed.publish(flood("quiet", 1..=2));
        feed.publish(directives(3..=3));
        feed.publish(flood("noisy", 4..=3 * MAX));
        feed.publish(flood("quiet", 3 * MAX + 1..=3 * MAX + 1));
        let mut received = Vec::new();
        let mut lost = 0;
        while let Some(next) = slow.ready() {
            match next {
                Ok(directive) => received.push(directive.id.sequence),
                Err(gap) => {
                    assert!(gap.may_concern(|account| account.as_str() == "noisy"), "{gap:?}");
                    assert!(!gap.may_concern(|account| account.as_str() == "quiet"), "{gap:?}");
                    lost += gap.count;
                }
            }
        }
        assert_eq!(received.len() as u64 + lost, 3 * MAX + 1);
        assert_eq!(received.first_chunk(), Some(&[1, 2, 3]));
        assert_eq!(received.last(), Some(&(3 * MAX + 1)));
        let resumed = feed.subscribe_after(id(0)).1;
        let Resumed::Truncated(lost) = resumed else { panic!("{resumed:?}") };
        assert!(!lost.may_concern(|account| account.as_str() == "quiet"), "{lost:?}");
        let kept = feed.held.read().directives.len() as u64;
        assert!(kept <= MAX + 2, "{kept} are held");
    }

    #[test]
    fn many_accounts_share_the_room() {
        let feed = Arc::new(DirectiveFeed::new());
        for sequence in 1..=3 * MAX {
            feed.publish(flood(&format!("a{}", sequence % (MAX + 904)), sequence..=sequence));
        }
        let held = feed.held.read();
        assert_eq!(held.directives.len() as u64, MAX + 1);
        let shares = &held.shares[DirectiveClass::Ordinary];
        let counted: usize = shares.by_account.values().map(|share| share.positions.len()).sum();
        assert_eq!(shares.held, counted);
        assert_eq!(shares.sizes.len(), shares.by_account.len());
        assert!(held.lost(|dropped| dropped.position >= START).is_some_and(|all| all.is_none()));
    }
}
