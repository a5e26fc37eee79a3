//! Whose turn it is on a connection, and how long that may take.
//!
//! A connection is at a head, at a request, or idle. [`GuardedIo`] reads and writes for hyper and
//! fails with `TimedOut` when a head, an idle time, or a peer that takes nothing of its answer
//! lasts too long. hyper's own `header_read_timeout` cannot tell an idle connection from a slow
//! head: it begins when the answer before it ends. Deliberately absent: a deadline while a request
//! is under way, which is the business of whoever reads its body.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::serve::ServeLimits;
use crate::clock;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Turn(AtomicU8);

const AT_HEAD: u8 = 0;
const AT_REQUEST: u8 = 1;
const IDLE: u8 = 2;

impl Turn {
    /// A whole head has come.
    pub(super) fn begin(&self) {
        self.0.store(AT_REQUEST, Ordering::Release);
    }

    /// The answer has been handed over.
    fn end(&self) {
        self.0.store(IDLE, Ordering::Release);
    }

    /// Bytes have come; on an idle connection they begin a head.
    fn bytes_came(&self) {
        self.0.compare_exchange(IDLE, AT_HEAD, Ordering::AcqRel, Ordering::Acquire).ok();
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }
}

/// The body of an answer; its end is the end of the turn.
#[derive(Debug)]
pub(super) struct TrackedBody<B> {
    body: B,
    turn: Arc<Turn>,
}

impl<B> TrackedBody<B> {
    /// Ends the turn when `body` is dropped: sent to its end, or given up.
    pub(super) const fn new(body: B, turn: Arc<Turn>) -> Self {
        Self { body, turn }
    }
}

impl<B> Drop for TrackedBody<B> {
    fn drop(&mut self) {
        self.turn.end();
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

/// A stream whose reads and writes fail when they last too long.
#[derive(Debug)]
pub(super) struct GuardedIo<T> {
    io: T,
    turn: Arc<Turn>,
    header_timeout: Duration,
    idle_timeout: Duration,
    /// The turn that `reading` was set for.
    set_for: Option<u8>,
    reading: Option<Pin<Box<Sleep>>>,
    /// Set while the peer takes nothing.
    writing: Option<Pin<Box<Sleep>>>,
}

impl<T> GuardedIo<T> {
    /// Guards `io`; `turn` is told of requests and answers.
    pub(super) fn new(io: T, turn: Arc<Turn>, limits: &ServeLimits) -> Self {
        Self {
            io,
            turn,
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            set_for: None,
            reading: None,
            writing: None,
        }
    }

    /// Sets the deadline anew when the turn has changed, and fails when it has passed.
    fn poll_reading(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let turn = self.turn.get();
        if self.set_for != Some(turn) {
            self.set_for = Some(turn);
            let timeout = match turn {
                AT_HEAD => self.header_timeout,
                IDLE => self.idle_timeout,
                _ => return Poll::Pending,
            };
            self.set_reading(timeout);
        }
        if turn == AT_REQUEST {
            return Poll::Pending;
        }
        let Some(deadline) = &mut self.reading else { return Poll::Pending };
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Sets the deadline of reading. The timer is kept: to move it back costs next to nothing, to
    /// make and to drop one for each request a tenth of all that the server does for it.
    fn set_reading(&mut self, timeout: Duration) {
        match &mut self.reading {
            Some(timer) => timer.as_mut().reset((clock::monotonic() + timeout).into()),
            None => self.reading = Some(Box::pin(tokio::time::sleep(timeout))),
        }
    }

    /// Passes on what a write said; a write that waits too long fails.
    fn poll_writing(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.writing = None;
            // An answer that is still being taken is no idle time.
            if self.set_for == Some(IDLE) {
                self.set_for = None;
            }
            return written;
        }
        let idle_timeout = self.idle_timeout;
        let deadline =
            self.writing.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle_timeout)));
        ready!(deadline.as_mut().poll(context));
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
                    self.turn.bytes_came();
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
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
