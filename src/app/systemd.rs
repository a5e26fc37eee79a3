//! The supervisor of the process: readiness, status and watchdog, by the protocol of `sd_notify`.
//!
//! Input: the variables that systemd sets, and the engine. Output: datagrams. Invariants: READY is sent
//! when the journal is open and replayed, and never after STOPPING; WATCHDOG is sent only after the writer has answered, so a writer that
//! hangs is restarted; without a supervisor nothing is sent, and a datagram that cannot be sent
//! delays nothing.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::engine::{Handle, NotReady};

/// The longest interval of datagrams: a new status is shown after at most this time.
const INTERVAL_MAX: Duration = Duration::from_secs(1);
/// The extension of the start, which each second of a replay asks for.
const EXTENSION: Duration = Duration::from_secs(30);

/// The supervisor that started the process, if there is one.
#[derive(Debug, Default)]
pub struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// The supervisor restarts a process that is silent for this long; None: it does not watch.
    watchdog: Option<Duration>,
    /// Whether STOPPING was sent. The lock orders datagrams of two tasks.
    is_stopping: Mutex<bool>,
}

impl Supervisor {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` through `get`. An address that cannot
    /// be used counts as none.
    #[must_use]
    pub fn from_variables(get: impl Fn(&str) -> Option<OsString>) -> Self {
        let number = |name: &str| get(name)?.to_str()?.parse::<u64>().ok();
        let is_mine = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| *micros > 0 && is_mine);
        Self {
            socket: get("NOTIFY_SOCKET").and_then(|path| connect(&path).ok()),
            watchdog: watchdog.map(Duration::from_micros),
            is_stopping: Mutex::default(),
        }
    }

    fn notify(&self, text: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(text.as_bytes(), address) {
            tracing::debug!(%error, "the supervisor was not notified");
        }
    }

    /// Reports that the process is shutting down.
    pub(super) fn stopping(&self) {
        let mut is_stopping = self.is_stopping.lock();
        *is_stopping = true;
        self.notify("STOPPING=1\nSTATUS=draining");
    }

    /// Sends the state of a process that is not shutting down.
    fn notify_running(&self, text: &str) {
        let is_stopping = self.is_stopping.lock();
        if !*is_stopping {
            self.notify(text);
        }
    }

    /// A third of the watchdog's time at most, so that one late datagram is no failure.
    fn interval(&self) -> Duration {
        self.watchdog.map_or(INTERVAL_MAX, |time| (time / 3).min(INTERVAL_MAX))
    }

    /// Sends readiness, status and the watchdog's datagrams until `stop` is cancelled.
    pub(super) async fn inform(&self, handle: &Handle, stop: CancellationToken) {
        if self.socket.is_none() {
            return;
        }
        let mut every = tokio::time::interval(self.interval());
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut is_ready, mut status) = (false, String::new());
        while stop.run_until_cancelled(every.tick()).await.is_some() {
            let readiness = handle.readiness();
            if readiness == Err(NotReady::Starting) {
                let micros = EXTENSION.as_micros();
                let text = format!("EXTEND_TIMEOUT_USEC={micros}\nSTATUS=replaying the journal");
                self.notify_running(&text);
                continue;
            }
            if !is_ready && handle.is_open() {
                self.notify_running("READY=1");
                is_ready = true;
            }
            let now = readiness.map_or_else(|why| format!("not ready: {why}"), |()| "ready".into());
            if now != status {
                self.notify_running(&format!("STATUS={now}"));
                status = now;
            }
            if self.watchdog.is_some() {
                let answered = handle.with_log(|_| Ok(()));
                if stop.run_until_cancelled(answered).await.is_some_and(|result| result.is_ok()) {
                    self.notify("WATCHDOG=1");
                }
            }
        }
    }
}

/// A socket and the address of the supervisor: a path, or `@` and an abstract name.
fn connect(path: &OsString) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match path.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_never_sent_after_stopping() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let inbox = UnixDatagram::bind(&path).unwrap();
        inbox.set_nonblocking(true).unwrap();
        let supervisor = Supervisor::from_variables(|name| {
            (name == "NOTIFY_SOCKET").then(|| path.clone().into_os_string())
        });
        supervisor.notify_running("READY=1");
        supervisor.stopping();
        supervisor.notify_running("READY=1");
        let mut buffer = [0; 100];
        let mut next = || inbox.recv(&mut buffer).map(|length| buffer[..length].to_vec()).ok();
        assert_eq!(next().unwrap(), b"READY=1");
        assert!(next().unwrap().starts_with(b"STOPPING=1"));
        assert_eq!(next(), None);
    }

    /// Datagrams that fed the watchdog, as far as they have arrived.
    fn fed(inbox: &UnixDatagram) -> usize {
        let mut buffer = [0; 100];
        let next = || inbox.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec());
        std::iter::from_fn(next).filter(|text| text == b"WATCHDOG=1").count()
    }

    /// A writer that waits for its disk does not answer, so that systemd restarts the process. Another
    /// engine, whose disk responds, shows that the datagrams would have been sent.
    #[tokio::test]
    async fn a_writer_that_hangs_does_not_feed_the_watchdog() {
        let directory = tempfile::tempdir().unwrap();
        let supervised = |name: &str| {
            let path = directory.path().join(name);
            let inbox = UnixDatagram::bind(&path).unwrap();
            inbox.set_nonblocking(true).unwrap();
            let supervisor = Supervisor::from_variables(|name| match name {
                "NOTIFY_SOCKET" => Some(path.clone().into_os_string()),
                "WATCHDOG_USEC" => Some("3000".into()),
                _ => None,
            });
            let (handle, disk) = Handle::on_sim_disk(crate::clock::reading).unwrap();
            (inbox, supervisor, handle, disk)
        };
        let (one, two) = (supervised("hangs"), supervised("responds"));
        let stop = CancellationToken::new();
        let watched = async {
            let deadline = crate::clock::monotonic() + Duration::from_secs(30);
            let both_feed = async |least: [usize; 2]| {
                let mut found = [0, 0];
                while found.iter().zip(least).any(|(found, least)| *found < least) {
                    assert!(crate::clock::monotonic() < deadline, "{found:?} of {least:?}");
                    tokio::task::yield_now().await;
                    found = [found[0] + fed(&one.0), found[1] + fed(&two.0)];
                }
                found
            };
            both_feed([3, 3]).await;
            one.3.hang();
            one.2.tick();
            assert!(one.3.is_hung_within(Duration::from_secs(30)));
            fed(&one.0);
            let [of_hanging, _] = both_feed([0, 20]).await;
            // One answer of the writer may have been under way.
            assert!(of_hanging <= 1, "{of_hanging}");
            one.3.resume();
            both_feed([3, 3]).await;
            stop.cancel();
        };
        let informing = (one.1.inform(&one.2, stop.clone()), two.1.inform(&two.2, stop.clone()));
        tokio::join!(informing.0, informing.1, watched);
    }

    #[test]
    fn the_variables_of_systemd_are_read() {
        let check = |variables: &[(&str, &str)], is_told: bool, watchdog: Option<Duration>| {
            let found = Supervisor::from_variables(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            });
            assert_eq!((found.socket.is_some(), found.watchdog), (is_told, watchdog));
        };
        check(&[], false, None);
        check(&[("NOTIFY_SOCKET", "/run/x"), ("WATCHDOG_USEC", "0")], true, None);
        check(&[("NOTIFY_SOCKET", "@x")], true, None);
        check(&[("NOTIFY_SOCKET", "")], true, None);
        let pid = std::process::id().to_string();
        let thirty = ("WATCHDOG_USEC", "30000000");
        check(&[thirty], false, Some(Duration::from_secs(30)));
        check(&[thirty, ("WATCHDOG_PID", &pid)], false, Some(Duration::from_secs(30)));
        check(&[thirty, ("WATCHDOG_PID", "1")], false, None);
    }
}
