//! The tasks of the feeds: one for each, restarted when a reload changes it.
//!
//! Invariants: two tasks never use the same position: the old task has ended before the new one starts;
//! nothing is read before the journal is replayed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::chain;
use super::probes::spawn_blocking;
use crate::api::{AppState, FeedDoor, FeedRefusal};
use crate::clock;
use crate::config::{Config, Feed, StorageMode};
use crate::domain::limits;
use crate::domain::record::{CheckResult, Entry};
use crate::domain::time::Timestamp;
use crate::engine::Handle;
use crate::feeds::{self, FeedContext, FeedCounts, FeedDelivery, FeedEvent, FeedMessage};
use crate::journal::Durability;
use crate::metrics::{FeedResult, Runtime};

/// The longest wait for a task to end when it is stopped.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// The shortest time between two lines in the log about refused messages of a feed.
const REFUSALS_LOGGED_EVERY: Duration = Duration::from_mins(1);

/// Tells the feeds that the configuration may have changed.
pub(super) type FeedsChanged = Arc<Notify>;

/// The running feeds.
pub(super) struct FeedTasks {
    app: AppState,
    handle: Handle,
    config: Arc<ArcSwap<Config>>,
    runtime: Arc<Runtime>,
    running: Vec<FeedTask>,
}

/// The task of one feed.
struct FeedTask {
    feed: Feed,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl FeedTasks {
    pub(super) fn new(
        app: AppState,
        handle: Handle,
        config: Arc<ArcSwap<Config>>,
        runtime: Arc<Runtime>,
    ) -> Self {
        Self { app, handle, config, runtime, running: Vec::new() }
    }

    /// Runs the feeds of the configuration in force until `stop` is cancelled.
    pub(super) async fn run(
        mut self,
        tasks: TaskTracker,
        changed: FeedsChanged,
        stop: CancellationToken,
    ) {
        // Until the journal is replayed, neither its identity nor its sequence is known.
        stop.run_until_cancelled(self.handle.opened()).await;
        while !stop.is_cancelled() {
            self.carry_out(&tasks).await;
            stop.run_until_cancelled(changed.notified()).await;
        }
        join_all(std::mem::take(&mut self.running).into_iter().map(FeedTask::end)).await;
    }

    /// Starts and stops feeds to match the configuration in force. An unchanged one continues.
    async fn carry_out(&mut self, tasks: &TaskTracker) {
        let config = self.config.load_full();
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|running| config.feeds.contains(&running.feed));
        self.running = kept;
        for running in gone {
            let name = running.feed.name.clone();
            running.end().await;
            if !config.feeds.iter().any(|feed| feed.name == name) {
                self.runtime.feeds.forget(&name);
            }
        }
        for feed in &config.feeds {
            if self.running.iter().any(|running| running.feed == *feed) {
                continue;
            }
            self.runtime.feeds.declare(&feed.name);
            let stop = CancellationToken::new();
            let task = tasks.spawn(self.task(feed, &config, stop.clone()));
            self.running.push(FeedTask { feed: feed.clone(), stop, task });
        }
    }

