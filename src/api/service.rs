//! The way of a request through the API: the order of all that surrounds a handler.
//!
//! | step | what it does |
//! |---|---|
//! | 0 front | the rate limit, the prefix of paths and headers of the web configuration file: `front` |
//! | 1 sensitive header | `Authorization` is hidden in debug output |
//! | 2 request id | the client's, if it is short and plain, or else one of ours; the answer repeats it |
//! | 3 span | method, route and request id; one log line when the answer is ready |
//! | 4 headers | nothing is cached, framed, sniffed or run |
//! | 5 drain | reads the rest of a body that was refused, so that the client can read the answer |
//! | 6 panic net | a handler that panics answers 500, and the connection lives on |
//! | 7 admission | lane and host: [`door::check`]; then the token or user, encoding and size as sent: [`admit`] |
//! | 8 encodings | the body is decompressed; a large JSON or HTML answer is compressed |
//! | 9 handler | reads the body within its own limits of size, time and memory |
//!
//! # Design
//!
//! [`router`] is built of layers of `tower_http`, and serves every route. Plain ingest, `POST` of
//! events that are not compressed, is nearly all of the traffic, and layers are too expensive for
//! it: each route is a boxed service that is cloned for every request, and a request id in an
//! extension or a body in a box is an allocation. [`ingest`] therefore calls the same steps as
//! functions. It skips step 1, since nothing on its way prints headers, and step 8, since its bodies
//! and answers are plain and small. The parts of the steps are shared: [`layers`] has id, span, log
//! line and headers, [`drain`] the drain, [`panicked`] the answer to a panic, [`admit`] the
//! admission. A test sends the same requests both ways and compares the answers.
//!
//! Time limits are not layers: the limit on a body can be reloaded and covers the body as a whole
//! (see `body`), and a client that waits for a permit or follows a stream has chosen its time.
//! `crate::app` limits the time of a head and of an idle connection.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Version, header};
use axum::middleware::{Next, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use futures_util::FutureExt;
use hyper::body::Incoming;
use tower::{Service, ServiceBuilder};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::trace::TraceLayer;
use tracing::{Instrument, Span};

use crate::api::auth::{Access, Caller};
use crate::api::decompress::gunzip;
use crate::api::events::{self, EVENTS_PATH};
use crate::api::front::{self, FrontVerdict, RequestFront};
use crate::api::layers::{self, REQUEST_ID};
use crate::api::metrics::ContentCoding;
use crate::api::origin::Origin;
use crate::api::passwords::{PasswordCheckFn, PasswordChecks};
use crate::api::problem::{Problem, ProblemCode};
use crate::api::routes::{self, ROUTES, Route};
use crate::api::{AppState, auth, body, door, drain};
use crate::clock;

/// Answers that are smaller are sent as they are: a packet more or less is no gain.
const COMPRESSED_BYTES_MIN: u64 = 1024;

/// The service of a connection. Clones share one state.
#[derive(Clone)]
pub(crate) struct ApiService {
    app: AppState,
    router: Router,
    front: Arc<RequestFront>,
    origin: Origin,
}

impl fmt::Debug for ApiService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiService").field("app", &self.app).finish_non_exhaustive()
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl ApiService {
    /// `salt`: secret random bytes, for the digests of passwords.
    pub(crate) fn new(app: AppState, check: PasswordCheckFn, salt: [u8; 32]) -> Self {
        let passwords = Arc::new(PasswordChecks::new(check, salt));
        let (front, origin) = (Arc::default(), Origin::default());
        Self { router: router(&app, &passwords), app, front, origin }
    }

    /// The service of a connection with this origin.
    pub(crate) fn for_origin(&self, origin: Origin) -> Self {
        Self { origin, ..self.clone() }
    }

    fn answer(&self, request: Request) -> Answer {
        let config = self.app.config.load();
        if !config.web_file.has_front() && config.web.route_prefix.is_empty() {
            return self.routed(request);
        }
        let config = Arc::clone(&config);
        let answer = match self.front.admit(&self.app, &config, request) {
            FrontVerdict::Routed(request) => self.routed(request),
            FrontVerdict::Refused(request, refusal) => {
                Box::pin(front::refuse(self.app.clone(), request, refusal).map(Ok))
            }
        };
        Box::pin(answer.map(move |answer| {
            answer.map(|mut response| {
                front::add_headers(&config, &mut response);
                response
            })
        }))
    }

    /// The answer of a route, or of the plain way of events.
    fn routed(&self, mut request: Request) -> Answer {
        if is_plain_ingest(&request) {
            return Box::pin(ingest(self.app.clone(), self.origin, request).map(Ok));
        }
        request.extensions_mut().insert(self.origin);
        Box::pin(self.router.clone().call(request))
    }
}

impl hyper::service::Service<hyper::Request<Incoming>> for ApiService {
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

/// The routes with their layers, outermost first.
fn router(app: &AppState, passwords: &Arc<PasswordChecks>) -> Router {
    let counted = app.clone();
    let around = ServiceBuilder::new()
        .layer(SetSensitiveRequestHeadersLayer::new([header::AUTHORIZATION]))
        // The layer after it keeps an id that is there, and would log and repeat any text.
        .map_request(layers::remove_odd_request_id)
        .layer(SetRequestIdLayer::new(REQUEST_ID, app.clone()))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(|request: &Request| {
                    let route = request.extensions().get::<MatchedPath>();
                    let route = route.map_or("none", MatchedPath::as_str);
                    let id = request.headers().get(REQUEST_ID);
                    layers::span(id, request.method(), route)
                })
                .on_request(())
                .on_response(move |response: &Response, took: Duration, _: &Span| {
                    layers::log(&counted, response, took);
                })
                .on_body_chunk(())
                .on_eos(())
                .on_failure(()),
        )
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .map_response(|mut response: Response| {
            layers::secure(response.headers_mut(), None);
            response
        })
        .layer(from_fn_with_state(app.clone(), drain_layer))
        .layer(CatchPanicLayer::custom(panicked));
    let add = |router: Router<AppState>, route: &Route| {
        router.route(&route.path, layered(app, passwords, route))
    };
    ROUTES
        .iter()
        .fold(Router::new(), add)
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(around)
        .with_state(app.clone())
}

/// A handler with the layers of its route. A layer that is added later runs earlier.
fn layered(
    app: &AppState,
    passwords: &Arc<PasswordChecks>,
    route: &Route,
) -> MethodRouter<AppState> {
    let handler = route.handler();
    let handler = if route.method == Method::GET {
        let predicate = SizeAbove::new(COMPRESSED_BYTES_MIN).and(is_document);
        let compression = CompressionLayer::new().quality(CompressionLevel::Fastest);
        handler
            .route_layer(compression.compress_when(predicate))
            .route_layer(map_request(gzip_or_plain))
    } else if route.method == Method::POST {
        // After `admit` one known encoding is left. gzip is ours, the layer does zstd.
        handler.route_layer(RequestDecompressionLayer::new()).route_layer(map_request(gunzip))
    } else {
        handler
    };
    let admission = (app.clone(), Arc::clone(passwords), route.access);
    handler.route_layer(from_fn_with_state(admission, admission_layer))
}

/// Hides the codings that the client accepts if gzip is none of them. The layer of compression would
/// answer 406 to a client that refuses every coding, even where it compresses nothing; a plain answer
/// is of more use.
async fn gzip_or_plain(mut request: Request) -> Request {
    if ContentCoding::of(request.headers()) == ContentCoding::Identity {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    request
}

/// JSON and HTML. `/metrics` compresses its answer itself, piece by piece; an event stream must
/// not be held back in a compressor.
fn is_document(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    kind.starts_with(b"application/json") || kind.starts_with(b"text/html")
}

async fn drain_layer(State(app): State<AppState>, request: Request, next: Next) -> Response {
    drain::drained(&app, request, |request| next.run(request)).await
}

/// Admits a request to a route. The handler finds the caller as an extension. The door comes before the
/// passwords: a check of one takes a core for a while, and the last connections exist for others.
async fn admission_layer(
    State((app, passwords, access)): State<(AppState, Arc<PasswordChecks>, Access)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let origin = request.extensions().get::<Origin>().copied().unwrap_or_default();
    door::check(&app, origin, &request)?;
    let config = app.config.load_full();
    if let Some(user) = passwords.user_of(&config, access, request.headers()).await? {
        request.extensions_mut().insert(user);
    }
    let (caller, mut request) = admit(&app, access, request)?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Checks a request that passed the door, before a byte of its body is read: who asks, so that a
/// stranger learns nothing more, then the page that sent it, the encoding and the size as sent.
///
/// # Errors
/// See [`auth::authorize`], [`door::check_page`] and [`body::bound_encoded`].
fn admit(
    app: &AppState,
    access: Access,
    mut request: Request,
) -> Result<(Caller, Request), Problem> {
    if matches!(access, Access::Webhook(_)) {
        auth::take_query_token(&mut request);
    }
    let caller = auth::authorize(app, access, request.headers(), request.extensions())?;
    match access {
        // Events have their own rule about media types, which no page may send without asking.
        routes::INGEST => {}
        Access::Webhook(_) => door::check_sender_page(app, &request)?,
        Access::Public
        | Access::Page
        | Access::Probe
        | Access::AnyOf(_)
        | Access::Unconfined(_) => door::check_page(app, &request)?,
    }
    if request.method() != Method::POST {
        return Ok((caller, request));
    }
    Ok((caller, body::bound_encoded(app, request)?))
}

/// Serves plain ingest: the steps of [`router`] in the same order, as functions.
///
/// Hot path. It is not an `async fn`, and neither are the readers of bodies: the future of an
/// `async fn` holds an argument twice once it is moved into the body, and the future that it awaits
/// as well. The futures of a request are nested, so each such step would double what is copied for
/// every request.
fn ingest(app: AppState, origin: Origin, request: Request) -> impl Future<Output = Response> {
    let id = layers::request_id(&app, request.headers());
    let span = layers::span(Some(&id), request.method(), EVENTS_PATH);
    let started = clock::monotonic();
    async move {
        let answer = |request| {
            let answer = AssertUnwindSafe(ingest_admitted(&app, origin, request)).catch_unwind();
            answer.map(|caught| caught.unwrap_or_else(panicked))
        };
        let mut response = drain::drained(&app, request, answer).await;
        layers::secure(response.headers_mut(), Some(id));
        layers::log(&app, &response, clock::monotonic().saturating_duration_since(started));
        response
    }
    .instrument(span)
}

async fn ingest_admitted(app: &AppState, origin: Origin, request: Request) -> Response {
    let admitted = door::check(app, origin, &request);
    match admitted.and_then(|()| admit(app, routes::INGEST, request)) {
        Ok((caller, request)) => events::ingest(app, &caller, request).await.into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// The answer of a handler that panicked. The message goes to the log and not to the client.
fn panicked(defect: Box<dyn Any + Send>) -> Response {
    let message = match defect.downcast::<String>() {
        Ok(text) => *text,
        Err(defect) => defect.downcast_ref::<&str>().copied().unwrap_or_default().to_owned(),
    };
    tracing::error!(message, "a handler panicked");
    Problem::new(ProblemCode::Internal, "a bug in the exporter; its log has the details")
        .into_response()
}

async fn no_such_path() -> Problem {
    Problem::new(ProblemCode::UnknownPath, "there is nothing at this path: see /api/v1/docs")
}

async fn method_not_allowed() -> Problem {
    Problem::new(ProblemCode::MethodNotAllowed, "see the header Allow")
}
