//! The courier of one target: it receives directives, notes them in the outbox, and sends them until
//! they are delivered.
//!
//! One attempt is in progress at a time. Meanwhile the courier keeps receiving directives, so that a
//! target that hangs does not block the feed.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, BreakerChange};
use super::client::{DeliveryAttempt, WebhookClient};
use super::message::WebhookMessage;
use super::outbox::{OutboxError, OutboxFile};
use super::{CourierHooks, CourierInput, DeliveryEvent};
use crate::config::Webhook;
use crate::domain::directive::Directive;
use crate::domain::ids::{Account, DirectiveId};

/// Directives that are received in one step.
const RECEIVED_MAX: usize = 256;

/// Delivers to one target.
#[derive(Debug)]
pub struct Courier {
    webhook: Arc<Webhook>,
    /// The client, or the reason why there is none. Without one, messages are only stored.
    client: Result<WebhookClient, String>,
    backlog: Backlog,
    outbox: Option<OutboxFile>,
    hooks: CourierHooks,
    /// The last write of the outbox failed, and that was logged.
    outbox_failed: bool,
}

/// The messages that a courier has not delivered when it ends.
#[derive(Debug, Default)]
pub struct PendingDeliveries(Backlog);

/// The attempt in progress.
type AttemptFuture = Pin<Box<dyn Future<Output = (DirectiveId, DeliveryAttempt)> + Send>>;

/// The next thing that a courier reacts to.
enum CourierSignal {
    Stop,
    /// This many inputs were received.
    Received(usize),
    Attempted((DirectiveId, DeliveryAttempt)),
    /// A message is due.
    Due,
}

impl Courier {
    /// Opens the courier of a target. Its pending messages come from its file in `directory`, or
    /// without a directory from the courier before it. `life` makes message ids unique to this state:
    /// another exporter, or this one after its state was deleted, has a different one.
    ///
    /// # Errors
    /// [`OutboxError`] when the file cannot be opened.
    pub async fn open(
        webhook: Webhook,
        directory: Option<&Path>,
        pending: PendingDeliveries,
        life: &str,
        hooks: CourierHooks,
    ) -> Result<Self, OutboxError> {
        let mut backlog = pending.0;
        let mut outbox = None;
        if let Some(directory) = directory {
            // The file has everything that the courier before this one had.
            let (opened, messages) = OutboxFile::open(directory, &webhook.name).await?;
            backlog = Backlog::default();
            for message in messages {
                backlog.push(message);
            }
            outbox = Some(opened);
        }
        let webhook = Arc::new(webhook);
        let client = WebhookClient::new(Arc::clone(&webhook), life);
        if let Err(why) = &client {
            tracing::error!(sink = webhook.name, why, "no message can be delivered");
        }
        let courier = Self { webhook, client, backlog, outbox, hooks, outbox_failed: false };
        courier.observe(DeliveryEvent::Pending(courier.backlog.len()));
        Ok(courier)
    }

    /// The newest directive that was received before a restart. `None` for a new target, which
    /// receives directives from now on.
    #[must_use]
    pub fn resume_after(&self) -> Option<DirectiveId> {
        self.outbox.as_ref().and_then(OutboxFile::newest)
    }

    /// Notes that a new target starts after this directive.
    pub async fn begin_after(&mut self, id: DirectiveId) {
        if let Some(outbox) = &mut self.outbox {
            let noted = outbox.start_at(id).await;
            self.check_outbox(noted);
        }
    }

    /// Delivers until `stop` is cancelled. Inputs that were sent before are still received. Returns the
    /// pending messages, which are in the outbox as well.
    pub async fn run(
        mut self,
        mut inputs: mpsc::Receiver<CourierInput>,
        stop: CancellationToken,
    ) -> PendingDeliveries {
        let mut attempt: Option<AttemptFuture> = None;
        let mut batch = Vec::new();
        loop {
            if attempt.is_none() {
                self.expire().await;
                attempt = self.next_attempt();
            }
            // With an attempt in progress, or without a client, no timer is needed.
            let is_idle = attempt.is_none() && self.client.is_ok();
            let wait = if is_idle { self.backlog.wait((self.hooks.elapsed)()) } else { None };
            let signal = tokio::select! {
                biased;
                () = stop.cancelled() => CourierSignal::Stop,
                result = finished(&mut attempt) => CourierSignal::Attempted(result),
                count = inputs.recv_many(&mut batch, RECEIVED_MAX) => CourierSignal::Received(count),
                () = pause(wait) => CourierSignal::Due,
            };
            match signal {
                CourierSignal::Stop | CourierSignal::Received(0) => break,
                CourierSignal::Received(_) => self.receive(std::mem::take(&mut batch)).await,
                CourierSignal::Attempted((id, result)) => {
                    attempt = None;
                    self.attempted(id, result).await;
                }
                CourierSignal::Due => {}
            }
        }
        // The feed counts everything in the channel as received, so nothing of it may be lost.
        inputs.close();
        while inputs.recv_many(&mut batch, RECEIVED_MAX).await > 0 {
            self.receive(std::mem::take(&mut batch)).await;
        }
        self.backlog.forget_attempts();
        PendingDeliveries(self.backlog)
    }

