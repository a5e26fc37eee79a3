//! The life of one target: takes what it is told, notes it, and tries until it is delivered.
//!
//! One attempt is under way at a time; meanwhile directives are taken, so that a target which hangs
//! holds nobody up.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, Breaker};
use super::message::Message;
use super::outbox::{Outbox, OutboxError};
use super::post::{Attempt, Post};
use super::{Seen, Told, Tools};
use crate::config::Webhook;
use crate::domain::directive::{Directive, DirectiveId};

/// Directives taken in one go.
const TAKEN_MAX: usize = 256;

/// Delivers to one target.
#[derive(Debug)]
pub struct Courier {
    webhook: Arc<Webhook>,
    post: Result<Post, String>,
    backlog: Backlog,
    outbox: Option<Outbox>,
    tools: Tools,
    /// The outbox could not be written: told once.
    outbox_failed: bool,
}

/// What waits for a target whose courier has ended.
#[derive(Debug, Default)]
pub struct Waiting(Backlog);

/// An attempt under way.
type Trying = Pin<Box<dyn Future<Output = (DirectiveId, Attempt)> + Send>>;

/// What happened first.
enum Next {
    Stop,
    Told(usize),
    Tried((DirectiveId, Attempt)),
    Due,
}

impl Courier {
    /// A courier for a target; what waits for it is kept in a file below `directory`, or handed over
    /// by the courier before, as `waiting`. `life` tells the ids of this state from those of any
    /// other.
    ///
    /// # Errors
    /// [`OutboxError`] when the file cannot be opened.
    pub async fn open(
        webhook: Webhook,
        directory: Option<&Path>,
        waiting: Waiting,
        life: &str,
        tools: Tools,
    ) -> Result<Self, OutboxError> {
        let mut backlog = waiting.0;
        let mut outbox = None;
        if let Some(directory) = directory {
            let (opened, waiting) = Outbox::open(directory, &webhook.name).await?;
            backlog = Backlog::default();
            for message in waiting {
                backlog.push(message);
            }
            outbox = Some(opened);
        }
        let webhook = Arc::new(webhook);
        let post = Post::new(Arc::clone(&webhook), life);
        if let Err(why) = &post {
            tracing::error!(sink = webhook.name, why, "nothing can be delivered");
        }
        let courier = Self { webhook, post, backlog, outbox, tools, outbox_failed: false };
        courier.see(Seen::Pending(courier.backlog.len()));
        Ok(courier)
    }

    /// The newest directive that was taken before a restart; none: the target is new, and hears of
    /// what comes from now on.
    #[must_use]
    pub fn resume_after(&self) -> Option<DirectiveId> {
        self.outbox.as_ref().and_then(Outbox::newest)
    }

    /// Notes where a new target begins: after this directive.
    pub async fn begin_after(&mut self, id: DirectiveId) {
        if let Some(outbox) = &mut self.outbox {
            let noted = outbox.start_at(id).await;
            self.check_outbox(noted);
        }
    }

