//! What the exporter counts of itself, through the crate `prometheus`.

use crate::metrics::catalogue::{Family, Source};

/// Build information.
pub const BUILD_INFO: Family = Family::gauge(
    "trading_exporter_build_info",
    "Version, revision and compiler of the running exporter; always 1.",
    &["version", "revision", "rustversion"],
    Source::Runtime,
);
/// Events received.
pub const EVENTS_RECEIVED: Family = Family::counter(
    "trading_exporter_events_received_total",
    "Number of events decoded, by type.",
    &["type"],
    Source::Runtime,
);
/// Events refused.
pub const EVENTS_REJECTED: Family = Family::counter(
    "trading_exporter_events_rejected_total",
    "Number of events and requests refused, by error code.",
    &["code"],
    Source::Runtime,
);
/// Warnings in answers.
pub const INGEST_WARNINGS: Family = Family::counter(
    "trading_exporter_ingest_warnings_total",
    "Number of warnings in answers to events that were taken, by code.",
    &["code"],
    Source::Runtime,
);
/// Events known already.
pub const EVENTS_DUPLICATE: Family = Family::counter(
    "trading_exporter_events_duplicate_total",
    "Number of events that were known already, by type.",
    &["type"],
    Source::Runtime,
);
/// Events that contradict.
pub const EVENTS_CONFLICT: Family = Family::counter(
    "trading_exporter_events_conflict_total",
    "Number of events that contradicted what was known under their id, by type.",
    &["type"],
    Source::Runtime,
);
/// Time to an answer.
pub const INGEST_DURATION: Family = Family::histogram(
    "trading_exporter_ingest_duration_seconds",
    "Time in seconds from a request with events to its answer.",
    &[],
    Source::Runtime,
);
/// Time from sender to us.
pub const EVENT_DELAY: Family = Family::histogram(
    "trading_exporter_event_delay_seconds",
    "Time in seconds from the sender's time of an event to its receipt, up to an hour.",
    &[],
    Source::Runtime,
);
/// Events of old sessions.
pub const EVENTS_OLD: Family = Family::counter(
    "trading_exporter_events_old_total",
    "Number of events dated more than an hour before their receipt: old sessions, not delays.",
    &[],
    Source::Runtime,
);
/// Alerts with an action that is not known.
pub const ALERTMANAGER_UNKNOWN_ACTIONS: Family = Family::counter(
    "trading_exporter_alertmanager_unknown_actions_total",
    "Number of firing alerts whose label action is neither halt nor reduce nor none: nothing was done.",
    &[],
    Source::Runtime,
);
/// Notifications of Alertmanager.
pub const ALERTMANAGER_WEBHOOKS: Family = Family::counter(
    "trading_exporter_alertmanager_webhooks_total",
    "Number of notifications of Alertmanager, by what came of them: set (a cause), duplicate \
     (acted on before), nothing (asked for), refused (final), failed (to be sent again).",
    &["outcome"],
    Source::Runtime,
);
/// When the Watchdog last came.
pub const LAST_WATCHDOG_TIME: Family = Family::gauge(
    "trading_exporter_alertmanager_last_watchdog_timestamp_seconds",
    "Unix time in seconds at which the alert Watchdog last came by Alertmanager; absent if never \
     since the start.",
    &[],
    Source::Runtime,
);
/// Outcomes of webhooks.
pub const WEBHOOK_DELIVERIES: Family = Family::counter(
    "trading_exporter_webhook_deliveries_total",
    "Number of webhooks by outcome: delivered, failed (an attempt; it is tried again), dropped (too \
     many newer ones wait), expired (not delivered in three days).",
    &["sink", "outcome"],
    Source::Runtime,
);
/// Webhooks that wait.
pub const WEBHOOKS_PENDING: Family = Family::gauge(
    "trading_exporter_webhook_pending",
    "Number of webhooks that are not delivered yet.",
    &["sink"],
    Source::Runtime,
);
/// When a webhook was last delivered.
pub const WEBHOOK_LAST_SUCCESS_TIME: Family = Family::gauge(
    "trading_exporter_webhook_last_success_timestamp_seconds",
    "Unix time in seconds of the last delivery to the target; absent if none since the start.",
    &["sink"],
    Source::Runtime,
);
/// Whether a target is left alone.
pub const WEBHOOK_BREAKER_OPEN: Family = Family::gauge(
    "trading_exporter_webhook_breaker_open",
    "Whether the target failed so often that it is tried only now and then: 1 yes, 0 no.",
    &["sink"],
    Source::Runtime,
);
/// Outboxes that cannot be written.
pub const WEBHOOK_OUTBOX_ERRORS: Family = Family::counter(
    "trading_exporter_webhook_outbox_errors_total",
    "Number of writes to the outbox of the target that failed.",
    &["sink"],
    Source::Runtime,
);
/// Those who stay connected.
pub const LISTENERS: Family = Family::gauge(
    "trading_exporter_listeners",
    "Number of event streams, and of requests that wait for a permit, by kind.",
    &["kind"],
    Source::Runtime,
);
/// Those who found no place.
pub const LISTENERS_REFUSED: Family = Family::counter(
    "trading_exporter_listeners_refused_total",
    "Number of event streams and waits for a permit refused because as many were there as may be.",
    &["kind"],
    Source::Runtime,
);
/// Ends of streams.
pub const STREAMS_ENDED: Family = Family::counter(
    "trading_exporter_streams_ended_total",
    "Number of event streams that ended, by reason: client (it went), slow (it was cut off), \
     lifetime, token (not valid any more), draining.",
    &["reason"],
    Source::Runtime,
);
/// Bytes of the journal.
pub const JOURNAL_BYTES: Family = Family::gauge(
    "trading_exporter_journal_bytes",
    "Bytes that the journal takes up, its spare and reserve segments included.",
    &[],
    Source::Runtime,
);
/// What an acknowledged event survives.
pub const JOURNAL_DURABILITY: Family = Family::gauge(
    "trading_exporter_journal_durability",
    "What an acknowledged event survives, 1 where it holds: synced (a power cut), relaxed (a crash), \
     memory (nothing).",
    &["durability"],
    Source::Runtime,
);
/// Failures of the journal.
pub const JOURNAL_ERRORS: Family = Family::counter(
    "trading_exporter_journal_errors_total",
    "Number of times that the journal did not take a batch because it was full or failed.",
    &[],
    Source::Runtime,
);
/// Time of a sync.
pub const JOURNAL_SYNC_DURATION: Family = Family::histogram(
    "trading_exporter_journal_sync_duration_seconds",
    "Time in seconds that the sync of a batch to the disk took.",
    &[],
    Source::Runtime,
);
/// Torn tails.
pub const JOURNAL_TORN_TAILS: Family = Family::gauge(
    "trading_exporter_journal_torn_tails",
    "Number of batches kept aside that a crash cut short before they were acknowledged.",
    &[],
    Source::Runtime,
);
/// When the newest snapshot was written.
pub const SNAPSHOT_TIME: Family = Family::gauge(
    "trading_exporter_journal_snapshot_timestamp_seconds",
    "Unix time in seconds of the newest record in the newest snapshot that was read back; absent if \
     there is none.",
    &[],
    Source::Runtime,
);
/// How far the newest snapshot reaches.
pub const SNAPSHOT_SEQUENCE: Family = Family::gauge(
    "trading_exporter_journal_snapshot_sequence",
    "Sequence number of the newest record in that snapshot; absent if there is none.",
    &[],
    Source::Runtime,
);
/// Bytes of the newest snapshot.
pub const SNAPSHOT_BYTES: Family = Family::gauge(
    "trading_exporter_journal_snapshot_bytes",
    "Bytes of the file of that snapshot; absent if there is none.",
    &[],
    Source::Runtime,
);
/// Time of a snapshot.
pub const SNAPSHOT_DURATION: Family = Family::gauge(
    "trading_exporter_journal_snapshot_duration_seconds",
    "Time in seconds that the last snapshot took, by part: copy (ingest waited), write (it did not).",
    &["part"],
    Source::Runtime,
);
/// Snapshots that went wrong.
pub const SNAPSHOT_ERRORS: Family = Family::counter(
    "trading_exporter_journal_snapshot_errors_total",
    "Number of snapshots that could not be written or read, and of times that records could not be \
     dropped behind one.",
    &[],
    Source::Runtime,
);
/// How far a replay is.
pub const REPLAY_PROGRESS: Family = Family::gauge(
    "trading_exporter_replay_progress_ratio",
    "How much of the journal behind the snapshot is replayed after a start, 0 to 1; 1 when the state is \
     caught up.",
    &[],
    Source::Runtime,
);
/// Requests that wait.
pub const QUEUE_DEPTH: Family = Family::gauge(
    "trading_exporter_queue_depth",
    "Number of requests that wait for the writer.",
    &[],
    Source::Runtime,
);
/// Requests that may wait.
pub const QUEUE_LIMIT: Family = Family::gauge(
    "trading_exporter_queue_limit",
    "Number of requests that may wait for the writer; one more is answered overloaded.",
    &[],
    Source::Runtime,
);
/// Time of a scrape.
pub const SCRAPE_DURATION: Family = Family::gauge(
    "trading_exporter_scrape_duration_seconds",
    "Time in seconds that the scrape before this one took to project and encode.",
    &[],
    Source::Runtime,
);
/// Whether the last reload went through.
pub const RELOAD_SUCCESSFUL: Family = Family::gauge(
    "trading_exporter_config_last_reload_successful",
    "Whether the last load of the configuration succeeded: 1 yes, 0 no.",
    &[],
    Source::Runtime,
);
/// When a reload last went through.
pub const RELOAD_SUCCESS_TIME: Family = Family::gauge(
    "trading_exporter_config_last_reload_success_timestamp_seconds",
    "Unix time in seconds of the last successful load of the configuration.",
    &[],
    Source::Runtime,
);

