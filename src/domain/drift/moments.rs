//! What the fills had made of a position at the moments close to the date of a list.
//!
//! Input: flows, and a window around a date. Output: [`Moment`]s, each the sum of the flows by then
//! and how far it is from the date. Invariants: sums of one [`Course`] have one origin, so that
//! those of two lists can be set against one another; at most [`MOMENTS_MAX`] of a list, those
//! closest to its date. Deliberately absent: what a list says (see `align`).

use std::time::Duration;

use super::flows::{Flows, Running};
use crate::domain::limits::{COMBINED_FLOWS_MAX, MOMENTS_MAX};
use crate::domain::settings::InFlightSettings;
use crate::domain::time::{Timestamp, nanos};
use crate::domain::units::Decimal;

/// The moments of which a list may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Its date.
    at: Timestamp,
    /// Up to this long before: it lags, but not more than it may.
    lag_max: Duration,
    /// Up to this long before: slower than it may be.
    lag_seen_max: Duration,
    /// Up to this long after: it was dated before it was read.
    ahead: Duration,
    /// Flows this close to the date are in it in any combination.
    combined: Option<Duration>,
}

impl Window {
    /// The window of a list that the engine made of its own book.
    pub(super) const fn of_engine(at: Timestamp, rules: &InFlightSettings) -> Self {
        let grace = rules.grace;
        Self { at, lag_max: grace, lag_seen_max: grace, ahead: grace, combined: None }
    }

    /// The window of a broker's list.
    pub(super) fn of_broker(at: Timestamp, rules: &InFlightSettings) -> Self {
        Self {
            at,
            lag_max: rules.lag_max,
            lag_seen_max: rules.lag_seen_max(),
            ahead: rules.ahead,
            combined: Some(rules.grace),
        }
    }

    fn first(&self) -> Timestamp {
        self.at.minus(self.lag_seen_max.max(self.combined.unwrap_or_default()))
    }

    fn last(&self) -> Timestamp {
        self.at.plus(self.ahead.max(self.combined.unwrap_or_default()))
    }
}

/// What the flows had added up to at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// The sum, from the origin of its [`Course`].
    pub(super) sum: Decimal,
    /// Date of the list - moment, in nanoseconds: the smallest while the sum held. Negative: the
    /// list knew more than its date says.
    pub(super) lag: i64,
    /// Whether a list may lag that much.
    pub(super) is_recent: bool,
}

/// The running sums of a position around two lists.
#[derive(Debug)]
pub(super) struct Course(Vec<Running>);

impl Course {
    /// The sums that either window needs.
    pub(super) fn around(flows: &Flows, a: &Window, b: &Window) -> Self {
        Self(flows.running(a.first().min(b.first()), a.last().max(b.last())))
    }

    /// The moments of a window: those that a list may be of, then the others, the closest first.
    pub(super) fn moments(&self, window: &Window) -> Vec<Moment> {
        let first = self.place_of(window.at.minus(window.lag_seen_max)).saturating_sub(1);
        let end = self.place_of(window.at.plus(window.ahead));
        let first = first.max(end.saturating_sub(MOMENTS_MAX));
        let states = self.0.iter().zip(self.0.iter().skip(1).map(Some).chain([None]));
        let in_order = states.take(end).skip(first).map(|(state, next)| {
            let lag = lag_of(window.at, state.time, next.map(|next| next.time));
            let is_recent = lag <= 0 || lag < nanos(window.lag_max);
            Moment { sum: state.sum, lag, is_recent }
        });
        let combined = window.combined.map(|grace| self.combined(window.at, grace));
        let mut moments: Vec<Moment> = in_order.chain(combined.into_iter().flatten()).collect();
        moments.sort_by_key(|moment| (!moment.is_recent, moment.lag.abs()));
        moments
    }

    /// What any combination of the flows within `grace` of a date adds up to, behind all that came
    /// before them; of more than [`COMBINED_FLOWS_MAX`] the closest, in the order of the rest.
    fn combined(&self, at: Timestamp, grace: Duration) -> Vec<Moment> {
        let is_before = |running: &Running| running.time < at.minus(grace);
        // The first running sum is no flow's.
        let mut first = self.0.partition_point(is_before).max(1);
        let mut end = self.place_of(at.plus(grace)).max(first);
        let far = |place: usize| self.0.get(place).map_or(0, |state| state.time.since(at).abs());
        while end - first > COMBINED_FLOWS_MAX {
            if far(first) >= far(end - 1) { first += 1 } else { end -= 1 }
        }
        let Some(before) = self.0.get(first - 1) else { return Vec::new() };
        let mut sums = vec![Combination { sum: before.sum, lacks: None, knows: None }];
        let mut last = before.sum;
        for state in self.0.iter().take(end).skip(first) {
            let change = state.sum.saturating_sub(last);
            last = state.sum;
            let with = sums.iter().map(|without| without.with(change, state.time, at));
            let with: Vec<Combination> = with.collect();
            for without in &mut sums {
                without.leave_out(state.time, at);
            }
            sums.extend(with);
        }
        sums.iter().map(|sum| sum.moment(at)).collect()
    }

