//! Both ways of a request give the same answer, and what only one of them does.

use super::*;

use std::future::ready;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;

use crate::api::{Lane, ProblemCode};
use crate::config::{Config, Environment, WebFile, WebUser};
use crate::domain::clock::ClockReading;
use crate::domain::monitor::Monitor;
use crate::domain::record::Entry;
use crate::domain::settings::Settings;
use crate::domain::state::TradingState;
use crate::engine::{Handle, NotReady, channel};
use crate::metrics::{Build, Runtime};

/// Tokens are `password` for ingest alone, `123456` to read and scrape, `letmein` to release.
const CONFIG: &str = "
web:
  body_bytes_max: 2KiB
tokens:
  - {name: engine, scopes: [ingest],
     sha256: 5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8}
  - {name: desk, scopes: [read, metrics],
     sha256: 8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92}
  - {name: lead, scopes: [release],
     sha256: 1c8bfe8f801d79745c4631d09fff36c82aa37fc4cce4fc946683d7b336b63032}
";

/// Generous: the machine may be busy.
const SOON: Duration = Duration::from_secs(30);

const ENGINE: (&str, &str) = ("authorization", "Bearer password");
const JSON: (&str, &str) = ("content-type", "application/json");
const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

fn service() -> ApiService {
    let config = Config::parse(CONFIG, &Environment::default()).unwrap();
    service_of(config, Arc::new(|_, _, _| Box::pin(ready(false))))
}

fn service_of(config: Config, check: PasswordCheckFn) -> ApiService {
    service_with(Handle::new(Monitor::new(Arc::new(Settings::default()))), config, check)
}

fn service_with(engine: Handle, config: Config, check: PasswordCheckFn) -> ApiService {
    let build = Build { version: "0", revision: "0", rustversion: "0" };
    ApiService::new(
        AppState::new(
            engine,
            Arc::new(ArcSwap::from_pointee(config)),
            Arc::new(Runtime::new(&build).unwrap()),
            Arc::new(|_| Box::pin(async { Ok(()) })),
            || (),
            7,
        ),
        check,
        [7; 32],
    )
}

/// The parts of an answer that a client or the log sees.
#[derive(Debug, PartialEq)]
struct ObservedAnswer {
    status: StatusCode,
    headers: HeaderMap,
    code: Option<ProblemCode>,
    body: String,
}

async fn observe(answer: impl Future<Output = Result<Response, Infallible>>) -> ObservedAnswer {
    let (mut parts, body) = answer.await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    // The router sets it; hyper does when it sends an answer that has none.
    if let Some(length) = parts.headers.remove(header::CONTENT_LENGTH) {
        assert_eq!(length, body.len().to_string());
    }
    let code = parts.extensions.get::<ProblemCode>().copied();
    let body = String::from_utf8(body.to_vec()).unwrap();
    ObservedAnswer { status: parts.status, headers: parts.headers, code, body }
}

fn heartbeat(id: &str) -> String {
    format!(
        r#"{{"type":"heartbeat","account":"paper","component":"engine","event_id":"{id}","time":"2026-11-22T15:00:00Z"}}"#
    )
}

fn post(target: &str, headers: &[(&str, &str)], body: Body) -> Request {
    let request = Request::post(target).header("host", "localhost");
    let add = |request: axum::http::request::Builder, (name, value): &(&str, &str)| {
        request.header(*name, *value)
    };
    headers.iter().fold(request, add).body(body).unwrap()
}

/// Both ways, each into an exporter of its own, which gets all requests in turn.
struct BothWays {
    direct: ApiService,
    routed: ApiService,
}

impl BothWays {
    async fn check(&self, request: impl Fn() -> Request, expect: u16) {
        assert!(is_plain_ingest(&request()), "{:?} goes past the router", request());
        let past = observe(self.direct.answer(request())).await;
        let routed = observe(self.routed.router.clone().call(request())).await;
        assert_eq!(past, routed, "{:?}", request());
        assert_eq!(past.status, expect, "{past:?}");
    }

