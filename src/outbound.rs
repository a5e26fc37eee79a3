//! Requests to other servers: what webhooks and position sources have in common.
//!
//! Invariants: no redirect is followed; no proxy from the environment is used; with [`Reach::Public`] each
//! request resolves the name again and connects only to an address that was checked; an error repeats no
//! URL, which may hold a key. Deliberately absent: when to send and when to try again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, redirect};

use crate::config::{Reach, is_public};
use crate::domain::time::Timestamp;

/// The longest time to connect, within the timeout of the request.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// A client for a server within this reach.
pub(crate) fn client_builder(reach: Reach, timeout: Duration) -> ClientBuilder {
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .pool_max_idle_per_host(0)
        .referer(false)
        .connect_timeout(timeout.min(CONNECT_TIMEOUT_MAX))
        .timeout(timeout)
        .user_agent(concat!("trading-exporter/", env!("CARGO_PKG_VERSION")));
    match reach {
        Reach::Public => builder.dns_resolver(Arc::new(PublicResolver)).https_only(true),
        Reach::Any => builder,
    }
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.
pub(crate) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let date = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let now = Duration::from_nanos(u64::try_from(now.as_nanos()).ok()?);
    Some(date.saturating_sub(now))
}

/// The cause of a failed request. The URL may contain a secret, so the text does not repeat it.
pub(crate) fn cause_of(error: reqwest::Error) -> String {
    root_cause(&error.without_url())
}

/// The innermost cause. The outer errors only say that a request failed.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::NANOS_PER_SECOND;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_nanos(1_795_357_800 * NANOS_PER_SECOND).expect("a time");
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(retry_after(text, now), expect.map(Duration::from_secs), "{text}");
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