    /// How many running sums began up to `time`, inclusive.
    fn place_of(&self, time: Timestamp) -> usize {
        self.0.partition_point(|state| state.time <= time)
    }
}

/// Some of the flows close to a date.
#[derive(Clone, Copy, Debug)]
struct Combination {
    sum: Decimal,
    /// The earliest one up to the date that is left out.
    lacks: Option<Timestamp>,
    /// The latest one after the date that is in.
    knows: Option<Timestamp>,
}

impl Combination {
    fn with(&self, change: Decimal, time: Timestamp, at: Timestamp) -> Self {
        let knows = if time > at { Some(time) } else { self.knows };
        Self { sum: self.sum.saturating_add(change), knows, ..*self }
    }

    fn leave_out(&mut self, time: Timestamp, at: Timestamp) {
        if time <= at {
            self.lacks.get_or_insert(time);
        }
    }

    fn moment(&self, at: Timestamp) -> Moment {
        let lag = self.lacks.or(self.knows).map_or(0, |time| at.since(time));
        Moment { sum: self.sum, lag, is_recent: true }
    }
}

/// How far the time from `since` to `until` is from a date: 0 if that lies in it.
fn lag_of(at: Timestamp, since: Timestamp, until: Option<Timestamp>) -> i64 {
    match until {
        Some(until) if until <= at => at.since(until),
        _ if since > at => at.since(since),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::drift::{Flow, FlowKind};

    fn at(seconds: f64) -> Timestamp {
        Timestamp::MIN.plus(Duration::from_secs_f64(1_000.0 + seconds))
    }

    /// The moments of a broker's list dated 0, as `sum@lag`; `~` marks those past the lag that is
    /// allowed. Sorted.
    fn moments(flows: &[(f64, i64)], rules: &InFlightSettings) -> Vec<String> {
        let mut held = Flows::default();
        for (time, change) in flows {
            let kind = FlowKind::Adjustment;
            held.insert(Flow { time: at(*time), change: (*change).into(), kind }, at(0.0));
        }
        let window = Window::of_broker(at(0.0), rules);
        let course = Course::around(&held, &window, &Window::of_engine(at(0.0), rules));
        let told = course.moments(&window).into_iter().map(|moment| {
            let mark = if moment.is_recent { "@" } else { "~" };
            format!("{}{mark}{}", moment.sum, crate::domain::time::seconds(moment.lag))
        });
        let mut told: Vec<String> = told.collect();
        told.sort();
        told.dedup();
        told
    }

    #[test]
    fn moments_are_the_prefix_sums_around_a_date() {
        let rules = InFlightSettings::default();
        let check = |flows: &[(f64, i64)], expect: &[&str]| {
            assert_eq!(moments(flows, &rules), expect, "{flows:?}");
        };
        check(&[], &["0@0"]);
        check(&[(-3.0, 5)], &["0@3", "5@0"]);
        // Half open: a flow exactly as old as the lag allowed is in every list.
        check(&[(-10.0, 5)], &["0~10", "5@0"]);
        check(&[(-9.5, 5), (-4.0, 2)], &["0@9.5", "5@4", "7@0"]);
        check(&[(-59.5, 5), (-4.0, 2)], &["0~59.5", "5@4", "7@0"]);
        // What is older than all moments is no matter of theirs.
        check(&[(-60.0, 5), (-4.0, 2)], &["0@4", "2@0"]);
        check(&[(1.5, 5), (2.0, 2), (2.5, 1)], &["0@0", "5@-1.5", "7@-2"]);
        // Of one time: one after the other.
        check(&[(-3.0, 5), (-3.0, 2)], &["0@3", "5@3", "7@0"]);
    }

    #[test]
    fn flows_close_to_a_date_come_in_any_combination() {
        let rules = InFlightSettings::default();
        let got = moments(&[(-3.0, 100), (-0.5, 1), (-0.25, 2), (0.5, 4)], &rules);
        let expect = [
            "0@3", "100@0.5", "101@0.25", "102@0.5", "103@0", "104@0.5", "105@0.25", "106@0.5",
            "107@-0.5",
        ];
        assert_eq!(got, expect);
        // Of more than six the closest: 10 and 20 are in or out with all before them.
        let flows: Vec<(f64, i64)> = (0..8).map(|i| (-0.9 + 0.1 * f64::from(i), 10)).collect();
        let sums = |moment: &String| moment.split('@').next().map(str::to_owned);
        let mut got: Vec<_> = moments(&flows, &rules).iter().filter_map(sums).collect();
        got.sort();
        got.dedup();
        assert_eq!(got, ["0", "10", "20", "30", "40", "50", "60", "70", "80"]);
    }

    #[test]
    fn a_window_may_be_a_point() {
        let none = Duration::ZERO;
        let rules =
            InFlightSettings { grace: none, lag_max: none, ahead: none, ..Default::default() };
        assert_eq!(moments(&[(-3.0, 5), (1.0, 2)], &rules), ["0~3", "5@0"]);
    }
}