    /// Delivers until `stop` falls, and takes what it was told before. Returns what waits then; it
    /// stands in the outbox too.
    pub async fn run(mut self, mut told: mpsc::Receiver<Told>, stop: CancellationToken) -> Waiting {
        let mut trying: Option<Trying> = None;
        let mut batch = Vec::new();
        loop {
            if trying.is_none() {
                self.expire().await;
                trying = self.try_next();
            }
            // With an attempt under way, or without a client, there is nothing to wait for.
            let idle = trying.is_none() && self.post.is_ok();
            let wait = if idle { self.backlog.wait((self.tools.elapsed)()) } else { None };
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => Next::Stop,
                tried = attempt(&mut trying) => Next::Tried(tried),
                count = told.recv_many(&mut batch, TAKEN_MAX) => Next::Told(count),
                () = pause(wait) => Next::Due,
            };
            match next {
                Next::Stop | Next::Told(0) => break,
                Next::Told(_) => self.take(std::mem::take(&mut batch)).await,
                Next::Tried((id, attempt)) => {
                    trying = None;
                    self.tried(id, attempt).await;
                }
                Next::Due => {}
            }
        }
        told.close();
        while told.recv_many(&mut batch, TAKEN_MAX).await > 0 {
            self.take(std::mem::take(&mut batch)).await;
        }
        self.backlog.rest();
        Waiting(self.backlog)
    }

    /// Takes what is for this target.
    async fn take(&mut self, told: Vec<Told>) {
        let mut taken = Vec::new();
        let mut dropped = Vec::new();
        for told in told {
            match told {
                Told::Directive(directive) if self.concerns(&directive) => {
                    let message = Message::new(&directive);
                    dropped.extend(self.backlog.push(message.clone()));
                    taken.push(message);
                }
                Told::Directive(_) => {}
                Told::Lost(count) => {
                    tracing::error!(sink = self.webhook.name, count, "directives were lost");
                    self.see(Seen::Dropped(count));
                }
            }
        }
        if !dropped.is_empty() {
            self.see(Seen::Dropped(dropped.len() as u64));
        }
        self.note(taken, dropped).await;
    }

    /// Whether a directive is for this target. What is said of `*` concerns all accounts.
    fn concerns(&self, directive: &Directive) -> bool {
        let Webhook { events, accounts, .. } = &*self.webhook;
        let account = &directive.account;
        events.contains(&directive.kind.as_str())
            && (accounts.is_empty()
                || account.is_all()
                || accounts.iter().any(|pattern| pattern.matches(account.as_str())))
    }

    fn try_next(&self) -> Option<Trying> {
        let post = self.post.as_ref().ok()?.clone();
        let message = self.backlog.due((self.tools.elapsed)())?.clone();
        let now = (self.tools.now)();
        Some(Box::pin(async move { (message.id, post.send(&message, now).await) }))
    }

    async fn tried(&mut self, id: DirectiveId, attempt: Attempt) {
        match attempt {
            Attempt::Delivered => {
                let breaker = self.backlog.delivered(id);
                self.see(Seen::Delivered((self.tools.now)()));
                if breaker == Breaker::Closed {
                    self.see(Seen::BreakerClosed);
                    tracing::info!(sink = self.webhook.name, "delivered again");
                }
                self.note(Vec::new(), vec![id]).await;
            }
            Attempt::Failed { why, retry_after } => {
                self.see(Seen::Failed);
                let random = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
                let elapsed = (self.tools.elapsed)();
                if self.backlog.failed(id, elapsed, retry_after, random) == Breaker::Opened {
                    self.see(Seen::BreakerOpened);
                    let pending = self.backlog.len();
                    let sink = &self.webhook.name;
                    tracing::error!(sink, why, pending, "not delivered; tried less often from now");
                } else {
                    tracing::debug!(sink = self.webhook.name, %id, why, "not delivered");
                }
            }
        }
    }

    /// Gives up what is too old.
    async fn expire(&mut self) {
        let old = self.backlog.expire((self.tools.now)());
        for id in &old {
            tracing::error!(sink = self.webhook.name, %id, "given up: not delivered in three days");
            self.see(Seen::Expired);
        }
        self.note(Vec::new(), old).await;
    }

    async fn note(&mut self, taken: Vec<Message>, done: Vec<DirectiveId>) {
        if taken.is_empty() && done.is_empty() {
            return;
        }
        if let Some(outbox) = &mut self.outbox {
            let noted = outbox.note(taken, done, self.backlog.messages()).await;
            self.check_outbox(noted);
        }
        self.see(Seen::Pending(self.backlog.len()));
    }

    /// An outbox that cannot be written stops no delivery; it is told once, and counted.
    fn check_outbox(&mut self, noted: std::io::Result<()>) {
        match noted {
            Ok(()) => self.outbox_failed = false,
            Err(error) => {
                self.see(Seen::OutboxFailed);
                if !std::mem::replace(&mut self.outbox_failed, true) {
                    tracing::error!(sink = self.webhook.name, %error, "its outbox cannot be written");
                }
            }
        }
    }

    fn see(&self, seen: Seen) {
        (self.tools.observe)(&self.webhook.name, seen);
    }
}

/// The end of the attempt under way, if there is one.
async fn attempt(trying: &mut Option<Trying>) -> (DirectiveId, Attempt) {
    match trying {
        Some(trying) => trying.await,
        None => std::future::pending().await,
    }
}

async fn pause(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
