//! The datagrams that a supervisor such as systemd receives.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use crate::exporter::{BINARY, Exporter, SOON};

/// The socket of a supervisor.
struct Inbox {
    _directory: tempfile::TempDir,
    socket: UnixDatagram,
    path: std::path::PathBuf,
}

impl Inbox {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self { _directory: directory, socket, path }
    }

    /// The next datagram.
    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("the process says nothing");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Skips datagrams until one has this line.
    fn wait_for(&self, line: &str) {
        while !self.next().lines().any(|found| found == line) {}
    }

    fn exporter(&self) -> Command {
        let mut command = Command::new(BINARY);
        command.args(["--web.listen-address=127.0.0.1:0", "--storage.mode=memory"]);
        command.env("NOTIFY_SOCKET", &self.path);
        command
    }
}

#[test]
fn readiness_and_the_end_are_reported() {
    let inbox = Inbox::new();
    let mut exporter = Exporter::spawn(inbox.exporter());
    let mut first = inbox.next();
    while first.contains("STATUS=replaying") {
        first = inbox.next();
    }
    assert_eq!(first, "READY=1");
    inbox.wait_for("STATUS=ready");
    exporter.signal("TERM");
    inbox.wait_for("STOPPING=1");
    assert_eq!(exporter.wait().code(), Some(0));
}

#[test]
fn the_watchdog_is_fed_while_the_writer_answers() {
    let inbox = Inbox::new();
    let mut command = inbox.exporter();
    command.env("WATCHDOG_USEC", "300000");
    let _exporter = Exporter::spawn(command);
    for _ in 0..3 {
        inbox.wait_for("WATCHDOG=1");
    }
}