    /// With the token of an engine.
    async fn check_body(&self, kind: (&str, &str), body: &str, expect: u16) {
        let request = || post(EVENTS_PATH, &[ENGINE, kind], Body::from(body.to_owned()));
        self.check(request, expect).await;
    }
}

#[tokio::test]
async fn both_ways_give_the_same_answer() {
    let ways = BothWays { direct: service(), routed: service() };
    let (one, two) = (heartbeat("1"), heartbeat("2"));
    let broken = r#"{"type":"heartbeat"}"#;
    ways.check_body(JSON, &one, 200).await;
    ways.check_body(JSON, &one, 200).await;
    ways.check_body(NDJSON, &format!("{one}\n{two}\n"), 200).await;
    ways.check_body(JSON, &format!("[{two},{broken}]"), 207).await;
    ways.check_body(JSON, broken, 422).await;
    ways.check_body(JSON, "{", 400).await;
    ways.check_body(JSON, "", 400).await;
    ways.check_body(("content-type", "text/plain"), &one, 415).await;
    ways.check_body(JSON, &"x".repeat(4096), 413).await;
    ways.check_body(JSON, &"x".repeat(64 * 1024), 413).await;

    let with = |headers: &'static [(&'static str, &'static str)]| {
        let one = one.clone();
        move || post(EVENTS_PATH, headers, Body::from(one.clone()))
    };
    ways.check(with(&[JSON]), 401).await;
    ways.check(with(&[JSON, ("authorization", "Bearer unknown")]), 401).await;
    ways.check(with(&[JSON, ("authorization", "Bearer 123456")]), 403).await;
    ways.check(with(&[JSON, ("authorization", "Basic eDpwYXNzd29yZA==")]), 200).await;
    ways.check(with(&[JSON, ENGINE, ("x-request-id", "mine")]), 200).await;
    ways.check(with(&[JSON, ENGINE, ("x-request-id", "not one")]), 200).await;
    let target = format!("{EVENTS_PATH}?dry_run=1");
    ways.check(|| post(&target, &[JSON, ENGINE], Body::from(one.clone())), 400).await;
}

#[tokio::test]
async fn both_ways_read_bodies_without_a_length_alike() {
    let ways = BothWays { direct: service(), routed: service() };
    let check = async |frame: fn(usize) -> Option<io::Result<Bytes>>, expect| {
        let request = || {
            let frames = stream::iter(0..).scan((), move |(), n| ready(frame(n)));
            post(EVENTS_PATH, &[ENGINE, JSON], Body::from_stream(frames))
        };
        ways.check(request, expect).await;
    };
    check(|n| (n == 0).then(|| Ok(heartbeat("3").into())), 200).await;
    check(|n| (n < 2).then(|| Ok(vec![b' '; 2000].into())), 413).await;
    check(
        |n| Some(if n == 0 { Ok("[".into()) } else { Err(io::ErrorKind::InvalidData.into()) }),
        400,
    )
    .await;
    check(|n| if n == 0 { panic!("a defect") } else { None }, 500).await;
}

#[tokio::test]
async fn other_requests_go_through_the_router() {
    let service = service();
    let check = async |request: Request, expect: u16| {
        assert!(!is_plain_ingest(&request), "{request:?}");
        let found = observe(service.answer(request)).await;
        assert_eq!(found.status, expect, "{found:?}");
    };
    let encoded = ("content-encoding", "gzip");
    check(post(EVENTS_PATH, &[ENGINE, JSON, encoded], Body::from("{}")), 400).await;
    let get = |path| Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
    check(get(EVENTS_PATH), 405).await;
    check(get("/-/healthy"), 200).await;
    check(post("/api/v1/event", &[ENGINE, JSON], Body::from("{}")), 404).await;
}

