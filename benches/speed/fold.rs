//! A state in this process, and an engine whose events it folds.

use std::sync::Arc;
use std::time::Duration;

use trading_exporter::clock;
use trading_exporter::domain::directive::Directive;
use trading_exporter::domain::event::Event;
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::record::{Entry, Record};
use trading_exporter::domain::settings::Settings;
use trading_exporter::domain::time::Timestamp;
use trading_exporter::wire::decode::{DecodeLimits, decode_ndjson};

use crate::traffic::Engine;

/// Records between two ticks.
const TICK_EVERY: u64 = 100_000;

/// A state, fed by one engine.
pub(crate) struct Fold {
    pub(crate) monitor: Monitor,
    engine: Engine,
    now: Timestamp,
    sequence: u64,
    directives: Vec<Directive>,
}

impl Fold {
    /// An empty state with windows of `window_orders` orders. Its engine trades `symbols` symbols.
    pub(crate) fn new(symbols: u64, window_orders: usize) -> Self {
        let mut settings = Settings::default();
        settings.window.orders = window_orders;
        settings.series.max = usize::MAX;
        Self {
            monitor: Monitor::new(Arc::new(settings)),
            engine: Engine::new(0, symbols),
            now: clock::now(),
            sequence: 0,
            directives: Vec::new(),
        }
    }

    /// Replaces the engine by one that trades `symbols` symbols.
    pub(crate) fn trade(&mut self, first_order: u64, symbols: u64) {
        self.engine = Engine::new(first_order, symbols);
    }

    /// The records of the next batch of the engine.
    pub(crate) fn next(&mut self) -> Vec<Record> {
        let mut body = Vec::new();
        self.engine.batch(&mut body);
        self.records(&body)
    }

    /// The lines of a body as records.
    pub(crate) fn records(&mut self, body: &[u8]) -> Vec<Record> {
        let events = decode(body);
        let last = events.len();
        let record = |(place, event)| {
            self.sequence += 1;
            self.now = self.now.plus(Duration::from_micros(1));
            let more = place + 1 < last;
            Record {
                sequence: self.sequence,
                received_at: self.now,
                more,
                entry: Entry::Event(event),
            }
        };
        events.into_iter().enumerate().map(record).collect()
    }

    /// Applies records. Their directives are dropped.
    pub(crate) fn apply(&mut self, records: &[Record]) {
        for record in records {
            self.monitor.apply(record, &mut self.directives);
            self.directives.clear();
        }
    }

    /// Applies events of the engine until `orders` orders have ended.
    pub(crate) fn fill(&mut self, orders: u64) {
        for batch in 0..orders.div_ceil(crate::traffic::BATCH_EVENTS) * 3 {
            let records = self.next();
            self.apply(&records);
            if batch % (TICK_EVERY / crate::traffic::BATCH_EVENTS) == 0 {
                self.tick();
            }
        }
    }

    /// Applies a tick, one second later.
    pub(crate) fn tick(&mut self) {
        self.sequence += 1;
        self.now = self.now.plus(Duration::from_secs(1));
        let (sequence, received_at) = (self.sequence, self.now);
        let tick = Record { sequence, received_at, more: false, entry: Entry::Tick };
        self.apply(&[tick]);
    }
}

/// Decodes the events of an NDJSON body.
pub(crate) fn decode(body: &[u8]) -> Vec<Event> {
    let decoded = decode_ndjson(body, &DecodeLimits::default()).expect("lines");
    assert!(decoded.refused.is_empty(), "{:?}", decoded.refused);
    decoded.events.into_iter().map(|(_, event)| event).collect()
}
