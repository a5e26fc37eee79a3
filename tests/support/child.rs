//! The process under test: the binary, its signals and its end. Shared by the integration tests and
//! the crash tests.
//!
//! Invariant: every wait has a deadline.

use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use trading_exporter::clock::monotonic;

/// Path of the binary.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_trading-exporter");

/// Sends a signal by its name, like `TERM`.
pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

/// Waits for the end of a process. At the deadline, kills it and fails the test.
pub(crate) fn wait(child: &mut Child, timeout: Duration) -> ExitStatus {
    let deadline = monotonic() + timeout;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if monotonic() > deadline {
            child.kill().ok();
            panic!("the process does not end");
        }
        // The standard library cannot wait for a process with a deadline.
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
