//! The state as bytes: what a snapshot holds.
//!
//! Input: a [`Monitor`], or the bytes of one. Output: the bytes, or the monitor, and a digest.
//! The form is `MessagePack` with the names of the fields, so that a later version can add some; the
//! settings stand beside the state in the form that the log has. Invariants: equal states are equal
//! bytes (maps are written in order), and what is read back goes on exactly as the original would.
//! Deliberately absent: files (see `crate::journal`) and compression.

use std::fmt;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::monitor::Monitor;
use crate::engine::codec::SettingsCodec;

/// The layout that is written. Fields that a later version adds have defaults; a state that cannot
/// be read without them needs another number.
pub const STATE_VERSION: u32 = 1;

/// What is written and read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Turns a state into bytes and back.
#[derive(Clone, Copy, Debug)]
pub struct StateCodec {
    settings: SettingsCodec,
}

/// Why the bytes of a state say nothing.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// They cannot be read, or are not what a state looks like.
    #[error("the state cannot be decoded")]
    Decode(#[from] rmp_serde::decode::Error),
    /// A later version of this program wrote them.
    #[error("the state has version {0}, and only {STATE_VERSION} is known")]
    Version(u32),
    /// The settings in them cannot be read.
    #[error("the settings of the state cannot be read: {0}")]
    Settings(String),
}

/// SHA-256 of the bytes of a state: the same for equal states, on every machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StateDigest([u8; 32]);

impl fmt::Display for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What stands behind the version, when it is written.
#[derive(Serialize)]
struct Writing<'a> {
    settings: Vec<u8>,
    state: &'a Monitor,
}

/// The same, when it was read.
#[derive(Deserialize)]
struct Reading {
    settings: Vec<u8>,
    state: Monitor,
}

impl StateCodec {
    /// A codec that leaves the form of the settings to the configuration.
    #[must_use]
    pub const fn new(settings: SettingsCodec) -> Self {
        Self { settings }
    }

    /// Writes a state: the version, then the settings and the state by name.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn encode(&self, state: &Monitor, out: &mut dyn Write) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, out);
        let writing = Writing { settings: (self.settings.encode)(state.settings()), state };
        let mut serializer = rmp_serde::Serializer::new(&mut out).with_struct_map();
        let written = STATE_VERSION.serialize(&mut serializer);
        written.and_then(|()| writing.serialize(&mut serializer)).map_err(io::Error::other)?;
        out.flush()
    }

    /// Reads a state.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn decode(&self, from: &mut dyn Read) -> Result<Monitor, StateError> {
        let from = BufReader::with_capacity(BUFFER_BYTES, from);
        let mut deserializer = rmp_serde::Deserializer::new(from);
        let version = u32::deserialize(&mut deserializer)?;
        if version != STATE_VERSION {
            return Err(StateError::Version(version));
        }
        let Reading { settings, state } = Reading::deserialize(&mut deserializer)?;
        let settings = (self.settings.decode)(&settings).map_err(StateError::Settings)?;
        Ok(state.resumed(Arc::new(settings)))
    }

    /// The digest of a state.
    #[must_use]
    pub fn digest(&self, state: &Monitor) -> StateDigest {
        let mut hashing = Hashing(Sha256::new());
        let written = self.encode(state, &mut hashing);
        // A hasher takes every byte.
        debug_assert!(written.is_ok(), "{written:?}");
        StateDigest(hashing.0.finalize().into())
    }
}

/// A hasher to write into.
struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