#[tokio::test]
async fn large_documents_are_compressed_once_for_clients_that_accept_it() {
    let service = service();
    let get = async |path: &str, accept: Option<&str>| {
        let request =
            Request::get(path).header("host", "localhost").header(ENGINE.0, "Bearer 123456");
        let request = match accept {
            Some(accept) => request.header("accept-encoding", accept),
            None => request,
        };
        service.answer(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    let check = async |path: &str, accept: Option<&str>, expect: &[&str]| {
        let response = get(path, accept).await;
        assert_eq!(response.status(), 200, "{path}");
        let encodings = response.headers().get_all("content-encoding");
        assert_eq!(encodings.iter().collect::<Vec<_>>(), expect, "{path} {accept:?}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        if !expect.is_empty() {
            let mut plain = String::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut plain).unwrap();
            assert!(plain.starts_with(['{', '<', '#']), "{path}: {plain}");
        }
    };
    check("/api/v1/openapi.json", Some("gzip"), &["gzip"]).await;
    check("/api/v1/docs", Some("zstd, gzip;q=0.5"), &["gzip"]).await;
    check("/api/v1/openapi.json", None, &[]).await;
    check("/api/v1/openapi.json", Some("br"), &[]).await;
    check("/api/v1/openapi.json", Some("gzip;q=0"), &[]).await;
    check("/api/v1/openapi.json", Some("identity;q=0, *;q=0"), &[]).await;
    check("/metrics", Some("identity;q=0"), &[]).await;
    check("/metrics", Some("gzip"), &["gzip"]).await;
    check("/-/healthy", Some("gzip"), &[]).await;
    let stream = get("/api/v1/stream", Some("gzip")).await;
    assert_eq!(stream.status(), 200);
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    assert!(!stream.headers().contains_key("content-encoding"));
}

#[test]
fn only_json_and_html_are_compressed() {
    let check = |kind: Option<&'static str>, expect: bool| {
        let kind = kind.map(|kind| (header::CONTENT_TYPE, HeaderValue::from_static(kind)));
        let headers: HeaderMap = kind.into_iter().collect();
        let found = is_document(StatusCode::OK, Version::HTTP_11, &headers, &Extensions::new());
        assert_eq!(found, expect, "{headers:?}");
    };
    check(Some("application/json"), true);
    check(Some("text/html; charset=utf-8"), true);
    check(Some("text/event-stream"), false);
    check(Some("text/plain; version=0.0.4; charset=utf-8"), false);
    check(Some("application/problem+json"), false);
    check(None, false);
}

#[tokio::test]
async fn a_delete_has_no_body_to_decompress() {
    let request = Request::delete("/api/v1/series?account=paper")
        .header(ENGINE.0, "Bearer letmein")
        .header("content-encoding", "zstd");
    let answer = observe(service().answer(request.body(Body::empty()).unwrap())).await;
    assert_eq!(answer.status, 400, "neither symbol nor component: {answer:?}");
}

/// The queue of the writer is full: the body is not even looked at.
#[tokio::test]
async fn a_request_that_finds_no_room_is_refused_before_it_is_decoded() {
    let (engine, inbox) = channel(Monitor::new(Arc::new(Settings::default())), 1);
    inbox.open();
    let service =
        service_with(engine.clone(), Config::default(), Arc::new(|_, _, _| Box::pin(ready(false))));
    let check = async |expect: u16| {
        let request = post(EVENTS_PATH, &[JSON], Body::from("{"));
        let found = observe(service.answer(request)).await;
        assert_eq!(found.status, expect, "{found:?}");
    };
    check(400).await;
    let place = engine.reserve(1).unwrap();
    assert_eq!(engine.readiness(), Err(NotReady::Overloaded));
    check(503).await;
    drop(place);
    check(400).await;
    assert_eq!(engine.queue(), (0, 1));
}

