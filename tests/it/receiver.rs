//! A webhook receiver with scripted behaviour, on a free loopback port.
//!
//! Each connection brings one request. Invariant: every wait has a deadline.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use trading_exporter::clock::monotonic;

use crate::exporter::SOON;

/// How a receiver answers.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Answers with this status and these header lines.
    Answer(u16, String),
    /// Reads the request and does not answer.
    Hang,
    /// Reads a part of the request and closes the connection, which resets it.
    Reset,
    /// Sends the head of its answer a byte at a time.
    Trickle,
}

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// A running receiver.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    manner: Mutex<Manner>,
    requests: RequestLog,
}

/// The requests that a server received.
#[derive(Default)]
pub(crate) struct RequestLog {
    requests: Mutex<Vec<Request>>,
    more: Condvar,
}

impl RequestLog {
    pub(crate) fn push(&self, request: Request) {
        self.requests.lock().unwrap().push(request);
        self.more.notify_all();
    }

    pub(crate) fn len(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// Waits until a number of requests have arrived. Returns all requests so far.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Request> {
        let deadline = monotonic() + SOON;
        let mut requests = self.requests.lock().unwrap();
        while requests.len() < count {
            let left = deadline.saturating_duration_since(monotonic());
            assert!(!left.is_zero(), "{} of {count} requests: {requests:?}", requests.len());
            requests = self.more.wait_timeout(requests, left).unwrap().0;
        }
        requests.clone()
    }
}

/// Serves each connection to a free port on a thread of its own. Returns the address.
pub(crate) fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    let accept = move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            thread::Builder::new().spawn(move || serve(stream)).unwrap();
        }
    };
    thread::Builder::new().spawn(accept).unwrap();
    address
}

impl Receiver {
    /// Starts a receiver that answers 204.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared {
            manner: Mutex::new(Manner::Answer(204, String::new())),
            requests: RequestLog::default(),
        });
        let own = Arc::clone(&shared);
        let address = listen(move |stream| own.serve(stream));
        Self { address, shared }
    }

    /// Changes the behaviour from now on.
    pub(crate) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// Waits until a number of requests have arrived. Returns all requests so far.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Request> {
        self.shared.requests.wait_for(count)
    }

    /// Waits for a request whose body contains this text.
    pub(crate) fn wait_for_body(&self, words: &str) -> Request {
        let mut seen = 0;
        loop {
            let requests = self.wait_for(seen + 1);
            seen = requests.len();
            if let Some(found) = requests.into_iter().find(|r| r.body.contains(words)) {
                return found;
            }
        }
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        stream.set_read_timeout(Some(SOON)).unwrap();
        let manner = self.manner.lock().unwrap().clone();
        let mut reader = BufReader::new(stream);
        if matches!(manner, Manner::Reset) {
            // The rest of the request is not read: the kernel answers with a reset.
            let mut line = String::new();
            reader.read_line(&mut line).ok();
            self.requests.push(Request { path: line, ..empty() });
            return;
        }
        let Some(request) = read(&mut reader) else { return };
        self.requests.push(request);
        let mut stream = reader.into_inner();
        match manner {
            Manner::Answer(status, headers) => {
                let answer = format!(
                    "HTTP/1.1 {status} x\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n"
                );
                // The exporter may have given up.
                stream.write_all(answer.as_bytes()).ok();
                stream.shutdown(Shutdown::Write).ok();
            }
            Manner::Hang => wait_for_end(&mut stream),
            Manner::Trickle => trickle(stream),
            Manner::Reset => {}
        }
    }
}

fn empty() -> Request {
    Request { at: monotonic(), path: String::new(), headers: BTreeMap::new(), body: String::new() }
}

/// Reads a complete request. `None` if it is cut off.
pub(crate) fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut request = Request { path: line.split(' ').nth(1)?.to_owned(), ..empty() };
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        request.headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = request.headers.get("content-length").map_or(Some(0), |text| text.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}

fn wait_for_end(stream: &mut TcpStream) {
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|read| read > 0) {}
}

fn trickle(mut stream: TcpStream) {
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    for byte in "HTTP/1.1 204 x\r\nx: ".bytes().chain(std::iter::repeat(b'y')) {
        if stream.write_all(&[byte]).is_err() {
            return;
        }
        // Wait as long as the read may take, unless the exporter has disconnected.
        match stream.read(&mut [0]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => return,
        }
    }
}
