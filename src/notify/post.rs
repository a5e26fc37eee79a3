//! One attempt at one message.
//!
//! Invariants: no redirect is followed, no proxy of the environment is asked, each attempt resolves
//! the name anew and connects to an address that was looked at, the body of the answer is not read,
//! and all of it is over in the time of the target. Deliberately absent: when to try again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, redirect};

use super::message::Message;
use super::sign::sign;
use crate::config::{Reach, Webhook, is_public};
use crate::domain::time::{NANOS_PER_SECOND, Timestamp};

/// The largest part of the time of a delivery that goes into the connection.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// Sends messages to one target.
#[derive(Clone, Debug)]
pub(super) struct Post {
    client: Client,
    webhook: Arc<Webhook>,
    /// What ids end with: the life of the state, so that no other exporter has the same.
    life: Arc<str>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The target has it.
    Delivered,
    /// It has not, for this reason; it may have asked for a time without attempts.
    Failed { why: String, retry_after: Option<Duration> },
}

impl Post {
    /// The sender of a target, or why there is none.
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
            builder = builder.dns_resolver(Arc::new(PublicAlone)).https_only(true);
        }
        let client = builder.build().map_err(|error| root_cause(&error))?;
        Ok(Self { client, webhook, life: life.into() })
    }

    /// Tries once.
    pub(super) async fn send(&self, message: &Message, now: Timestamp) -> Attempt {
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
            // The URL may hold a key: an error must not repeat it.
            Err(error) => {
                Attempt::Failed { why: root_cause(&error.without_url()), retry_after: None }
            }
        }
    }
}

fn judge(response: &Response, now: Timestamp) -> Attempt {
    let status = response.status();
    if status.is_success() {
        return Attempt::Delivered;
    }
    let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    // Of 429 and 503 alone does RFC 9110 say what it means for a request that is sent again.
    let retry_after = asked.filter(|_| matches!(status.as_u16(), 429 | 503));
    let retry_after = retry_after.and_then(|text| delay(text, now));
    Attempt::Failed { why: format!("answered {}", status.as_u16()), retry_after }
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

/// Resolves names to addresses that everybody can reach, and to no others.
#[derive(Debug)]
struct PublicAlone;

#[derive(Debug, thiserror::Error)]
#[error("the name has no address that the target may have: say allow_private: true if it is meant")]
struct NoAddress;

impl Resolve for PublicAlone {
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

/// The innermost cause; the outer ones only repeat that a request failed.
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
    fn targets_say_when_to_come_again() {
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
        let resolved = PublicAlone.resolve("localhost".parse().expect("a name")).await;
        let error = resolved.err().expect("refused");
        assert!(error.to_string().contains("allow_private"), "{error}");
    }
}
