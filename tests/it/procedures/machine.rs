//! An operator's machine: a directory with a configuration and a journal, the program in the path, and
//! a service that can be started and stopped.
//!
//! Input: commands. Output: their output. Invariants: all started processes end with the machine;
//! commands run as they are written, except for two replaced addresses. The only fake is `systemctl`,
//! which runs the real binary.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use trading_exporter::clock::monotonic;

use super::commands::Step;
use crate::exporter::{Answer, BINARY, Client, SOON};

/// Small segments, because each section has its own machine.
const CONFIG: &str = "storage:\n  segment_bytes: 256KiB\n";

/// The service as in the unit of `deploy/`, without systemd. A process in state Z has ended too.
const SYSTEMCTL: &str = r#"#!/usr/bin/env bash
cd "$MACHINE" || exit 1
[ "$2" = trading-exporter ] || { echo "no service $2" >&2; exit 1; }
alive() { [ -s pid ] && grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$(cat pid)/status"; }
waits() { local n=0; until "$@"; do n=$((n + 1)); [ $n -lt 1500 ] || exit 1; sleep 0.02; done; }
gone() { ! alive; }
settled() { gone || command curl -fs -o /dev/null "http://$ADDRESS/-/ready"; }
case "$1" in
start)
    nohup trading-exporter --config.file=trading-exporter.yml --storage.mode=journal \
        --storage.path=data --web.listen-address="$ADDRESS" </dev/null >>log 2>&1 &
    echo $! >pid
    waits settled
    alive || { tail -n 3 log >&2; exit 1; }
    ;;
stop) ! alive || { kill -TERM "$(cat pid)"; waits gone; } ;;
reload) alive && kill -HUP "$(cat pid)" ;;
kill) ! alive || { kill -KILL "$(cat pid)"; waits gone; } ;;
*) exit 1 ;;
esac
"#;

/// Answers of 4xx and 5xx fail the command, and every command has a timeout.
const PRELUDE: &str = "curl() { command curl --fail-with-body --max-time 20 \"$@\"; }\n";

/// Separates the outputs of two commands.
const MARK: char = '\u{1e}';

pub(crate) struct Machine {
    directory: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    /// Alertmanager, and its address.
    alertmanager: Option<(Child, SocketAddr)>,
}

/// A command that was run.
pub(crate) struct Ran {
    pub(crate) command: String,
    pub(crate) printed: String,
}

impl Machine {
    /// A machine with the service running.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let machine = Self { directory, address: free_address(), alertmanager: None };
        fs::write(machine.path("trading-exporter.yml"), CONFIG).unwrap();
        fs::create_dir(machine.path("bin")).unwrap();
        symlink(BINARY, machine.path("bin/trading-exporter")).unwrap();
        let systemctl = machine.path("bin/systemctl");
        fs::write(&systemctl, SYSTEMCTL).unwrap();
        fs::set_permissions(systemctl, fs::Permissions::from_mode(0o755)).unwrap();
        machine.systemctl("start");
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn systemctl(&self, verb: &str) {
        let output = self.bash(&format!("systemctl {verb} trading-exporter")).output().unwrap();
        assert!(output.status.success(), "{verb}: {output:?}");
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        Client::connect(self.address).send("GET", path, "")
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        self.get(path).json()
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        Client::connect(self.address).send("POST", path, body)
    }

    /// Starts Alertmanager next to the service.
    pub(crate) fn start_alertmanager(&mut self) {
        let address = free_address();
        let config = self.path("alertmanager.yml");
        fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").unwrap();
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", self.path("alertmanager").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.alertmanager = Some((child.expect("tests/run tools"), address));
        let ready = format!("curl -fs -o /dev/null http://{address}/-/ready");
        wait_for("Alertmanager", || self.bash(&ready).status().unwrap().success());
    }

    /// Runs the commands of a section in one shell. Each must succeed.
    pub(crate) fn run(&self, title: &str, steps: &[Step]) -> Vec<Ran> {
        let mut script = PRELUDE.to_owned();
        for step in steps {
            script.extend([&self.here(&step.command), "\nprintf '\\x1e%s\\x1e' $?\n"]);
        }
        let output = self.bash(&script).output().unwrap();
        let (out, err) =
            (String::from_utf8(output.stdout), String::from_utf8_lossy(&output.stderr));
        let out = out.unwrap();
        let parts: Vec<&str> = out.split(MARK).collect();
        let ran = |(step, part): (&Step, &[&str])| {
            let [printed, status] = part else { panic!("{title}: cut off: {out}\n{err}") };
            let log = fs::read_to_string(self.path("log")).unwrap();
            assert_eq!(*status, "0", "{title}: $ {}\n{printed}\n{err}\n{log}", step.command);
            Ran { command: step.command.clone(), printed: (*printed).to_owned() }
        };
        steps.iter().zip(parts.chunks(2)).map(ran).collect()
    }

    /// A command with the addresses of this machine.
    fn here(&self, command: &str) -> String {
        let command = command.replace("127.0.0.1:10471", &self.address.to_string());
        match &self.alertmanager {
            Some((_, address)) => command.replace("127.0.0.1:9093", &address.to_string()),
            None => command,
        }
    }

    /// An operator's shell, with a limit of two minutes.
    pub(crate) fn bash(&self, script: &str) -> Command {
        let mut bash = Command::new("timeout");
        let bin = self.path("bin");
        bash.args(["120", "bash", "-c", r#"PATH="$BIN:$PATH"; eval "$0""#, script])
            .env("BIN", bin)
            .env("MACHINE", self.directory.path())
            .env("ADDRESS", self.address.to_string())
            .env("X", format!("http://{}", self.address))
            .current_dir(self.directory.path());
        bash
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended already.
        self.bash("systemctl kill trading-exporter").status().ok();
        if let Some((mut alertmanager, _)) = self.alertmanager.take() {
            alertmanager.kill().ok();
            alertmanager.wait().ok();
        }
    }
}

/// A free address. The service listens on it again after a restart.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Waits until the condition holds.
pub(crate) fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = monotonic() + SOON;
    while !condition() {
        assert!(monotonic() < deadline, "it never happened: {what}");
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
}
