//! Private file systems: ext4 in a file, and a tmpfs of a fixed size.
//!
//! Invariant: a file system is unmounted when its value is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Fails if the tests cannot run here: a skipped test proves nothing.
pub(crate) fn require_root_and_tools() {
    for (tool, argument) in [("strace", "-V"), ("mount", "-V"), ("mkfs.ext4", "-V")] {
        let found = Command::new(tool).arg(argument).output();
        assert!(found.is_ok(), "{tool} is missing: `tests/run crash` installs it");
    }
    let id = Command::new("id").arg("-u").output().unwrap().stdout;
    assert_eq!(id, b"0\n", "run as root: file systems are mounted and processes traced");
}

/// Runs a tool. Panics if it fails.
fn must(tool: &str, arguments: &[&str]) {
    let output = Command::new(tool).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments:?} failed: {said}");
}

/// A mounted file system.
pub(crate) struct Mounted {
    pub(crate) path: PathBuf,
}

impl Mounted {
    /// Mounts an image.
    pub(crate) fn image(image: &Path, path: &Path) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let (from, to) = (image.display().to_string(), path.display().to_string());
        must("mount", &["-o", "loop", &from, &to]);
        Self { path: path.to_owned() }
    }

    /// Mounts a tmpfs of this many KiB.
    pub(crate) fn memory(path: &Path, kib: u64) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let size = format!("size={kib}k");
        must("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &path.display().to_string()]);
        Self { path: path.to_owned() }
    }

    /// Resizes a mounted tmpfs.
    pub(crate) fn resize(&self, kib: u64) {
        let size = format!("remount,size={kib}k");
        must("mount", &["-o", &size, &self.path.display().to_string()]);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A test that fails must not fail again here.
        Command::new("umount").arg("-l").arg(&self.path).status().ok();
    }
}

/// An image of an empty ext4 file system of this many MiB.
pub(crate) fn make_image(image: &Path, mib: u64) {
    File::create(image).unwrap().set_len(mib << 20).unwrap();
    must("mkfs.ext4", &["-q", "-F", &image.display().to_string()]);
}

/// A copy of an image as it is on the disk at this moment.
pub(crate) fn copy_image(from: &Path, to: &Path) {
    must("cp", &["--sparse=always", &from.display().to_string(), &to.display().to_string()]);
}
