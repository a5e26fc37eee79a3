//! The steps of a request before its route: the rate limit, and the prefix of paths.
//!
//! Input: a request and the configuration in force. Output: the request as the routes know it, or a
//! refusal. Invariants: with neither a rate limit nor a prefix, nothing of this runs; the rate limit
//! counts requests without a known token, and exists only where there are tokens or users, so it never
//! delays an engine or a halt; it does not count probes of the process. Deliberately absent: who may
//! call a route (see `auth`), and passwords of users (see `passwords`).

use std::future::ready;
use std::time::Instant;

use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use tracing::Instrument;

use crate::api::problem::{Problem, ProblemCode};
use crate::api::{AppState, auth, drain, layers};
use crate::clock;
use crate::config::{Config, RateLimit};

/// Paths that supervisors and load balancers ask for: refusing one would restart the process.
const PROBES: [&str; 2] = ["/-/healthy", "/-/ready"];

/// The state of these steps. Connections share it.
#[derive(Default)]
pub(super) struct RequestFront {
    bucket: Mutex<Option<TokenBucket>>,
}

/// The result of these steps.
pub(super) enum FrontVerdict {
    /// The request as the routes know it.
    Routed(Request),
    /// The request as it came, and the answer that it gets instead of a route's.
    Refused(Request, Response),
}

impl RequestFront {
    /// Applies the prefix, then the rate limit.
    pub(super) fn admit(
        &self,
        app: &AppState,
        config: &Config,
        mut request: Request,
    ) -> FrontVerdict {
        let place = below(&config.web.route_prefix, request.uri());
        let is_probe = match &place {
            BelowPrefix::Whole => PROBES.contains(&request.uri().path()),
            BelowPrefix::Inside(uri) => PROBES.contains(&uri.path()),
            BelowPrefix::Root(_) | BelowPrefix::Outside => false,
        };
        if !is_probe && let Err(problem) = self.check_rate(app, config, request.headers()) {
            return FrontVerdict::Refused(request, problem.into_response());
        }
        match place {
            BelowPrefix::Whole => {}
            BelowPrefix::Inside(uri) => *request.uri_mut() = uri,
            BelowPrefix::Root(target) => return FrontVerdict::Refused(request, redirect(target)),
            BelowPrefix::Outside => {
                let detail = format!("everything is served below {}/", config.web.route_prefix);
                let problem = Problem::new(ProblemCode::UnknownPath, detail);
                return FrontVerdict::Refused(request, problem.into_response());
            }
        }
        FrontVerdict::Routed(request)
    }

    /// # Errors
    /// `rate_limited`, for a request without a known token.
    fn check_rate(
        &self,
        app: &AppState,
        config: &Config,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let Some(limit) = config.web_file.rate_limit else { return Ok(()) };
        if auth::known_token(&config.tokens, headers).is_some() {
            return Ok(());
        }
        let now = clock::monotonic();
        let mut bucket = self.bucket.lock();
        let current = bucket.take_if(|bucket| bucket.limit == limit);
        let bucket = bucket.insert(current.unwrap_or_else(|| TokenBucket::full(limit, now)));
        if bucket.take(now) {
            return Ok(());
        }
        app.runtime.web.rate_limited.inc();
        Err(Problem::new(ProblemCode::RateLimited, "the rate limit for requests without a token"))
    }
}

/// Adds the headers of the web configuration file, in place of the exporter's own.
pub(super) fn add_headers(config: &Config, response: &mut Response) {
    for (name, value) in &config.web_file.headers {
        response.headers_mut().insert(name, value.clone());
    }
}

/// Answers a request that no route gets: with an id and a log line, and after the rest of its body.
pub(super) async fn refuse(app: AppState, request: Request, refusal: Response) -> Response {
    let id = layers::request_id(&app, request.headers());
    let span = layers::span(Some(&id), request.method(), "none");
    let started = clock::monotonic();
    let answer = async {
        let mut response = drain::drained(&app, request, |_| ready(refusal)).await;
        layers::secure(response.headers_mut(), Some(id));
        layers::log(&app, &response, clock::monotonic().saturating_duration_since(started));
        response
    };
    answer.instrument(span).await
}

