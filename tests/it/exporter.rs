//! The real binary on a free loopback port, and a minimal HTTP client.
//!
//! Invariants: every wait has a deadline; the process does not outlive its test.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use trading_exporter::clock::monotonic;

use crate::child;
pub(crate) use crate::child::BINARY;

/// Generous: the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A running exporter.
pub(crate) struct Exporter {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Log>,
}

/// The log output of the process so far.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Log {
    /// Waits for a line with all of these words.
    fn wait_for(&self, words: &[&str]) -> String {
        let deadline = monotonic() + SOON;
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.iter().find(|l| words.iter().all(|w| l.contains(w))) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(monotonic());
            assert!(!left.is_zero(), "no line with {words:?} in\n{}", lines.join("\n"));
            lines = self.more.wait_timeout(lines, left).unwrap().0;
        }
    }
}

impl Exporter {
    /// Starts it with these arguments on a free port, and waits until it listens. Records are kept
    /// in memory unless the arguments configure the storage.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        let given = |name: &str| arguments.iter().any(|argument| argument.starts_with(name));
        if !given("--storage.") {
            command.arg("--storage.mode=memory");
        }
        if !given("--web.listen-address") {
            command.arg("--web.listen-address=127.0.0.1:0");
        }
        command.args(arguments);
        Self::spawn(command)
    }

    /// Starts a command, and waits until it listens.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        let (stderr, filled) = (child.stderr.take().unwrap(), Arc::clone(&log));
        let reader = std::thread::Builder::new().spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                filled.lines.lock().unwrap().push(line);
                filled.more.notify_all();
            }
        });
        reader.unwrap();
        let line = log.wait_for(&["listening address="]);
        let address = line.rsplit("address=").next().unwrap().trim().parse().unwrap();
        Self { child, address, log }
    }

    /// Waits for a line of the log with all of these words.
    pub(crate) fn wait_for_log(&self, words: &[&str]) -> String {
        self.log.wait_for(words)
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lines.lock().unwrap().join("\n")
    }

    /// Sends a signal by its name, like `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        child::signal(&self.child, name);
    }

    /// A figure of the process in KiB, from `/proc/PID/status`, like `VmHWM`.
    pub(crate) fn status_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// A GET on a new connection.
    pub(crate) fn get(&self, path: &str) -> Answer {
        Client::connect(self.address).send("GET", path, "")
    }

    /// A POST of JSON on a new connection.
    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        Client::connect(self.address).send("POST", path, body)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Waits for the end of a process.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    child::wait(child, SOON)
}

/// Runs the binary to its end. Returns exit code, stdout and stderr.
pub(crate) fn run(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = Command::new(BINARY);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let status = wait(&mut child);
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (status.code().unwrap(), out, err)
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// A stream of either transport.
pub(crate) trait Transport: Read + Write + Send {}

impl<T: Read + Write + Send> Transport for T {}

/// One connection that is kept alive.
pub(crate) struct Client {
    stream: BufReader<Box<dyn Transport>>,
    token: Option<String>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, SOON).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        Self::over(stream)
    }

    /// Uses a connection that is open.
    pub(crate) fn over(stream: impl Transport + 'static) -> Self {
        Self { stream: BufReader::new(Box::new(stream)), token: None }
    }

    /// Uses this bearer token from now on.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Sends a request and reads the answer. Panics if there is none.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: &str) -> Answer {
        self.try_send(method, path, body).expect("no answer")
    }

    /// Sends a request and reads the answer. `None` if the connection ends before its first byte. Panics
    /// if the answer is incomplete.
    pub(crate) fn try_send(&mut self, method: &str, path: &str, body: &str) -> Option<Answer> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        if let Some(token) = &self.token {
            write!(request, "authorization: Bearer {token}\r\n").unwrap();
        }
        write!(request, "content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len())
            .unwrap();
        request.push_str(body);
        self.stream.get_mut().write_all(request.as_bytes()).ok()?;
        let mut line = String::new();
        // A reset counts as an end.
        self.stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut length = 0;
        loop {
            line.clear();
            assert_ne!(self.stream.read_line(&mut line).unwrap(), 0, "cut off in the head");
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            assert_ne!(header, "transfer-encoding: chunked", "not for this client");
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("cut off in the body");
        Some(Answer { status, body: String::from_utf8(body).unwrap() })
    }
}
