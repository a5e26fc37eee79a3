//! The load generator: connections that each send a request, wait for the answer, and repeat.
//!
//! It uses one thread and raw HTTP/1.1 over persistent connections, to be cheap enough that the server
//! is the bottleneck. Each round reports how busy both sides were, which shows whether it was.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::machine::{Process, own_cpu_seconds};

/// Destination and rate of the requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) connections: u64,
    /// Interval of requests on a connection. Zero: the next one follows immediately.
    pub(crate) pace: Duration,
}

/// The result of one round.
#[derive(Debug)]
pub(crate) struct Round {
    /// Answers with 2xx per second.
    pub(crate) rate: f64,
    /// CPU time of the server per second, 1: one core fully busy.
    pub(crate) server_busy: f64,
    /// CPU time of the load generator per second.
    pub(crate) load_busy: f64,
    /// Sorted.
    latencies_us: Vec<u32>,
}

impl Round {
    /// The quantile `part` (0 to 1) of the latency, in microseconds.
    pub(crate) fn quantile_us(&self, part: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place")]
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let place = (self.latencies_us.len() as f64 * part) as usize;
        f64::from(self.latencies_us.get(place).copied().unwrap_or_default())
    }
}

/// Loads a server for `time`. `bodies` returns the generator of request bodies for a connection.
pub(crate) fn run<B: FnMut(&mut Vec<u8>) + 'static>(
    target: Target,
    server: &Process,
    time: Duration,
    mut bodies: impl FnMut(u64) -> B,
) -> Round {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let before = (Instant::now(), server.cpu_seconds(), own_cpu_seconds());
    let end = before.0 + time;
    let local = LocalSet::new();
    let connections: Vec<_> = (0..target.connections)
        .map(|number| local.spawn_local(connection(target, end, bodies(number))))
        .collect();
    let mut latencies_us = Vec::new();
    local.block_on(&runtime, async {
        for connection in connections {
            latencies_us.extend(connection.await.expect("a connection that answers"));
        }
    });
    let elapsed = before.0.elapsed().as_secs_f64();
    latencies_us.sort_unstable();
    Round {
        rate: count(&latencies_us) / elapsed,
        server_busy: (server.cpu_seconds() - before.1) / elapsed,
        load_busy: (own_cpu_seconds() - before.2) / elapsed,
        latencies_us,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count")]
fn count(of: &[u32]) -> f64 {
    of.len() as f64
}

/// Runs one connection until `end`. Returns the latency of each request in microseconds.
async fn connection(target: Target, end: Instant, mut body: impl FnMut(&mut Vec<u8>)) -> Vec<u32> {
    let mut stream = TcpStream::connect(target.address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket option");
    let (mut request, mut content, mut answer) = (Vec::new(), Vec::new(), Answer::default());
    let mut times = Vec::new();
    loop {
        let started = Instant::now();
        if started >= end {
            return times;
        }
        content.clear();
        body(&mut content);
        request.clear();
        request.extend_from_slice(b"POST ");
        request.extend_from_slice(target.path.as_bytes());
        request.extend_from_slice(b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: ");
        request.extend_from_slice(target.content_type.as_bytes());
        request
            .extend_from_slice(format!("\r\nContent-Length: {}\r\n\r\n", content.len()).as_bytes());
        request.extend_from_slice(&content);
        let sent = Instant::now();
        stream.write_all(&request).await.expect("a sent request");
        answer.read(&mut stream).await;
        times.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
        if !target.pace.is_zero() {
            tokio::time::sleep_until((started + target.pace).into()).await;
        }
    }
}

/// Reads an answer to its end and checks its status.
#[derive(Default)]
pub(crate) struct Answer {
    bytes: Vec<u8>,
}

impl Answer {
    pub(crate) async fn read(&mut self, stream: &mut TcpStream) {
        self.bytes.clear();
        loop {
            let read = stream.read_buf(&mut self.bytes).await.expect("an answer");
            assert!(read > 0, "the server closed the connection");
            if self.is_complete() {
                return;
            }
        }
    }

    fn is_complete(&self) -> bool {
        let end = self.bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let Some((head, body)) = end.and_then(|end| self.bytes.split_at_checked(end + 4)) else {
            return false;
        };
        let head = std::str::from_utf8(head).expect("a head of text");
        let text = String::from_utf8_lossy(body);
        assert!(head.starts_with("HTTP/1.1 20"), "{head}{text}");
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim())
        });
        length.map_or(Ok(0), str::parse::<usize>).expect("a length") <= body.len()
    }
}
