//! Cores and processes: pinning, CPU time and memory.

use std::fs;
use std::process::{Child, Command, Stdio};

/// The folder into which `benches/peers` unpacks the other servers.
pub(crate) const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/peers");

/// The core of the measured server.
const SERVER_CORE: &str = "0";
/// The core of the load generator and of work inside this process.
const LOAD_CORE: &str = "1";

/// The time unit of `/proc/PID/stat`: 100 per second on all architectures we use.
const TICKS_PER_SECOND: f64 = 100.0;

/// Pins this process to the core of the load. Call it before starting another thread.
pub(crate) fn pin_to_load_core() {
    let process = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["-pc", LOAD_CORE, &process]).output();
    assert!(pinned.expect("taskset, of util-linux").status.success(), "this needs two cores");
}

/// Starts a program on the server core. Dropping the value kills it.
pub(crate) fn start_on_server_core(program: &str, arguments: &[&str]) -> Process {
    let child = Command::new("taskset")
        .args(["-c", SERVER_CORE, program])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Process(child.expect("taskset, of util-linux"))
}

/// A process that is killed when the value is dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// CPU time in user and kernel mode so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds(&self.0.id().to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().expect("a process that runs");
        self.0.wait().expect("its end");
    }
}

/// CPU time of this process so far, in seconds.
pub(crate) fn own_cpu_seconds() -> f64 {
    cpu_seconds("self")
}

/// CPU time of a process so far, in seconds, by its number.
pub(crate) fn cpu_seconds(process: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("its times");
    // The name in parentheses may contain anything; utime and stime are the 14th and 15th fields.
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    let times = fields.split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<f64>().expect("ticks")).sum::<f64>() / TICKS_PER_SECOND
}

/// Resident memory of this process in bytes.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) fn resident_bytes() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("its memory");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    let kib = line.trim().trim_end_matches(" kB").parse::<u64>().expect("KiB");
    kib as f64 * 1024.0
}

/// Processor, kernel and versions, in one line.
pub(crate) fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let peers = ["victoria-metrics", "prometheus-pushgateway"].map(|peer| {
        let version = fs::read_to_string(format!("{PEERS}/{peer}.version"));
        format!("{peer} {}", version.unwrap_or_default().trim())
    });
    format!(
        "{model}, {cores} cores; Linux {}; trading-exporter {}; {}\n",
        kernel.trim(),
        env!("CARGO_PKG_VERSION"),
        peers.join("; ")
    )
}
