//! An HTTP GET, judged by the status of the answer.
//!
//! Invariants: redirects are not followed, proxies of the environment are ignored, the body is not
//! read, and each check opens its own connection. Deliberately absent: the timeout, which every check
//! has (see `super::ProbeRunner`).

use reqwest::{Client, redirect};

use super::{ProbeOutcome, root_cause};
use crate::config::SecretUrl;

/// Checks the status of an HTTP GET.
#[derive(Debug)]
pub(super) struct HttpGet {
    client: Result<Client, String>,
    url: SecretUrl,
    statuses: Vec<u16>,
}

impl HttpGet {
    /// A check that passes if the status is one of `statuses`, or, if that is empty, 200 to 299.
    pub(super) fn new(url: &SecretUrl, statuses: &[u16]) -> Self {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(0)
            .referer(false)
            .user_agent(concat!("trading-exporter/", env!("CARGO_PKG_VERSION")))
            .build();
        let client = client.map_err(|e| format!("no HTTP client: {}", root_cause(&e)));
        Self { client, url: url.clone(), statuses: statuses.to_vec() }
    }

    pub(super) async fn check(&self) -> ProbeOutcome {
        let client = self.client.as_ref().map_err(String::clone)?;
        let sent = client.get(self.url.as_str()).send().await;
        // The URL may contain a key, so the message must not contain the URL.
        let response = sent.map_err(|e| root_cause(&e.without_url()))?;
        let status = response.status().as_u16();
        let answered = format!("answered {status}");
        let passes = match self.statuses.as_slice() {
            [] => (200..300).contains(&status),
            statuses => statuses.contains(&status),
        };
        if passes { Ok(answered) } else { Err(answered) }
    }
}
