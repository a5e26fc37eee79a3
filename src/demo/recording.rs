//! A recorded hour of order flow, and where it lies in the time of a run.
//!
//! Input: the compressed lines that a trading engine sent, in its order. Output: the same events
//! with the times and ids of this run. Invariants: no event is dated later than now; intervals
//! between events are those of the recording, so that fill times stay true although the first
//! part is sent faster than it happened. Deliberately absent: what the events mean.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use flate2::read::GzDecoder;
use serde_json::{Map, Value};

use crate::demo::DemoError;
use crate::domain::time::Timestamp;

/// One hour of a simulated market, traded by two strategies; also a fixture of the tests.
const LINES: &[u8] = include_bytes!("../../tests/fixtures/session/events.ndjson.gz");

/// A recorded session.
#[derive(Clone, Debug)]
pub struct Recording {
    events: Vec<Recorded>,
}

/// One event as it was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Time since the first event.
    pub at: Duration,
    /// Its fields as they were sent.
    pub fields: Map<String, Value>,
}

impl Recorded {
    /// A field that is text; empty if it is missing.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Recording {
    /// Unpacks the session that comes with the program.
    ///
    /// # Errors
    /// [`DemoError::Recording`] if it cannot be unpacked or read: the build is broken.
    pub fn built_in() -> Result<Self, DemoError> {
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
            events.push(Recorded { at, fields });
        }
        Ok(Self { events })
    }

    /// The events in the order in which they were sent.
    #[must_use]
    pub fn events(&self) -> &[Recorded] {
        &self.events
    }

    /// From the first event to the last.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.events.last().map_or(Duration::ZERO, |e| e.at)
    }
}

/// How a recording is replayed: most of it fast, until it has caught up with the present, and its
/// tail as fast as it happened.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Length of the recording.
    pub length: Duration,
    /// How much of its end is replayed as fast as it happened.
    pub tail: Duration,
    /// How long the rest takes.
    pub catch_up: Duration,
}

impl Pace {
    /// How far the recording has been replayed after `elapsed`; beyond its length when it is over.
    #[must_use]
    pub fn position(&self, elapsed: Duration) -> Duration {
        let head = self.length.saturating_sub(self.tail);
        match elapsed.checked_sub(self.catch_up) {
            Some(after) => head + after,
            None => head.mul_f64(elapsed.div_duration_f64(self.catch_up)),
        }
    }

    /// The time that a position of the recording has in a run that began at `start`.
    #[must_use]
    pub fn date(&self, start: Timestamp, position: Duration) -> Timestamp {
        let head = self.length.saturating_sub(self.tail);
        start.plus(self.catch_up).minus(head).plus(position)
    }
}

/// The event with the time and the ids of a run. Ids differ from run to run, so that a server that
/// has seen an earlier run takes no event for a duplicate.
#[must_use]
pub fn retold(recorded: &Recorded, time: Timestamp, run: &str) -> Value {
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
    fn the_recording_is_an_hour_in_order() {
        let recording = Recording::built_in().unwrap();
        assert_eq!(recording.events().len(), 5_017);
        assert!((3_300..3_600).contains(&recording.length().as_secs()));
        assert!(recording.events().windows(2).all(|w| w[0].at <= w[1].at));
        assert_eq!(recording.events()[0].text("type"), "order_submitted");
        assert_eq!(recording.events()[0].text("nothing"), "");
    }

    #[test]
    fn the_pace_catches_up_and_then_keeps_time() {
        let pace = Pace {
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
    fn ids_and_times_are_of_the_run() {
        let recording = Recording::built_in().unwrap();
        let time = Timestamp::MIN.plus(Duration::from_hours(1));
        let event = retold(&recording.events()[0], time, "R7-");
        assert_eq!(event["time_ns"], time.as_nanos());
        assert_eq!(event["order_id"], "R7-O-20240304-143022-001-001-1");
        assert!(event["event_id"].as_str().unwrap().starts_with("R7-"));
        assert_eq!(event["symbol"], "AAPL.XNAS");
    }
}
