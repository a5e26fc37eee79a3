//! The process, as the crate's collector sees it on Linux.

use crate::metrics::catalogue::{Family, Source};

/// Families about the process.
pub const FAMILIES: &[Family] = &[
    Family::counter(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        &[],
        Source::Runtime,
    ),
    Family::gauge("process_open_fds", "Number of open file descriptors.", &[], Source::Runtime),
    Family::gauge(
        "process_max_fds",
        "Maximum number of open file descriptors.",
        &[],
        Source::Runtime,
    ),
    Family::gauge(
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
        &[],
        Source::Runtime,
    ),
    Family::gauge(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        &[],
        Source::Runtime,
    ),
    Family::gauge(
        "process_start_time_seconds",
        "Start time of the process since the Unix epoch in seconds.",
        &[],
        Source::Runtime,
    ),
    Family::gauge("process_threads", "Number of threads of the process.", &[], Source::Runtime),
];