    fn task(
        &self,
        feed: &Feed,
        config: &Config,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + use<> {
        let watch = Arc::new(FeedWatch {
            feed: feed.clone(),
            runtime: Arc::clone(&self.runtime),
            state: Mutex::default(),
            changed: Notify::new(),
        });
        let directory = match config.storage.mode {
            StorageMode::Journal => Some(config.storage.path.join("feeds")),
            StorageMode::Memory => None,
        };
        let context = self.context(feed, directory, Arc::clone(&watch));
        let (feed, handle) = (feed.clone(), self.handle.clone());
        let in_force = Arc::clone(&self.config);
        async move {
            let reading = feeds::run(feed, context, stop.clone());
            tokio::select! {
                () = reading => {}
                () = watch.report(handle, in_force) => {}
            }
        }
    }

    fn context(
        &self,
        feed: &Feed,
        directory: Option<PathBuf>,
        watch: Arc<FeedWatch>,
    ) -> FeedContext {
        let door = Arc::new(FeedDoor::new(self.app.clone(), feed));
        let of_bytes = Arc::clone(&door);
        let handle = self.handle.clone();
        let (born, sequence) = handle.read(|monitor| (monitor.born(), monitor.sequence()));
        FeedContext {
            deliver: Arc::new(move |messages| {
                let door = Arc::clone(&door);
                Box::pin(async move { deliver(&door, &messages).await })
            }),
            observe: Arc::new(move |event| watch.observe(event)),
            message_bytes_max: Arc::new(move || of_bytes.message_bytes_max()),
            settle: Arc::new(move || {
                let handle = handle.clone();
                Box::pin(async move { settle(&handle).await })
            }),
            blocking: Arc::new(spawn_blocking),
            directory,
            journal: (format!("{:x}", born.map_or(0, Timestamp::as_nanos)), sequence),
        }
    }
}

impl Drop for FeedTasks {
    fn drop(&mut self) {
        self.running.iter().for_each(|running| running.stop.cancel());
    }
}

impl FeedTask {
    /// Stops the task, and waits for its end.
    async fn end(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(END_TIMEOUT, &mut self.task).await;
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(feed = self.feed.name, %error, "the task of the feed failed");
            }
            Err(_) => {
                tracing::error!(
                    feed = self.feed.name,
                    "the task of the feed does not end; it is aborted"
                );
                self.task.abort();
            }
        }
    }
}

/// Commits messages of a feed.
async fn deliver(door: &FeedDoor, messages: &[FeedMessage]) -> FeedDelivery {
    let parts: Vec<(&[u8], &str)> =
        messages.iter().map(|message| (&*message.text, message.origin.as_str())).collect();
    match door.deliver(&parts).await {
        Ok(answer) => FeedDelivery::Taken(FeedCounts {
            accepted: answer.accepted,
            duplicates: answer.duplicates,
            ignored: answer.ignored.unwrap_or_default(),
            refused: answer.rejected.len(),
            why: answer.rejected.first().map(|rejection| match &rejection.field {
                Some(field) => format!("{}: {field} {}", rejection.code, rejection.message),
                None => format!("{}: {}", rejection.code, rejection.message),
            }),
        }),
        Err(FeedRefusal::Later(why)) => FeedDelivery::Later(why),
        Err(FeedRefusal::Never(why)) => FeedDelivery::Refused(why),
    }
}

/// Waits until everything that was acknowledged is on the disk. Returns the last sequence then.
async fn settle(handle: &Handle) -> Option<u64> {
    let synced = handle.with_log(|log| {
        if log.durability() != Durability::Synced {
            log.sync()?;
        }
        Ok(log.last_sequence())
    });
    match synced.await {
        Ok(sequence) => Some(sequence),
        Err(error) => {
            tracing::warn!(error = chain(&error), "the position of a feed is not saved");
            None
        }
    }
}

/// The doings of a feed, as metrics, in the log and as the health of its component.
struct FeedWatch {
    feed: Feed,
    runtime: Arc<Runtime>,
    state: Mutex<FeedState>,
    /// It began or ceased to fail.
    changed: Notify,
}

#[derive(Default)]
struct FeedState {
    /// `None` before the first report of the feed.
    health: Option<Result<String, String>>,
    /// Why the engine does not take its messages.
    waits_for: Option<String>,
    last_message_at: Option<Duration>,
    refusals_logged_at: Option<Duration>,
    refused_unlogged: usize,
}

/// The monotonic time since the first call.
fn elapsed() -> Duration {
    clock::reading().monotonic.unwrap_or_default()
}

