//! A GET whose status decides.
//!
//! Invariants: redirects are not followed, the environment's proxy is not asked, the body is not
//! read, and each check makes a connection of its own. Deliberately absent: the timeout, which is
//! that of every check.

use reqwest::{Client, redirect};

use super::{Seen, root_cause};
use crate::config::HttpUrl;

/// A GET whose status decides.
#[derive(Debug)]
pub(super) struct Get {
    client: Result<Client, String>,
    url: HttpUrl,
    statuses: Vec<u16>,
}

impl Get {
    /// Passes when the status is one of `statuses`, or 200 to 299 if there are none.
    pub(super) fn new(url: &HttpUrl, statuses: &[u16]) -> Self {
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

    pub(super) async fn see(&self) -> Seen {
        let client = self.client.as_ref().map_err(String::clone)?;
        let sent = client.get(self.url.as_str()).send().await;
        // The URL may hold a key: an error must not repeat it.
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
