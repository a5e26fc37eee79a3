//! Changes of the web configuration file, and of the certificates and keys that it names.
//!
//! Input: the paths. Output: a signal when one of them is another file, or has changed. Invariants: a
//! change is reported once, when two looks in a row have seen the same, because certificate and key
//! are replaced one after the other; a path is followed through links, as orchestrators mount secrets.
//! Deliberately absent: reading the files (see `reload`).

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

/// The interval of looks.
const LOOK: Duration = Duration::from_millis(500);

/// The state of a file: device, inode, size and time of the last change. `None` if it cannot be seen.
type FileMark = Option<(u64, u64, u64, i64, i64)>;

/// Watches files.
#[derive(Debug)]
pub(super) struct FileWatch {
    every: Interval,
    files: Vec<PathBuf>,
    /// The state that was reported last.
    reported: Vec<FileMark>,
    /// The state at the last look.
    seen: Vec<FileMark>,
}

impl FileWatch {
    /// Watches these files. They are reported once at the beginning: they may have changed since they
    /// were read.
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        let mut every = tokio::time::interval(LOOK);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { every, files, reported: Vec::new(), seen: Vec::new() }
    }

    /// Watches these files from now on.
    pub(super) fn follow(&mut self, files: &[PathBuf]) {
        if self.files != files {
            files.clone_into(&mut self.files);
        }
    }

    /// Waits for a change. Never completes if there is no file to watch. A cancelled wait loses nothing.
    pub(super) async fn changed(&mut self) {
        if self.files.is_empty() {
            return std::future::pending().await;
        }
        loop {
            self.every.tick().await;
            let mut marks = Vec::with_capacity(self.files.len());
            for file in &self.files {
                let found = tokio::fs::metadata(file).await.ok();
                marks.push(found.map(|m| (m.dev(), m.ino(), m.size(), m.ctime(), m.ctime_nsec())));
            }
            let is_stable = marks == self.seen;
            if is_stable && marks != self.reported {
                self.reported = marks;
                return;
            }
            self.seen = marks;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn replaced_files_are_reported_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("one"), "1").unwrap();
        std::os::unix::fs::symlink(path("one"), path("link")).unwrap();
        let mut watch = FileWatch::new(vec![path("link"), path("absent")]);
        let mut changed = async || tokio::time::timeout(SOON, watch.changed()).await.is_ok();
        assert!(changed().await, "at the beginning");
        fs::write(path("one"), "2").unwrap();
        assert!(changed().await, "the content");
        fs::write(path("two"), "2").unwrap();
        std::os::unix::fs::symlink(path("two"), path("new")).unwrap();
        fs::rename(path("new"), path("link")).unwrap();
        assert!(changed().await, "another target");
        fs::write(path("absent"), "").unwrap();
        assert!(changed().await, "it appeared");
    }
}
