//! The seam under the local log: a directory of files.
//!
//! Two implementations: the real directory ([`super::DiskStorage`]) and a simulated one that tears,
//! loses and fails on demand ([`super::SimStorage`]). Invariant: what a sync has returned for
//! survives a power cut, and nothing else is promised. Deliberately absent: subdirectories.

use std::any::Any;
use std::io;
use std::sync::Arc;

/// Held while the directory is one's own; dropped, it is free.
pub type Lock = Box<dyn Any + Send + Sync>;

/// A directory.
pub trait Storage: Send + Sync {
    /// Takes the directory for oneself.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when another process (or log) has it.
    fn lock(&self) -> io::Result<Lock>;

    /// The names of all files, in no order.
    ///
    /// # Errors
    /// As the system says.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Opens a file that exists, for reading and writing.
    ///
    /// # Errors
    /// As the system says.
    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>>;

    /// Makes a file of `size_bytes` zeros in place of whatever has that name, with its room on the
    /// disk taken. Neither the file nor its name is synced.
    ///
    /// # Errors
    /// As the system says; `is_full` tells whether it is for want of room. The file is then gone.
    fn create(&self, name: &str, size_bytes: u64) -> io::Result<Arc<dyn StoredFile>>;

    /// Gives a file another name, in place of whatever has that name. Not synced.
    ///
    /// # Errors
    /// As the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Not synced.
    ///
    /// # Errors
    /// As the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names durable.
    ///
    /// # Errors
    /// As the system says; never to be retried.
    fn sync_names(&self) -> io::Result<()>;

    /// Whether the names still lead to what this process opened: the directory, its lock, and `file`
    /// under `name`.
    ///
    /// # Errors
    /// As the system says; [`io::ErrorKind::NotFound`] when one of them is gone.
    fn is_in_place(&self, name: &str, file: &dyn StoredFile) -> io::Result<bool>;

    /// How a file is called in messages.
    fn place(&self, name: &str) -> String;
}

/// A file.
pub trait StoredFile: Send + Sync {
    /// Its length.
    ///
    /// # Errors
    /// As the system says.
    fn size_bytes(&self) -> io::Result<u64>;

    /// Fills `bytes` with what stands from `offset` on.
    ///
    /// # Errors
    /// As the system says; [`io::ErrorKind::UnexpectedEof`] when the file is shorter.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` from `offset` on; past the end, the file grows. Not synced.
    ///
    /// # Errors
    /// As the system says; how much was written is then unknown.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Which file it is, whatever its name.
    ///
    /// # Errors
    /// As the system says.
    fn id(&self) -> io::Result<FileId>;

    /// Makes content and length durable.
    ///
    /// # Errors
    /// As the system says; never to be retried.
    fn sync(&self) -> io::Result<()>;
}

/// A file of a storage, whatever its name: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The file system.
    pub device: u64,
    /// The number of the file there.
    pub inode: u64,
}

/// Whether something failed for want of room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes a file of `size_bytes` zeros that is durable under its name, or is not there at all: made
/// under the name `temporary`, synced, renamed, names synced.
pub(super) fn create_durably(
    storage: &dyn Storage,
    temporary: &str,
    name: &str,
    size_bytes: u64,
) -> io::Result<()> {
    let made = storage.create(temporary, size_bytes).and_then(|file| file.sync());
    if let Err(error) = made {
        // What is left of it goes at the next start if not now.
        storage.remove(temporary).ok();
        return Err(error);
    }
    storage.rename(temporary, name)?;
    storage.sync_names()
}
