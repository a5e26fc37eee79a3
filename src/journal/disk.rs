//! [`Storage`] on a directory of the file system.
//!
//! Invariants: only the owner can read the files and directories made here, because they hold
//! positions; a new file has all its blocks allocated, so that writing inside it cannot fail for want
//! of room. A sync is `fdatasync` for files and `fsync` for the directory.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::storage::{FileId, Lock, Storage, StoredFile};

/// The file that is locked.
const LOCK: &str = "lock";
/// Zeros written at one time.
const ZEROS_BYTES: usize = 256 << 10;
/// Zeros written between two syncs. The writer syncs batches on the same disk at the same time, and
/// each of its syncs waits until the disk has written the zeros queued before it. Small enough that
/// this wait is short; `benches/speed` measures it (docs/performance.md).
const ZEROS_UNSYNCED_BYTES_MAX: usize = 1 << 20;

/// A directory of the file system.
pub struct DiskStorage {
    path: PathBuf,
    /// The directory itself, to sync its names.
    directory: File,
    /// Identity of the lock file that this process locked.
    locked: OnceLock<FileId>,
}

impl std::fmt::Debug for DiskStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskStorage").field("path", &self.path).finish_non_exhaustive()
    }
}

impl DiskStorage {
    /// Opens a directory that exists.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn open(path: &Path) -> io::Result<Self> {
        let directory = File::open(path)?;
        if !directory.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { path: path.to_owned(), directory, locked: OnceLock::new() })
    }

    /// Opens a directory, and creates it durably if it does not exist.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn open_or_create(path: &Path) -> io::Result<Self> {
        let missing: Vec<&Path> =
            path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
        for directory in missing.into_iter().rev() {
            DirBuilder::new().mode(0o700).recursive(true).create(directory)?;
            let parent = directory.parent().filter(|p| !p.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Self::open(path)
    }
}

impl Storage for DiskStorage {
    fn lock(&self) -> io::Result<Lock> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => {
                let id = file_id(&file.metadata()?);
                self.locked.get_or_init(|| id);
                Ok(Box::new(file))
            }
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        // Our names are UTF-8, so skip all others.
        let name = |entry: io::Result<std::fs::DirEntry>| {
            entry.map(|entry| entry.file_name().into_string().ok()).transpose()
        };
        std::fs::read_dir(&self.path)?.filter_map(name).collect()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        let path = self.path.join(name);
        match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => Ok(Arc::new(DiskFile(file))),
            // `journal verify` and `replay` may read a copy that they cannot write.
            Err(error) if is_read_only(&error) => Ok(Arc::new(DiskFile(File::open(path)?))),
            Err(error) => Err(error),
        }
    }

    fn create(&self, name: &str, size_bytes: u64) -> io::Result<Arc<dyn StoredFile>> {
        let path = self.path.join(name);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&path)?;
        if let Err(error) = fill(&file, size_bytes) {
            // An unfinished file would only use up room.
            std::fs::remove_file(&path).ok();
            return Err(error);
        }
        Ok(Arc::new(DiskFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.directory.sync_all()
    }

    fn is_in_place(&self, name: &str, file: &dyn StoredFile) -> io::Result<bool> {
        let named = |path: &Path| std::fs::metadata(path).map(|metadata| file_id(&metadata));
        let lock = self.locked.get().copied();
        Ok(named(&self.path)? == file_id(&self.directory.metadata()?)
            && lock.map_or(Ok(true), |id| named(&self.path.join(LOCK)).map(|named| named == id))?
            && named(&self.path.join(name))? == file.id()?)
    }

    fn place(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }
}

/// Allocates `size_bytes`, in one step where the file system can, and then writes zeros over them. A
/// later write to blocks that were only allocated would still change metadata, and so cost a journal
/// commit of the file system at each sync.
fn fill(mut file: &File, size_bytes: u64) -> io::Result<()> {
    if size_bytes == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size_bytes) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    let zeros = vec![0; ZEROS_BYTES];
    let mut left = usize::try_from(size_bytes).map_err(io::Error::other)?;
    let mut unsynced = 0;
    while left > 0 {
        let (part, _) = zeros.split_at(left.min(zeros.len()));
        file.write_all(part)?;
        left -= part.len();
        unsynced += part.len();
        if unsynced >= ZEROS_UNSYNCED_BYTES_MAX && left > 0 {
            file.sync_data()?;
            unsynced = 0;
        }
    }
    Ok(())
}

fn file_id(metadata: &Metadata) -> FileId {
    FileId { device: metadata.dev(), inode: metadata.ino() }
}

/// Whether a file cannot be written but may be readable.
fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

struct DiskFile(File);

impl StoredFile for DiskFile {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(file_id(&self.0.metadata()?))
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
