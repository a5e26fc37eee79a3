//! The storage trait of the local log: a flat directory of files.
//!
//! Two implementations: a real directory ([`super::DiskStorage`]) and a simulated one with tears,
//! losses and failures on demand ([`super::SimStorage`]). Invariant: data whose sync has returned
//! survives a power cut; nothing else does for certain. Deliberately absent: subdirectories.

use std::any::Any;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;

/// A lock on a directory; dropping it releases the lock.
pub type Lock = Box<dyn Any + Send + Sync>;

/// A flat directory of files.
pub trait Storage: Send + Sync {
    /// Locks the directory.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another process (or log) has locked it.
    fn lock(&self) -> io::Result<Lock>;

    /// The names of all files, in no order.
    ///
    /// # Errors
    /// The error of the operating system.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// The error of the operating system.
    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>>;

    /// Creates a file of `size_bytes` zeros with all its blocks allocated, replacing any file of that
    /// name. Neither the file nor its name is synced.
    ///
    /// # Errors
    /// The error of the operating system; `is_full` reports whether the disk is full. The file is then removed.
    fn create(&self, name: &str, size_bytes: u64) -> io::Result<Arc<dyn StoredFile>>;

    /// Renames a file, replacing any file that has the new name. Not synced.
    ///
    /// # Errors
    /// The error of the operating system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Not synced.
    ///
    /// # Errors
    /// The error of the operating system.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names durable.
    ///
    /// # Errors
    /// The error of the operating system. Never retry: the kernel may count the lost pages as clean.
    fn sync_names(&self) -> io::Result<()>;

    /// Whether the names still lead to what this process opened: the directory, its lock, and `file`
    /// under `name`.
    ///
    /// # Errors
    /// The error of the operating system; [`io::ErrorKind::NotFound`] when one of them is gone.
    fn is_in_place(&self, name: &str, file: &dyn StoredFile) -> io::Result<bool>;

    /// Path of a file, for messages.
    fn place(&self, name: &str) -> String;
}

/// An open file of a [`Storage`].
pub trait StoredFile: Send + Sync {
    /// Length of the file.
    ///
    /// # Errors
    /// The error of the operating system.
    fn size_bytes(&self) -> io::Result<u64>;

    /// Fills `bytes` from the content at `offset`.
    ///
    /// # Errors
    /// The error of the operating system; [`io::ErrorKind::UnexpectedEof`] if the file is shorter.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`. The file grows if needed. Not synced.
    ///
    /// # Errors
    /// The error of the operating system; it is then unknown how much was written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Identity of the file, independent of its name.
    ///
    /// # Errors
    /// The error of the operating system.
    fn id(&self) -> io::Result<FileId>;

    /// Makes content and length durable.
    ///
    /// # Errors
    /// The error of the operating system. Never retry: the kernel may count the lost pages as clean.
    fn sync(&self) -> io::Result<()>;
}

/// Identity of a file: it stays the same when the file is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The file system.
    pub device: u64,
    /// Number of the file in the file system.
    pub inode: u64,
}

/// Whether an operation failed for want of room: the disk or the quota is full, or the process or the
/// system has no file descriptor left. All of these end by themselves, and nothing was written.
pub(super) fn is_full(error: &io::Error) -> bool {
    let has_no_descriptor = [Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    has_no_descriptor
        || matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Creates a file of `size_bytes` zeros that is durable under its name, or does not exist: created as
/// `temporary`, synced, renamed, then the directory is synced. Returns the file.
pub(super) fn create_durably(
    storage: &dyn Storage,
    temporary: &str,
    name: &str,
    size_bytes: u64,
) -> io::Result<Arc<dyn StoredFile>> {
    let made = storage.create(temporary, size_bytes);
    let made = made.and_then(|file| file.sync().map(|()| file));
    let file = match made {
        Ok(file) => file,
        Err(error) => {
            // If this fails too, the next start removes the file.
            storage.remove(temporary).ok();
            return Err(error);
        }
    };
    storage.rename(temporary, name)?;
    storage.sync_names()?;
    Ok(file)
}