/// A check of a password takes a core for a while. A client with one of the last connections must not
/// cause one, nor one that asks the listener for decisions for another path.
#[tokio::test]
async fn no_password_is_checked_for_a_request_that_its_lane_refuses() {
    let users = vec![WebUser { name: "ann".into(), bcrypt: "$2y$12$right".into() }];
    let web_file = Arc::new(WebFile { users, ..WebFile::default() });
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let check: PasswordCheckFn = Arc::new(move |_, _, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        Box::pin(ready(false))
    });
    let service = service_of(Config { web_file, ..Config::default() }, check);
    // ann:wrong
    let basic = ("authorization", "Basic YW5uOndyb25n");
    let check = async |lane: Lane, hosts: &[&str], expect: u16, checks: usize| {
        let service = service.for_origin(Origin { lane, ..Origin::default() });
        let request = Request::get("/metrics").header(basic.0, basic.1);
        let request = hosts.iter().fold(request, |request, host| request.header("host", *host));
        let found = observe(service.answer(request.body(Body::empty()).unwrap())).await;
        assert_eq!(found.status, expect, "{lane:?} {hosts:?}: {found:?}");
        assert_eq!(count.swap(0, Ordering::Relaxed), checks, "{lane:?} {hosts:?}");
    };
    check(Lane::Common, &["localhost"], 401, 1).await;
    check(Lane::Reserve, &["localhost"], 503, 0).await;
    check(Lane::Decisions, &["localhost"], 404, 0).await;
    check(Lane::Common, &[], 400, 0).await;
    check(Lane::Common, &["localhost", "other"], 400, 0).await;
}

/// While the disk hangs, the process is healthy and not ready, no permit is issued, and a halt is neither
/// in force nor acknowledged. Everything that waits is answered when the disk responds again.
#[tokio::test]
async fn while_the_disk_hangs_nothing_is_acknowledged_and_probes_are_answered() {
    let is_past = Arc::new(AtomicBool::new(true));
    let of_writer = Arc::clone(&is_past);
    let minute = Duration::from_mins(1);
    let (engine, disk) = Handle::on_sim_disk(move || {
        let now = clock::reading();
        let age = if of_writer.load(Ordering::Relaxed) { minute } else { Duration::ZERO };
        ClockReading { wall: now.wall.minus(age), ..now }
    })
    .unwrap();
    let config = Config::default();
    let service = service_with(engine.clone(), config, Arc::new(|_, _, _| Box::pin(ready(false))));
    let get = async |path: &str| {
        let request = Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
        observe(service.answer(request)).await
    };
    // The newest record is a minute old when the disk begins to hang.
    engine.submit(vec![Entry::Tick], Vec::new()).await.unwrap();
    is_past.store(false, Ordering::Relaxed);
    disk.hang();
    engine.tick();
    assert!(disk.is_hung_within(SOON));
    let halt = r#"{"account":"paper","reason":"test","actor":"ann"}"#;
    let request = post("/api/v1/halts", &[JSON], Body::from(halt));
    let mut halted = Box::pin(observe(service.answer(request)));
    assert!(futures_util::poll!(&mut halted).is_pending());

    assert_eq!(get("/-/healthy").await.status, 200);
    let waits = get("/-/ready").await;
    assert_eq!(waits.status, 503);
    assert!(waits.body.contains("has accepted no record for 60 s"), "{waits:?}");
    assert_eq!(get("/api/v1/permit?account=paper").await.status, 503);
    assert_eq!(get("/metrics").await.status, 200);
    assert!(futures_util::poll!(&mut halted).is_pending());
    let state = || engine.read(|monitor| monitor.permit("paper").state);
    assert_eq!(state(), TradingState::Active, "it is not in the journal");

    disk.resume();
    assert_eq!(halted.await.status, 201);
    assert_eq!(state(), TradingState::Halted);
    assert_eq!(get("/-/ready").await.status, 200);
    assert_eq!(get("/api/v1/permit?account=paper").await.status, 200);
}
