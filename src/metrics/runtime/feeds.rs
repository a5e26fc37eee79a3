//! Metrics of feeds, by feed.
//!
//! Invariant: the feeds are those of the configuration, so the label `feed` is bounded by it. The series
//! of a feed that is no longer configured are removed.

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

use super::own::own_metrics;
use crate::domain::time::Timestamp;
use crate::metrics::label_values::FeedResult;

own_metrics! {
    /// Metrics of feeds, by feed.
    pub struct FeedMetrics {
        /// Number of messages of a feed by result: accepted, duplicate (known already), ignored (it says
        /// nothing here), refused. A message that became several events counts once for each.
        messages: IntCounterVec["feed", "result"] = "trading_exporter_feed_messages_total",
        /// Number of failures to read from the source of a feed; each is tried again.
        errors: IntCounterVec["feed"] = "trading_exporter_feed_errors_total",
        /// Number of messages that were gone before the feed could read them, as far as it can count.
        missed: IntCounterVec["feed"] = "trading_exporter_feed_missed_total",
        /// Bytes that the feed has not read yet; absent if its source does not tell.
        lag_bytes: IntGaugeVec["feed"] = "trading_exporter_feed_lag_bytes",
        /// Unix time in seconds of the last message of the feed; absent if there was none since the
        /// start.
        last_message_time: GaugeVec["feed"] =
            "trading_exporter_feed_last_message_timestamp_seconds",
    }
}

impl FeedMetrics {
    /// Creates the series of a feed, so that its first failure is an increase.
    pub(crate) fn declare(&self, feed: &str) {
        for result in FeedResult::ALL {
            self.messages.with_label_values(&[feed, result.as_str()]);
        }
        self.errors.with_label_values(&[feed]);
        self.missed.with_label_values(&[feed]);
    }

    /// Removes the series of a feed that is no longer configured.
    pub(crate) fn forget(&self, feed: &str) {
        // A series that does not exist is an error to the crate, and none to us.
        for result in FeedResult::ALL {
            self.messages.remove_label_values(&[feed, result.as_str()]).ok();
        }
        self.errors.remove_label_values(&[feed]).ok();
        self.missed.remove_label_values(&[feed]).ok();
        self.lag_bytes.remove_label_values(&[feed]).ok();
        self.last_message_time.remove_label_values(&[feed]).ok();
    }

    /// Counts messages with this result.
    pub(crate) fn count(&self, feed: &str, result: FeedResult, count: usize) {
        self.messages.with_label_values(&[feed, result.as_str()]).inc_by(count as u64);
    }

    /// Notes that a message arrived at `at`.
    pub(crate) fn received(&self, feed: &str, at: Timestamp) {
        self.last_message_time.with_label_values(&[feed]).set(at.as_seconds());
    }

    /// Sets how many bytes are not read yet.
    pub(crate) fn set_lag(&self, feed: &str, bytes: u64) {
        self.lag_bytes.with_label_values(&[feed]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}
