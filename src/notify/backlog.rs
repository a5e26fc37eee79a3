//! What waits for one target, when it is tried next, and the breaker that spares a dead one.
//!
//! Input: messages, outcomes of attempts, the time since the start, a random fraction. Output: the
//! message to try now, or how long to wait. Invariants: bounded in messages and bytes; halts and
//! releases go first and are given up last; the oldest of a class goes first. Pure: no clock, no
//! randomness, no I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::Message;
use crate::domain::directive::DirectiveId;
use crate::domain::time::Timestamp;

/// Messages that wait for one target.
pub(super) const MESSAGES_MAX: usize = 10_000;
/// Bytes of their bodies.
pub(super) const BYTES_MAX: usize = 16 << 20;
/// A message that could not be delivered for so long tells nothing any more.
const AGE_MAX: Duration = Duration::from_hours(72);
/// Between the first two attempts; each further time is twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Between two attempts at one message, at most.
const RETRY_MAX: Duration = Duration::from_mins(5);
/// Failures in a row that open the breaker.
const FAILURES_MAX: u32 = 5;
/// How long it stays open at first; each further time is twice as long.
const OPEN_FIRST: Duration = Duration::from_secs(5);
/// How long it stays open, at most.
const OPEN_MAX: Duration = Duration::from_mins(1);
/// How long a target may ask to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// What waits for one target.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: BTreeMap<DirectiveId, Waiting>,
    bytes: usize,
    /// Failures since the last delivery.
    failures: u32,
    /// Until when nothing is tried.
    closed_until: Duration,
}

#[derive(Debug)]
struct Waiting {
    message: Message,
    attempts: u32,
    due: Duration,
}

/// What became of the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaker {
    /// Nothing changed.
    Same,
    /// It opened.
    Opened,
    /// It closed.
    Closed,
}

impl Backlog {
    /// Adds a message; returns those given up for it.
    pub(super) fn push(&mut self, message: Message) -> Vec<DirectiveId> {
        let mut dropped = Vec::new();
        self.bytes += message.body.len();
        let id = message.id;
        let waiting = Waiting { message, attempts: 0, due: Duration::ZERO };
        if let Some(same) = self.waiting.insert(id, waiting) {
            self.bytes -= same.message.body.len();
        }
        while self.waiting.len() > MESSAGES_MAX || self.bytes > BYTES_MAX {
            let lesser = self.waiting.iter().find(|(_, w)| !w.message.of_latch).map(|(id, _)| *id);
            let Some(id) = lesser.or_else(|| self.waiting.keys().next().copied()) else { break };
            self.remove(id);
            dropped.push(id);
        }
        dropped
    }

    /// The message to try at `elapsed`.
    pub(super) fn due(&self, elapsed: Duration) -> Option<&Message> {
        if elapsed < self.closed_until {
            return None;
        }
        let due = || self.waiting.values().filter(|w| w.due <= elapsed);
        let next = due().find(|w| w.message.of_latch).or_else(|| due().next());
        next.map(|w| &w.message)
    }

    /// How long nothing is to be tried; none: nothing waits.
    pub(super) fn wait(&self, elapsed: Duration) -> Option<Duration> {
        let due = self.waiting.values().map(|w| w.due).min()?;
        Some(due.max(self.closed_until).saturating_sub(elapsed))
    }

    /// A message was delivered. The others need not wait any longer if the target had failed.
    pub(super) fn delivered(&mut self, id: DirectiveId) -> Breaker {
        self.remove(id);
        let had_opened = self.failures >= FAILURES_MAX;
        if had_opened {
            self.waiting.values_mut().for_each(|w| w.due = Duration::ZERO);
        }
        self.failures = 0;
        self.closed_until = Duration::ZERO;
        if had_opened { Breaker::Closed } else { Breaker::Same }
    }

