//! What the accept loop serves: the routes, and one way past the router.
//!
//! Plain requests with events are nearly all that an exporter gets, and the router with its layers,
//! each a boxed service that is cloned for every request, costs as much as to decode, write down and
//! fold an event. So they go straight through the functions that the layers call, in the same order:
//! an event that comes alone takes 0.8 of the instructions, from socket to socket. Everything
//! else, events with an encoded body too, goes through the router. Invariant: both ways give the
//! same answer (a test sends the same requests both ways).

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use hyper::body::Incoming;
use tower::Service;

use crate::api::events::{self, EVENTS_PATH};
use crate::api::{AppState, auth, body, layers, router, routes};

/// The service of a connection; clones are the same.
#[derive(Clone)]
pub struct Front {
    app: AppState,
    router: Router,
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").field("app", &self.app).finish_non_exhaustive()
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl Front {
    /// The service of every path.
    #[must_use]
    pub fn new(app: AppState) -> Self {
        Self { router: router(app.clone()), app }
    }

    fn answer(&self, request: Request) -> Answer {
        if is_plain_ingest(&request) {
            return Box::pin(ingest(self.app.clone(), request).map(Ok));
        }
        Box::pin(self.router.clone().call(request))
    }
}

impl hyper::service::Service<hyper::Request<Incoming>> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: hyper::Request<Incoming>) -> Answer {
        self.answer(request.map(Body::new))
    }
}

/// Whether a request brings events in a body that is not encoded.
fn is_plain_ingest(request: &Request) -> bool {
    request.method() == Method::POST
        && request.uri().path() == EVENTS_PATH
        && !request.headers().contains_key(header::CONTENT_ENCODING)
}

/// What [`router`] does with such a request.
fn ingest(app: AppState, request: Request) -> impl Future<Output = Response> {
    let held = app.clone();
    let answer = |request: Request| async move {
        let app = &held;
        let caller = match auth::authorize(app, routes::INGEST, request.headers()) {
            Ok(caller) => caller,
            Err(problem) => return problem.into_response(),
        };
        match body::bound_encoded(app, request) {
            Ok(request) => events::ingest(app, &caller, request).await.into_response(),
            Err(problem) => problem.into_response(),
        }
    };
    layers::around(app, EVENTS_PATH, request, answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::future::ready;
    use std::io;
    use std::sync::Arc;

    use arc_swap::ArcSwap;
    use axum::http::{HeaderMap, StatusCode};
    use bytes::Bytes;
    use futures_util::{StreamExt, stream};
    use http_body_util::BodyExt;

    use crate::api::Code;
    use crate::config::{Config, Environment};
    use crate::domain::monitor::Monitor;
    use crate::domain::settings::Settings;
    use crate::engine::Handle;
    use crate::metrics::{Build, Runtime};

    /// Tokens are `password` for ingest alone, `123456` to read alone.
    const CONFIG: &str = "
web:
  body_bytes_max: 2KiB
tokens:
  - {name: engine, scopes: [ingest],
     sha256: 5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8}
  - {name: desk, scopes: [read],
     sha256: 8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92}
";

    const ENGINE: (&str, &str) = ("authorization", "Bearer password");
    const JSON: (&str, &str) = ("content-type", "application/json");
    const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

    fn front() -> Front {
        let config = Config::parse(CONFIG, &Environment::default()).unwrap();
        let build = Build { version: "0", revision: "0", rustversion: "0" };
        let engine = Handle::new(Monitor::new(Arc::new(Settings::default())));
        Front::new(AppState::new(
            engine,
            Arc::new(ArcSwap::from_pointee(config)),
            Arc::new(Runtime::new(&build).unwrap()),
            Arc::new(|_| Box::pin(async { Ok(()) })),
            || (),
            7,
        ))
    }

    /// What a client sees of an answer, and what the log does.
    #[derive(Debug, PartialEq)]
    struct Seen {
        status: StatusCode,
        headers: HeaderMap,
        code: Option<Code>,
        body: String,
    }

    async fn seen(answer: impl Future<Output = Result<Response, Infallible>>) -> Seen {
        let (mut parts, body) = answer.await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        // The router sets it; hyper does when it sends an answer that has none.
        if let Some(length) = parts.headers.remove(header::CONTENT_LENGTH) {
            assert_eq!(length, body.len().to_string());
        }
        let code = parts.extensions.get::<Code>().copied();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Seen { status: parts.status, headers: parts.headers, code, body }
    }

    fn heartbeat(id: &str) -> String {
        format!(
            r#"{{"type":"heartbeat","account":"paper","component":"engine","event_id":"{id}","time":"2026-11-22T15:00:00Z"}}"#
        )
    }

    fn post(target: &str, headers: &[(&str, &str)], body: Body) -> Request {
        let request = Request::post(target);
        let add = |request: axum::http::request::Builder, (name, value): &(&str, &str)| {
            request.header(*name, *value)
        };
        headers.iter().fold(request, add).body(body).unwrap()
    }

    /// Both ways, each into an exporter of its own, which gets all requests in turn.
    struct Ways {
        front: Front,
        routed: Front,
    }

    impl Ways {
        async fn check(&self, request: impl Fn() -> Request, expect: u16) {
            assert!(is_plain_ingest(&request()), "{:?} goes past the router", request());
            let past = seen(self.front.answer(request())).await;
            let routed = seen(self.routed.router.clone().call(request())).await;
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
        let ways = Ways { front: front(), routed: front() };
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
        let ways = Ways { front: front(), routed: front() };
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
    async fn the_rest_goes_through_the_router() {
        let front = front();
        let check = async |request: Request, expect: u16| {
            assert!(!is_plain_ingest(&request), "{request:?}");
            let found = seen(front.answer(request)).await;
            assert_eq!(found.status, expect, "{found:?}");
        };
        let encoded = ("content-encoding", "gzip");
        check(post(EVENTS_PATH, &[ENGINE, JSON, encoded], Body::from("{}")), 400).await;
        check(Request::get(EVENTS_PATH).body(Body::empty()).unwrap(), 405).await;
        check(Request::get("/-/healthy").body(Body::empty()).unwrap(), 200).await;
        check(post("/api/v1/event", &[ENGINE, JSON], Body::from("{}")), 404).await;
    }
}
