//! The checks of a request before anything else: its lane, its host, and the page that sent it.
//!
//! Input: the head of a request and the origin of its connection. Output: nothing, or the refusal.
//! Invariants: a request of HTTP/1.1 has exactly one `Host`; without tokens only names of this host are
//! served; a web page of another origin decides nothing; the last connections carry decisions, permits
//! and health alone.
//!
//! # Design
//!
//! Without tokens the server trusts everybody on this host, and a browser on this host runs pages of
//! strangers. Such a page can reach the server in two ways. It can have its own name resolved to
//! 127.0.0.1 (DNS rebinding): then the browser sends the page's name as `Host`, which is refused as
//! `foreign_host`. Or it can post across origins: then the browser sends the page's `Origin`, or says so
//! in `Sec-Fetch-Site`, and a decision is refused as `foreign_origin`. Addresses need no list: a page
//! whose address is that of this server was served by it.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use hyper::body::Body as _;

use crate::api::AppState;
use crate::api::origin::{Lane, Origin};
use crate::api::problem::{Problem, ProblemCode};
use crate::config::WebConfig;

/// The paths that the lanes for decisions serve.
const DECISION_PATHS: [&str; 6] = [
    "/api/v1/halts",
    "/api/v1/halts/release",
    "/api/v1/alertmanager",
    "/api/v1/permit",
    "/-/healthy",
    "/-/ready",
];

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks the head of a request.
///
/// # Errors
/// `invalid_host`, `unknown_path` or `overloaded` by its lane, `foreign_host`, and for a request that
/// changes something by itself `foreign_origin` and `unsupported_media_type`.
pub(super) fn check(app: &AppState, origin: Origin, request: &Request) -> Result<(), Problem> {
    let host = host(request)?;
    check_lane(origin.lane, request.uri().path())?;
    let config = app.config.load();
    if config.is_open() {
        check_host(host, &config.web)?;
    }
    Ok(())
}

/// Refuses a decision that a web page of another origin sends.
///
/// # Errors
/// `foreign_origin`; `unsupported_media_type` for a body that a page may send without asking.
pub(super) fn check_page(app: &AppState, request: &Request) -> Result<(), Problem> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    check_sender_page(app, request)?;
    let has_body = request.body().size_hint().exact() != Some(0);
    if has_body && !is_json(request.headers()) {
        let detail = "a decision with a body needs Content-Type: application/json";
        return Err(Problem::new(ProblemCode::UnsupportedMediaType, detail)
            .with_header(header::ACCEPT, HeaderValue::from_static("application/json")));
    }
    Ok(())
}

/// Refuses a request that a web page of another origin sends, whatever its media type. For bodies in the
/// format of another system: every browser names the origin of such a request.
///
/// # Errors
/// `foreign_origin`.
pub(super) fn check_sender_page(app: &AppState, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    if headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site") {
        return Err(foreign_origin("a page of another site"));
    }
    for page in headers.get_all(header::ORIGIN) {
        let is_own = page.to_str().is_ok_and(|page| is_own(page, headers, &app.config.load().web));
        if !is_own {
            return Err(foreign_origin("a page of another origin"));
        }
    }
    Ok(())
}

fn check_lane(lane: Lane, path: &str) -> Result<(), Problem> {
    if lane == Lane::Common || DECISION_PATHS.contains(&path) {
        return Ok(());
    }
    Err(match lane {
        Lane::Common | Lane::Reserve => closing(Problem::new(
            ProblemCode::Overloaded,
            "too many connections: the last ones serve decisions, permits and health alone",
        )),
        Lane::Decisions => Problem::new(
            ProblemCode::UnknownPath,
            "this listener serves decisions, permits and health alone",
        ),
    })
}

/// The host that the request names, with its port. RFC 9112, section 3.2: with none or two of them, the
/// answer is 400.
fn host(request: &Request) -> Result<&[u8], Problem> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.as_bytes(),
        (None, _) if request.version() < Version::HTTP_11 => b"",
        _ => {
            let problem = Problem::new(ProblemCode::InvalidHost, "send exactly one Host header");
            return Err(closing(problem));
        }
    };
    // A target in absolute form goes before the header.
    Ok(request.uri().authority().map_or(named, |authority| authority.as_str().as_bytes()))
}