fn redirect(target: String) -> Response {
    let location = HeaderValue::try_from(target);
    invariant!(location.is_ok(), "a checked prefix is a header value");
    let location = location.unwrap_or_else(|_| HeaderValue::from_static("/"));
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
}

/// The place of a path, relative to the prefix.
#[derive(Debug, PartialEq, Eq)]
enum BelowPrefix {
    /// There is no prefix.
    Whole,
    /// Below it: the path after the prefix.
    Inside(Uri),
    /// The prefix itself, or the root of the server: the page is at this path.
    Root(String),
    Outside,
}

fn below(prefix: &str, uri: &Uri) -> BelowPrefix {
    if prefix.is_empty() {
        return BelowPrefix::Whole;
    }
    let text = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if uri.path() == prefix || uri.path() == "/" {
        return BelowPrefix::Root(format!("{prefix}/"));
    }
    let rest = text.strip_prefix(prefix).filter(|rest| rest.starts_with('/'));
    rest.and_then(|rest| rest.parse().ok()).map_or(BelowPrefix::Outside, BelowPrefix::Inside)
}

/// A token bucket: `burst` requests at once, and one more in each interval.
#[derive(Debug)]
struct TokenBucket {
    limit: RateLimit,
    /// The requests that may be answered now: 0 to `burst`.
    left: u32,
    /// When `left` was computed.
    at: Instant,
}

impl TokenBucket {
    const fn full(limit: RateLimit, now: Instant) -> Self {
        Self { limit, left: limit.burst, at: now }
    }

    /// Takes one request, if there is one.
    fn take(&mut self, now: Instant) -> bool {
        let RateLimit { interval, burst } = self.limit;
        let passed = now.saturating_duration_since(self.at).as_nanos();
        let gained = passed.checked_div(interval.as_nanos()).unwrap_or_default();
        let gained = u32::try_from(gained).unwrap_or(u32::MAX);
        if gained >= burst - self.left {
            (self.left, self.at) = (burst, now);
        } else {
            self.left += gained;
            self.at += interval.saturating_mul(gained);
        }
        let is_left = self.left > 0;
        self.left -= u32::from(is_left);
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::Duration;

    #[test]
    fn paths_below_the_prefix_lose_it() {
        let check = |prefix: &str, uri: &str, expect: &BelowPrefix| {
            assert_eq!(&below(prefix, &uri.parse().unwrap()), expect, "{prefix} {uri}");
        };
        let inside = |uri: &str| BelowPrefix::Inside(uri.parse().unwrap());
        check("", "/metrics", &BelowPrefix::Whole);
        check("/x", "/x/metrics", &inside("/metrics"));
        check("/x", "/x/metrics?a=/x/b", &inside("/metrics?a=/x/b"));
        check("/x", "/x/", &inside("/"));
        check("/x", "/x/?a", &inside("/?a"));
        check("/x/y", "/x/y/x/y/z", &inside("/x/y/z"));
        check("/x", "/x", &BelowPrefix::Root("/x/".into()));
        check("/x", "/", &BelowPrefix::Root("/x/".into()));
        check("/x", "/xmetrics", &BelowPrefix::Outside);
        check("/x", "/metrics", &BelowPrefix::Outside);
        check("/x", "/y/x/metrics", &BelowPrefix::Outside);
    }

    #[test]
    fn the_bucket_refills_one_by_one() {
        let start = clock::monotonic();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let limit = RateLimit { interval: Duration::from_millis(100), burst: 3 };
        let mut bucket = TokenBucket::full(limit, start);
        let mut check = |ms: u64, expect: &[bool]| {
            let found: Vec<bool> = expect.iter().map(|_| bucket.take(at(ms))).collect();
            assert_eq!(found, expect, "{ms}");
        };
        check(0, &[true, true, true, false]);
        check(99, &[false]);
        check(100, &[true, false]);
        check(250, &[true, false]);
        check(299, &[false]);
        check(300, &[true, false]);
        check(100_000, &[true, true, true, false]);
        check(50_000, &[false]);
    }
}
