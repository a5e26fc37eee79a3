//! The HTTP API as an engine sees it: posts of events, and a few reads.
//!
//! Input: events as JSON. Output: what the play needs of the answers. Invariant: every refusal is
//! an error, because the demo sends nothing that may be refused. Deliberately absent: retries.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::demo::DemoError;
use crate::demo::play::{ACCOUNT, Seen};

/// No answer of a server in this process takes longer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of one exporter.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

/// The answer to posted events, as far as an engine needs it.
#[derive(Debug, Deserialize)]
struct Ingested {
    rejected: Vec<Value>,
    states: BTreeMap<String, String>,
}

/// The execution quality of an account.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Quality {
    /// What was counted.
    pub counters: Counters,
    /// The rolling window.
    pub window: Window,
}

/// The counters that the demo shows.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Counters {
    /// Orders submitted so far.
    pub submitted: u64,
}

/// The figures that the demo shows; a figure without a sample is absent.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Window {
    /// Share of the ended orders that were filled.
    pub fill_ratio: Option<f64>,
    /// Mean slippage against the expected price; positive = worse.
    pub slippage_bps: Option<f64>,
}

/// What an engine may do.
#[derive(Debug, Deserialize)]
pub struct Permit {
    /// `active`, `reducing` or `halted`.
    pub state: String,
}

impl Client {
    /// A client of the exporter at `base`, such as `http://127.0.0.1:10471`.
    ///
    /// # Errors
    /// [`DemoError::Request`] if no client can be made.
    pub fn new(base: &str) -> Result<Self, DemoError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .map_err(|source| DemoError::Request { path: base.to_owned(), source })?;
        Ok(Self { http, base: base.to_owned() })
    }

    /// Posts events; returns the trading state of the account that the answer names.
    ///
    /// # Errors
    /// [`DemoError::Request`] without an answer, [`DemoError::Answer`] if an event was refused.
    pub async fn post(&self, events: &[Value]) -> Result<String, DemoError> {
        let path = "/api/v1/events";
        let request = self.http.post(format!("{}{path}", self.base)).json(events);
        let answer = send(path, request).await?;
        let Ingested { rejected, states } = json(path, &answer)?;
        if !rejected.is_empty() {
            return Err(DemoError::Answer { path: path.to_owned(), answer });
        }
        Ok(states.get(ACCOUNT).cloned().unwrap_or_default())
    }

    /// The differences that stand.
    ///
    /// # Errors
    /// As for [`Client::post`].
    pub async fn drifts(&self) -> Result<Vec<Seen>, DemoError> {
        self.get(&format!("/api/v1/drift?account={ACCOUNT}")).await
    }

    /// The execution quality of the account.
    ///
    /// # Errors
    /// As for [`Client::post`].
    pub async fn quality(&self) -> Result<Quality, DemoError> {
        self.get(&format!("/api/v1/execution?account={ACCOUNT}")).await
    }

    /// What the engine may do.
    ///
    /// # Errors
    /// As for [`Client::post`].
    pub async fn permit(&self) -> Result<Permit, DemoError> {
        self.get(&format!("/api/v1/permit?account={ACCOUNT}")).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, DemoError> {
        let answer = self.text(path).await?;
        json(path, &answer)
    }

    /// A document as text.
    ///
    /// # Errors
    /// As for [`Client::post`].
    pub async fn text(&self, path: &str) -> Result<String, DemoError> {
        send(path, self.http.get(format!("{}{path}", self.base))).await
    }
}

/// Sends a request; the text of the answer, if it is a success.
async fn send(path: &str, request: reqwest::RequestBuilder) -> Result<String, DemoError> {
    let failed = |source| DemoError::Request { path: path.to_owned(), source };
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    let text = answer.text().await.map_err(failed)?;
    if status.is_success() {
        return Ok(text);
    }
    Err(DemoError::Answer { path: path.to_owned(), answer: format!("{status}: {text}") })
}

fn json<T: DeserializeOwned>(path: &str, text: &str) -> Result<T, DemoError> {
    serde_json::from_str(text).map_err(|error| DemoError::Answer {
        path: path.to_owned(),
        answer: format!("something else than expected ({error}): {text}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_with_numbers_of_either_form() {
        let check = |local: &str, expect: i64| {
            let row = format!(
                r#"{{"symbol": "A", "type": "ghost_position", "severity": null, "state": "pending",
                    "local_quantity": {local}, "broker_quantity": "0", "attribution": "unexplained",
                    "directive_id": null, "more": 1}}"#
            );
            let seen: Seen = json("/", &row).unwrap();
            assert_eq!((seen.local_quantity, seen.severity), (expect.into(), None), "{row}");
        };
        check(r#""12.0""#, 12);
        check("-12", -12);
    }
}
