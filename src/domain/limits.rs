//! The bounds of everything that can grow, in one table.
//!
//! Bounds that an operator may want to change are defaults of `settings::Settings`; the others are
//! fixed. For each bound, a metric or an error code shows when it is reached.

/// Bytes in an identifier (account, symbol, order id ...).
pub const ID_BYTES_MAX: usize = 128;
/// Bytes in any other string of an event (reasons, messages).
pub const TEXT_BYTES_MAX: usize = 512;
/// Bytes of a request body after decompression.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Events in one request.
pub const EVENTS_MAX: usize = 50_000;
/// Nesting of a JSON body.
pub const DEPTH_MAX: usize = 16;
/// Requests that wait for the writer; one more is answered `overloaded`.
pub const QUEUE_REQUESTS_MAX: usize = 1_024;
/// Events that the writer takes into one batch (one sync).
pub const BATCH_EVENTS_MAX: usize = 65_536;
/// Bytes of encoded records in one batch of the writer. A larger request is a batch of its own.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of encoded records that wait for the writer; past them a request is answered
/// `overloaded`. A request larger than this waits alone.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Halts, alerts and releases that wait for the writer, apart from other requests.
pub const URGENT_REQUESTS_MAX: usize = 1_024;
/// Bytes of encoded records that these may have.
pub const URGENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Records folded before the writer yields to waiting readers.
pub const FOLD_RECORDS_MAX: usize = 256;
/// Bytes of records that `--storage.mode=memory` keeps.
pub const MEMORY_LOG_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Directives held for a subscriber that is behind. The oldest are dropped first, and the subscriber
/// learns how many.
pub const DIRECTIVES_MAX: usize = 4_096;

/// Requests that wait for a permit; one more is answered `overloaded`.
pub const PERMIT_WAITS_MAX: usize = 256;
/// Event streams; one more is answered `overloaded`.
pub const STREAMS_MAX: usize = 256;

/// Orders in an execution window.
pub const WINDOW_ORDERS: usize = 1_000;
/// Fills in a window.
pub const WINDOW_FILLS: usize = 1_000;
/// Open orders held of one account.
pub const OPEN_ORDERS_MAX: usize = 1_000_000;
/// Ended orders held of one account for late facts, duplicates and reading.
pub const ENDED_ORDERS_MAX: usize = 1_000_000;
/// Orders of one account known only from fills, busts or ends, held until their submission arrives.
pub const UNKNOWN_ORDERS_MAX: usize = 100_000;
/// Executions, replaces and ends kept of one order; a further one is refused (`order_too_long`).
pub const FACTS_PER_ORDER_MAX: usize = 10_000;
/// Times that the reference of an order with many fills may change, by submissions under further ids
/// of its chain. Each time all of its fills are counted again; one more is refused (`order_too_long`).
pub const RESTATED_MAX: usize = 64;
/// Event ids remembered for one account.
pub const HORIZON_IDS_MAX: usize = 1_000_000;
/// Changes of position kept of one symbol, for the alignment of snapshots in time.
pub const FLOWS_PER_SYMBOL_MAX: usize = 65_536;
/// Moments of one list that a comparison looks at, those closest to its date. It bounds the cost of a
/// comparison.
pub const MOMENTS_MAX: usize = 4_096;
/// Executions close to a list's date that may be in it in any combination; of more, only the closest.
pub const COMBINED_FLOWS_MAX: usize = 6;
/// Flows around a pair of lists up to which a late flow is compared in its own request. Past that the
/// next tick compares it, so that a stream of fills does not cost a comparison for every event.
pub const FLOWS_AT_ONCE_MAX: usize = 256;
/// Changes of position close to an anchor of a ledger, any of which its list may include. With more, the
/// anchor counts at its own date.
pub const ANCHOR_FLOWS_MAX: usize = 64;
/// Drifts kept as history of one account.
pub const DRIFT_HISTORY_MAX: usize = 1_000;
/// Results kept of one component.
pub const HEALTH_HISTORY_MAX: usize = 1_000;
/// Lines of the audit trail held for reading in each share of each account.
pub const AUDIT_MAX: usize = 2_000;
/// Ids of Alertmanager alerts that are remembered of one account, so that a repeated alert changes
/// nothing.
pub const ALERTS_MAX: usize = 1_000;
/// Notes that adapters keep for one sender.
pub const NOTES_MAX: usize = 20_000;
/// About the bytes of these notes.
pub const NOTES_BYTES_MAX: usize = 16 << 20;
/// Decisions of the fold about one account that wait to be written as records.
pub const CONTROLS_MAX: usize = 1_000;
/// Causes side by side on one latch. A further one joins the newest of its kind.
pub const CAUSES_MAX: usize = 256;
/// Accounts that senders without a token may open; events of a further one are refused
/// (`too_many_accounts`), unless the configuration names it.
pub const ACCOUNTS_MAX: usize = 1_000;
/// Further accounts that senders without a token may halt before any event named them: a halt has
/// room where events have none. A halt of one more is refused (`too_many_accounts`).
pub const ACCOUNTS_RESERVE: usize = 1_000;
/// Accounts that one token may open by events, and as many again by halts.
pub const ACCOUNTS_PER_TOKEN: usize = 250;
/// Components of one account; heartbeats of a further one are refused (`too_many_components`).
pub const COMPONENTS_MAX: usize = 100;
/// Strategies (and venues) broken down for one account; further ones fold into `__other__`.
pub const BREAKDOWNS_MAX: usize = 100;
/// Words (strategies, venues, types of orders, times in force) kept of one account for reading its
/// orders; further ones are shown as `__other__`.
pub const WORDS_MAX: usize = 4_096;
/// Currencies of one symbol; amounts of a further one are refused (`too_many_currencies`).
pub const CURRENCIES_MAX: usize = 8;

/// Symbols of one account that are watched; a further one is answered `not_monitored`.
pub const SYMBOLS_MAX: usize = 100_000;
/// Series that /metrics carries before quiet symbols fold into `__other__`.
pub const SERIES_MAX: usize = 100_000;
/// Series of that budget kept for the exporter's own.
pub const SERIES_OWN: usize = 512;
