//! The TLS side of a connection: the handshake, before HTTP begins.
//!
//! Input: an accepted stream, and the configuration in force. Output: a stream for HTTP, plain or
//! encrypted; nothing after a failed handshake. Invariants: a handshake runs in the task of its
//! connection and within the time limit of a head; a failed one is counted by its reason; HTTP without
//! TLS gets an answer that names HTTPS. Deliberately absent: certificates (see `crate::config`).

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use crate::config::{Config, TlsServer};
use crate::metrics::{HandshakeFailure, Runtime};

/// The first byte of a TLS handshake (RFC 8446, section 5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// The answer to HTTP on a port of HTTPS.
const USE_HTTPS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
    content-length: 42\r\nconnection: close\r\n\r\nThis port speaks HTTPS: use https:// URLs\n";

/// Bytes that are read of a request that came without TLS, so that its sender gets the answer.
const REFUSED_BYTES_MAX: u64 = 64 * 1024;

/// The longest time for the answer to a request without TLS.
const REFUSAL: Duration = Duration::from_secs(1);

/// A stream for HTTP.
pub(super) type TransportStream = Either<TcpStream, TlsStream<TcpStream>>;

/// The way from an accepted stream to one for HTTP.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    config: Arc<ArcSwap<Config>>,
    runtime: Arc<Runtime>,
}

impl Transport {
    /// With TLS if the configuration has it when a connection begins.
    pub(super) const fn new(config: Arc<ArcSwap<Config>>, runtime: Arc<Runtime>) -> Self {
        Self { config, runtime }
    }

    /// Completes the handshake within `timeout`. None if it failed; the stream is then closed.
    pub(super) async fn open(
        &self,
        stream: TcpStream,
        timeout: Duration,
    ) -> Option<TransportStream> {
        let Some(server) = self.config.load().web_file.tls.as_ref().map(TlsServer::config) else {
            return Some(Either::Left(stream));
        };
        let handshake = tokio::time::timeout(timeout, handshake(server, stream));
        let failure = match handshake.await {
            Ok(Ok(stream)) => return Some(Either::Right(stream)),
            Ok(Err(failure)) => failure,
            Err(_) => HandshakeFailure::Timeout,
        };
        self.runtime.web.handshakes_failed.of(failure).inc();
        tracing::debug!(reason = failure.as_str(), "a TLS handshake failed");
        None
    }
}

async fn handshake(
    server: Arc<rustls::ServerConfig>,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, HandshakeFailure> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(0) | Err(_) => return Err(HandshakeFailure::Disconnected),
        Ok(_) => {}
    }
    let [first] = first;
    if first.is_ascii_uppercase() {
        refuse_plain(stream).await;
        return Err(HandshakeFailure::Plaintext);
    }
    if first != HANDSHAKE_RECORD {
        return Err(HandshakeFailure::Invalid);
    }
    TlsAcceptor::from(server).accept(stream).await.map_err(|error| failure(&error))
}

/// Answers a request without TLS, and for a moment reads the rest of the request. Failures do not matter.
async fn refuse_plain(mut stream: TcpStream) {
    let answer = async {
        stream.write_all(USE_HTTPS).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(REFUSED_BYTES_MAX), &mut tokio::io::sink()).await
    };
    tokio::time::timeout(REFUSAL, answer).await.ok();
}

fn failure(error: &io::Error) -> HandshakeFailure {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match (cause, error.kind()) {
        (
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented),
            _,
        ) => HandshakeFailure::ClientCertificate,
        (Some(rustls::Error::AlertReceived(_)), _) => HandshakeFailure::RefusedByClient,
        (Some(rustls::Error::PeerIncompatible(_)), _) => HandshakeFailure::Incompatible,
        (
            None,
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe,
        ) => HandshakeFailure::Disconnected,
        _ => HandshakeFailure::Invalid,
    }
}