    /// An attempt failed at `elapsed`; the target may have asked for a time without attempts.
    /// `random` is from 0 to 1: it spreads the attempts of many.
    pub(super) fn failed(
        &mut self,
        id: DirectiveId,
        elapsed: Duration,
        retry_after: Option<Duration>,
        random: f64,
    ) -> Breaker {
        self.failures = self.failures.saturating_add(1);
        let jitter = 0.5 + random.clamp(0.0, 1.0) / 2.0;
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.attempts = waiting.attempts.saturating_add(1);
            let pause = doubled(RETRY_FIRST, waiting.attempts - 1, RETRY_MAX);
            waiting.due = elapsed + pause.mul_f64(jitter);
        }
        if let Some(asked) = retry_after {
            self.closed_until = self.closed_until.max(elapsed + asked.min(RETRY_AFTER_MAX));
        }
        if self.failures < FAILURES_MAX {
            return Breaker::Same;
        }
        let open = doubled(OPEN_FIRST, self.failures - FAILURES_MAX, OPEN_MAX);
        self.closed_until = self.closed_until.max(elapsed + open.mul_f64(jitter));
        // The first that is tried again is the trial: it must not wait for itself.
        for waiting in self.waiting.values_mut() {
            waiting.due = waiting.due.min(self.closed_until);
        }
        if self.failures == FAILURES_MAX { Breaker::Opened } else { Breaker::Same }
    }

    /// Forgets how attempts went: whoever comes next may fare otherwise.
    pub(super) fn rest(&mut self) {
        self.failures = 0;
        self.closed_until = Duration::ZERO;
        for waiting in self.waiting.values_mut() {
            waiting.attempts = 0;
            waiting.due = Duration::ZERO;
        }
    }

    /// Gives up what is too old at `now`.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<DirectiveId> {
        let old = self.waiting.values().filter(|w| now.is_past(w.message.at, AGE_MAX));
        let old: Vec<DirectiveId> = old.map(|w| w.message.id).collect();
        for id in &old {
            self.remove(*id);
        }
        old
    }

    /// The messages that wait, oldest first.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.waiting.values().map(|w| &w.message)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn remove(&mut self, id: DirectiveId) {
        if let Some(waiting) = self.waiting.remove(&id) {
            self.bytes -= waiting.message.body.len();
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

    fn message(sequence: u64, of_latch: bool) -> Message {
        Message { id: id(sequence), at: Timestamp::MIN, of_latch, body: "{}".into() }
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn due(backlog: &Backlog, elapsed: Duration) -> Option<u64> {
        backlog.due(elapsed).map(|m| m.id.sequence)
    }

    #[test]
    fn halts_go_first_and_the_oldest_before_others() {
        let mut backlog = Backlog::default();
        for (sequence, of_latch) in [(3, false), (1, false), (4, true), (2, true)] {
            assert_eq!(backlog.push(message(sequence, of_latch)), []);
        }
        for expect in [2, 4, 1, 3] {
            assert_eq!(due(&backlog, Duration::ZERO), Some(expect));
            assert_eq!(backlog.delivered(id(expect)), Breaker::Same);
        }
        assert_eq!(due(&backlog, Duration::ZERO), None);
        assert_eq!(backlog.wait(Duration::ZERO), None);
    }

    #[test]
    fn attempts_at_one_message_grow_apart_and_leave_others_alone() {
        let mut backlog = Backlog::default();
        backlog.push(message(1, true));
        backlog.push(message(2, false));
        assert_eq!(backlog.failed(id(1), seconds(10), None, 1.0), Breaker::Same);
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
    fn the_breaker_opens_tries_one_and_closes() {
        let mut backlog = Backlog::default();
        for sequence in 1..=10 {
            backlog.push(message(sequence, false));
        }
        for sequence in 1..=4 {
            assert_eq!(backlog.failed(id(sequence), seconds(0), None, 1.0), Breaker::Same);
        }
        assert_eq!(backlog.failed(id(5), seconds(0), None, 1.0), Breaker::Opened);
        assert_eq!(due(&backlog, seconds(4)), None);
        assert_eq!(backlog.wait(seconds(4)), Some(seconds(1)));
        assert!(due(&backlog, seconds(5)).is_some(), "one is tried");
        assert_eq!(backlog.failed(id(1), seconds(5), None, 1.0), Breaker::Same);
        assert_eq!(backlog.wait(seconds(5)), Some(seconds(10)));
        for round in 0..40 {
            backlog.failed(id(1), seconds(100 + round), None, 1.0);
        }
        assert_eq!(backlog.wait(seconds(139)), Some(seconds(60)), "at most");
        assert_eq!(backlog.delivered(id(1)), Breaker::Closed);
        assert_eq!(due(&backlog, seconds(139)), Some(2), "the others need not wait");
    }

    #[test]
    fn a_target_is_left_alone_as_long_as_it_asks() {
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
    fn what_is_too_much_or_too_old_is_given_up() {
        let mut backlog = Backlog::default();
        backlog.push(message(1, true));
        for sequence in 2..=MESSAGES_MAX as u64 {
            assert_eq!(backlog.push(message(sequence, false)), []);
        }
        assert_eq!(backlog.push(message(20_000, true)), [id(2)], "not the halt");
        let large = Message { body: "x".repeat(BYTES_MAX), ..message(30_000, true) };
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
