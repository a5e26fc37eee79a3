//! The listener for decisions, served by a thread and a runtime of its own.
//!
//! Input: bound listeners, and the loop that serves them. Output: how the loop drained. Invariants:
//! nothing but decisions, permits and health runs on that thread; the loop ends when its token is
//! cancelled, like that of the main listener. Deliberately absent: what is served (see `serve`).
//!
//! # Design
//! On the threads that everybody shares, a halt waits for its turn among the connections that are ready,
//! several times, and a body of many events takes a turn of tens of milliseconds. The kernel gives a
//! thread that has slept its core at once. One thread is enough: decisions are few and small.

use std::io;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::listen::Listeners;
use super::serve::Drained;

/// Runs `serve` on a thread of its own, with the listeners attached to its runtime. The result is an
/// error if that failed.
pub(super) fn serve_apart<F: Future<Output = Drained>>(
    listeners: Listeners,
    serve: impl FnOnce(Listeners) -> F + Send + 'static,
) -> io::Result<oneshot::Receiver<io::Result<Drained>>> {
    let detached = listeners.detach()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (done, drained) = oneshot::channel();
    thread::Builder::new().name("decisions".into()).spawn(move || {
        let served = runtime.block_on(async { Ok(serve(detached.attach()?).await) });
        // The app may have stopped waiting.
        done.send(served).ok();
        runtime.shutdown_background();
    })?;
    Ok(drained)
}

/// Waits until the thread has drained its connections.
pub(super) async fn drained(served: oneshot::Receiver<io::Result<Drained>>) -> Drained {
    match served.await {
        Ok(Ok(drained)) => return drained,
        Ok(Err(error)) => tracing::error!(%error, "the listener for decisions cannot be served"),
        Err(_) => tracing::error!("the thread of the listener for decisions panicked"),
    }
    Drained::Complete
}
