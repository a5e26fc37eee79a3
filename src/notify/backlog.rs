//! The pending messages of one target, the schedule of attempts, and the circuit breaker.
//!
//! Input: messages, results of attempts, the time since the start, a random fraction. Output: the
//! message to send now, or the time to wait. Invariants: messages and bytes are bounded; halts and
//! releases are sent first and dropped last; within these two classes accounts take turns, and the
//! oldest message of an account is sent first; room is made by dropping the oldest message of the
//! account that fills the most. So an account that floods a target neither delays nor displaces the
//! messages of others. Pure: no clock, no randomness, no I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::message::WebhookMessage;
use crate::domain::ids::{Account, DirectiveId};
use crate::domain::time::Timestamp;

/// Pending messages of one target.
pub(super) const MESSAGES_MAX: usize = 10_000;
/// Bytes of the bodies of these messages.
pub(super) const BYTES_MAX: usize = 16 << 20;
/// A message older than this is dropped: it is no longer useful to its receiver.
const AGE_MAX: Duration = Duration::from_hours(72);
/// The pause after the first failed attempt at a message. It doubles with each further attempt.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest pause between two attempts at a message.
const RETRY_MAX: Duration = Duration::from_mins(5);
/// Consecutive failures that open the breaker.
const FAILURES_MAX: u32 = 5;
/// The first time that the breaker stays open. It doubles with each further failure.
const OPEN_FIRST: Duration = Duration::from_secs(5);
/// The longest time that the breaker stays open.
const OPEN_MAX: Duration = Duration::from_mins(1);
/// The longest pause that a target may request with `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// The pending messages of one target. Times are `elapsed`: monotonic, since the start.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pending: BTreeMap<DirectiveId, PendingMessage>,
    /// The ids of the pending messages, by account. No account is empty.
    accounts: BTreeMap<Account, AccountBacklog>,
    /// The number of attempts so far: the account whose last one is the longest ago is next.
    turns: u64,
    /// Bytes of all bodies.
    bytes: usize,
    /// Consecutive failures.
    failures: u32,
    /// No attempt is made before this time.
    paused_until: Duration,
}

#[derive(Debug)]
struct PendingMessage {
    message: WebhookMessage,
    attempts: u32,
    due: Duration,
}

/// The pending messages of one account.
#[derive(Debug, Default)]
struct AccountBacklog {
    of_latch: PendingClass,
    minor: PendingClass,
    /// The turn of its last attempt.
    turn: u64,
}

/// Halts and releases, or all other messages.
#[derive(Debug, Default)]
struct PendingClass {
    ids: BTreeSet<DirectiveId>,
    bytes: usize,
}

impl AccountBacklog {
    const fn class_of(&mut self, message: &WebhookMessage) -> &mut PendingClass {
        if message.of_latch { &mut self.of_latch } else { &mut self.minor }
    }
}

/// The change of the circuit breaker by an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BreakerChange {
    Unchanged,
    Opened,
    Closed,
}

impl Backlog {
    /// Adds a message. Returns the messages that were dropped to make room.
    pub(super) fn push(&mut self, message: WebhookMessage) -> Vec<DirectiveId> {
        let mut dropped = Vec::new();
        let id = message.id;
        self.remove(id);
        self.bytes += message.body.len();
        let turns = self.turns;
        let account = self.accounts.entry(message.account.clone());
        // A new account waits until those that wait already have had their turn.
        let account =
            account.or_insert_with(|| AccountBacklog { turn: turns, ..Default::default() });
        let class = account.class_of(&message);
        class.ids.insert(id);
        class.bytes += message.body.len();
        self.pending.insert(id, PendingMessage { message, attempts: 0, due: Duration::ZERO });
        while self.pending.len() > MESSAGES_MAX || self.bytes > BYTES_MAX {
            let minor = self.most(|account| &account.minor);
            let Some(id) = minor.or_else(|| self.most(|account| &account.of_latch)) else {
                impossible!("an empty backlog is within its bounds");
                break;
            };
            self.remove(id);
            dropped.push(id);
        }
        dropped
    }