/// Hot path without tokens: most requests name an address.
fn check_host(host: &[u8], web: &WebConfig) -> Result<(), Problem> {
    if host.is_empty() || host.starts_with(b"localhost:") || host.starts_with(b"127.0.0.1:") {
        return Ok(());
    }
    let name = std::str::from_utf8(host).ok().and_then(|host| host.parse::<Authority>().ok());
    let name = name.as_ref().map(|name| name.host().trim_matches(['[', ']']));
    if name.is_some_and(|name| is_of_this_host(name, web)) {
        return Ok(());
    }
    Err(Problem::new(
        ProblemCode::ForeignHost,
        "without tokens only localhost, addresses and the names in web.hosts are served",
    ))
}

fn is_of_this_host(name: &str, web: &WebConfig) -> bool {
    let is_name = |own: &str| own.eq_ignore_ascii_case(name);
    is_name("localhost")
        || name.parse::<IpAddr>().is_ok()
        || web.hosts.iter().any(|own| is_name(own))
        || external(web).is_some_and(|url| is_name(url.host()))
}

/// The host and port of `web.external_url`.
fn external(web: &WebConfig) -> Option<Authority> {
    let url = web.external_url.as_deref()?.split_once("://")?.1;
    url.split(['/', '?', '#']).next()?.parse().ok()
}

/// Whether the origin of a page is this server, by the name that the request uses or by its public URL.
fn is_own(page: &str, headers: &HeaderMap, web: &WebConfig) -> bool {
    let Some((_, authority)) = page.split_once("://") else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
        || external(web).is_some_and(|own| own.as_str().eq_ignore_ascii_case(authority))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn foreign_origin(sender: &str) -> Problem {
    Problem::new(ProblemCode::ForeignOrigin, format!("{sender} cannot decide anything here"))
}

/// The answer is the last one on its connection.
fn closing(problem: Problem) -> Problem {
    problem.with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

#[cfg(test)]
mod tests {
    use super::*;

    use axum::body::Body;

    #[test]
    fn names_of_other_hosts_are_foreign() {
        let web = WebConfig {
            hosts: vec!["exporter.local".into()],
            external_url: Some("https://trading.example/exporter/".into()),
            ..WebConfig::default()
        };
        let check = |host: &str, expect: bool| {
            assert_eq!(check_host(host.as_bytes(), &web).is_ok(), expect, "{host}");
        };
        for own in [
            "localhost",
            "LocalHost:1",
            "127.0.0.1",
            "127.0.0.1:10471",
            "[::1]:10471",
            "10.0.0.7:80",
            "Exporter.local:10471",
            "trading.example",
        ] {
            check(own, true);
        }
        for foreign in [
            "evil.example",
            "localhost.evil.example:80",
            "127.0.0.1.evil.example",
            "a b",
            "x@y",
            "::",
        ] {
            check(foreign, false);
        }
    }

    #[test]
    fn a_request_names_one_host() {
        let check = |hosts: &[&str], version: Version, expect: Option<&str>| {
            let mut request = Request::get("/").version(version);
            for host in hosts {
                request = request.header("host", *host);
            }
            let request = request.body(Body::empty()).unwrap();
            let host = host(&request).ok().map(|host| std::str::from_utf8(host).unwrap());
            assert_eq!(host, expect, "{hosts:?}");
        };
        check(&["a"], Version::HTTP_11, Some("a"));
        check(&[], Version::HTTP_11, None);
        check(&["a", "a"], Version::HTTP_11, None);
        check(&[], Version::HTTP_10, Some(""));
    }

    #[test]
    fn the_last_connections_serve_decisions_alone() {
        let check = |lane: Lane, path: &str, expect: Option<ProblemCode>| {
            assert_eq!(check_lane(lane, path).err().map(|p| p.code()), expect, "{lane:?} {path}");
        };
        for path in DECISION_PATHS {
            check(Lane::Reserve, path, None);
            check(Lane::Decisions, path, None);
        }
        check(Lane::Common, "/metrics", None);
        check(Lane::Reserve, "/metrics", Some(ProblemCode::Overloaded));
        check(Lane::Decisions, "/api/v1/events", Some(ProblemCode::UnknownPath));
    }
}
