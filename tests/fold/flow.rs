//! A monitor for tests, fed with events as JSON lines.

use std::sync::Arc;

use trading_exporter::domain::directive::Directive;
use trading_exporter::domain::event::Event;
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::record::{Entry, Record, Verdict};
use trading_exporter::domain::settings::Settings;
use trading_exporter::domain::time::Timestamp;
use trading_exporter::wire::decode::{DecodeLimits, decode_ndjson};

use crate::recount_all::recount;

/// 2026-11-22T14:30:00Z, the receipt of the first record.
pub(crate) const START_NANOS: i64 = 1_795_357_800_000_000_000;

/// A monitor with the next sequence and the current time.
pub(crate) struct Fold {
    pub(crate) monitor: Monitor,
    pub(crate) directives: Vec<Directive>,
    sequence: u64,
    now_nanos: i64,
}

/// At the end of every test, all running sums are derived again.
impl Drop for Fold {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(recount(&self.monitor).0, [], "running sums are wrong");
        }
    }
}

impl Fold {
    pub(crate) fn new(settings: Settings) -> Self {
        let monitor = Monitor::new(Arc::new(settings));
        Self { monitor, directives: Vec::new(), sequence: 0, now_nanos: START_NANOS }
    }

    /// Advances time, in ticks of one second.
    pub(crate) fn wait(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.now_nanos += 1_000_000_000;
            self.apply(Entry::Tick);
        }
    }

    /// Advances time while the exporter is not running.
    pub(crate) fn skip(&mut self, seconds: i64) {
        self.now_nanos += seconds * 1_000_000_000;
    }

    pub(crate) fn apply(&mut self, entry: Entry) -> Verdict {
        self.sequence += 1;
        let received_at = Timestamp::from_nanos(self.now_nanos).expect("a time in range");
        let record = Record { sequence: self.sequence, received_at, more: false, entry };
        self.monitor.apply(&record, &mut self.directives)
    }

    pub(crate) fn event(&mut self, event: Event) -> Verdict {
        self.apply(Entry::Event(event))
    }

    /// Applies events given as JSON lines, all of which must be decoded.
    pub(crate) fn lines(&mut self, lines: &str) -> Vec<Verdict> {
        decode(lines).into_iter().map(|event| self.event(event)).collect()
    }
}

/// Decodes JSON lines, all of which must be events.
pub(crate) fn decode(lines: &str) -> Vec<Event> {
    let limits = DecodeLimits { events_max: usize::MAX, ..DecodeLimits::default() };
    let decoded = decode_ndjson(lines.as_bytes(), &limits).expect("lines");
    assert_eq!(decoded.refused, Vec::new());
    decoded.events.into_iter().map(|(_, event)| event).collect()
}