    /// The oldest message in a class of the account that has the most bytes in it.
    fn most(&self, class: impl Fn(&AccountBacklog) -> &PendingClass) -> Option<DirectiveId> {
        let classes = self.accounts.values().map(class).filter(|class| !class.ids.is_empty());
        classes.max_by_key(|class| class.bytes)?.ids.first().copied()
    }

    /// The message to send at `elapsed`, if one is due.
    pub(super) fn due(&self, elapsed: Duration) -> Option<&WebhookMessage> {
        if elapsed < self.paused_until {
            return None;
        }
        let first = |class: &PendingClass| {
            let mut messages = class.ids.iter().filter_map(|id| self.pending.get(id));
            messages.find(|p| p.due <= elapsed).map(|p| &p.message)
        };
        let of_accounts = self.accounts.values().filter_map(|account| {
            let message = first(&account.of_latch).or_else(|| first(&account.minor))?;
            Some((!message.of_latch, account.turn, message))
        });
        let next = of_accounts.min_by_key(|(minor, turn, message)| (*minor, *turn, message.id));
        next.map(|(_, _, message)| message)
    }

    /// The time until the next attempt. `None` if no message is pending.
    pub(super) fn wait(&self, elapsed: Duration) -> Option<Duration> {
        let due = self.pending.values().map(|p| p.due).min()?;
        Some(due.max(self.paused_until).saturating_sub(elapsed))
    }

    /// Records a delivery. If the breaker was open, all other messages become due: the target works.
    pub(super) fn delivered(&mut self, id: DirectiveId) -> BreakerChange {
        self.end_turn(id);
        self.remove(id);
        let had_opened = self.failures >= FAILURES_MAX;
        if had_opened {
            self.pending.values_mut().for_each(|p| p.due = Duration::ZERO);
        }
        self.failures = 0;
        self.paused_until = Duration::ZERO;
        if had_opened { BreakerChange::Closed } else { BreakerChange::Unchanged }
    }

    /// Records a failed attempt at `elapsed`. `retry_after` is the pause that the target requested.
    /// `random` is from 0 to 1: it spreads the attempts of many exporters.
    pub(super) fn failed(
        &mut self,
        id: DirectiveId,
        elapsed: Duration,
        retry_after: Option<Duration>,
        random: f64,
    ) -> BreakerChange {
        self.end_turn(id);
        self.failures = self.failures.saturating_add(1);
        let jitter = 0.5 + random.clamp(0.0, 1.0) / 2.0;
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.attempts = pending.attempts.saturating_add(1);
            let pause = doubled(RETRY_FIRST, pending.attempts - 1, RETRY_MAX);
            pending.due = elapsed + pause.mul_f64(jitter);
        }
        if let Some(asked) = retry_after {
            self.paused_until = self.paused_until.max(elapsed + asked.min(RETRY_AFTER_MAX));
        }
        if self.failures < FAILURES_MAX {
            return BreakerChange::Unchanged;
        }
        let open = doubled(OPEN_FIRST, self.failures - FAILURES_MAX, OPEN_MAX);
        self.paused_until = self.paused_until.max(elapsed + open.mul_f64(jitter));
        // When the breaker closes again, one attempt tests the target. Any message may be that test,
        // so none may be due later than the end of the pause.
        for pending in self.pending.values_mut() {
            pending.due = pending.due.min(self.paused_until);
        }
        if self.failures == FAILURES_MAX { BreakerChange::Opened } else { BreakerChange::Unchanged }
    }

    /// Forgets all attempts: the configuration of the target has changed, so they predict nothing.
    pub(super) fn forget_attempts(&mut self) {
        self.failures = 0;
        self.paused_until = Duration::ZERO;
        for pending in self.pending.values_mut() {
            pending.attempts = 0;
            pending.due = Duration::ZERO;
        }
    }

    /// Drops the messages that are too old at `now`, and returns them.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<DirectiveId> {
        let old = self.pending.values().filter(|p| now.is_past(p.message.at, AGE_MAX));
        let old: Vec<DirectiveId> = old.map(|p| p.message.id).collect();
        for id in &old {
            self.remove(*id);
        }
        old
    }

    /// The pending messages, oldest first.
    pub(super) fn messages(&self) -> impl Iterator<Item = &WebhookMessage> {
        self.pending.values().map(|p| &p.message)
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// The account of the message has had its turn.
    fn end_turn(&mut self, id: DirectiveId) {
        self.turns += 1;
        let account = self.pending.get(&id).map(|pending| &pending.message.account);
        if let Some(account) = account.and_then(|name| self.accounts.get_mut(name)) {
            account.turn = self.turns;
        }
    }

    fn remove(&mut self, id: DirectiveId) {
        let Some(PendingMessage { message, .. }) = self.pending.remove(&id) else { return };
        self.bytes -= message.body.len();
        let Some(account) = self.accounts.get_mut(&message.account) else {
            impossible!("every pending message is listed with its account");
            return;
        };
        let class = account.class_of(&message);
        class.ids.remove(&id);
        class.bytes -= message.body.len();
        if account.of_latch.ids.is_empty() && account.minor.ids.is_empty() {
            self.accounts.remove(&message.account);
        }
    }
}

