//! The process, as the collector of the crate `prometheus` sees it on Linux.

use crate::metrics::family::{Family, SampleSource};

/// Families about the process.
pub const FAMILIES: &[Family] = &[
    Family::counter(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        &[],
        SampleSource::Runtime,
    ),
    Family::gauge(
        "process_open_fds",
        "Number of open file descriptors.",
        &[],
        SampleSource::Runtime,
    ),
    Family::gauge(
        "process_max_fds",
        "Maximum number of open file descriptors.",
        &[],
        SampleSource::Runtime,
    ),
    Family::gauge(
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
        &[],
        SampleSource::Runtime,
    ),
    Family::gauge(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        &[],
        SampleSource::Runtime,
    ),
    Family::gauge(
        "process_start_time_seconds",
        "Start time of the process since the Unix epoch in seconds.",
        &[],
        SampleSource::Runtime,
    ),
    Family::gauge(
        "process_threads",
        "Number of threads of the process.",
        &[],
        SampleSource::Runtime,
    ),
];
