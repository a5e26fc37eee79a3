//! Free space of the file system that holds a path, by `statvfs`.
//!
//! Invariant: if a call hangs (a network file system whose server is gone), it blocks only one thread:
//! further checks fail until the call returns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{StatVfs, statvfs};
use tokio::sync::{Semaphore, oneshot};

use super::{Blocking, ProbeOutcome};

/// Checks the free space of the file system that holds a path.
#[derive(Debug)]
pub(super) struct FreeSpace {
    path: PathBuf,
    free_ratio_min: f64,
    free_bytes_min: u64,
    /// Held by the call in progress.
    one_call: Arc<Semaphore>,
}

impl FreeSpace {
    /// A check that fails if less is free than either bound.
    pub(super) fn new(path: &Path, free_ratio_min: f64, free_bytes_min: u64) -> Self {
        let one_call = Arc::new(Semaphore::new(1));
        Self { path: path.to_owned(), free_ratio_min, free_bytes_min, one_call }
    }

    pub(super) async fn check(&self, blocking: &Blocking) -> ProbeOutcome {
        let Ok(permit) = Arc::clone(&self.one_call).try_acquire_owned() else {
            return Err(String::from("the call of an earlier check has not returned"));
        };
        let (answer, answered) = oneshot::channel();
        let path = self.path.clone();
        blocking(Box::new(move || {
            let space = statvfs(&path).map(|stat| DiskSpace::from(&stat));
            drop(permit);
            // If the check has timed out, the receiver is gone.
            answer.send(space).unwrap_or(());
        }));
        match answered.await {
            Ok(Ok(space)) => self.judge(space),
            Ok(Err(error)) => Err(std::io::Error::from(error).to_string()),
            Err(_) => Err(String::from("the check was not run")),
        }
    }

    fn judge(&self, space: DiskSpace) -> ProbeOutcome {
        let Some(ratio) = space.ratio() else {
            return Err(String::from("the file system has no size"));
        };
        let seen = format!("{:.1} % free, {} MiB", ratio * 100.0, space.free >> 20);
        let passes = ratio >= self.free_ratio_min && space.free >= self.free_bytes_min;
        if passes { Ok(seen) } else { Err(seen) }
    }
}

/// Size of a file system, in bytes.
#[derive(Clone, Copy, Debug)]
struct DiskSpace {
    /// Free for unprivileged users.
    free: u64,
    total: u64,
}

impl From<&StatVfs> for DiskSpace {
    fn from(stat: &StatVfs) -> Self {
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Self { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) }
    }
}

impl DiskSpace {
    #[expect(clippy::cast_precision_loss, reason = "a fraction of space needs no 53 bits")]
    fn ratio(self) -> Option<f64> {
        (self.total > 0).then(|| self.free as f64 / self.total as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bounds_are_inclusive() {
        let check = |free: u64, total: u64, ratio_min: f64, bytes_min: u64, passes: bool| {
            let probe = FreeSpace::new(Path::new("/"), ratio_min, bytes_min);
            let seen = probe.judge(DiskSpace { free, total });
            assert_eq!(seen.is_ok(), passes, "{free} of {total}: {seen:?}");
        };
        check(10, 100, 0.1, 0, true);
        check(9, 100, 0.1, 0, false);
        check(10, 100, 0.0, 10, true);
        check(9, 100, 0.0, 10, false);
        check(0, 100, 0.0, 0, true);
        check(0, 0, 0.0, 0, false);
        let probe = FreeSpace::new(Path::new("/"), 0.5, 0);
        let space = DiskSpace { free: 3 << 20, total: 30 << 20 };
        assert_eq!(probe.judge(space), Err(String::from("10.0 % free, 3 MiB")));
    }
}
