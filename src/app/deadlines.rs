//! The deadlines of a connection, by its phase.
//!
//! A connection is reading a head, serving a request, or idle. [`GuardedIo`] reads and writes for
//! hyper, and fails with `TimedOut` if a head takes too long, an idle connection stays idle, or a peer
//! reads nothing of its answer. hyper's own `header_read_timeout` cannot distinguish an idle
//! connection from a slow head: it starts when the previous answer ends. Deliberately absent: a
//! deadline for a request in progress. The reader of its body has one (see `crate::api`).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::clock;
use crate::metrics::ConnectionClose;

/// The phase of a connection. The service, the body of the answer and the reader of the socket share
/// it, in the task of the connection; the table of connections reads it.
#[derive(Debug)]
pub(super) struct ConnectionPhase {
    phase: AtomicU8,
    /// The number of the last change to or from [`PhaseKind::Idle`], from `turns`.
    since: AtomicU64,
    /// Numbers the changes of all connections of a listener.
    turns: Arc<AtomicU64>,
    /// The deadline that has ended the connection.
    cut_off: AtomicU8,
    /// Whether the answer in progress is a [`crate::api::BulkAnswer`].
    is_bulk: AtomicBool,
}

/// A phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PhaseKind {
    ReadingHead,
    Serving,
    Idle,
}

impl PhaseKind {
    /// Whether no request is in progress.
    pub(super) fn is_waiting(self) -> bool {
        self != Self::Serving
    }
}

const READING_HEAD: u8 = 0;
const SERVING: u8 = 1;
const IDLE: u8 = 2;
const NOT_CUT_OFF: u8 = 0;
const SLOW_HEAD: u8 = 1;
const LONG_IDLE: u8 = 2;
const UNREAD: u8 = 3;

impl ConnectionPhase {
    /// The phase of a new connection. `since` is its number from `turns`.
    pub(super) fn new(turns: Arc<AtomicU64>, since: u64) -> Self {
        let [phase, cut_off] = [READING_HEAD, NOT_CUT_OFF].map(AtomicU8::new);
        let is_bulk = AtomicBool::new(false);
        Self { phase, since: AtomicU64::new(since), turns, cut_off, is_bulk }
    }

    /// The head is complete.
    pub(super) fn begin_request(&self) {
        self.phase.store(SERVING, Ordering::Release);
    }

    /// The answer in progress has to be read at once.
    pub(super) fn begin_bulk(&self) {
        self.is_bulk.store(true, Ordering::Relaxed);
    }

