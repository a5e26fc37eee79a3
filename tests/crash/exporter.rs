//! The binary on a journal, plain or under strace.
//!
//! Invariant: the process does not outlive its value, and every wait has a deadline.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use trading_exporter::clock::monotonic;

use crate::child::{self, BINARY, wait};
use crate::load::Client;

/// Generous: the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A running exporter.
pub(crate) struct Exporter {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Receiver<String>,
    said: Vec<String>,
}

/// Why it did not start to listen.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) said: String,
}

/// The command that serves a configuration, under strace if there are arguments for it.
fn command(config: &Path, strace: &[&str]) -> Command {
    let mut command = if strace.is_empty() {
        Command::new(BINARY)
    } else {
        let mut command = Command::new("strace");
        // -D makes the exporter our child, and strace our grandchild.
        command.args(["-D", "-f", "-qq"]).args(strace).arg(BINARY);
        command
    };
    command.arg("--web.listen-address=127.0.0.1:0").arg("--config.file").arg(config);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

impl Exporter {
    /// Starts it, and waits until its state has caught up with the journal.
    pub(crate) fn start(config: &Path) -> Self {
        let exporter = Self::try_start(config, &[]).expect("it starts");
        let deadline = monotonic() + SOON;
        while exporter.is_replaying() {
            assert!(monotonic() < deadline, "it does not catch up");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        exporter
    }

    fn is_replaying(&self) -> bool {
        let ready = self.client().send("GET", "/-/ready", "").expect("an answer");
        ready.status != 200 && ready.body.contains("being replayed")
    }

    /// Starts it under strace; it may end before it listens.
    pub(crate) fn try_start(config: &Path, strace: &[&str]) -> Result<Self, Ended> {
        let mut child = command(config, strace).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (lines, log) = channel();
        std::thread::spawn(move || {
            // The receiver may be gone.
            stderr.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)).ok();
        });
        let mut said = Vec::new();
        let deadline = monotonic() + SOON;
        loop {
            match log.recv_timeout(deadline.saturating_duration_since(monotonic())) {
                Ok(line) => {
                    let address = line.split("listening address=").nth(1).map(str::to_owned);
                    said.push(line);
                    if let Some(address) = address {
                        let address = address.trim().parse().unwrap();
                        return Ok(Self { child, address, log, said });
                    }
                }
                Err(_) => {
                    let status = wait(&mut child, SOON);
                    return Err(Ended { status, said: said.join("\n") });
                }
            }
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address).expect("it listens")
    }

    /// kill -9. It must not have ended before.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(wait(&mut self.child, SOON).signal(), Some(9), "{}", self.said());
    }

    /// Waits for the end of the process. Returns its status and its output.
    pub(crate) fn ended(mut self) -> Ended {
        let status = wait(&mut self.child, SOON);
        let said = self.said();
        Ended { status, said }
    }

    /// Sends a signal by its name, like `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        child::signal(&self.child, name);
    }

    /// Its output so far.
    pub(crate) fn said(&mut self) -> String {
        let deadline = Duration::from_millis(100);
        while let Ok(line) = self.log.recv_timeout(deadline) {
            self.said.push(line);
        }
        self.said.join("\n")
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs a command of the binary to its end. Returns whether it succeeded, and its output.
pub(crate) fn run(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(BINARY).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}