    /// Adds the directives for this target to the backlog and the outbox.
    async fn receive(&mut self, inputs: Vec<CourierInput>) {
        let mut added = Vec::new();
        let mut dropped = Vec::new();
        for input in inputs {
            match input {
                CourierInput::Directive(directive) if self.wants(&directive) => {
                    let message = WebhookMessage::new(&directive);
                    dropped.extend(self.backlog.push(message.clone()));
                    added.push(message);
                }
                CourierInput::Directive(_) => {}
                CourierInput::Lost { count, accounts } => {
                    if !accounts.is_none_or(|names| names.iter().any(|name| self.covers(name))) {
                        continue;
                    }
                    tracing::error!(sink = self.webhook.name, count, "directives were lost");
                    self.observe(DeliveryEvent::Dropped(count));
                }
            }
        }
        if !dropped.is_empty() {
            self.observe(DeliveryEvent::Dropped(dropped.len() as u64));
        }
        self.note(added, dropped).await;
    }

    /// Whether a directive is for this target. A directive of `*` concerns all accounts.
    fn wants(&self, directive: &Directive) -> bool {
        self.webhook.events.contains(&directive.kind.as_str()) && self.covers(&directive.account)
    }

    fn covers(&self, account: &Account) -> bool {
        let accounts = &self.webhook.accounts;
        accounts.is_empty()
            || account.is_all()
            || accounts.iter().any(|pattern| pattern.matches(account.as_str()))
    }

    /// Starts an attempt at the message that is due.
    fn next_attempt(&self) -> Option<AttemptFuture> {
        let client = self.client.as_ref().ok()?.clone();
        let message = self.backlog.due((self.hooks.elapsed)())?.clone();
        let now = (self.hooks.now)();
        Some(Box::pin(async move { (message.id, client.send(&message, now).await) }))
    }

    async fn attempted(&mut self, id: DirectiveId, result: DeliveryAttempt) {
        match result {
            DeliveryAttempt::Delivered => {
                let breaker = self.backlog.delivered(id);
                self.observe(DeliveryEvent::Delivered((self.hooks.now)()));
                if breaker == BreakerChange::Closed {
                    self.observe(DeliveryEvent::BreakerClosed);
                    tracing::info!(sink = self.webhook.name, "the webhook works again");
                }
                self.note(Vec::new(), vec![id]).await;
            }
            DeliveryAttempt::Failed { why, retry_after } => {
                self.observe(DeliveryEvent::Failed);
                let random = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
                let elapsed = (self.hooks.elapsed)();
                let breaker = self.backlog.failed(id, elapsed, retry_after, random);
                if breaker == BreakerChange::Opened {
                    self.observe(DeliveryEvent::BreakerOpened);
                    let pending = self.backlog.len();
                    let sink = &self.webhook.name;
                    tracing::error!(
                        sink,
                        why,
                        pending,
                        "the webhook keeps failing; attempts are paused"
                    );
                } else {
                    tracing::debug!(sink = self.webhook.name, %id, why, "the attempt failed");
                }
            }
        }
    }

    /// Drops the messages that are too old.
    async fn expire(&mut self) {
        let old = self.backlog.expire((self.hooks.now)());
        for id in &old {
            let sink = &self.webhook.name;
            tracing::error!(sink, %id, "a message was dropped: not delivered in three days");
            self.observe(DeliveryEvent::Expired);
        }
        self.note(Vec::new(), old).await;
    }

    /// Writes changes of the backlog to the outbox.
    async fn note(&mut self, added: Vec<WebhookMessage>, done: Vec<DirectiveId>) {
        if added.is_empty() && done.is_empty() {
            return;
        }
        if let Some(outbox) = &mut self.outbox {
            let noted = outbox.note(added, done, self.backlog.messages()).await;
            self.check_outbox(noted);
        }
        self.observe(DeliveryEvent::Pending(self.backlog.len()));
    }

    /// Handles the result of a write to the outbox. A failure does not stop deliveries; it is counted,
    /// and logged once until the next success.
    fn check_outbox(&mut self, noted: std::io::Result<()>) {
        match noted {
            Ok(()) => self.outbox_failed = false,
            Err(error) => {
                self.observe(DeliveryEvent::OutboxFailed);
                if !std::mem::replace(&mut self.outbox_failed, true) {
                    let sink = &self.webhook.name;
                    tracing::error!(sink, %error, "the outbox cannot be written");
                }
            }
        }
    }

    fn observe(&self, event: DeliveryEvent) {
        (self.hooks.observe)(&self.webhook.name, event);
    }
}

/// Waits for the attempt in progress. Without one it never completes.
async fn finished(attempt: &mut Option<AttemptFuture>) -> (DirectiveId, DeliveryAttempt) {
    match attempt {
        Some(attempt) => attempt.await,
        None => std::future::pending().await,
    }
}

async fn pause(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
