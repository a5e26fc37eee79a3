//! The HTTP client of one target: one attempt at one message.
//!
//! Invariants: those of [`crate::outbound`]; the body of the answer is not read; the attempt ends within
//! the timeout of the target. Deliberately absent: retries.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response};

use super::message::WebhookMessage;
use super::sign::sign;
use crate::config::Webhook;
use crate::domain::time::{NANOS_PER_SECOND, Timestamp};
use crate::outbound::{cause_of, client_builder, retry_after, root_cause};

/// Sends messages to one target.
#[derive(Clone, Debug)]
pub(super) struct WebhookClient {
    client: Client,
    webhook: Arc<Webhook>,
    /// The end of every message id. It names the state, so that no two exporters use the same ids.
    life: Arc<str>,
}

/// The result of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DeliveryAttempt {
    /// The target accepted the message.
    Delivered,
    /// The attempt failed. `retry_after` is the pause that the target requested.
    Failed { why: String, retry_after: Option<Duration> },
}

impl WebhookClient {
    /// Builds the client of a target. The error is its root cause as text.
    pub(super) fn new(webhook: Arc<Webhook>, life: &str) -> Result<Self, String> {
        let builder = client_builder(webhook.reach, webhook.timeout);
        let client = builder.build().map_err(|error| root_cause(&error))?;
        Ok(Self { client, webhook, life: life.into() })
    }

    /// Sends a message once.
    pub(super) async fn send(&self, message: &WebhookMessage, now: Timestamp) -> DeliveryAttempt {
        let id = format!("{}_{}", message.id, self.life);
        let timestamp = now.as_nanos() / NANOS_PER_SECOND;
        let signature = sign(&self.webhook.secrets, &id, timestamp, &message.body);
        let request = self
            .client
            .post(self.webhook.url.as_str())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(message.body.clone());
        match request.send().await {
            Ok(response) => judge(&response, now),
            Err(error) => DeliveryAttempt::Failed { why: cause_of(error), retry_after: None },
        }
    }
}

fn judge(response: &Response, now: Timestamp) -> DeliveryAttempt {
    let status = response.status();
    if status.is_success() {
        return DeliveryAttempt::Delivered;
    }
    let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    // Only for 429 and 503 is the header defined as the pause before the request is sent again.
    let asked = asked.filter(|_| matches!(status.as_u16(), 429 | 503));
    let retry_after = asked.and_then(|text| retry_after(text, now));
    DeliveryAttempt::Failed { why: format!("answered {}", status.as_u16()), retry_after }
}
