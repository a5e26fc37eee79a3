//! A simulated directory for tests: it counts operations, fails at a chosen one, hangs, runs full,
//! loses unsynced data in a power cut, and lets a test damage files.
//!
//! Input: a seed and faults. Output: the same run for the same seed. Deliberately absent: the loss of
//! synced data, except by [`SimStorage::damage`] and [`SimStorage::lose`].
//!
//! # Design
//!
//! The model follows Linux. A sync that returned makes the content of a file durable, or the names of
//! the directory. A power cut keeps or loses each unsynced sector independently, and it keeps a
//! prefix of the unsynced changes of names. After a failed sync the sectors that it should have
//! written count as clean, so no later sync writes them, and a power cut loses them. When a process
//! dies, nothing is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::frame::SECTOR;
use super::storage::{FileId, Lock, Storage, StoredFile};

/// The error of every operation after a power cut.
const POWER_IS_OFF: &str = "the power is off";

/// An operation that changes the directory or syncs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageOperation {
    /// [`Storage::create`].
    Create,
    /// [`StoredFile::write_at`].
    Write,
    /// [`StoredFile::sync`].
    Sync,
    /// [`Storage::rename`].
    Rename,
    /// [`Storage::remove`].
    Remove,
    /// [`Storage::sync_names`].
    SyncNames,
}

/// A fault at a chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageFault {
    /// The operation fails; later ones succeed.
    Error,
    /// The power is cut during the operation, which may be done in part. Everything fails until
    /// [`SimStorage::reboot`].
    PowerCut,
}

/// A simulated directory. Clones share it.
#[derive(Clone)]
pub struct SimStorage(Arc<SimMachine>);

impl std::fmt::Debug for SimStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimStorage").field("operations", &self.operations()).finish_non_exhaustive()
    }
}

struct SimMachine {
    disk: Mutex<SimDisk>,
    /// The disk began to hang, an operation waits for it, or it goes on.
    hang_changed: Condvar,
}

/// Whether writes and syncs of files wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DiskHang {
    Responds,
    /// It hangs; whether an operation waits.
    Hangs(bool),
}

struct SimDisk {
    hang: DiskHang,
    random: SplitMix64,
    /// Files by number.
    files: BTreeMap<u64, SimContent>,
    next_file: u64,
    names: BTreeMap<String, u64>,
    synced_names: BTreeMap<String, u64>,
    /// Changes that make `names` of `synced_names`, in order.
    unsynced: Vec<NameChange>,
    /// Number of reboots. Handles of an earlier boot fail.
    boot: u64,
    locked: bool,
    power_off: bool,
    operations: Vec<StorageOperation>,
    fault: Option<(u64, StorageFault)>,
    capacity_bytes: Option<u64>,
}

#[derive(Default)]
struct SimContent {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    /// Sectors of `bytes` that may differ from `synced`.
    dirty: BTreeSet<usize>,
}

enum NameChange {
    Set(String, u64),
    Remove(String),
    Rename(String, String),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Set(name, file) => drop(names.insert(name.clone(), *file)),
            Self::Remove(name) => drop(names.remove(name)),
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
        }
    }
}

/// The random generator: small, and the same on every platform.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which must not be zero.
    fn below(&mut self, bound: usize) -> usize {
        invariant!(bound > 0, "no number is below zero");
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or_default()
    }
}

