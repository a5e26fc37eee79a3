//! The demo: posts a recorded hour of trading to an exporter, with five faults, until trading is
//! halted.
//!
//! Input: the base URL of an exporter, a clock, a writer. Output: what happens, as lines of text; an
//! error if a part of the scenario did not happen. Invariant: only facts from the API are shown.
//! Deliberately absent: the exporter itself (see `crate::cli`), and any access to it besides HTTP.

pub(crate) mod recording;
pub(crate) mod book;
pub(crate) mod plan;
pub(crate) mod scenario;
pub(crate) mod client;
pub(crate) mod output;

use std::future::Future;
use std::io::{self, Write};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::domain::time::Timestamp;
use client::{DemoClient, ShownWindow};
use output::DemoOutput;
use recording::{RecordedSession, ReplayPace};
use scenario::{DemoPhase, Scenario};

/// How often events are posted.
const STEP: Duration = Duration::from_millis(100);
/// Steps between two reads of the exporter's state.
const READ_EVERY: u32 = 4;
/// The end of the recording that is replayed at its original speed.
const TAIL: Duration = Duration::from_mins(2);
/// Time to replay everything before that.
const CATCH_UP: Duration = Duration::from_secs(10);

/// The shortest run in which the scenario can complete.
pub(crate) const SHORTEST: Duration = Duration::from_secs(25);

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error("the recording is broken: {0}")]
    Recording(String),
    #[error("no answer to {path}")]
    Request {
        path: String,
        #[source]
        source: reqwest::Error,
    },
    /// The exporter rejected a request, or gave an unexpected answer.
    #[error("{path} answered {answer}")]
    Answer { path: String, answer: String },
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// The parts of the scenario that did not happen.
    #[error("the demo is incomplete: {}", .0.join("; "))]
    Incomplete(Vec<String>),
}

/// Plays the demo against the exporter at `base` until `stop` completes.
///
/// # Errors
/// See [`DemoError`]. [`DemoError::Incomplete`] only for [`DemoEnding::TimeOver`].
pub(crate) async fn run<W: Write>(
    base: &str,
    now: fn() -> Timestamp,
    output: &mut DemoOutput<W>,
    stop: impl Future<Output = DemoEnding>,
) -> Result<(), DemoError> {
    let recording = RecordedSession::built_in()?;
    let pace = ReplayPace { length: recording.length(), tail: TAIL, catch_up: CATCH_UP };
    let start = now();
    let client = DemoClient::new(base)?;
    let mut stage = DemoRun {
        client,
        scenario: Scenario::new(recording, pace, start),
        start,
        now,
        output,
        step: 0,
    };
    let mut ticker = interval(STEP);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = pin!(stop);
    let ending = tokio::select! {
        ending = &mut stop => ending,
        error = stage.run_on(&mut ticker) => return Err(error),
    };
    stage.close(ending).await
}

/// Why the demo ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DemoEnding {
    /// The duration has passed: the scenario must be complete.
    TimeOver,
    /// A person stopped it, at any point.
    Interrupted,
}

/// A running demo: the scenario, the client and the output.
struct DemoRun<'a, W> {
    client: DemoClient,
    scenario: Scenario,
    start: Timestamp,
    now: fn() -> Timestamp,
    output: &'a mut DemoOutput<W>,
    step: u32,
}

impl<W: Write> DemoRun<'_, W> {
    /// Runs until a step fails.
    async fn run_on(&mut self, ticker: &mut Interval) -> DemoError {
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

    /// Posts the events that are due, and at some steps reads the exporter's state.
    async fn advance(&mut self) -> Result<(), DemoError> {
        let (posts, lines) = self.scenario.due(self.elapsed());
        self.print(&lines)?;
        for events in [posts.engine, posts.broker] {
            if !events.is_empty() {
                let state = self.client.post(&events).await?;
                let lines = self.scenario.on_trading_state(&state, self.elapsed());
                self.print(&lines)?;
            }
        }
        self.step += 1;
        if self.step.is_multiple_of(READ_EVERY) {
            self.read_state().await?;
        }
        Ok(())
    }

    async fn read_state(&mut self) -> Result<(), DemoError> {
        let drifts = self.client.drifts().await?;
        let lines = self.scenario.on_drifts(&drifts, self.elapsed());
        self.print(&lines)?;
        let status = self.status().await?;
        self.output.status(self.elapsed(), &status)?;
        Ok(())
    }

    /// A line with the phase and the execution quality.
    async fn status(&self) -> Result<String, DemoError> {
        let quality = self.client.quality().await?;
        let ShownWindow { fill_ratio, slippage_bps } = quality.window;
        let ratio = fill_ratio.map_or("-".to_owned(), |r| format!("{:.1} %", r * 100.0));
        let slippage = slippage_bps.map_or("-".to_owned(), |s| format!("{s:+.2} bps"));
        let phase = match self.scenario.phase() {
            DemoPhase::CatchUp => "replaying",
            DemoPhase::SmallDrifts | DemoPhase::LargeDrift => "trading",
            DemoPhase::Halted => "halted",
        };
        Ok(format!(
            "{phase}: {} orders submitted, fill ratio {ratio}, slippage {slippage}",
            quality.counters.submitted,
        ))
    }

    fn print(&mut self, lines: &[String]) -> Result<(), DemoError> {
        let elapsed = self.elapsed();
        Ok(lines.iter().try_for_each(|line| self.output.timed_line(elapsed, line))?)
    }

    /// Reports the ending. Fails if the scenario should be complete but is not.
    async fn close(mut self, ending: DemoEnding) -> Result<(), DemoError> {
        let missing = self.missing().await?;
        if missing.is_empty() {
            let line = format!(
                "demo complete: every type and severity of drift, two reconciled, trading halted \
                 after {} orders",
                self.scenario.orders_sent(),
            );
            self.print(&[line])?;
            return Ok(());
        }
        match ending {
            DemoEnding::Interrupted => {
                self.print(&["stopped before the demo was complete".to_owned()])
            }
            DemoEnding::TimeOver => Err(DemoError::Incomplete(missing)),
        }
    }

    /// The parts of the scenario that the exporter does not confirm.
    async fn missing(&self) -> Result<Vec<String>, DemoError> {
        let mut missing = self.scenario.missing();
        let submitted = self.client.quality().await?.counters.submitted;
        if submitted != self.scenario.orders_sent() {
            let sent = self.scenario.orders_sent();
            missing.push(format!("{sent} orders were submitted, the exporter counts {submitted}"));
        }
        let permit = self.client.permit().await?;
        if permit.state != "halted" {
            missing.push(format!("the permit is {}", permit.state));
        }
        let metrics = self.client.text("/metrics").await?;
        let line = format!("trading_state{{account=\"{}\"}} 2", scenario::ACCOUNT);
        if !metrics.lines().any(|l| l.starts_with(&line)) {
            missing.push(format!("/metrics has no line {line}"));
        }
        Ok(missing)
    }
}
