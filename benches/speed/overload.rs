//! The exporter at ten times its capacity: what decisions, health, scrapes and memory do meanwhile.
//!
//! `just bench-overload` (or `cargo bench --bench speed -- overload [SECONDS] [PROGRAM] [CONNECTIONS]
//! [EVENTS]`) measures how many events a second the program accepts from clients that wait for their
//! answers, before and after it offers ten times as many in an open loop, over many connections that
//! never wait. All the time the same probes ask for halts, health and scrapes. It prints one line for
//! each promise of the exporter. Deliberately absent: a comparison, and pinned cores. On a machine with two
//! cores the load competes with the program, so latencies are upper bounds (see `generator`).

#[expect(clippy::indexing_slicing, reason = "places within buffers that it checked")]
mod generator;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use generator::{Offered, Pace};

use crate::machine::{cpu_seconds, own_cpu_seconds};

const SECONDS: u64 = 20;
/// Offered load, in capacities.
const TIMES: u64 = 10;
/// Connections of both runs: nearly as many as a single peer may have.
const CONNECTIONS: usize = 600;
/// Events of one request.
const EVENTS: u64 = 20;
/// Symbols of the state that a scrape shows.
const SYMBOLS: usize = 500;
/// From one answer to a probe to the next request.
const PROBE_PAUSE: Duration = Duration::from_millis(50);
const SCRAPE_PAUSE: Duration = Duration::from_millis(500);

/// A running program, killed at the end.
struct Program {
    child: Child,
    main: SocketAddr,
    decisions: SocketAddr,
    /// Runs so far: the orders of each have ids of their own.
    runs: AtomicU64,
    _directory: tempfile::TempDir,
}

