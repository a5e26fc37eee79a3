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

/// Looks from a refusal to the next report of the same files: 30 seconds.
const RETRY_LOOKS: u32 = 60;

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
    /// Looks until the files are reported although they have not changed. None: they are not.
    retry_in: Option<u32>,
}

impl FileWatch {
    /// Watches these files. They are reported once at the beginning: they may have changed since they
    /// were read.
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        let mut every = tokio::time::interval(LOOK);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { every, files, reported: Vec::new(), seen: Vec::new(), retry_in: None }
    }

    /// Watches these files from now on.
    pub(super) fn follow(&mut self, files: &[PathBuf]) {
        if self.files != files {
            files.clone_into(&mut self.files);
        }
    }

    /// Reports the files again in 30 seconds even if they do not change: they could not be used, and a
    /// cause outside of them may pass.
    pub(super) const fn retry(&mut self) {
        self.retry_in = Some(RETRY_LOOKS);
    }

    /// Ends the effect of [`retry`](Self::retry).
    pub(super) const fn settle(&mut self) {
        self.retry_in = None;
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
            self.retry_in = self.retry_in.map(|looks| looks.saturating_sub(1));
            if is_stable && (marks != self.reported || self.retry_in == Some(0)) {
                self.retry_in = None;
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
        let mut check = async |why: &str| {
            let found = tokio::time::timeout(SOON, watch.changed()).await;
            assert!(found.is_ok(), "{why}");
            // Several looks later it has not been reported again.
            let again = tokio::time::timeout(LOOK * 4, watch.changed()).await;
            assert!(again.is_err(), "{why}: reported twice");
        };
        check("at the beginning").await;
        fs::write(path("one"), "2").unwrap();
        check("the content").await;
        fs::write(path("two"), "2").unwrap();
        std::os::unix::fs::symlink(path("two"), path("new")).unwrap();
        fs::rename(path("new"), path("link")).unwrap();
        check("another target").await;
        fs::write(path("absent"), "").unwrap();
        check("it appeared").await;
    }

    #[tokio::test]
    async fn refused_files_are_reported_again_until_they_are_accepted() {
        let directory = tempfile::tempdir().unwrap();
        let mut watch = FileWatch::new(vec![directory.path().join("absent")]);
        watch.every = tokio::time::interval(Duration::from_millis(1));
        watch.changed().await;
        for _ in 0..2 {
            watch.retry();
            assert!(tokio::time::timeout(SOON, watch.changed()).await.is_ok());
        }
        watch.retry();
        watch.settle();
        let again = tokio::time::timeout(LOOK, watch.changed()).await;
        assert!(again.is_err(), "reported after it was accepted");
    }
}
