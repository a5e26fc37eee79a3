//! Servers of the tests of feeds: on loopback, in a directory of their own.
//!
//! Invariant: a server that cannot be started fails the test. `tests/run` installs them.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use trading_exporter::clock::monotonic;

use crate::child;
use crate::exporter::{SOON, wait};

/// A port that nobody uses now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A command whose program may be where programs of administrators are.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new("sh");
    // Not under the clock of `tests/run later`: it deadlocks with the allocator of Redis.
    command.env_remove("LD_PRELOAD");
    command.args(["-c", "PATH=$PATH:/usr/sbin; exec \"$0\" \"$@\"", program]);
    command
}

/// A running server.
pub(crate) struct Server(Child);

impl Server {
    /// Starts a program, and waits until `is_up`.
    pub(crate) fn start(program: &str, arguments: &[&str], is_up: impl Fn() -> bool) -> Self {
        let mut command = command(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Self(command.spawn().unwrap());
        let deadline = monotonic() + SOON;
        while !is_up() {
            let ended = server.0.try_wait().unwrap();
            assert!(ended.is_none(), "{program} does not start: `tests/run tools` installs it");
            assert!(monotonic() < deadline, "{program} does not answer");
        }
        server
    }

    /// Stops it in order.
    pub(crate) fn stop(mut self) {
        child::signal(&self.0, "TERM");
        wait(&mut self.0);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
