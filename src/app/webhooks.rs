//! The tasks of the webhooks: one for each target, restarted when a reload changes the target.
//!
//! Invariant: two tasks never use the same outbox: the old task has ended before the new one starts.

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
use crate::domain::ids::DirectiveId;
use crate::domain::time::Timestamp;
use crate::engine::{Handle, LostDirectives, Resumed, Subscription};
use crate::metrics::{DeliveryOutcome, Runtime, WebhookMetrics};
use crate::notify::{Courier, CourierHooks, CourierInput, DeliveryEvent, PendingDeliveries};

/// Directives between the feed and a courier. Further ones stay in the feed.
const CHANNEL_MAX: usize = 256;
/// The longest wait for a courier to write its outbox when it is stopped.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// The running targets. Dropping it stops them.
pub(super) struct WebhookTasks {
    handle: Handle,
    hooks: CourierHooks,
    runtime: Arc<Runtime>,
    /// The directory of the outboxes. `None` if the state, and the pending messages with it, are kept
    /// only in memory.
    directory: Option<PathBuf>,
    running: Vec<WebhookTask>,
    /// The starting points of the targets that were configured at the start.
    first: BTreeMap<String, Handover>,
}

/// The task of one target.
struct WebhookTask {
    webhook: Webhook,
    stop: CancellationToken,
    task: JoinHandle<Option<Handover>>,
}

/// The state that a task hands over to its successor.
struct Handover {
    directives: Subscription,
    pending: PendingDeliveries,
}

impl Handover {
    /// The starting point of a new target: directives from now on.
    fn fresh(handle: &Handle) -> Self {
        Self { directives: handle.directives(), pending: PendingDeliveries::default() }
    }
}

/// A courier that is ready to run.
struct OpenedCourier {
    courier: Courier,
    /// The directives after the last one that the courier has.
    directives: Subscription,
    /// Set if some of those are no longer available.
    lost: Option<LostDirectives>,
}

impl WebhookTasks {
    /// Subscribes the configured targets to directives from now on. Call it before anything can cause
    /// a directive: the tasks of the targets start later, whenever the runtime schedules them.
    pub(super) fn new(handle: Handle, runtime: &Arc<Runtime>, config: &Config) -> Self {
        let directory = match config.storage.mode {
            StorageMode::Journal => Some(config.storage.path.join("outbox")),
            StorageMode::Memory => None,
        };
        let names = config.webhooks.iter().map(|webhook| webhook.name.clone());
        let first = names.map(|name| (name, Handover::fresh(&handle))).collect();
        let (hooks, runtime) = (hooks(runtime), Arc::clone(runtime));
        Self { handle, hooks, runtime, directory, running: Vec::new(), first }
    }

    /// Delivers to these targets from now on. An unchanged target continues; a changed one is restarted
    /// and continues at the same directive.
    pub(super) async fn run(&mut self, webhooks: &[Webhook], tasks: &TaskTracker) {
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|running| webhooks.contains(&running.webhook));
        self.running = kept;
        // Old tasks end before new ones start, so that no two use one outbox.
        let mut handovers = std::mem::take(&mut self.first);
        for running in gone {
            let name = running.webhook.name.clone();
            if let Some(handover) = running.end().await {
                handovers.insert(name.clone(), handover);
            }
            if !webhooks.iter().any(|other| other.name == name) {
                self.runtime.webhooks.forget(&name);
            }
        }
        for webhook in webhooks {
            if self.running.iter().any(|running| running.webhook == *webhook) {
                continue;
            }
            self.runtime.webhooks.declare(&webhook.name);
            let stop = CancellationToken::new();
            let handover = handovers.remove(&webhook.name);
            let handover = handover.unwrap_or_else(|| Handover::fresh(&self.handle));
            let delivery = WebhookDelivery {
                webhook: webhook.clone(),
                handle: self.handle.clone(),
                hooks: self.hooks.clone(),
                directory: self.directory.clone(),
                stop: stop.clone(),
            };
            let task = tasks.spawn(delivery.run(handover));
            self.running.push(WebhookTask { webhook: webhook.clone(), stop, task });
        }
    }
}

impl Drop for WebhookTasks {
    fn drop(&mut self) {
        self.running.iter().for_each(|running| running.stop.cancel());
    }
}

impl WebhookTask {
    /// Stops the task. `None` if it failed or did not end in time.
    async fn end(mut self) -> Option<Handover> {
        self.stop.cancel();
        match tokio::time::timeout(END_TIMEOUT, &mut self.task).await {
            Ok(Ok(handover)) => handover,
            Ok(Err(error)) => {
                tracing::error!(sink = self.webhook.name, %error, "the task of the webhook failed");
                None
            }
            Err(_) => {
                tracing::error!(
                    sink = self.webhook.name,
                    "the old task of the webhook does not end; it is aborted"
                );
                self.task.abort();
                None
            }
        }
    }
}

/// The parameters of one task.
struct WebhookDelivery {
    webhook: Webhook,
    handle: Handle,
    hooks: CourierHooks,
    directory: Option<PathBuf>,
    stop: CancellationToken,
}

