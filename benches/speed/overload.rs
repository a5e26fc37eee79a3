//! The exporter at ten times its capacity: what decisions, health, scrapes and memory do meanwhile.
//!
//! `just bench overload` (or `cargo bench --bench speed -- overload [SECONDS] [PROGRAM]`) measures how
//! many events a second the program accepts from clients that wait for their answers, then offers ten
//! times as many in an open loop: senders write on schedule and never wait for an answer. It prints
//! one line for each promise of the exporter. Deliberately absent: a comparison, and pinned cores. On a
//! machine with two cores the load competes with the program, so latencies are upper bounds.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const SECONDS: u64 = 20;
/// Offered load, in capacities.
const TIMES: u64 = 10;
/// Clients that measure the capacity, and senders of the open loop.
const CLIENTS: usize = 16;
const SENDERS: usize = 32;
/// Events of one request.
const EVENTS: u64 = 20;

/// A running program, killed at the end.
struct Program {
    child: Child,
    main: SocketAddr,
    decisions: SocketAddr,
    _directory: tempfile::TempDir,
}

/// Measures, and prints the lines.
pub(crate) fn measure(rest: &[&str]) {
    let seconds = rest.first().map_or(SECONDS, |text| text.parse().expect("a number of seconds"));
    let default = env!("CARGO_BIN_EXE_trading-exporter");
    let program = Program::start(rest.get(1).copied().unwrap_or(default));
    let capacity = capacity(program.main, Duration::from_secs(seconds.min(5)));
    println!("capacity: {capacity} events/s, {EVENTS} a request, {CLIENTS} clients that wait");
    let stop = AtomicBool::new(false);
    let accepted = AtomicU64::new(0);
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            let pace = Duration::from_nanos(
                1_000_000_000 * EVENTS * SENDERS as u64 / (TIMES * capacity).max(1),
            );
            let (stop, accepted) = (&stop, &accepted);
            scope.spawn(move || flood(program.main, pace, stop, accepted));
        }
        let probes = [
            ("halts", program.decisions, halt as fn(u64) -> String),
            ("/-/healthy", program.main, |_| get("/-/healthy")),
            ("/-/healthy (decisions)", program.decisions, |_| get("/-/healthy")),
            ("/metrics", program.main, |_| get("/metrics")),
        ];
        let probes = probes.map(|(name, address, request)| {
            let stop = &stop;
            scope.spawn(move || (name, probe(address, request, stop)))
        });
        let stopped = &stop;
        let orders = scope.spawn(move || orders(program.main, stopped));
        thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        let took = started.elapsed().as_secs_f64();
        for probe in probes {
            let (name, times) = probe.join().expect("a probe");
            println!("{name}: {}", describe(times));
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let goodput = accepted.load(Ordering::Relaxed) as f64 / took / capacity.max(1) as f64;
        println!("goodput / capacity: {goodput:.2} (0.90 and more is the promise)");
        let acknowledged = orders.join().expect("the sender of orders");
        println!("orders acknowledged: {acknowledged}, lost: {}", lost(&program, acknowledged));
    });
    println!("memory: {} MiB at most, of {} MiB", program.kib("VmHWM") >> 10, ceiling_kib() >> 10);
}

impl Program {
    fn start(path: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let free = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("its address")
        };
        let (main, decisions) = (free(), free());
        let child = Command::new(path)
            .arg(format!("--web.listen-address={main}"))
            .arg(format!("--web.decision-listen-address={decisions}"))
            .arg(format!("--storage.path={}", directory.path().join("data").display()))
            .stderr(Stdio::null())
            .spawn()
            .expect("a program that starts");
        let started = Instant::now();
        while TcpStream::connect(main).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "{path} does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Self { child, main, decisions, _directory: directory }
    }

    fn kib(&self, name: &str) -> u64 {
        kib(&format!("/proc/{}/status", self.child.id()), name)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn kib(path: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(path).expect("a file of the kernel");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.and_then(|v| v.trim().trim_end_matches(" kB").parse().ok()).expect("a number")
}

/// Half of the memory of the machine.
fn ceiling_kib() -> u64 {
    kib("/proc/meminfo", "MemTotal") / 2
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

fn halt(number: u64) -> String {
    let body = format!(r#"{{"account":"halted","reason":"number {number}","actor":"bench"}}"#);
    post("/api/v1/halts", &body)
}

/// Events without an identity: cheap to make, and each one is folded.
fn quotes() -> String {
    let mut body = String::from("[");
    for n in 0..EVENTS {
        let comma = if n == 0 { "" } else { "," };
        write!(
            body,
            r#"{comma}{{"type":"quote","account":"noisy","symbol":"S{n}","bid":1,"ask":2}}"#
        )
        .expect("memory");
    }
    post("/api/v1/events", &(body + "]"))
}

/// A connection with answers read one by one.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        Some(Self(BufReader::with_capacity(1 << 16, stream)))
    }

    /// The status of the next answer. `None` at the end of the connection.
    fn answer(&mut self) -> Option<u16> {
        let (mut line, mut length) = (String::new(), 0);
        self.0.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        loop {
            line.clear();
            self.0.read_line(&mut line).ok().filter(|read| *read > 0)?;
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().ok()?;
            }
        }
        let copied = std::io::copy(&mut (&mut self.0).take(length), &mut std::io::sink()).ok()?;
        (copied == length).then_some(status)
    }

    fn ask(&mut self, request: &str) -> Option<u16> {
        self.0.get_mut().write_all(request.as_bytes()).ok()?;
        self.answer()
    }
}

