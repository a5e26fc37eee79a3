//! The memory that the process may use: the limit of its control group, or the memory of the machine.

use std::fs;
use std::path::Path;

/// Where control groups (version 2) are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Half of the memory that the process may use, in bytes. Without a limit that can be read, there is
/// none.
pub(super) fn half() -> u64 {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let bytes = available(&read);
    if bytes.is_none() {
        tracing::warn!("the memory of this machine is not known: set limits.state_bytes");
    }
    bytes.map_or(u64::MAX, |bytes| bytes / 2)
}

/// The smallest limit of the control group of the process and those around it, or else the memory of
/// the machine.
fn available(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let table = read(Path::new("/proc/meminfo"));
    let machine = table.as_deref().and_then(total_bytes);
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let own = Path::new(CGROUPS).join(own);
    let around = own.ancestors().take_while(|path| path.starts_with(CGROUPS));
    let limits = around.filter_map(|path| read(&path.join("memory.max"))?.trim().parse().ok());
    limits.chain(machine).min()
}

/// `MemTotal` of `/proc/meminfo`.
fn total_bytes(table: &str) -> Option<u64> {
    let rest = table.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_counts() {
        let check = |files: &[(&str, &str)], expect: Option<u64>| {
            let read = |path: &Path| {
                let found = files.iter().find(|(name, _)| Path::new(name) == path);
                found.map(|(_, text)| (*text).to_owned())
            };
            assert_eq!(available(&read), expect, "{files:?}");
        };
        let machine = ("/proc/meminfo", "MemTotal:       4 kB\nMemFree:  1 kB\n");
        let group = ("/proc/self/cgroup", "0::/system.slice/exporter.service\n");
        let own = |text| ("/sys/fs/cgroup/system.slice/exporter.service/memory.max", text);
        check(&[], None);
        check(&[machine], Some(4_096));
        check(&[machine, group, own("max\n")], Some(4_096));
        check(&[machine, group, own("1000\n")], Some(1_000));
        check(&[machine, group, own("9000\n")], Some(4_096));
        let slice = ("/sys/fs/cgroup/system.slice/memory.max", "700\n");
        check(&[machine, group, own("1000\n"), slice], Some(700));
        // In a container the group of the process is the root.
        check(
            &[machine, ("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/memory.max", "600\n")],
            Some(600),
        );
        check(&[("/proc/meminfo", "MemTotal: x kB")], None);
    }
}
