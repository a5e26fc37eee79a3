//! The generator of overload: one thread, many connections, requests that are encoded once.
//!
//! Input: an address, a number of connections, and how they send. Output: counts of what was due, sent
//! and answered. Invariants: no call waits, so that one slow connection delays no other; an answer is
//! counted by its status line. Deliberately absent: latencies; other threads measure them.
//!
//! # Design
//! On a machine with two cores the generator competes with the program. So it runs at a low priority
//! ([`NICENESS`]), its requests are bytes that are made once, and it looks at all connections once a
//! millisecond instead of waking up for each answer. The capacity is measured with the same thread, at
//! the same priority, so that both sides of a ratio pay the same.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The priority of the generator's thread; 0 is that of the program.
const NICENESS: i32 = 5;
/// The pause between two looks at the connections.
const PAUSE: Duration = Duration::from_millis(1);
/// The start of a status line, and of the answers that count as accepted.
const STATUS_LINE: &[u8] = b"HTTP/1.1 ";
const ACCEPTED: &[u8] = b"HTTP/1.1 200";

/// When the connections send.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// Each connection sends its next request after the answer to the one before.
    Closed,
    /// Requests a second in all, whatever is answered.
    Open(u64),
}

/// Counts of requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offered {
    /// Requests that were due.
    pub(super) due: u64,
    /// Requests for which no connection had room, because the program does not read on.
    pub(super) held_back: u64,
    /// Answers with status 200, and all answers.
    pub(super) accepted: u64,
    pub(super) answered: u64,
}

/// Sends `request` over `connections` connections until `stop`.
pub(super) fn run(
    address: SocketAddr,
    request: &[u8],
    (connections, pace): (usize, Pace),
    stop: &AtomicBool,
) -> Offered {
    rustix::process::nice(NICENESS).expect("a lower priority");
    let mut all: Vec<Sender> = (0..connections).map(|_| Sender::open(address)).collect();
    let (mut offered, mut next) = (Offered::default(), 0);
    let started = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        match pace {
            Pace::Closed => {
                for sender in all.iter_mut().filter(|sender| sender.unanswered == 0) {
                    offered.due += u64::from(sender.send(request));
                }
            }
            Pace::Open(rate) => {
                let due = started.elapsed().as_millis() * u128::from(rate) / 1_000;
                let mut left = u64::try_from(due).unwrap_or(u64::MAX) - offered.due;
                offered.due += left;
                let mut full = 0;
                while left > 0 && full < connections {
                    next = (next + 1) % connections;
                    let is_sent = all[next].send(request);
                    left -= u64::from(is_sent);
                    full = if is_sent { 0 } else { full + 1 };
                }
                offered.held_back += left;
            }
        }
        for sender in &mut all {
            sender.finish(request);
            sender.read(&mut offered);
        }
        thread::sleep(PAUSE);
    }
    offered
}

/// One connection.
struct Sender {
    address: SocketAddr,
    stream: TcpStream,
    /// Bytes of a request whose rest is not sent yet; 0 at a boundary.
    sent: usize,
    unanswered: u64,
    /// The end of what was read: it may be the start of a status line.
    tail: Vec<u8>,
    is_broken: bool,
}

impl Sender {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("an option of a socket");
        stream.set_nonblocking(true).expect("an option of a socket");
        Self { address, stream, sent: 0, unanswered: 0, tail: Vec::new(), is_broken: false }
    }

    /// Begins another request. False if the rest of the one before, or a byte of this one, has no room.
    fn send(&mut self, request: &[u8]) -> bool {
        if self.is_broken {
            *self = Self::open(self.address);
        }
        if self.sent > 0 || !self.write(request) {
            return false;
        }
        self.unanswered += 1;
        true
    }

    /// Sends the rest of a request.
    fn finish(&mut self, request: &[u8]) {
        if self.sent > 0 && !self.is_broken {
            self.write(request);
        }
    }

    /// Whether a byte was written.
    fn write(&mut self, request: &[u8]) -> bool {
        match self.stream.write(&request[self.sent..]) {
            Ok(written) => {
                self.sent = (self.sent + written) % request.len();
                written > 0
            }
            Err(error) => {
                self.is_broken |= error.kind() != ErrorKind::WouldBlock;
                false
            }
        }
    }

    /// Counts the answers that have arrived.
    fn read(&mut self, offered: &mut Offered) {
        if self.unanswered == 0 || self.is_broken {
            return;
        }
        let mut buffer = [0; 1 << 14];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.is_broken = true,
            Ok(length) => self.count(&buffer[..length], offered),
            Err(error) => self.is_broken |= error.kind() != ErrorKind::WouldBlock,
        }
    }

    fn count(&mut self, bytes: &[u8], offered: &mut Offered) {
        self.tail.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(at) = find(&self.tail, from, STATUS_LINE) {
            let Some(line) = self.tail.get(at..at + ACCEPTED.len()) else { break };
            offered.answered += 1;
            offered.accepted += u64::from(line == ACCEPTED);
            self.unanswered = self.unanswered.saturating_sub(1);
            from = at + ACCEPTED.len();
        }
        let kept = from.max(self.tail.len().saturating_sub(ACCEPTED.len() - 1));
        self.tail.drain(..kept);
    }
}

/// The place of `what` in `bytes`, from `from` on.
fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let first = what[0];
    let mut at = from;
    while let Some(step) = bytes[at..].iter().position(|byte| *byte == first) {
        at += step;
        if bytes.len() < at + what.len() || bytes[at..].starts_with(what) {
            return Some(at);
        }
        at += 1;
    }
    None
}