/// Events a second that are accepted from clients that wait for their answers.
fn capacity(address: SocketAddr, time: Duration) -> u64 {
    let accepted = AtomicU64::new(0);
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let (request, mut connection) =
                    (quotes(), Connection::open(address).expect("open"));
                while started.elapsed() < time {
                    assert_eq!(connection.ask(&request), Some(200));
                    accepted.fetch_add(EVENTS, Ordering::Relaxed);
                }
            });
        }
    });
    accepted.into_inner() * 1_000 / u64::try_from(started.elapsed().as_millis()).unwrap_or(1).max(1)
}

/// Writes requests on schedule, whatever comes back; another thread counts what was accepted.
fn flood(address: SocketAddr, pace: Duration, stop: &AtomicBool, accepted: &AtomicU64) {
    let request = quotes();
    while !stop.load(Ordering::Relaxed) {
        let Some(mut answers) = Connection::open(address) else { continue };
        let Ok(mut requests) = answers.0.get_ref().try_clone() else { continue };
        thread::scope(|scope| {
            scope.spawn(|| {
                while let Some(status) = answers.answer() {
                    if status == 200 && !stop.load(Ordering::Relaxed) {
                        accepted.fetch_add(EVENTS, Ordering::Relaxed);
                    }
                }
            });
            let mut due = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                if requests.write_all(request.as_bytes()).is_err() {
                    break;
                }
                due += pace;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            requests.shutdown(std::net::Shutdown::Both).ok();
        });
    }
}

/// The times of answers to one request after another, 20 a second. A request without an answer, or one
/// that is refused, counts as 20 s.
fn probe(address: SocketAddr, request: fn(u64) -> String, stop: &AtomicBool) -> Vec<Duration> {
    let mut times = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let asked = Instant::now();
        let status = Connection::open(address).and_then(|mut c| c.ask(&request(number)));
        let is_answered = status.is_some_and(|status| status < 300);
        times.push(if is_answered { asked.elapsed() } else { Duration::from_secs(20) });
        thread::sleep(Duration::from_millis(50));
    }
    times
}

fn describe(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    let worst = times.last().copied().unwrap_or_default();
    format!("{} asked, median {:?}, p99 {:?}, worst {worst:?}", times.len(), at(50), at(99))
}

/// Sends orders of an account of its own, each until it is acknowledged. Returns how many were.
fn orders(address: SocketAddr, stop: &AtomicBool) -> u64 {
    let mut acknowledged = 0;
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) {
        let body = format!(
            r#"{{"type":"order_submitted","account":"quiet","order_id":"{acknowledged}","symbol":"Q","side":"buy","quantity":1}}"#
        );
        let request = post("/api/v1/events", &body);
        let open = connection.take().or_else(|| Connection::open(address));
        let Some(mut open) = open else { continue };
        let status = open.ask(&request);
        acknowledged += u64::from(status == Some(200));
        connection = status.map(|_| open);
        thread::sleep(Duration::from_millis(5));
    }
    acknowledged
}

/// Acknowledged orders that the counters of the account do not have.
fn lost(program: &Program, acknowledged: u64) -> u64 {
    let mut stream = TcpStream::connect(program.main).expect("a connection");
    let request = get("/metrics").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let of_account = "trading_orders_submitted_total{account=\"quiet\"";
    let line = text.lines().find(|line| line.starts_with(of_account)).unwrap_or("0");
    let value = line.rsplit(' ').next().unwrap_or("0").trim_end_matches(".0");
    acknowledged.saturating_sub(value.parse().unwrap_or(0))
}
