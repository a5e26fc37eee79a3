//! Decompression for those bodies that are compressed, and nothing in the way of the others.
//!
//! The layer of `tower_http` wraps every body and every answer in boxes, encoded or not, which
//! costs a plain request a tenth of its instructions. Here it stands beside the plain way.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_compression::tokio::bufread::GzipDecoder;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use futures_util::TryStreamExt;
use tokio_util::either::Either;
use tokio_util::io::{ReaderStream, StreamReader};
use tower::{Layer, Service};
use tower_http::decompression::RequestDecompression;

/// Bytes of a piece of a body that comes out of gzip.
const PIECE_BYTES: usize = 32 * 1024;

/// Decompresses bodies that say how they are encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecompressEncoded;

/// The same route twice: with decompression of zstd before it, and without.
#[derive(Clone, Debug)]
pub(super) struct Decompressing {
    plain: Route,
    zstd: RequestDecompression<Route>,
}

impl Layer<Route> for DecompressEncoded {
    type Service = Decompressing;

    fn layer(&self, route: Route) -> Decompressing {
        Decompressing { plain: route.clone(), zstd: RequestDecompression::new(route) }
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
        let encoding = request.headers().get(header::CONTENT_ENCODING);
        let Some(encoding) = encoding else { return Either::Left(self.plain.call(request)) };
        if encoding == "gzip" {
            return Either::Left(self.plain.call(gunzipped(request)));
        }
        let answer = self.zstd.call(request);
        Either::Right(Box::pin(async move { Ok(answer.await.into_response()) }))
    }
}

/// The request with its body as it was before gzip, which may have several members: `gzip >> spool`,
/// pigz and bgzip write them. `tower_http` takes the first and passes over the others, and over garbage
/// behind it; here that is an error.
fn gunzipped(mut request: Request) -> Request {
    request.headers_mut().remove(header::CONTENT_ENCODING);
    request.headers_mut().remove(header::CONTENT_LENGTH);
    request.map(|body| {
        let pieces = body.into_data_stream().map_err(std::io::Error::other);
        let mut members = GzipDecoder::new(StreamReader::new(pieces));
        members.multiple_members(true);
        Body::from_stream(ReaderStream::with_capacity(members, PIECE_BYTES))
    })
}
