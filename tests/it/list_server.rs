//! A broker's API with scripted answers, on a free loopback port.
//!
//! Each connection brings one request. Invariant: every wait has a deadline.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use trading_exporter::clock::monotonic;

use crate::exporter::SOON;
use crate::receiver::{Request, read};

/// How a path is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// With this status, these header lines and this body.
    Whole(u16, String, String),
    /// With this body, announced as longer than it is.
    Broken(String),
    /// Not at all.
    Silent,
}

impl Reply {
    /// 200 with a body.
    pub(crate) fn ok(body: &str) -> Self {
        Self::Whole(200, String::new(), body.to_owned())
    }

    /// Another status, with a body.
    pub(crate) fn status(status: u16, body: &str) -> Self {
        Self::Whole(status, String::new(), body.to_owned())
    }
}

/// The answer to a request.
type Script = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A running server.
pub(crate) struct ListServer {
    pub(crate) address: SocketAddr,
    shared: Arc<ServerState>,
}

struct ServerState {
    script: Mutex<Script>,
    requests: Mutex<Vec<Request>>,
    more: Condvar,
}

impl ListServer {
    /// Starts a server that answers everything in this way.
    pub(crate) fn start(reply: Reply) -> Self {
        Self::scripted(move |_| reply.clone())
    }

    /// Starts a server whose answer depends on the request.
    pub(crate) fn scripted(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(ServerState {
            script: Mutex::new(Arc::new(script)),
            requests: Mutex::default(),
            more: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        let accept = move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = Arc::clone(&own);
                thread::Builder::new().spawn(move || own.serve(stream)).unwrap();
            }
        };
        thread::Builder::new().spawn(accept).unwrap();
        Self { address, shared }
    }

    /// Answers everything in this way from now on, and returns the number of requests before.
    pub(crate) fn say(&self, reply: Reply) -> usize {
        *self.shared.script.lock().unwrap() = Arc::new(move |_| reply.clone());
        self.shared.requests.lock().unwrap().len()
    }

    /// Answers as this script says from now on.
    pub(crate) fn script(&self, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    /// Waits until this many requests have arrived. Returns all requests so far.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Request> {
        let deadline = monotonic() + SOON;
        let mut requests = self.shared.requests.lock().unwrap();
        while requests.len() < count {
            let left = deadline.saturating_duration_since(monotonic());
            assert!(!left.is_zero(), "{} of {count} requests: {requests:?}", requests.len());
            requests = self.shared.more.wait_timeout(requests, left).unwrap().0;
        }
        requests.clone()
    }
}

impl ServerState {
    fn serve(&self, stream: TcpStream) {
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut reader = BufReader::new(stream);
        let Some(request) = read(&mut reader) else { return };
        let script = Arc::clone(&self.script.lock().unwrap());
        let reply = script(&request);
        self.requests.lock().unwrap().push(request);
        self.more.notify_all();
        let mut stream = reader.into_inner();
        let (status, headers, body, more) = match reply {
            Reply::Whole(status, headers, body) => (status, headers, body, 0),
            Reply::Broken(body) => (200, String::new(), body, 1),
            Reply::Silent => {
                // Until the exporter gives up.
                stream.read_to_end(&mut Vec::new()).ok();
                return;
            }
        };
        let length = body.len() + more;
        let answer = format!(
            "HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        // The exporter may have given up.
        stream.write_all(answer.as_bytes()).ok();
        stream.shutdown(Shutdown::Write).ok();
    }
}
