//! Available memory of the host, from `/proc/meminfo`.
//!
//! `MemAvailable` is the kernel's estimate of the memory available without swapping (proc(5)).

use super::ProbeOutcome;

const MEMINFO: &str = "/proc/meminfo";

/// Checks the available memory of the host.
#[derive(Debug)]
pub(super) struct AvailableMemory {
    ratio_min: f64,
}

impl AvailableMemory {
    /// A check that fails if less than this fraction of all memory is available.
    pub(super) const fn new(ratio_min: f64) -> Self {
        Self { ratio_min }
    }

    pub(super) async fn check(&self) -> ProbeOutcome {
        match tokio::fs::read_to_string(MEMINFO).await {
            Ok(text) => self.judge(&text),
            Err(error) => Err(format!("cannot read {MEMINFO}: {error}")),
        }
    }

    fn judge(&self, text: &str) -> ProbeOutcome {
        let (available, total) = (kibibytes(text, "MemAvailable:"), kibibytes(text, "MemTotal:"));
        let (Some(available), Some(total)) = (available, total.filter(|t| *t > 0)) else {
            return Err(format!("{MEMINFO} has no MemAvailable and MemTotal"));
        };
        #[expect(clippy::cast_precision_loss, reason = "a fraction of memory needs no 53 bits")]
        let ratio = available as f64 / total as f64;
        let seen = format!("{:.1} % available, {} MiB", ratio * 100.0, available >> 10);
        if ratio >= self.ratio_min { Ok(seen) } else { Err(seen) }
    }
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_kernel_is_parsed() {
        let check = |text: &str, expect: Result<&str, &str>| {
            let expect = expect.map(String::from).map_err(String::from);
            assert_eq!(AvailableMemory::new(0.25).judge(text), expect, "{text}");
        };
        let table = |available: u64| {
            format!("MemTotal:       16384 kB\nMemFree:  1 kB\nMemAvailable: {available:>9} kB\n")
        };
        check(&table(8_192), Ok("50.0 % available, 8 MiB"));
        check(&table(4_096), Ok("25.0 % available, 4 MiB"));
        check(&table(4_000), Err("24.4 % available, 3 MiB"));
        let missing = Err("/proc/meminfo has no MemAvailable and MemTotal");
        check("", missing);
        check("MemTotal: 5 kB\n", missing);
        check("MemTotal: 0 kB\nMemAvailable: 0 kB\n", missing);
        check("MemTotal: x kB\nMemAvailable: 1 kB\n", missing);
        check("MemTotal: 5\nMemAvailable: 1\n", missing);
    }
}
