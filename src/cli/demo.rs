//! `demo`: runs an exporter in this process, and plays the demo against it over HTTP.
//!
//! Input: an optional duration. Output: the events of the demo on stdout; an error if it is not complete
//! after that duration. Deliberately absent: the scenario itself (see `crate::demo`).

use std::future::pending;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Duration;

use super::args::DemoArguments;
use super::{Failure, log};
use crate::app::{self, ConfigSource, Shutdown};
use crate::clock;
use crate::config::{Overrides, StorageMode};
use crate::demo::output::{DemoOutput, OutputMedium};
use crate::demo::{self, DemoEnding, DemoError};

/// Plays the demo until the duration has passed, or until a signal.
pub(super) fn run(arguments: &DemoArguments) -> Result<(), Failure> {
    log::init(arguments.log);
    let overrides = Overrides {
        listen_addresses: arguments.listen_address.into_iter().collect(),
        storage_mode: Some(StorageMode::Memory),
        ..Overrides::default()
    };
    let source = ConfigSource { file: None, overrides };
    let config = source.load()?;
    let duration = arguments.duration;
    let played = app::main_beside(config, source, async move |address, shutdown| {
        play(address, duration, shutdown).await
    })?;
    Ok(played?)
}

/// Prints the URLs to open, and plays.
async fn play(
    address: SocketAddr,
    duration: Option<Duration>,
    shutdown: Shutdown,
) -> Result<(), DemoError> {
    let out = io::stdout();
    let medium = if out.is_terminal() { OutputMedium::Terminal } else { OutputMedium::Plain };
    let mut output = DemoOutput::new(out, medium);
    let base = format!("http://{address}");
    welcome(&base, duration, &mut output)?;
    let ending = async {
        tokio::select! {
            _ = shutdown => DemoEnding::Interrupted,
            () = sleep(duration) => DemoEnding::TimeOver,
        }
    };
    demo::run(&base, clock::now, &mut output, ending).await
}

/// Prints the URLs to open, and how the demo ends.
fn welcome(
    base: &str,
    duration: Option<Duration>,
    output: &mut DemoOutput<impl Write>,
) -> io::Result<()> {
    let end = duration.map_or_else(
        || String::from("press Ctrl-C to stop"),
        |duration| format!("it stops after {} s", duration.as_secs()),
    );
    output.line(&format!("An exporter is receiving an hour of recorded trading; {end}. Open:"))?;
    let pages = [
        ("/", "status page"),
        ("/metrics", "metrics for Prometheus"),
        ("/api/v1/drift?account=paper", "position drifts"),
        ("/api/v1/permit?account=paper", "the engine's permit to trade"),
        ("/api/v1/docs", "HTTP API"),
    ];
    pages.iter().try_for_each(|(path, title)| output.line(&format!("  {base}{path}  {title}")))
}

/// Completes after the duration. Without one, it never completes.
async fn sleep(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => pending().await,
    }
}
