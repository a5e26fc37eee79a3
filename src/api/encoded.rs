//! Decompression for those bodies that are compressed, and nothing in the way of the others.
//!
//! The layer of `tower_http` wraps every body and every answer in boxes, encoded or not, which
//! costs a plain request a tenth of its instructions. Here it stands beside the plain way.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use tokio_util::either::Either;
use tower::{Layer, Service};
use tower_http::decompression::RequestDecompression;

/// Decompresses bodies that say how they are encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecompressEncoded;

/// The same route twice: with decompression before it, and without.
#[derive(Clone, Debug)]
pub(super) struct Decompressing {
    plain: Route,
    encoded: RequestDecompression<Route>,
}

impl Layer<Route> for DecompressEncoded {
    type Service = Decompressing;

    fn layer(&self, route: Route) -> Decompressing {
        Decompressing { plain: route.clone(), encoded: RequestDecompression::new(route) }
    }
}

type Answer = Result<Response, Infallible>;

impl Service<Request> for Decompressing {
    type Response = Response;
    type Error = Infallible;
    type Future =
        Either<<Route as Service<Request>>::Future, Pin<Box<dyn Future<Output = Answer> + Send>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A route always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if !request.headers().contains_key(header::CONTENT_ENCODING) {
            return Either::Left(self.plain.call(request));
        }
        let answer = self.encoded.call(request);
        Either::Right(Box::pin(async move { Ok(answer.await.into_response()) }))
    }
}