    /// The answer is sent, or given up.
    pub(super) fn end_request(&self) {
        self.is_bulk.store(false, Ordering::Relaxed);
        self.since.store(self.turns.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        self.phase.store(IDLE, Ordering::Release);
    }

    /// Bytes arrived. On an idle connection they start a head.
    fn bytes_arrived(&self) {
        let (old, new) = (Ordering::AcqRel, Ordering::Acquire);
        self.phase.compare_exchange(IDLE, READING_HEAD, old, new).ok();
    }

    fn load(&self) -> u8 {
        self.phase.load(Ordering::Acquire)
    }

    /// The phase, and a number that is lower the longer ago it began.
    pub(super) fn get(&self) -> (PhaseKind, u64) {
        let kind = match self.load() {
            READING_HEAD => PhaseKind::ReadingHead,
            SERVING => PhaseKind::Serving,
            _ => PhaseKind::Idle,
        };
        (kind, self.since.load(Ordering::Relaxed))
    }

    /// The deadline that has ended the connection, if one has.
    pub(super) fn cut_off(&self) -> Option<ConnectionClose> {
        match self.cut_off.load(Ordering::Relaxed) {
            SLOW_HEAD => Some(ConnectionClose::SlowHead),
            LONG_IDLE => Some(ConnectionClose::Idle),
            UNREAD => Some(ConnectionClose::Unread),
            _ => None,
        }
    }

    fn set_cut_off(&self, why: u8) {
        self.cut_off.store(why, Ordering::Relaxed);
    }
}

/// The body of an answer. hyper drops it when it is sent to its end, or given up: that ends the
/// request.
#[derive(Debug)]
pub(super) struct TrackedBody<B> {
    body: B,
    phase: Arc<ConnectionPhase>,
}

impl<B> TrackedBody<B> {
    pub(super) const fn new(body: B, phase: Arc<ConnectionPhase>) -> Self {
        Self { body, phase }
    }
}

impl<B> Drop for TrackedBody<B> {
    fn drop(&mut self) {
        self.phase.end_request();
    }
}

impl<B: Body + Unpin> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The deadlines of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionTimeouts {
    /// From the first byte of a head to its last. For a new connection it counts from the start.
    pub(super) header: Duration,
    /// From an answer to the next head, and from one byte that the peer reads of an answer to the next.
    pub(super) idle: Duration,
    /// From one byte that the peer reads of a scrape to the next.
    pub(super) scrape: Duration,
}

/// A stream whose reads and writes fail after a deadline.
#[derive(Debug)]
pub(super) struct GuardedIo<T> {
    io: T,
    phase: Arc<ConnectionPhase>,
    timeouts: ConnectionTimeouts,
    /// The phase for which `reading` was set.
    set_for: Option<u8>,
    reading: Option<Pin<Box<Sleep>>>,
    /// Set while a write waits for the peer to read.
    writing: Option<Pin<Box<Sleep>>>,
}

impl<T> GuardedIo<T> {
    pub(super) fn new(io: T, phase: Arc<ConnectionPhase>, timeouts: ConnectionTimeouts) -> Self {
        Self { io, phase, timeouts, set_for: None, reading: None, writing: None }
    }

    /// Sets the deadline when the phase has changed, and fails when the deadline has passed.
    fn poll_reading(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let phase = self.phase.load();
        let has_changed = self.set_for.replace(phase) != Some(phase);
        let timeout = match phase {
            READING_HEAD => self.timeouts.header,
            IDLE => self.timeouts.idle,
            _ => return Poll::Pending,
        };
        if has_changed {
            self.set_reading(timeout);
        }
        let Some(deadline) = &mut self.reading else {
            impossible!("entering the phase has set its deadline");
            return Poll::Pending;
        };
        ready!(deadline.as_mut().poll(context));
        self.phase.set_cut_off(if phase == IDLE { LONG_IDLE } else { SLOW_HEAD });
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Sets the deadline of reads. Hot path: the timer is kept and moved, which costs next to nothing
    /// compared with creating and dropping one for each request.
    fn set_reading(&mut self, timeout: Duration) {
        match &mut self.reading {
            Some(timer) => timer.as_mut().reset((clock::monotonic() + timeout).into()),
            None => self.reading = Some(Box::pin(tokio::time::sleep(timeout))),
        }
    }

    /// The result of a write, or a failure if the write has waited too long.
    fn poll_writing(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        // While the peer reads an answer, the connection is not idle: the idle time starts again.
        if written.is_ready() && self.set_for == Some(IDLE) {
            self.set_for = None;
        }
        self.poll_sending(context, written)
    }

    /// The result of sending, or a failure if it has waited too long.
    fn poll_sending<R>(
        &mut self,
        context: &mut Context<'_>,
        sent: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if sent.is_ready() {
            self.writing = None;
            return sent;
        }
        let is_bulk = self.phase.is_bulk.load(Ordering::Relaxed);
        let timeout = if is_bulk { self.timeouts.scrape } else { self.timeouts.idle };
        let deadline = self.writing.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(deadline.as_mut().poll(context));
        self.phase.set_cut_off(UNREAD);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for GuardedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.io).poll_read(context, buffer) {
            Poll::Pending => self.poll_reading(context),
            Poll::Ready(result) => {
                if buffer.filled().len() > before {
                    self.phase.bytes_arrived();
                }
                Poll::Ready(result)
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for GuardedIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.poll_writing(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.poll_writing(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS holds written bytes back until a flush.
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.poll_sending(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.io).poll_shutdown(context);
        self.poll_sending(context, closed)
    }
}
