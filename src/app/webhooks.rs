//! The webhooks: a task for each target, begun anew when a reload changes it.
//!
//! Invariant: two tasks never have one outbox: the old one has ended before the new one begins.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::chain;
use crate::clock;
use crate::config::{Config, StorageMode, Webhook};
use crate::domain::directive::DirectiveId;
use crate::domain::time::Timestamp;
use crate::engine::{Handle, Lost, Resumed, Subscription};
use crate::metrics::{DeliveryOutcome, Runtime, WebhookMetrics};
use crate::notify::{Courier, Seen, Told, Tools, Waiting};

/// Directives between the feed and a courier: the feed holds the rest.
const CHANNEL_MAX: usize = 256;
/// How long a courier may take to note what it has, when it is to end.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// The targets that are delivered to.
pub(super) struct Webhooks {
    handle: Handle,
    tools: Tools,
    runtime: Arc<Runtime>,
    /// Where outboxes are; none: the state is in memory, and so is what waits.
    directory: Option<PathBuf>,
    running: Vec<Running>,
    /// Where the first targets begin.
    first: BTreeMap<String, Remains>,
}

/// One target.
struct Running {
    webhook: Webhook,
    stop: CancellationToken,
    task: JoinHandle<Option<Remains>>,
}

/// What a task leaves to the one after it.
struct Remains {
    directives: Subscription,
    waiting: Waiting,
}

impl Remains {
    /// From this moment on.
    fn fresh(handle: &Handle) -> Self {
        Self { directives: handle.directives(), waiting: Waiting::default() }
    }
}

/// A courier that may begin.
struct Opened {
    courier: Courier,
    /// Those that it has not taken.
    directives: Subscription,
    /// Some of those are not held any more.
    lost: Option<Lost>,
}

impl Webhooks {
    /// No targets yet. Those of the configuration will hear of everything from this moment on: whoever
    /// can make something happen must come later, for the tasks begin when the runtime sees fit.
    pub(super) fn new(handle: Handle, runtime: &Arc<Runtime>, config: &Config) -> Self {
        let directory = match config.storage.mode {
            StorageMode::Journal => Some(config.storage.path.join("outbox")),
            StorageMode::Memory => None,
        };
        let names = config.webhooks.iter().map(|webhook| webhook.name.clone());
        let first = names.map(|name| (name, Remains::fresh(&handle))).collect();
        let (tools, runtime) = (tools(runtime), Arc::clone(runtime));
        Self { handle, tools, runtime, directory, running: Vec::new(), first }
    }

    /// Delivers to these targets from now on; one that is as it was goes on, and one that changed
    /// goes on where it was.
    pub(super) async fn run(&mut self, webhooks: &[Webhook], tasks: &TaskTracker) {
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|running| webhooks.contains(&running.webhook));
        self.running = kept;
        let mut remains = std::mem::take(&mut self.first);
        for running in gone {
            let name = running.webhook.name.clone();
            if let Some(rest) = running.end().await {
                remains.insert(name.clone(), rest);
            }
            if !webhooks.iter().any(|other| other.name == name) {
                self.runtime.webhooks().forget(&name);
            }
        }
        for webhook in webhooks {
            if self.running.iter().any(|running| running.webhook == *webhook) {
                continue;
            }
            self.runtime.webhooks().declare(&webhook.name);
            let stop = CancellationToken::new();
            let remains = remains.remove(&webhook.name);
            let remains = remains.unwrap_or_else(|| Remains::fresh(&self.handle));
            let delivery = Delivery {
                webhook: webhook.clone(),
                handle: self.handle.clone(),
                tools: self.tools.clone(),
                directory: self.directory.clone(),
                stop: stop.clone(),
            };
            let task = tasks.spawn(delivery.run(remains));
            self.running.push(Running { webhook: webhook.clone(), stop, task });
        }
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.running.iter().for_each(|running| running.stop.cancel());
    }
}

impl Running {
    /// Ends it, and returns what it leaves.
    async fn end(mut self) -> Option<Remains> {
        self.stop.cancel();
        match tokio::time::timeout(END_TIMEOUT, &mut self.task).await {
            Ok(Ok(remains)) => remains,
            Ok(Err(error)) => {
                tracing::error!(sink = self.webhook.name, %error, "its task ended badly");
                None
            }
            Err(_) => {
                tracing::error!(sink = self.webhook.name, "its old task hangs, and is given up");
                self.task.abort();
                None
            }
        }
    }
}

/// What the task of one target is made of.
struct Delivery {
    webhook: Webhook,
    handle: Handle,
    tools: Tools,
    directory: Option<PathBuf>,
    stop: CancellationToken,
}

impl Delivery {
    async fn run(self, remains: Remains) -> Option<Remains> {
        let stop = self.stop.clone();
        let opened = stop.run_until_cancelled(self.open(remains)).await??;
        let Opened { courier, directives, lost } = opened;
        let (told, taken) = mpsc::channel(CHANNEL_MAX);
        let (waiting, directives) =
            tokio::join!(courier.run(taken, stop.clone()), pass_on(directives, lost, told, &stop),);
        Some(Remains { directives, waiting })
    }

