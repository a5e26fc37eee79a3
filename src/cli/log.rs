//! Logs: structured, to stderr, as text or JSON.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::args::{LogArguments, LogFormat, LogLevel};

/// Starts logging to stderr. Libraries log at WARN and above, or at the level of the arguments if that
/// is more severe.
pub(super) fn init(arguments: LogArguments) {
    let level = match arguments.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("trading_exporter", level);
    let layer = match arguments.format {
        LogFormat::Text => fmt::layer().with_writer(std::io::stderr).with_ansi(false).boxed(),
        LogFormat::Json => {
            fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed()
        }
    };
    // A second call in one process has no effect.
    tracing_subscriber::registry().with(layer.with_filter(targets)).try_init().ok();
}
