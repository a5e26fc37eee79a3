//! The demo: a recorded hour of trading, sent to an exporter through its HTTP API, with five
//! things going wrong and trading halted at last.
//!
//! Input: the base URL of an exporter, a clock, a writer. Output: the story as lines, and an error
//! if it did not come true. Invariant: nothing is shown that the API did not say. Deliberately
//! absent: the exporter itself (see `crate::cli`), and every short cut past HTTP.

pub mod recording;
pub mod book;
pub mod plan;
pub mod play;
pub mod client;
pub mod progress;

use std::future::Future;
use std::io::{self, Write};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::domain::time::Timestamp;
use client::{Client, Window};
use play::{Act, Play};
use progress::Progress;
use recording::{Pace, Recording};

/// How often events are posted.
const STEP: Duration = Duration::from_millis(100);
/// How often the demo looks at what the exporter shows, in steps.
const LOOK_EVERY: u32 = 4;
/// How much of the recording is left when it has caught up with the present.
const TAIL: Duration = Duration::from_mins(2);
/// How long the rest of it takes.
const CATCH_UP: Duration = Duration::from_secs(10);

/// The shortest run in which the whole story can be told.
pub const SHORTEST: Duration = Duration::from_secs(25);

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The recording inside the program is broken.
    #[error("the recording is broken: {0}")]
    Recording(String),
    /// The exporter did not answer.
    #[error("no answer to {path}")]
    Request {
        /// What was asked.
        path: String,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
    /// The exporter refused something.
    #[error("{path} answered {answer}")]
    Answer {
        /// What was asked.
        path: String,
        /// What it said.
        answer: String,
    },
    /// The output cannot be written.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// The story did not come true.
    #[error("the story did not come true: {}", .0.join("; "))]
    Untold(Vec<String>),
}

/// Plays the demo to the exporter at `base` until `stop` is done.
///
/// # Errors
/// See [`DemoError`]. [`DemoError::Untold`] only if `stop` came from a clock, not from a person:
/// see [`Ending`].
pub async fn run<W: Write>(
    base: &str,
    now: fn() -> Timestamp,
    progress: &mut Progress<W>,
    stop: impl Future<Output = Ending>,
) -> Result<(), DemoError> {
    let recording = Recording::built_in()?;
    let pace = Pace { length: recording.length(), tail: TAIL, catch_up: CATCH_UP };
    let start = now();
    let client = Client::new(base)?;
    let mut stage =
        Stage { client, play: Play::new(recording, pace, start), start, now, progress, step: 0 };
    let mut ticker = interval(STEP);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = pin!(stop);
    let ending = tokio::select! {
        ending = &mut stop => ending,
        error = stage.play_on(&mut ticker) => return Err(error),
    };
    stage.close(ending).await
}

/// Why the demo ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The time is over: the story must have come true.
    TimeOver,
    /// A person ended it, at whatever point.
    Interrupted,
}

/// The play, and those who watch it.
struct Stage<'a, W> {
    client: Client,
    play: Play,
    start: Timestamp,
    now: fn() -> Timestamp,
    progress: &'a mut Progress<W>,
    step: u32,
}

impl<W: Write> Stage<'_, W> {
    /// Plays until something fails.
    async fn play_on(&mut self, ticker: &mut Interval) -> DemoError {
        loop {
            ticker.tick().await;
            if let Err(error) = self.advance().await {
                return error;
            }
        }
    }

    fn elapsed(&self) -> Duration {
        let nanos = (self.now)().since(self.start);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    /// Posts what is due, and now and then looks at what the exporter makes of it.
    async fn advance(&mut self) -> Result<(), DemoError> {
        let (posts, lines) = self.play.due(self.elapsed());
        self.tell(&lines)?;
        for events in [posts.engine, posts.broker] {
            if !events.is_empty() {
                let state = self.client.post(&events).await?;
                let lines = self.play.told(&state, self.elapsed());
                self.tell(&lines)?;
            }
        }
        self.step += 1;
        if self.step.is_multiple_of(LOOK_EVERY) {
            self.look().await?;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), DemoError> {
        let drifts = self.client.drifts().await?;
        let lines = self.play.observed(&drifts, self.elapsed());
        self.tell(&lines)?;
        let status = self.status().await?;
        self.progress.status(self.elapsed(), &status)?;
        Ok(())
    }

    /// Where things stand, in one line.
    async fn status(&self) -> Result<String, DemoError> {
        let quality = self.client.quality().await?;
        let Window { fill_ratio, slippage_bps } = quality.window;
        let ratio = fill_ratio.map_or("-".to_owned(), |r| format!("{:.1} %", r * 100.0));
        let slippage = slippage_bps.map_or("-".to_owned(), |s| format!("{s:+.2} bps"));
        let doing = match self.play.act() {
            Act::CatchUp => "replaying",
            Act::Differ | Act::Lose => "trading",
            Act::Halted => "halted",
        };
        Ok(format!(
            "{doing}: {} orders submitted, fill ratio {ratio}, slippage {slippage}",
            quality.counters.submitted,
        ))
    }

    fn tell(&mut self, lines: &[String]) -> Result<(), DemoError> {
        let elapsed = self.elapsed();
        Ok(lines.iter().try_for_each(|line| self.progress.tell(elapsed, line))?)
    }

    /// Says how it ended, and holds the exporter to the story.
    async fn close(mut self, ending: Ending) -> Result<(), DemoError> {
        let untold = self.untold().await?;
        if untold.is_empty() {
            let line = format!(
                "the story came true: every type and severity of drift, two reconciled, \
                 trading halted after {} orders",
                self.play.orders_sent(),
            );
            self.tell(&[line])?;
            return Ok(());
        }
        match ending {
            Ending::Interrupted => self.tell(&["ended before the story did".to_owned()]),
            Ending::TimeOver => Err(DemoError::Untold(untold)),
        }
    }

    /// What of the story the exporter does not confirm.
    async fn untold(&self) -> Result<Vec<String>, DemoError> {
        let mut untold = self.play.untold();
        let submitted = self.client.quality().await?.counters.submitted;
        if submitted != self.play.orders_sent() {
            let sent = self.play.orders_sent();
            untold.push(format!("{sent} orders were submitted, the exporter counts {submitted}"));
        }
        let permit = self.client.permit().await?;
        if permit.state != "halted" {
            untold.push(format!("the permit says {}", permit.state));
        }
        let metrics = self.client.text("/metrics").await?;
        let line = format!("trading_state{{account=\"{}\"}} 2", play::ACCOUNT);
        if !metrics.lines().any(|l| l.starts_with(&line)) {
            untold.push(format!("/metrics has no line {line}"));
        }
        Ok(untold)
    }
}
