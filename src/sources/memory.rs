//! Available memory of the host, as Linux tells it in `/proc/meminfo`.
//!
//! `MemAvailable` is the kernel's own estimate of what can be had without swapping (proc(5)).

use super::Seen;

/// Where Linux tells it.
const MEMINFO: &str = "/proc/meminfo";

/// Available memory of the host.
#[derive(Debug)]
pub(super) struct Available {
    ratio_min: f64,
}

impl Available {
    /// Fails below this fraction of all memory.
    pub(super) const fn new(ratio_min: f64) -> Self {
        Self { ratio_min }
    }

    pub(super) async fn see(&self) -> Seen {
        match tokio::fs::read_to_string(MEMINFO).await {
            Ok(text) => self.judge(&text),
            Err(error) => Err(format!("cannot read {MEMINFO}: {error}")),
        }
    }

    fn judge(&self, text: &str) -> Seen {
        let (available, total) = (kibibytes(text, "MemAvailable:"), kibibytes(text, "MemTotal:"));
        let (Some(available), Some(total)) = (available, total.filter(|t| *t > 0)) else {
            return Err(format!("{MEMINFO} does not tell MemAvailable and MemTotal"));
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
    fn the_kernel_s_table_is_read() {
        let check = |text: &str, expect: Result<&str, &str>| {
            let expect = expect.map(String::from).map_err(String::from);
            assert_eq!(Available::new(0.25).judge(text), expect, "{text}");
        };
        let table = |available: u64| {
            format!("MemTotal:       16384 kB\nMemFree:  1 kB\nMemAvailable: {available:>9} kB\n")
        };
        check(&table(8_192), Ok("50.0 % available, 8 MiB"));
        check(&table(4_096), Ok("25.0 % available, 4 MiB"));
        check(&table(4_000), Err("24.4 % available, 3 MiB"));
        let untold = Err("/proc/meminfo does not tell MemAvailable and MemTotal");
        check("", untold);
        check("MemTotal: 5 kB\n", untold);
        check("MemTotal: 0 kB\nMemAvailable: 0 kB\n", untold);
        check("MemTotal: x kB\nMemAvailable: 1 kB\n", untold);
        check("MemTotal: 5\nMemAvailable: 1\n", untold);
    }
}