/// Families that the exporter counts of itself.
pub const FAMILIES: &[Family] = &[
    EVENTS_RECEIVED,
    EVENTS_REJECTED,
    INGEST_WARNINGS,
    EVENTS_DUPLICATE,
    EVENTS_CONFLICT,
    INGEST_DURATION,
    EVENT_DELAY,
    EVENTS_OLD,
    ALERTMANAGER_WEBHOOKS,
    ALERTMANAGER_UNKNOWN_ACTIONS,
    LAST_WATCHDOG_TIME,
    WEBHOOK_DELIVERIES,
    WEBHOOKS_PENDING,
    WEBHOOK_LAST_SUCCESS_TIME,
    WEBHOOK_BREAKER_OPEN,
    WEBHOOK_OUTBOX_ERRORS,
    LISTENERS,
    LISTENERS_REFUSED,
    STREAMS_ENDED,
    JOURNAL_BYTES,
    JOURNAL_DURABILITY,
    JOURNAL_ERRORS,
    JOURNAL_SYNC_DURATION,
    JOURNAL_TORN_TAILS,
    SNAPSHOT_TIME,
    SNAPSHOT_SEQUENCE,
    SNAPSHOT_BYTES,
    SNAPSHOT_DURATION,
    SNAPSHOT_ERRORS,
    REPLAY_PROGRESS,
    QUEUE_DEPTH,
    QUEUE_LIMIT,
    SCRAPE_DURATION,
    RELOAD_SUCCESSFUL,
    RELOAD_SUCCESS_TIME,
    BUILD_INFO,
];
