//! A client of the HTTP API, as an engine uses it: posts events and reads the state.
//!
//! Input: events as JSON. Output: the parts of the answers that the demo needs. Invariant: every
//! rejection is an error, because the demo sends only valid events. Deliberately absent: retries.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::demo::DemoError;
use crate::demo::scenario::{ACCOUNT, ShownDrift};

/// Generous: the server runs in this process.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of one exporter.
#[derive(Clone, Debug)]
pub(crate) struct DemoClient {
    http: reqwest::Client,
    base: String,
}

/// The answer to posted events, as far as the demo needs it.
#[derive(Debug, Deserialize)]
struct ShownIngest {
    rejected: Vec<Value>,
    states: BTreeMap<String, String>,
}

/// The execution quality of an account.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct ShownExecution {
    pub(crate) counters: ShownCounters,
    pub(crate) window: ShownWindow,
}

/// The counters that the demo shows.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct ShownCounters {
    pub(crate) submitted: u64,
}

/// The figures of the rolling window that the demo shows. `None` if there is no sample.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct ShownWindow {
    /// Share of the ended orders that were filled.
    pub(crate) fill_ratio: Option<f64>,
    /// Mean slippage against the expected price; positive = worse.
    pub(crate) slippage_bps: Option<f64>,
}

/// The engine's permit to trade.
#[derive(Debug, Deserialize)]
pub(crate) struct ShownPermit {
    /// `active`, `reducing` or `halted`.
    pub(crate) state: String,
}

impl DemoClient {
    /// A client of the exporter at `base`, such as `http://127.0.0.1:10471`.
    ///
    /// # Errors
    /// [`DemoError::Request`] if no client can be made.
    pub(crate) fn new(base: &str) -> Result<Self, DemoError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .map_err(|source| DemoError::Request { path: base.to_owned(), source })?;
        Ok(Self { http, base: base.to_owned() })
    }

    /// Posts events. Returns the trading state of the account.
    ///
    /// # Errors
    /// [`DemoError::Request`] if there is no answer, [`DemoError::Answer`] if an event is rejected.
    pub(crate) async fn post(&self, events: &[Value]) -> Result<String, DemoError> {
        let path = "/api/v1/events";
        let request = self.http.post(format!("{}{path}", self.base)).json(events);
        let answer = send(path, request).await?;
        let ShownIngest { rejected, states } = json(path, &answer)?;
        if !rejected.is_empty() {
            return Err(DemoError::Answer { path: path.to_owned(), answer });
        }
        Ok(states.get(ACCOUNT).cloned().unwrap_or_default())
    }

    /// The current drifts of the account.
    ///
    /// # Errors
    /// As for [`DemoClient::post`].
    pub(crate) async fn drifts(&self) -> Result<Vec<ShownDrift>, DemoError> {
        self.get(&format!("/api/v1/drift?account={ACCOUNT}")).await
    }

    /// The execution quality of the account.
    ///
    /// # Errors
    /// As for [`DemoClient::post`].
    pub(crate) async fn quality(&self) -> Result<ShownExecution, DemoError> {
        self.get(&format!("/api/v1/execution?account={ACCOUNT}")).await
    }

    /// The engine's permit.
    ///
    /// # Errors
    /// As for [`DemoClient::post`].
    pub(crate) async fn permit(&self) -> Result<ShownPermit, DemoError> {
        self.get(&format!("/api/v1/permit?account={ACCOUNT}")).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, DemoError> {
        let answer = self.text(path).await?;
        json(path, &answer)
    }

    /// A document as text.
    ///
    /// # Errors
    /// As for [`DemoClient::post`].
    pub(crate) async fn text(&self, path: &str) -> Result<String, DemoError> {
        send(path, self.http.get(format!("{}{path}", self.base))).await
    }
}

/// Sends a request. Returns the body of a successful answer.
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
        answer: format!("an unexpected document ({error}): {text}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_from_numbers_and_strings() {
        let check = |local: &str, expect: i64| {
            let row = format!(
                r#"{{"symbol": "A", "type": "ghost_position", "severity": null, "state": "pending",
                    "local_quantity": {local}, "broker_quantity": "0", "attribution": "unexplained",
                    "directive_id": null, "more": 1}}"#
            );
            let seen: ShownDrift = json("/", &row).unwrap();
            assert_eq!((seen.local_quantity, seen.severity), (expect.into(), None), "{row}");
        };
        check(r#""12.0""#, 12);
        check("-12", -12);
    }
}
