//! `demo`: the exporter in this process, and a play that is told to it over HTTP.
//!
//! Input: for how long. Output: the story on stdout; an error if it did not come true in that time.
//! Deliberately absent: the story itself (see `crate::demo`).

use std::future::pending;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Duration;

use super::args::DemoArguments;
use super::{Failure, log};
use crate::app::{self, ConfigSource, Shutdown};
use crate::clock;
use crate::config::{Overrides, StorageMode};
use crate::demo::progress::{Medium, Progress};
use crate::demo::{self, DemoError, Ending};

/// Plays the demo until the time is over, or until a signal.
pub(super) fn run(arguments: &DemoArguments) -> Result<(), Failure> {
    log::init(arguments.log);
    let overrides = Overrides {
        listen_address: arguments.listen_address,
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

/// Tells where to look, and plays.
async fn play(
    address: SocketAddr,
    duration: Option<Duration>,
    shutdown: Shutdown,
) -> Result<(), DemoError> {
    let out = io::stdout();
    let medium = if out.is_terminal() { Medium::Terminal } else { Medium::Plain };
    let mut progress = Progress::new(out, medium);
    let base = format!("http://{address}");
    welcome(&base, duration, &mut progress)?;
    let ending = async {
        tokio::select! {
            _ = shutdown => Ending::Interrupted,
            () = time_over(duration) => Ending::TimeOver,
        }
    };
    demo::run(&base, clock::now, &mut progress, ending).await
}

/// Which URLs to open, and how it ends.
fn welcome(
    base: &str,
    duration: Option<Duration>,
    progress: &mut Progress<impl Write>,
) -> io::Result<()> {
    let end = duration.map_or_else(
        || String::from("Ctrl-C ends it"),
        |duration| format!("it ends by itself after {} s", duration.as_secs()),
    );
    progress
        .line(&format!("An exporter, and an hour of recorded trading told to it; {end}. Open:"))?;
    let pages = [
        ("/", "the status page"),
        ("/metrics", "what Prometheus scrapes"),
        ("/api/v1/drift?account=paper", "the differences of the books"),
        ("/api/v1/permit?account=paper", "what the engine may do"),
        ("/api/v1/docs", "the HTTP API"),
    ];
    pages.iter().try_for_each(|(path, what)| progress.line(&format!("  {base}{path}  {what}")))
}

/// Completes when the time is over; without one, never.
async fn time_over(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => pending().await,
    }
}
