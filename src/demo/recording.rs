//! A recorded hour of order flow, and its mapping to the time of a run.
//!
//! Input: the compressed lines that a trading engine sent, in its order. Output: the same events with
//! the times and ids of this run. Invariants: no event is dated later than now; the intervals between
//! events are those of the recording, so fill times stay true although the first part is sent faster
//! than it happened. Deliberately absent: the meaning of the events.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use flate2::read::GzDecoder;
use serde_json::{Map, Value};

use crate::demo::DemoError;
use crate::domain::time::Timestamp;

/// One hour of a simulated market, traded by two strategies. The tests use it too.
const LINES: &[u8] = include_bytes!("../../tests/fixtures/session/events.ndjson.gz");

/// A recorded session.
#[derive(Clone, Debug)]
pub(crate) struct RecordedSession {
    events: Vec<RecordedEvent>,
}

/// A recorded event.
#[derive(Clone, Debug)]
pub(crate) struct RecordedEvent {
    /// Time since the first event.
    pub(crate) at: Duration,
    pub(crate) fields: Map<String, Value>,
}

impl RecordedEvent {
    /// A text field. Empty if it is missing.
    #[must_use]
    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

impl RecordedSession {
    /// Unpacks the session that is compiled into the program.
    ///
    /// # Errors
    /// [`DemoError::Recording`] if it cannot be unpacked or parsed: the build is broken.
    pub(crate) fn built_in() -> Result<Self, DemoError> {
        let mut first = None;
        let mut events = Vec::new();
        for line in BufReader::new(GzDecoder::new(LINES)).lines() {
            let line = line.map_err(|source| DemoError::Recording(source.to_string()))?;
            let fields: Map<String, Value> = serde_json::from_str(&line)
                .map_err(|source| DemoError::Recording(source.to_string()))?;
            let time = fields
                .get("time_ns")
                .and_then(Value::as_i64)
                .ok_or_else(|| DemoError::Recording(format!("no time in {line}")))?;
            let since_first = time - *first.get_or_insert(time);
            let at = Duration::from_nanos(u64::try_from(since_first).unwrap_or(0));
            events.push(RecordedEvent { at, fields });
        }
        Ok(Self { events })
    }

    /// The events, in the order in which they were sent.
    #[must_use]
    pub(crate) fn events(&self) -> &[RecordedEvent] {
        &self.events
    }

    /// From the first event to the last.
    #[must_use]
    pub(crate) fn length(&self) -> Duration {
        self.events.last().map_or(Duration::ZERO, |e| e.at)
    }
}

/// The speed of a replay: fast until it has caught up with the present, then the original speed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplayPace {
    /// Length of the recording.
    pub(crate) length: Duration,
    /// The end of the recording that is replayed at its original speed.
    pub(crate) tail: Duration,
    /// Time to replay everything before that.
    pub(crate) catch_up: Duration,
}

impl ReplayPace {
    /// The position in the recording after `elapsed`. Beyond its length when the replay has ended.
    #[must_use]
    pub(crate) fn position(&self, elapsed: Duration) -> Duration {
        let head = self.length.saturating_sub(self.tail);
        match elapsed.checked_sub(self.catch_up) {
            Some(after) => head + after,
            None => head.mul_f64(elapsed.div_duration_f64(self.catch_up)),
        }
    }

    /// The time of a position of the recording, in a run that began at `start`.
    #[must_use]
    pub(crate) fn date(&self, start: Timestamp, position: Duration) -> Timestamp {
        let head = self.length.saturating_sub(self.tail);
        start.plus(self.catch_up).minus(head).plus(position)
    }
}

/// The event with the time and the ids of a run. Ids differ between runs, so that a server that has
/// received an earlier run does not treat the events as duplicates.
#[must_use]
pub(crate) fn rebased(recorded: &RecordedEvent, time: Timestamp, run: &str) -> Value {
    let mut fields = recorded.fields.clone();
    fields.insert("time_ns".into(), time.as_nanos().into());
    for name in ["order_id", "new_order_id", "event_id", "fill_id"] {
        if let Some(Value::String(id)) = fields.get_mut(name) {
            id.insert_str(0, run);
        }
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recording_is_an_hour_long_and_ordered() {
        let recording = RecordedSession::built_in().unwrap();
        assert_eq!(recording.events().len(), 5_017);
        assert!((3_300..3_600).contains(&recording.length().as_secs()));
        assert!(recording.events().windows(2).all(|w| w[0].at <= w[1].at));
        assert_eq!(recording.events()[0].text("type"), "order_submitted");
        assert_eq!(recording.events()[0].text("nothing"), "");
    }

    #[test]
    fn the_replay_catches_up_and_then_keeps_the_original_speed() {
        let pace = ReplayPace {
            length: Duration::from_hours(1),
            tail: Duration::from_secs(100),
            catch_up: Duration::from_secs(10),
        };
        let start = Timestamp::MIN.plus(Duration::from_hours(1_000));
        let check = |elapsed: u64, position: u64| {
            let found = pace.position(Duration::from_secs(elapsed));
            assert_eq!(found, Duration::from_secs(position), "after {elapsed} s");
            let now = start.plus(Duration::from_secs(elapsed));
            assert!(pace.date(start, found) <= now, "after {elapsed} s");
        };
        check(0, 0);
        check(5, 1_750);
        check(10, 3_500);
        check(30, 3_520);
        check(200, 3_690);
        let late = Duration::from_secs(30);
        assert_eq!(pace.date(start, pace.position(late)), start.plus(late));
    }

    #[test]
    fn ids_and_times_are_those_of_the_run() {
        let recording = RecordedSession::built_in().unwrap();
        let time = Timestamp::MIN.plus(Duration::from_hours(1));
        let event = rebased(&recording.events()[0], time, "R7-");
        assert_eq!(event["time_ns"], time.as_nanos());
        assert_eq!(event["order_id"], "R7-O-20240304-143022-001-001-1");
        assert!(event["event_id"].as_str().unwrap().starts_with("R7-"));
        assert_eq!(event["symbol"], "AAPL.XNAS");
    }
}
