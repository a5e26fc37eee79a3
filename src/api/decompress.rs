//! Request bodies in gzip.
//!
//! `tower_http` decompresses zstd, but not gzip: a gzip file may have several members (`gzip >>
//! spool`, pigz and bgzip write them), and its decoder stops after the first, without an error,
//! whatever follows. Here every member is read, and garbage after the last one is an error.

use async_compression::tokio::bufread::GzipDecoder;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use futures_util::TryStreamExt;
use tokio_util::io::{ReaderStream, StreamReader};

/// Bytes of one decompressed piece.
const PIECE_BYTES: usize = 32 * 1024;

/// Decompresses the body if its encoding is gzip.
pub(super) async fn gunzip(mut request: Request) -> Request {
    let headers = request.headers_mut();
    if headers.get(header::CONTENT_ENCODING).is_none_or(|encoding| encoding != "gzip") {
        return request;
    }
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
    request.map(|body| {
        let pieces = body.into_data_stream().map_err(std::io::Error::other);
        let mut members = GzipDecoder::new(StreamReader::new(pieces));
        members.multiple_members(true);
        Body::from_stream(ReaderStream::with_capacity(members, PIECE_BYTES))
    })
}
