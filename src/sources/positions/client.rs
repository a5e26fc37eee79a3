//! The HTTP client of one source.
//!
//! Invariants: those of [`crate::outbound`]; an answer is read up to its bound and no further.

use std::time::Duration;

use reqwest::{Certificate, Client, RequestBuilder, Response};

use super::sign::{SignedRequest, sign};
use super::{PullFailure, beginning};
use crate::config::{ListMethod, ListRequest, PositionSource};
use crate::domain::time::Timestamp;
use crate::outbound::{cause_of, client_builder, retry_after, root_cause};

/// Bytes of an answer that says why there is no list.
const ERROR_BYTES_MAX: usize = 1 << 10;

/// Fetches lists.
#[derive(Debug)]
pub(super) struct ListClient {
    client: Client,
    answer_bytes_max: usize,
}

impl ListClient {
    /// Builds the client of a source. The error is its root cause as text.
    pub(super) fn new(source: &PositionSource) -> Result<Self, String> {
        // The pull has the timeout of the source. That of the client comes later, so that one sentence tells.
        let mut builder = client_builder(source.reach, source.timeout + Duration::from_secs(1));
        if let Some(authorities) = &source.authorities {
            let found = Certificate::from_pem_bundle(authorities);
            for authority in found.map_err(|error| root_cause(&error))? {
                builder = builder.add_root_certificate(authority);
            }
        }
        let client = builder.build().map_err(|error| root_cause(&error))?;
        Ok(Self { client, answer_bytes_max: source.answer_bytes_max })
    }

    /// The answer to a request, if its status is 2xx.
    pub(super) async fn fetch(
        &self,
        list: &ListRequest,
        now: Timestamp,
    ) -> Result<Vec<u8>, PullFailure> {
        let sent = self.request(list, now).send().await;
        let response = sent.map_err(|error| PullFailure::because(cause_of(error)))?;
        let status = response.status().as_u16();
        if !(200..300).contains(&status) {
            return Err(refusal(response, now).await);
        }
        let failed = |why| PullFailure { status: Some(status), ..PullFailure::because(why) };
        match read(response, self.answer_bytes_max).await {
            Ok((answer, true)) => Ok(answer),
            Ok((_, false)) => {
                Err(failed(format!("the answer is larger than {} bytes", self.answer_bytes_max)))
            }
            Err(error) => Err(failed(format!("the answer broke off: {}", cause_of(error)))),
        }
    }

    fn request(&self, list: &ListRequest, now: Timestamp) -> RequestBuilder {
        let SignedRequest { url, headers, body } = sign(list, now);
        let mut request = match list.method {
            ListMethod::Get => self.client.get(url),
            ListMethod::Post => self.client.post(url),
        };
        let own = list.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signed = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut has_type = false;
        for (name, value) in own.chain(signed) {
            has_type |= name.eq_ignore_ascii_case("content-type");
            request = request.header(name, value);
        }
        if let Some((user, password)) = &list.basic {
            request = request.basic_auth(user, Some(password.as_str()));
        }
        if !body.is_empty() {
            if !has_type {
                request = request.header("content-type", "application/json");
            }
            request = request.body(body);
        }
        request.header("accept", "application/json")
    }
}

/// An answer up to `bytes_max` bytes, and whether that is all of it.
async fn read(mut response: Response, bytes_max: usize) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = bytes_max.saturating_sub(answer.len());
        answer.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if chunk.len() > room {
            return Ok((answer, false));
        }
    }
    Ok((answer, true))
}

/// The failure of an answer with another status.
async fn refusal(response: Response, now: Timestamp) -> PullFailure {
    let status = response.status().as_u16();
    let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let retry_after = asked.and_then(|text| retry_after(text, now));
    let body = read(response, ERROR_BYTES_MAX).await.map(|(body, _)| body).unwrap_or_default();
    let why = format!("answered {status}, which begins {}", beginning(&body));
    PullFailure { why, status: Some(status), retry_after }
}