    async fn open(self, remains: Remains) -> Option<Opened> {
        let Remains { directives, waiting } = remains;
        self.handle.opened().await;
        let (born, sequence) = self.handle.read(|monitor| (monitor.born(), monitor.sequence()));
        let life = format!("{:x}", born.map_or(0, Timestamp::as_nanos));
        let name = self.webhook.name.clone();
        let directory = self.directory.as_deref();
        let opened = Courier::open(self.webhook, directory, waiting, &life, self.tools).await;
        let mut courier = match opened {
            Ok(courier) => courier,
            Err(error) => {
                tracing::error!(sink = name, error = chain(&error), "nothing is delivered");
                return None;
            }
        };
        let Some(id) = courier.resume_after().filter(|id| id.sequence <= sequence) else {
            // In memory, or new, or of a journal that is gone.
            let told = directives.next_id().map(|next| next.sequence.saturating_sub(1));
            let after = DirectiveId { sequence: told.unwrap_or(sequence), index: u32::MAX };
            courier.begin_after(after).await;
            return Some(Opened { courier, directives, lost: None });
        };
        let (directives, resumed) = self.handle.directives_after(id);
        let lost = match resumed {
            Resumed::Whole => None,
            Resumed::Cut => Some(Lost(1)),
        };
        Some(Opened { courier, directives, lost })
    }
}

/// Hands directives to a courier until `stop` falls. While it has no room they wait in the feed.
/// Returns the feed where the courier has all before it.
async fn pass_on(
    mut directives: Subscription,
    lost: Option<Lost>,
    told: mpsc::Sender<Told>,
    stop: &CancellationToken,
) -> Subscription {
    let mut missed = lost.map(|Lost(count)| Told::Lost(count));
    loop {
        // Room first: what is taken from the feed is never dropped.
        let Some(Ok(room)) = stop.run_until_cancelled(told.reserve()).await else {
            return directives;
        };
        let message = match missed.take() {
            Some(message) => message,
            None => match stop.run_until_cancelled(directives.next()).await {
                Some(Ok(directive)) => Told::Directive(directive),
                Some(Err(Lost(count))) => Told::Lost(count),
                None => return directives,
            },
        };
        room.send(message);
    }
}

/// What couriers need from outside.
fn tools(runtime: &Arc<Runtime>) -> Tools {
    let (started, runtime) = (clock::monotonic(), Arc::clone(runtime));
    Tools {
        now: clock::now,
        elapsed: Arc::new(move || clock::monotonic().saturating_duration_since(started)),
        observe: Arc::new(move |sink, seen| observe(runtime.webhooks(), sink, seen)),
    }
}

fn observe(metrics: &WebhookMetrics, sink: &str, seen: Seen) {
    match seen {
        Seen::Delivered(at) => metrics.delivered(sink, at),
        Seen::Failed => metrics.count(sink, DeliveryOutcome::Failed, 1),
        Seen::Dropped(count) => metrics.count(sink, DeliveryOutcome::Dropped, count),
        Seen::Expired => metrics.count(sink, DeliveryOutcome::Expired, 1),
        Seen::Pending(count) => metrics.pending(sink, count),
        Seen::BreakerOpened => metrics.breaker(sink, 1),
        Seen::BreakerClosed => metrics.breaker(sink, 0),
        Seen::OutboxFailed => metrics.outbox_failed(sink),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::config::Environment;
    use crate::domain::ids::{Account, Actor};
    use crate::domain::monitor::Monitor;
    use crate::domain::record::{Decision, Entry};
    use crate::domain::settings::Settings;
    use crate::domain::state::TradingState;
    use crate::metrics::Build;

    /// A halt may come before the task of a target has run for the first time.
    #[tokio::test]
    async fn targets_hear_of_what_comes_before_their_tasks_begin() {
        let handle = Handle::new(Monitor::new(Arc::new(Settings::default())));
        let build = Build { version: "0", revision: "0", rustversion: "0" };
        let runtime = Arc::new(Runtime::new(&build).unwrap());
        let directory = tempfile::tempdir().unwrap();
        let secret = directory.path().join("secret");
        std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let config = format!(
            "webhooks: [{{name: a, url: \"https://hooks.example/\", secret_file: {}}}]",
            secret.display()
        );
        let config = Config::parse(&config, &Environment::default()).unwrap();
        let mut webhooks = Webhooks::new(handle.clone(), &runtime, &config);
        let halt = Entry::Decision(Decision::Halt {
            account: Account::all(),
            state: TradingState::Halted,
            reason: String::new(),
            by: Actor::new("op").unwrap().into(),
        });
        handle.submit(vec![halt], Vec::new()).await.unwrap();
        let next = webhooks.first.get("a").and_then(|remains| remains.directives.next_id());
        assert_eq!(next.map(|id| id.sequence), Some(1));
        webhooks.run(&config.webhooks, &TaskTracker::new()).await;
        assert!(webhooks.first.is_empty());
    }
}
