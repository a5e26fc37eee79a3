//! The running sums of a position at the moments close to the date of a list.
//!
//! Input: flows, and a window around a date. Output: [`ListMoment`]s, each with the sum of the flows up
//! to it and its distance from the date. Invariants: the sums of one [`RunningSums`] have one origin, so
//! that the sums for two lists can be compared; at most [`MOMENTS_MAX`] for a list, those closest to its
//! date. Deliberately absent: the quantities in a list (see `align`).

use std::time::Duration;

use super::flows::{Flows, RunningSum};
use crate::domain::limits::{COMBINED_FLOWS_MAX, MOMENTS_MAX};
use crate::domain::settings::InFlightSettings;
use crate::domain::time::{Timestamp, nanos};
use crate::domain::units::Decimal;

/// The moments at which a list may have been true.
#[derive(Clone, Copy, Debug)]
pub(super) struct LagWindow {
    /// The date of the list.
    at: Timestamp,
    /// Up to this long before the date: a lag that is allowed.
    lag_max: Duration,
    /// Up to this long before the date: a lag that is recognised, but more than allowed.
    lag_seen_max: Duration,
    /// Up to this long after the date: the list was dated before it was read.
    ahead: Duration,
    /// Flows this close to the date may be in the list in any combination.
    combined: Option<Duration>,
}

impl LagWindow {
    /// The window of an engine's list of its own book.
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

/// A moment at which a list may have been true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListMoment {
    /// The sum of the flows up to it, from the origin of its [`RunningSums`].
    pub(super) sum: Decimal,
    /// Date of the list - moment, in nanoseconds; of the span in which the sum held, the smallest.
    /// Negative: the list knew more than its date says.
    pub(super) lag: i64,
    /// Whether that lag is allowed.
    pub(super) is_recent: bool,
}

/// The running sums of a position around two lists.
#[derive(Debug)]
pub(super) struct RunningSums(Vec<RunningSum>);

impl RunningSums {
    /// The sums that either window needs.
    pub(super) fn around(flows: &Flows, a: &LagWindow, b: &LagWindow) -> Self {
        Self(flows.running(a.first().min(b.first()), a.last().max(b.last())))
    }

    /// The moments of a window, the closest first: those with an allowed lag, then the others.
    pub(super) fn moments(&self, window: &LagWindow) -> Vec<ListMoment> {
        let first = self.place_of(window.at.minus(window.lag_seen_max)).saturating_sub(1);
        let end = self.place_of(window.at.plus(window.ahead));
        let first = first.max(end.saturating_sub(MOMENTS_MAX));
        let states = self.0.iter().zip(self.0.iter().skip(1).map(Some).chain([None]));
        let in_order = states.take(end).skip(first).map(|(state, next)| {
            let lag = lag_of(window.at, state.time, next.map(|next| next.time));
            let is_recent = lag <= 0 || lag < nanos(window.lag_max);
            ListMoment { sum: state.sum, lag, is_recent }
        });
        let combined = window.combined.map(|grace| self.combined(window.at, grace));
        let mut moments: Vec<ListMoment> = in_order.chain(combined.into_iter().flatten()).collect();
        moments.sort_by_key(|moment| (!moment.is_recent, moment.lag.abs()));
        moments
    }

    /// The sums of every combination of the flows within `grace` of a date, on top of all flows before
    /// them. Past [`COMBINED_FLOWS_MAX`] flows, only the closest are combined, and the others are
    /// included in their order.
    fn combined(&self, at: Timestamp, grace: Duration) -> Vec<ListMoment> {
        let is_before = |running: &RunningSum| running.time < at.minus(grace);
        // The first running sum is the origin, before any flow.
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

    /// Number of running sums that start up to `time`, inclusive.
    fn place_of(&self, time: Timestamp) -> usize {
        self.0.partition_point(|state| state.time <= time)
    }
}

/// Some of the flows close to a date.
#[derive(Clone, Copy, Debug)]
struct Combination {
    sum: Decimal,
    /// The earliest flow up to the date that is left out.
    lacks: Option<Timestamp>,
    /// The latest flow after the date that is included.
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

    fn moment(&self, at: Timestamp) -> ListMoment {
        let lag = self.lacks.or(self.knows).map_or(0, |time| at.since(time));
        ListMoment { sum: self.sum, lag, is_recent: true }
    }
}

/// The distance of a date from the span `since` to `until`, in nanoseconds; 0 if it lies in the span.
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
    use crate::domain::flow::{Flow, FlowKind};

    fn at(seconds: f64) -> Timestamp {
        Timestamp::MIN.plus(Duration::from_secs_f64(1_000.0 + seconds))
    }

    /// The moments of a broker's list dated 0 as `sum@lag`, or `sum~lag` past the allowed lag. Sorted.
    fn moments(flows: &[(f64, i64)], rules: &InFlightSettings) -> Vec<String> {
        let mut held = Flows::default();
        for (time, change) in flows {
            let kind = FlowKind::Adjustment;
            held.insert(Flow { time: at(*time), change: (*change).into(), kind }, at(0.0));
        }
        let window = LagWindow::of_broker(at(0.0), rules);
        let course = RunningSums::around(&held, &window, &LagWindow::of_engine(at(0.0), rules));
        let moments = course.moments(&window).into_iter().map(|moment| {
            let mark = if moment.is_recent { "@" } else { "~" };
            format!("{}{mark}{}", moment.sum, crate::domain::time::seconds(moment.lag))
        });
        let mut moments: Vec<String> = moments.collect();
        moments.sort();
        moments.dedup();
        moments
    }

    #[test]
    fn moments_are_the_prefix_sums_around_a_date() {
        let rules = InFlightSettings::default();
        let check = |flows: &[(f64, i64)], expect: &[&str]| {
            assert_eq!(moments(flows, &rules), expect, "{flows:?}");
        };
        check(&[], &["0@0"]);
        check(&[(-3.0, 5)], &["0@3", "5@0"]);
        // Half open: a flow exactly as old as the allowed lag is in every list.
        check(&[(-10.0, 5)], &["0~10", "5@0"]);
        check(&[(-9.5, 5), (-4.0, 2)], &["0@9.5", "5@4", "7@0"]);
        check(&[(-59.5, 5), (-4.0, 2)], &["0~59.5", "5@4", "7@0"]);
        // Flows older than all moments change nothing.
        check(&[(-60.0, 5), (-4.0, 2)], &["0@4", "2@0"]);
        check(&[(1.5, 5), (2.0, 2), (2.5, 1)], &["0@0", "5@-1.5", "7@-2"]);
        // Flows of one time count one after the other.
        check(&[(-3.0, 5), (-3.0, 2)], &["0@3", "5@3", "7@0"]);
    }

    #[test]
    fn flows_close_to_a_date_combine_in_any_way() {
        let rules = InFlightSettings::default();
        let got = moments(&[(-3.0, 100), (-0.5, 1), (-0.25, 2), (0.5, 4)], &rules);
        let expect = [
            "0@3", "100@0.5", "101@0.25", "102@0.5", "103@0", "104@0.5", "105@0.25", "106@0.5",
            "107@-0.5",
        ];
        assert_eq!(got, expect);
        // Past six flows only the closest combine: 10 and 20 are included with all before them, or not.
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
