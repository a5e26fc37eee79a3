//! `GET /metrics`: what Prometheus scrapes.
//!
//! The state is copied under its lock and encoded after it, piece by piece, with turns for others in
//! between. A token that is confined to accounts
//! gets the series of those alone, and nothing of the exporter itself, whose figures move with
//! accounts that it may not see: the length of its answer says nothing of others.

use std::io::Write;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::clock;
use crate::domain::ids::Account;
use crate::metrics::{Exposition, Format, project, project_accounts};

/// What Prometheus scrapes
///
/// Text 0.0.4 or OpenMetrics 1.0, by `Accept`; compressed by `Accept-Encoding`. A token that is
/// confined to accounts gets the series of those alone.
#[utoipa::path(
    get, path = "/metrics", tag = "process",
    responses(
        (status = 200, description = "All series", content(
            (String = "text/plain; version=0.0.4; charset=utf-8"),
            (String = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        )),
    ),
)]
pub(super) async fn get_metrics(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    let started = clock::monotonic();
    let accept: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let accept = (!accept.is_empty()).then(|| accept.join(","));
    let format = Format::negotiate(accept.as_deref());
    let encoding = Encoding::of(&headers);
    let body = if caller.may_see(Account::ALL) {
        let (depth, limit) = app.engine.queue();
        app.runtime.queue(depth, limit);
        let projection = app.engine.read(project);
        let exposition = Exposition::new(&projection, Some(&app.runtime), format);
        let body = write(&app, exposition, encoding).await;
        app.runtime.scrape_duration(clock::monotonic().saturating_duration_since(started));
        body
    } else {
        let projection = app
            .engine
            .read(|monitor| project_accounts(monitor, |account| caller.may_see(account.as_str())));
        write(&app, Exposition::new(&projection, None, format), encoding).await
    };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if encoding == Encoding::Gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Bytes of text between two turns of others: a tenth of a millisecond, compressed.
const TURN_BYTES: usize = 16 * 1024;

/// Writes the exposition. After every [`TURN_BYTES`] the other tasks of this thread get a turn: an
/// engine must not wait until a scrape is over, nor notice how many series there are. And if then a
/// request waits for the writer, the thread gives way, for they may share a core: the kernel would
/// let a thread that has so much to do run on for some milliseconds.
async fn write(app: &AppState, mut exposition: Exposition<'_>, encoding: Encoding) -> Vec<u8> {
    let mut text = String::with_capacity(2 * TURN_BYTES);
    let room = match encoding {
        Encoding::Identity => exposition.size_bytes(),
        Encoding::Gzip => exposition.size_bytes() / 16,
    };
    let (mut plain, mut gzip) = (Vec::new(), None);
    match encoding {
        Encoding::Identity => plain.reserve(room),
        Encoding::Gzip => {
            gzip = Some(GzEncoder::new(Vec::with_capacity(room), Compression::fast()));
        }
    }
    loop {
        text.clear();
        let is_more = exposition.write_some(&mut text, TURN_BYTES);
        match &mut gzip {
            // Writing to memory cannot fail.
            Some(gzip) => gzip.write_all(text.as_bytes()).unwrap_or_default(),
            None => plain.extend_from_slice(text.as_bytes()),
        }
        if !is_more {
            return gzip.map_or(plain, |gzip| gzip.finish().unwrap_or_default());
        }
        tokio::task::yield_now().await;
        if app.engine.is_waited_for() {
            (app.give_way)();
        }
    }
}

/// How an answer is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// gzip, if the scraper takes it (RFC 9110, section 12.5.3).
    fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT_ENCODING).iter();
        let codings = values.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
        let takes_gzip = codings.map(str::trim).any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
            let weight = weight.trim().strip_prefix("q=").and_then(|q| q.trim().parse().ok());
            name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|q: f32| q > 0.0)
        });
        if takes_gzip { Self::Gzip } else { Self::Identity }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let check = |accept: Option<&'static str>, expect: Encoding| {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accept));
            }
            assert_eq!(Encoding::of(&headers), expect, "{accept:?}");
        };
        check(None, Encoding::Identity);
        check(Some(""), Encoding::Identity);
        check(Some("gzip"), Encoding::Gzip);
        check(Some("zstd, GZIP;q=0.5"), Encoding::Gzip);
        check(Some("gzip;q=0, zstd"), Encoding::Identity);
        check(Some("gzip; q=0.001"), Encoding::Gzip);
        check(Some("gzip;level=9"), Encoding::Identity);
        check(Some("deflate, br"), Encoding::Identity);
    }
}