impl SimStorage {
    /// An empty directory. `seed` decides which data a power cut loses.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let disk = SimDisk {
            hang: DiskHang::Responds,
            random: SplitMix64(seed),
            files: BTreeMap::new(),
            next_file: 0,
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            unsynced: Vec::new(),
            boot: 0,
            locked: false,
            power_off: false,
            operations: Vec::new(),
            fault: None,
            capacity_bytes: None,
        };
        Self(Arc::new(SimMachine { disk: Mutex::new(disk), hang_changed: Condvar::new() }))
    }

    fn disk(&self) -> MutexGuard<'_, SimDisk> {
        self.0.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk, once it responds.
    fn responding(&self) -> MutexGuard<'_, SimDisk> {
        let mut disk = self.disk();
        while disk.hang != DiskHang::Responds {
            disk.hang = DiskHang::Hangs(true);
            self.0.hang_changed.notify_all();
            disk = self.0.hang_changed.wait(disk).unwrap_or_else(PoisonError::into_inner);
        }
        disk
    }

    /// From now on writes and syncs of files wait until [`Self::resume`].
    pub fn hang(&self) {
        self.disk().hang = DiskHang::Hangs(false);
    }

    /// Waits until an operation waits for the disk. Returns whether one did within `timeout`.
    #[must_use]
    pub fn is_hung_within(&self, timeout: Duration) -> bool {
        let is_idle = |disk: &mut SimDisk| disk.hang != DiskHang::Hangs(true);
        let waited = self.0.hang_changed.wait_timeout_while(self.disk(), timeout, is_idle);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Lets all operations that wait go on.
    pub fn resume(&self) {
        self.disk().hang = DiskHang::Responds;
        self.0.hang_changed.notify_all();
    }

    /// Number of operations so far. Reads do not count.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.disk().operations.len() as u64
    }

    /// All operations so far.
    #[must_use]
    pub fn history(&self) -> Vec<StorageOperation> {
        self.disk().operations.clone()
    }

    /// Limits the bytes of all files from now on. `None` removes the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk().capacity_bytes = bytes;
    }

    /// Bytes of all files.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.disk().used_bytes()
    }

    /// Plans a fault for an operation, by its index: the next one has index [`Self::operations`].
    pub fn fail_at(&self, operation: u64, fault: StorageFault) {
        self.disk().fault = Some((operation, fault));
    }

    /// Cuts the power: unsynced data is kept or lost, as the seed decides.
    pub fn cut_power(&self) {
        self.disk().cut_power();
    }

    /// Starts the machine or the process again: earlier handles fail, the lock is free, no fault is
    /// planned.
    pub fn reboot(&self) {
        let mut disk = self.disk();
        disk.boot += 1;
        disk.locked = false;
        disk.power_off = false;
        disk.fault = None;
    }

    /// The content of a file. Empty if the file does not exist.
    #[must_use]
    pub fn read(&self, name: &str) -> Vec<u8> {
        let disk = self.disk();
        let file = disk.names.get(name).and_then(|file| disk.files.get(file));
        file.map(|content| content.bytes.clone()).unwrap_or_default()
    }

    /// Changes the content of a file durably, without counting as an operation.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut disk = self.disk();
        let Some(file) = disk.names.get(name).copied() else { return };
        if let Some(content) = disk.files.get_mut(&file) {
            change(&mut content.bytes);
            content.synced.clone_from(&content.bytes);
            content.dirty.clear();
        }
    }

    /// Removes a file durably, without counting as an operation.
    pub fn lose(&self, name: &str) {
        let mut disk = self.disk();
        disk.names.remove(name);
        disk.synced_names.remove(name);
    }

    /// A copy of the directory, in which everything is synced.
    #[must_use]
    pub fn copy(&self, seed: u64) -> Self {
        let (copy, disk) = (Self::new(seed), self.disk());
        let mut other = copy.disk();
        other.names.clone_from(&disk.names);
        other.synced_names.clone_from(&disk.names);
        other.next_file = disk.next_file;
        for (number, content) in &disk.files {
            let bytes = content.bytes.clone();
            let content = SimContent { synced: bytes.clone(), bytes, dirty: BTreeSet::new() };
            other.files.insert(*number, content);
        }
        drop(other);
        copy
    }
}

impl SimDisk {
    fn used_bytes(&self) -> u64 {
        let files: BTreeSet<u64> = self.names.values().copied().collect();
        files.iter().filter_map(|f| self.files.get(f)).map(|c| c.bytes.len() as u64).sum()
    }

    /// Counts an operation, and fails if a fault is planned for it. A power cut during the operation
    /// calls `change` first, and may then lose that change.
    fn begin(
        &mut self,
        boot: u64,
        operation: StorageOperation,
        change: impl FnOnce(&mut Self),
    ) -> io::Result<()> {
        self.check_boot(boot)?;
        let number = self.operations.len() as u64;
        self.operations.push(operation);
        match self.fault {
            Some((at, StorageFault::Error)) if at == number => {
                self.fault = None;
                Err(io::Error::other("a planned failure"))
            }
            Some((at, StorageFault::PowerCut)) if at == number => {
                change(self);
                self.cut_power();
                Err(io::Error::other(POWER_IS_OFF))
            }
            _ => Ok(()),
        }
    }

    fn check_boot(&self, boot: u64) -> io::Result<()> {
        if self.power_off || boot != self.boot {
            Err(io::Error::other(POWER_IS_OFF))
        } else {
            Ok(())
        }
    }

    fn cut_power(&mut self) {
        self.power_off = true;
        let kept = self.random.below(self.unsynced.len() + 1);
        for change in self.unsynced.drain(..).take(kept) {
            change.apply(&mut self.synced_names);
        }
        self.names.clone_from(&self.synced_names);
        let random = &mut self.random;
        for content in self.files.values_mut() {
            content.cut_power(random);
        }
        let used: BTreeSet<u64> = self.names.values().copied().collect();
        self.files.retain(|file, _| used.contains(file));
    }