fn doubled(first: Duration, times: u32, max: Duration) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sequence: u64) -> DirectiveId {
        DirectiveId { sequence, index: 0 }
    }

    fn message(sequence: u64, of_latch: bool) -> WebhookMessage {
        of("paper", sequence, of_latch)
    }

    fn of(account: &str, sequence: u64, of_latch: bool) -> WebhookMessage {
        let account = Account::new(account).unwrap();
        WebhookMessage {
            id: id(sequence),
            at: Timestamp::MIN,
            account,
            of_latch,
            body: "{}".into(),
        }
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn due(backlog: &Backlog, elapsed: Duration) -> Option<u64> {
        backlog.due(elapsed).map(|m| m.id.sequence)
    }

    #[test]
    fn halts_are_sent_first_and_older_messages_before_newer() {
        let mut backlog = Backlog::default();
        for (sequence, of_latch) in [(3, false), (1, false), (4, true), (2, true)] {
            assert_eq!(backlog.push(message(sequence, of_latch)), []);
        }
        for expect in [2, 4, 1, 3] {
            assert_eq!(due(&backlog, Duration::ZERO), Some(expect));
            assert_eq!(backlog.delivered(id(expect)), BreakerChange::Unchanged);
        }
        assert_eq!(due(&backlog, Duration::ZERO), None);
        assert_eq!(backlog.wait(Duration::ZERO), None);
    }

    #[test]
    fn accounts_take_turns_and_a_flood_displaces_only_its_own() {
        let mut backlog = Backlog::default();
        let max = MESSAGES_MAX as u64;
        backlog.push(of("quiet", 1, false));
        for sequence in 2..=max {
            assert_eq!(backlog.push(of("noisy", sequence, false)), []);
        }
        assert_eq!(backlog.push(of("quiet", max + 1, false)), [id(2)]);
        assert_eq!(backlog.push(of("noisy", max + 2, true)), [id(3)]);
        assert_eq!(backlog.push(of("other", max + 3, true)), [id(4)]);
        let order = std::iter::from_fn(|| {
            let next = backlog.due(Duration::ZERO)?.id;
            backlog.delivered(next);
            Some(next.sequence)
        });
        let order: Vec<u64> = order.collect();
        assert_eq!(order.len(), MESSAGES_MAX);
        assert_eq!(order[..6], [max + 2, max + 3, 1, 5, max + 1, 6]);
        assert!(backlog.accounts.is_empty() && backlog.bytes == 0, "{backlog:?}");
    }

    #[test]
    fn pauses_between_attempts_grow_and_do_not_delay_other_messages() {
        let mut backlog = Backlog::default();
        backlog.push(message(1, true));
        backlog.push(message(2, false));
        assert_eq!(backlog.failed(id(1), seconds(10), None, 1.0), BreakerChange::Unchanged);
        assert_eq!(due(&backlog, seconds(10)), Some(2), "the other is tried");
        backlog.delivered(id(2));
        assert_eq!(backlog.wait(seconds(10)), Some(seconds(1)));
        assert_eq!(due(&backlog, seconds(11)), Some(1));
        backlog.failed(id(1), seconds(11), None, 1.0);
        assert_eq!(backlog.wait(seconds(11)), Some(seconds(2)));
        backlog.failed(id(1), seconds(13), None, 0.0);
        assert_eq!(backlog.wait(seconds(13)), Some(seconds(2)), "spread by half");
    }

    #[test]
    fn the_breaker_opens_tests_the_target_once_and_closes() {
        let mut backlog = Backlog::default();
        for sequence in 1..=10 {
            backlog.push(message(sequence, false));
        }
        for sequence in 1..=4 {
            assert_eq!(
                backlog.failed(id(sequence), seconds(0), None, 1.0),
                BreakerChange::Unchanged
            );
        }
        assert_eq!(backlog.failed(id(5), seconds(0), None, 1.0), BreakerChange::Opened);
        assert_eq!(due(&backlog, seconds(4)), None);
        assert_eq!(backlog.wait(seconds(4)), Some(seconds(1)));
        assert!(due(&backlog, seconds(5)).is_some(), "one is tried");
        assert_eq!(backlog.failed(id(1), seconds(5), None, 1.0), BreakerChange::Unchanged);
        assert_eq!(backlog.wait(seconds(5)), Some(seconds(10)));
        for round in 0..40 {
            backlog.failed(id(1), seconds(100 + round), None, 1.0);
        }
        assert_eq!(backlog.wait(seconds(139)), Some(seconds(60)), "at most");
        assert_eq!(backlog.delivered(id(1)), BreakerChange::Closed);
        assert_eq!(due(&backlog, seconds(139)), Some(2), "the others need not wait");
    }

    #[test]
    fn retry_after_pauses_all_attempts() {
        let mut backlog = Backlog::default();
        backlog.push(message(1, true));
        backlog.failed(id(1), seconds(0), Some(seconds(30)), 0.0);
        backlog.push(message(2, true));
        assert_eq!(due(&backlog, seconds(29)), None);
        assert_eq!(due(&backlog, seconds(30)), Some(1));
        backlog.failed(id(1), seconds(30), Some(seconds(1_000_000)), 0.0);
        assert_eq!(due(&backlog, seconds(30 + 3_600)), Some(1), "but an hour at most");
    }

    #[test]
    fn messages_beyond_the_bounds_or_too_old_are_dropped() {
        let mut backlog = Backlog::default();
        backlog.push(message(1, true));
        for sequence in 2..=MESSAGES_MAX as u64 {
            assert_eq!(backlog.push(message(sequence, false)), []);
        }
        assert_eq!(backlog.push(message(20_000, true)), [id(2)], "not the halt");
        let large = WebhookMessage { body: "x".repeat(BYTES_MAX), ..message(30_000, true) };
        let dropped = backlog.push(large);
        assert_eq!(dropped.last(), Some(&id(20_000)), "in the end the halts too");
        assert_eq!((backlog.len(), backlog.bytes), (1, BYTES_MAX));
        let day = |days: u64| {
            let nanos =
                Timestamp::MIN.as_nanos() + i64::try_from(days).unwrap() * 86_400_000_000_000;
            Timestamp::from_nanos(nanos).unwrap()
        };
        assert_eq!(backlog.expire(day(3)), []);
        assert_eq!(backlog.expire(day(4)), [id(30_000)]);
        assert_eq!((backlog.len(), backlog.bytes), (0, 0));
    }
}