impl FeedWatch {
    fn observe(&self, event: FeedEvent) {
        let (name, metrics) = (self.feed.name.as_str(), &self.runtime.feeds);
        match event {
            FeedEvent::Reading(message) => self.set(Ok(message)),
            FeedEvent::Failing(why) => {
                metrics.errors.with_label_values(&[name]).inc();
                self.set(Err(why));
            }
            FeedEvent::Waiting(why) => self.wait(Some(why)),
            FeedEvent::Taken(counts) => {
                self.wait(None);
                metrics.count(name, FeedResult::Accepted, counts.accepted);
                metrics.count(name, FeedResult::Duplicate, counts.duplicates);
                metrics.count(name, FeedResult::Ignored, counts.ignored);
                metrics.received(name, clock::now());
                self.state.lock().last_message_at = Some(elapsed());
                self.refuse(counts.refused, counts.why.as_deref());
            }
            FeedEvent::Unreadable(why) => self.refuse(1, Some(&why)),
            FeedEvent::Missed(count, what) => {
                metrics.missed.with_label_values(&[name]).inc_by(count);
                tracing::warn!(
                    feed = name,
                    count,
                    what,
                    "messages were gone before they were read"
                );
            }
            FeedEvent::Lag(bytes) => metrics.set_lag(name, bytes),
        }
    }

    fn set(&self, health: Result<String, String>) {
        let mut state = self.state.lock();
        let before = state.health.as_ref().map(Result::is_ok);
        let is_change = before != Some(health.is_ok());
        if is_change {
            match &health {
                Ok(message) => {
                    tracing::info!(feed = self.feed.name, what = message, "the feed reads");
                }
                Err(why) => tracing::warn!(feed = self.feed.name, why, "the feed fails"),
            }
        }
        state.health = Some(health);
        drop(state);
        if is_change {
            self.changed.notify_one();
        }
    }

    /// Notes why the engine takes no messages; `None`: it does.
    fn wait(&self, why: Option<String>) {
        let mut state = self.state.lock();
        if state.waits_for == why {
            return;
        }
        let is_change = state.waits_for.is_none() != why.is_none();
        if is_change && let Some(why) = &why {
            tracing::warn!(feed = self.feed.name, why, "the feed waits for the engine");
        }
        state.waits_for = why;
        drop(state);
        if is_change {
            self.changed.notify_one();
        }
    }

    /// Counts refused messages, and logs the first one once in a while.
    fn refuse(&self, count: usize, why: Option<&str>) {
        if count == 0 {
            return;
        }
        let name = self.feed.name.as_str();
        self.runtime.feeds.count(name, FeedResult::Refused, count);
        let mut state = self.state.lock();
        state.refused_unlogged += count;
        let now = elapsed();
        let is_due = state
            .refusals_logged_at
            .is_none_or(|at| now.saturating_sub(at) >= REFUSALS_LOGGED_EVERY);
        if is_due {
            state.refusals_logged_at = Some(now);
            let refused = std::mem::take(&mut state.refused_unlogged);
            drop(state);
            tracing::warn!(feed = name, refused, first = why, "messages of the feed were refused");
        }
    }

    /// Reports the health of the feed at the interval of the configuration in force, and when it changes.
    /// Never returns.
    async fn report(&self, handle: Handle, config: Arc<ArcSwap<Config>>) {
        loop {
            let interval = config.load().settings.health.interval;
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = self.changed.notified() => {}
            }
            let Some(result) = self.result(interval) else { continue };
            let submitted = handle.submit(vec![Entry::Check(result)], Vec::new()).await;
            if let Err(error) = submitted {
                tracing::warn!(feed = self.feed.name, %error, "the health of a feed could not be recorded");
            }
        }
    }

    /// The health now. `None`: not known yet.
    fn result(&self, interval: Duration) -> Option<CheckResult> {
        let state = self.state.lock();
        let (passed, mut message) = match (state.health.as_ref()?, &state.waits_for) {
            (Ok(_), Some(why)) => (false, format!("waits for the engine: {why}")),
            (Ok(message), None) => {
                let age = state.last_message_at.map(|at| elapsed().saturating_sub(at).as_secs());
                let age = age.map_or_else(
                    || String::from("no message since the start"),
                    |age| format!("last message {age} s ago"),
                );
                (true, format!("{message}; {age}"))
            }
            (Err(why), _) => (false, why.clone()),
        };
        message.truncate(message.floor_char_boundary(limits::TEXT_BYTES_MAX));
        let component = self.feed.component.clone();
        Some(CheckResult { component, passed, message, latency: Duration::ZERO, interval })
    }
}