    fn file_of(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn content(&mut self, file: u64) -> io::Result<&mut SimContent> {
        self.files.get_mut(&file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced.push(change);
    }

    fn create(&mut self, name: &str, size: usize) -> u64 {
        let file = self.next_file;
        self.next_file += 1;
        let mut content = SimContent::default();
        content.write(&vec![0; size], 0);
        self.files.insert(file, content);
        self.change_names(NameChange::Set(name.to_owned(), file));
        file
    }
}

impl SimContent {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(target) = self.bytes.get_mut(offset..end) {
            target.copy_from_slice(bytes);
        }
        self.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
    }

    fn sync(&mut self) {
        self.synced.resize(self.bytes.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.sync_sector(sector);
        }
    }

    fn sync_sector(&mut self, sector: usize) {
        let end = ((sector + 1) * SECTOR).min(self.bytes.len());
        let range = sector * SECTOR..end;
        if let (Some(to), Some(from)) = (self.synced.get_mut(range.clone()), self.bytes.get(range))
        {
            to.copy_from_slice(from);
        }
    }

    /// Each dirty sector becomes as it was synced, or as it was written.
    fn cut_power(&mut self, random: &mut SplitMix64) {
        if !self.dirty.is_empty() && self.bytes.len() != self.synced.len() && random.below(2) == 0 {
            let length = self.bytes.len();
            self.synced.resize(length, 0);
        }
        let mode = random.below(4);
        for sector in std::mem::take(&mut self.dirty) {
            // Keep all sectors, none, or each with a chance of one half.
            if mode == 0 || mode > 1 && random.below(2) == 0 {
                self.sync_sector(sector);
            }
        }
        self.bytes.clone_from(&self.synced);
    }
}

impl SimStorage {
    fn handle(&self, boot: u64, file: u64) -> Arc<dyn StoredFile> {
        Arc::new(SimFile { storage: self.clone(), boot, file })
    }

    fn boot(&self) -> u64 {
        self.disk().boot
    }
}

/// Releases the lock when it is dropped, unless the machine was rebooted meanwhile.
struct SimLock {
    storage: SimStorage,
    boot: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut disk = self.storage.disk();
        if disk.boot == self.boot {
            disk.locked = false;
        }
    }
}

impl Storage for SimStorage {
    fn lock(&self) -> io::Result<Lock> {
        let boot = self.boot();
        let mut disk = self.disk();
        disk.check_boot(boot)?;
        if std::mem::replace(&mut disk.locked, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        drop(disk);
        Ok(Box::new(SimLock { storage: self.clone(), boot }))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let disk = self.disk();
        disk.check_boot(disk.boot)?;
        Ok(disk.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        let disk = self.disk();
        disk.check_boot(disk.boot)?;
        let (boot, file) = (disk.boot, disk.file_of(name)?);
        drop(disk);
        Ok(self.handle(boot, file))
    }

    fn create(&self, name: &str, size_bytes: u64) -> io::Result<Arc<dyn StoredFile>> {
        let size = usize::try_from(size_bytes).map_err(io::Error::other)?;
        let mut disk = self.disk();
        let boot = disk.boot;
        disk.begin(boot, StorageOperation::Create, |disk| {
            disk.create(name, size);
        })?;
        if disk.capacity_bytes.is_some_and(|max| disk.used_bytes() + size_bytes > max) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = disk.create(name, size);
        drop(disk);
        Ok(self.handle(boot, file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.file_of(from)?;
        let boot = disk.boot;
        let change = || NameChange::Rename(from.to_owned(), to.to_owned());
        disk.begin(boot, StorageOperation::Rename, |disk| disk.change_names(change()))?;
        disk.change_names(change());
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.file_of(name)?;
        let boot = disk.boot;
        let change = || NameChange::Remove(name.to_owned());
        disk.begin(boot, StorageOperation::Remove, |disk| disk.change_names(change()))?;
        disk.change_names(change());
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.disk();
        let boot = disk.boot;
        let begun = disk.begin(boot, StorageOperation::SyncNames, |_| ());
        if begun.is_err() && !disk.power_off {
            disk.unsynced.clear();
        }
        begun?;
        disk.unsynced.clear();
        let names = disk.names.clone();
        disk.synced_names = names;
        Ok(())
    }

    fn is_in_place(&self, name: &str, file: &dyn StoredFile) -> io::Result<bool> {
        let disk = self.disk();
        disk.check_boot(disk.boot)?;
        let named = disk.file_of(name)?;
        drop(disk);
        Ok(file.id()?.inode == named)
    }

    fn place(&self, name: &str) -> String {
        name.to_owned()
    }
}

struct SimFile {
    storage: SimStorage,
    boot: u64,
    file: u64,
}

impl StoredFile for SimFile {
    fn size_bytes(&self) -> io::Result<u64> {
        let mut disk = self.storage.disk();
        disk.check_boot(self.boot)?;
        Ok(disk.content(self.file)?.bytes.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let mut disk = self.storage.disk();
        disk.check_boot(self.boot)?;
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let content = &disk.content(self.file)?.bytes;
        let read = content.get(from..from.saturating_add(bytes.len()));
        bytes.copy_from_slice(read.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let mut disk = self.storage.responding();
        disk.begin(self.boot, StorageOperation::Write, |disk| {
            if let Ok(content) = disk.content(self.file) {
                content.write(bytes, offset);
            }
        })?;
        let length = disk.content(self.file)?.bytes.len();
        let grown = (offset + bytes.len()).saturating_sub(length) as u64;
        if grown > 0 && disk.capacity_bytes.is_some_and(|max| disk.used_bytes() + grown > max) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.content(self.file)?.write(bytes, offset);
        Ok(())
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(FileId { device: 0, inode: self.file })
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.storage.responding();
        let begun = disk.begin(self.boot, StorageOperation::Sync, |_| ());
        if begun.is_err() && !disk.power_off {
            // The dirty sectors count as clean from now on.
            disk.content(self.file)?.dirty.clear();
        }
        begun?;
        disk.content(self.file)?.sync();
        Ok(())
    }
}