/// The load of one run, and its results.
struct Run {
    offered: Offered,
    /// The times of the answers to each probe.
    probes: Vec<(&'static str, Vec<Duration>)>,
    acknowledged: u64,
    seconds: f64,
    /// CPU time per second of the program and of this process.
    busy: (f64, f64),
}

impl Run {
    /// Accepted requests a second.
    fn rate(&self) -> f64 {
        rate(self.offered.accepted, self.seconds)
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(Duration::from_secs_f64(self.seconds).as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

/// Measures, and prints the lines.
pub(crate) fn measure(rest: &[&str]) {
    let number = |at: usize, default: u64| {
        rest.get(at).map_or(default, |text| text.parse().expect("a number"))
    };
    let (seconds, events) = (number(0, SECONDS), number(3, EVENTS));
    let connections = usize::try_from(number(2, CONNECTIONS as u64)).expect("a number");
    let default = env!("CARGO_BIN_EXE_trading-exporter");
    let program = Program::start(rest.get(1).copied().unwrap_or(default));
    program.fill();
    let request = quotes(events);
    let closed = (connections, Pace::Closed);
    let before = run(&program, &request, closed, seconds.min(10));
    let offer = Pace::Open(before.offered.accepted * TIMES * 1_000 / before.milliseconds());
    let over = run(&program, &request, (connections, offer), seconds);
    // Disk and state change with time: the capacity is that of both sides of the overload.
    let after = run(&program, &request, closed, seconds.min(10));
    let requests = f64::midpoint(before.rate(), after.rate());
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let [capacity, first, last] =
        [requests, before.rate(), after.rate()].map(|rate| rate * events as f64);
    println!(
        "capacity: {capacity:.0} events/s ({first:.0} before, {last:.0} after), {events} a request, {connections} clients that wait"
    );
    print_probes(&before);
    let Offered { due, held_back, accepted, answered } = over.offered;
    println!(
        "offered: {:.1} times the capacity over {connections} connections",
        rate(due, over.seconds) / requests
    );
    println!(
        "requests: {due} due, {held_back} without room in a connection, {answered} answered, {accepted} accepted"
    );
    print_probes(&over);
    println!("goodput / capacity: {:.2} (0.90 and more is the promise)", over.rate() / requests);
    let acknowledged = before.acknowledged + over.acknowledged + after.acknowledged;
    println!("orders acknowledged: {acknowledged}, lost: {}", lost(&program, acknowledged));
    println!("memory: {} MiB at most, of {} MiB", program.kib("VmHWM") >> 10, ceiling_kib() >> 10);
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

fn print_probes(run: &Run) {
    for (name, times) in &run.probes {
        println!("  {name}: {}", describe(times.clone()));
    }
    let (program, load) = run.busy;
    println!("  cores in use: {program:.2} by the program, {load:.2} by this one");
}

/// Loads the program for some seconds, with all probes.
fn run(program: &Program, request: &[u8], load: (usize, Pace), seconds: u64) -> Run {
    let stop = AtomicBool::new(false);
    let process = program.child.id().to_string();
    let busy = || (cpu_seconds(&process), own_cpu_seconds());
    let (started, before) = (Instant::now(), busy());
    thread::scope(|scope| {
        let stop = &stop;
        let offered = scope.spawn(move || generator::run(program.main, request, load, stop));
        let probes = [
            ("halts", program.decisions, halt as fn(u64) -> String, PROBE_PAUSE),
            ("halts (main)", program.main, halt, PROBE_PAUSE),
            ("/-/healthy", program.main, |_| get("/-/healthy"), PROBE_PAUSE),
            ("/-/healthy (decisions)", program.decisions, |_| get("/-/healthy"), PROBE_PAUSE),
            ("/metrics", program.main, |_| get("/metrics"), SCRAPE_PAUSE),
        ];
        let probes = probes.map(|(name, address, request, pause)| {
            scope.spawn(move || (name, probe(address, request, pause, stop)))
        });
        let orders = scope.spawn(move || orders(program, stop));
        thread::sleep(Duration::from_secs(seconds));
        let (seconds, after) = (started.elapsed().as_secs_f64(), busy());
        stop.store(true, Ordering::Relaxed);
        Run {
            offered: offered.join().expect("the generator"),
            probes: probes.map(|probe| probe.join().expect("a probe")).into(),
            acknowledged: orders.join().expect("the sender of orders"),
            seconds,
            busy: ((after.0 - before.0) / seconds, (after.1 - before.1) / seconds),
        }
    })
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
        Self { child, main, decisions, runs: AtomicU64::new(0), _directory: directory }
    }

    /// Gives a scrape something to show: orders of many symbols.
    fn fill(&self) {
        let mut body = String::from("[");
        for n in 0..SYMBOLS {
            let comma = if n == 0 { "" } else { "," };
            write!(
                body,
                r#"{comma}{{"type":"order_submitted","account":"filled","order_id":"{n}","symbol":"F{n}","side":"buy","quantity":1}},{{"type":"order_filled","account":"filled","order_id":"{n}","fill_id":"{n}","price":1}}"#
            )
            .expect("memory");
        }
        let request = post("/api/v1/events", &(body + "]"));
        let mut connection = Connection::open(self.main).expect("a connection");
        assert_eq!(connection.ask(&request), Some(200));
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
fn quotes(events: u64) -> Vec<u8> {
    let mut body = String::from("[");
    for n in 0..events {
        let comma = if n == 0 { "" } else { "," };
        write!(
            body,
            r#"{comma}{{"type":"quote","account":"noisy","symbol":"S{}","bid":1,"ask":2}}"#,
            n % EVENTS
        )
        .expect("memory");
    }
    post("/api/v1/events", &(body + "]")).into_bytes()
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

/// The times of answers to one request after another. A request without an answer, or one that is
/// refused, counts as 20 s.
fn probe(
    address: SocketAddr,
    request: fn(u64) -> String,
    pause: Duration,
    stop: &AtomicBool,
) -> Vec<Duration> {
    let mut times = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let asked = Instant::now();
        let status = Connection::open(address).and_then(|mut c| c.ask(&request(number)));
        let is_answered = status.is_some_and(|status| status < 300);
        times.push(if is_answered { asked.elapsed() } else { Duration::from_secs(20) });
        thread::sleep(pause);
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
fn orders(program: &Program, stop: &AtomicBool) -> u64 {
    let (address, mut acknowledged) = (program.main, 0);
    let run = program.runs.fetch_add(1, Ordering::Relaxed);
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) {
        let body = format!(
            r#"{{"type":"order_submitted","account":"quiet","order_id":"{run}-{acknowledged}","symbol":"Q","side":"buy","quantity":1}}"#
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
