//! The HTTP client of one target: one attempt at one message.
//!
//! Invariants: no redirect is followed; no proxy from the environment is used; each attempt resolves
//! the name again and connects only to an address that was checked; the body of the answer is not
//! read; the attempt ends within the timeout of the target. Deliberately absent: retries.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, redirect};

use super::message::WebhookMessage;
use super::sign::sign;
use crate::config::{Reach, Webhook, is_public};
use crate::domain::time::{NANOS_PER_SECOND, Timestamp};

/// The longest time to connect, within the timeout of the target.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);

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
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(0)
            .referer(false)
            .connect_timeout(webhook.timeout.min(CONNECT_TIMEOUT_MAX))
            .timeout(webhook.timeout)
            .user_agent(concat!("trading-exporter/", env!("CARGO_PKG_VERSION")));
        if webhook.reach == Reach::Public {
            builder = builder.dns_resolver(Arc::new(PublicResolver)).https_only(true);
        }
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
            // The URL may contain a secret, so an error must not repeat it.
            Err(error) => {
                DeliveryAttempt::Failed { why: root_cause(&error.without_url()), retry_after: None }
            }
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
    let retry_after = asked.filter(|_| matches!(status.as_u16(), 429 | 503));
    let retry_after = retry_after.and_then(|text| delay(text, now));
    DeliveryAttempt::Failed { why: format!("answered {}", status.as_u16()), retry_after }
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.
fn delay(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let date = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let now = Duration::from_nanos(u64::try_from(now.as_nanos()).ok()?);
    Some(date.saturating_sub(now))
}

/// Resolves names to public addresses only.
#[derive(Debug)]
struct PublicResolver;

#[derive(Debug, thiserror::Error)]
#[error("the name has no public address; set allow_private: true if a private one is intended")]
struct NoAddress;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(NoAddress.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// The innermost cause. The outer errors only say that a request failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_nanos(1_795_357_800 * NANOS_PER_SECOND).expect("a time");
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(delay(text, now), expect.map(Duration::from_secs), "{text}");
        };
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("Sun, 22 Nov 2026 14:31:00 GMT", Some(60));
        check("Sun, 22 Nov 2020 14:31:00 GMT", Some(0));
        check("soon", None);
        check("-1", None);
    }

    #[tokio::test]
    async fn names_of_private_addresses_are_not_resolved() {
        let resolved = PublicResolver.resolve("localhost".parse().expect("a name")).await;
        let error = resolved.err().expect("refused");
        assert!(error.to_string().contains("allow_private"), "{error}");
    }
}
