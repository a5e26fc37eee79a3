//! A broker's API with scripted answers, on a free loopback port.
//!
//! Each connection brings one request. Invariant: every wait has a deadline.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use crate::exporter::SOON;
use crate::receiver::{Request, RequestLog, listen, read};

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
    requests: RequestLog,
}

impl ListServer {
    /// Starts a server that answers everything in this way.
    pub(crate) fn start(reply: Reply) -> Self {
        Self::scripted(move |_| reply.clone())
    }

    /// Starts a server whose answer depends on the request.
    pub(crate) fn scripted(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let shared = Arc::new(ServerState {
            script: Mutex::new(Arc::new(script)),
            requests: RequestLog::default(),
        });
        let own = Arc::clone(&shared);
        let address = listen(move |stream| own.serve(stream));
        Self { address, shared }
    }

    /// Answers everything in this way from now on, and returns the number of requests before.
    pub(crate) fn say(&self, reply: Reply) -> usize {
        *self.shared.script.lock().unwrap() = Arc::new(move |_| reply.clone());
        self.shared.requests.len()
    }

    /// Answers as this script says from now on.
    pub(crate) fn script(&self, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    /// Waits until this many requests have arrived. Returns all requests so far.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Request> {
        self.shared.requests.wait_for(count)
    }
}

impl ServerState {
    fn serve(&self, stream: TcpStream) {
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut reader = BufReader::new(stream);
        let Some(request) = read(&mut reader) else { return };
        let script = Arc::clone(&self.script.lock().unwrap());
        let reply = script(&request);
        self.requests.push(request);
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