impl WebhookDelivery {
    async fn run(self, handover: Handover) -> Option<Handover> {
        let stop = self.stop.clone();
        let opened = stop.run_until_cancelled(self.open(handover)).await??;
        let OpenedCourier { courier, directives, lost } = opened;
        let (sender, inputs) = mpsc::channel(CHANNEL_MAX);
        let (pending, directives) =
            tokio::join!(courier.run(inputs, stop.clone()), feed(directives, lost, sender, &stop));
        Some(Handover { directives, pending })
    }

    /// Opens the courier, and finds the directive at which it continues.
    async fn open(self, handover: Handover) -> Option<OpenedCourier> {
        let Handover { directives, pending } = handover;
        // Until the journal is replayed, neither its identity nor its sequence is known.
        self.handle.opened().await;
        let (born, sequence) = self.handle.read(|monitor| (monitor.born(), monitor.sequence()));
        let life = format!("{:x}", born.map_or(0, Timestamp::as_nanos));
        let name = self.webhook.name.clone();
        let directory = self.directory.as_deref();
        let opened = Courier::open(self.webhook, directory, pending, &life, self.hooks).await;
        let mut courier = match opened {
            Ok(courier) => courier,
            Err(error) => {
                tracing::error!(
                    sink = name,
                    error = chain(&error),
                    "the outbox cannot be opened; nothing is delivered to this webhook"
                );
                return None;
            }
        };
        let Some(id) = courier.resume_after().filter(|id| id.sequence <= sequence) else {
            // The target has no outbox or a new one, or its outbox belongs to a journal that is gone.
            let seen = directives.next_id().map(|next| next.sequence.saturating_sub(1));
            let after = DirectiveId { sequence: seen.unwrap_or(sequence), index: u32::MAX };
            courier.begin_after(after).await;
            return Some(OpenedCourier { courier, directives, lost: None });
        };
        let (directives, resumed) = self.handle.directives_after(id);
        let lost = match resumed {
            Resumed::Complete => None,
            Resumed::Truncated(lost) => Some(lost),
        };
        Some(OpenedCourier { courier, directives, lost })
    }
}

/// Sends directives to a courier until `stop` is cancelled. While the channel is full they stay in the
/// feed. Returns the feed after the last directive that was sent.
async fn feed(
    mut directives: Subscription,
    lost: Option<LostDirectives>,
    sender: mpsc::Sender<CourierInput>,
    stop: &CancellationToken,
) -> Subscription {
    let mut missed = lost.map(lost_input);
    loop {
        // Reserve a place first: a directive that was taken from the feed must not be dropped.
        let Some(Ok(place)) = stop.run_until_cancelled(sender.reserve()).await else {
            return directives;
        };
        let message = match missed.take() {
            Some(message) => message,
            None => match stop.run_until_cancelled(directives.next()).await {
                Some(Ok(directive)) => CourierInput::Directive(directive),
                Some(Err(lost)) => lost_input(lost),
                None => return directives,
            },
        };
        place.send(message);
    }
}

fn lost_input(lost: LostDirectives) -> CourierInput {
    CourierInput::Lost { count: lost.count, accounts: lost.accounts }
}

/// The clocks and metrics that couriers use.
fn hooks(runtime: &Arc<Runtime>) -> CourierHooks {
    let (started, runtime) = (clock::monotonic(), Arc::clone(runtime));
    CourierHooks {
        now: clock::now,
        elapsed: Arc::new(move || clock::monotonic().saturating_duration_since(started)),
        observe: Arc::new(move |sink, event| observe(&runtime.webhooks, sink, event)),
    }
}

fn observe(metrics: &WebhookMetrics, sink: &str, event: DeliveryEvent) {
    match event {
        DeliveryEvent::Delivered(at) => metrics.delivered(sink, at),
        DeliveryEvent::Failed => metrics.count(sink, DeliveryOutcome::Failed, 1),
        DeliveryEvent::Dropped(count) => metrics.count(sink, DeliveryOutcome::Dropped, count),
        DeliveryEvent::Expired => metrics.count(sink, DeliveryOutcome::Expired, 1),
        DeliveryEvent::Pending(count) => metrics.set_pending(sink, count),
        DeliveryEvent::BreakerOpened => metrics.breaker_open.with_label_values(&[sink]).set(1),
        DeliveryEvent::BreakerClosed => metrics.breaker_open.with_label_values(&[sink]).set(0),
        DeliveryEvent::OutboxFailed => metrics.outbox_errors.with_label_values(&[sink]).inc(),
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

    /// A halt may be decided before the task of a target has run for the first time.
    #[tokio::test]
    async fn targets_receive_directives_from_before_their_tasks_start() {
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
        let mut webhooks = WebhookTasks::new(handle.clone(), &runtime, &config);
        let halt = Entry::Decision(Decision::Halt {
            account: Account::all(),
            state: TradingState::Halted,
            reason: String::new(),
            by: Actor::new("op").unwrap().into(),
        });
        handle.submit(vec![halt], Vec::new()).await.unwrap();
        let next = webhooks.first.get("a").and_then(|handover| handover.directives.next_id());
        assert_eq!(next.map(|id| id.sequence), Some(1));
        webhooks.run(&config.webhooks, &TaskTracker::new()).await;
        assert!(webhooks.first.is_empty());
    }
}
