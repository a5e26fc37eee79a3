//! The state as bytes: the content of a snapshot.
//!
//! Input: a [`Monitor`], or its bytes. Output: the bytes, or the monitor, and a digest. The format is
//! `MessagePack` with field names, so that a later version can add fields. Invariants: equal states
//! give equal bytes (maps are written in order), and a state that was read back continues exactly as
//! the original would. Deliberately absent: files (see `crate::journal`) and compression.

use std::fmt;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::monitor::Monitor;
use crate::domain::settings::Settings;

/// The layout that is written. A field that a later version adds has a default; a state that cannot
/// be read without the new field needs the next number.
pub const STATE_VERSION: u32 = 1;

const BUFFER_BYTES: usize = 256 * 1024;

/// Why the bytes of a state cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The bytes end early, or are not a state.
    #[error("the state cannot be decoded")]
    Decode(#[from] rmp_serde::decode::Error),
    /// A later version of this program wrote the state.
    #[error("the state has version {0}, and only {STATE_VERSION} is known")]
    Version(u32),
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

/// The document after the version: the settings in force, and the state without them.
#[derive(Serialize, Deserialize)]
struct StateDocument<S, M> {
    settings: S,
    state: M,
}

/// Writes a state: the version, then the document.
///
/// # Errors
/// Those of `out`.
pub fn encode_state(state: &Monitor, out: &mut dyn Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, out);
    let document = StateDocument { settings: state.settings(), state };
    let mut serializer = rmp_serde::Serializer::new(&mut out).with_struct_map();
    let written = STATE_VERSION.serialize(&mut serializer);
    written.and_then(|()| document.serialize(&mut serializer)).map_err(io::Error::other)?;
    out.flush()
}

/// Reads a state.
///
/// # Errors
/// See [`StateError`].
pub fn decode_state(from: &mut dyn Read) -> Result<Monitor, StateError> {
    let from = BufReader::with_capacity(BUFFER_BYTES, from);
    let mut deserializer = rmp_serde::Deserializer::new(from);
    let version = u32::deserialize(&mut deserializer)?;
    if version != STATE_VERSION {
        return Err(StateError::Version(version));
    }
    let document = StateDocument::<Settings, Monitor>::deserialize(&mut deserializer)?;
    Ok(document.state.resumed(Arc::new(document.settings)))
}

/// The digest of a state.
#[must_use]
pub fn digest_state(state: &Monitor) -> StateDigest {
    let mut hasher = HashWriter(Sha256::new());
    let written = encode_state(state, &mut hasher);
    invariant!(written.is_ok(), "a hasher accepts every byte");
    StateDigest(hasher.0.finalize().into())
}

/// Hashes the bytes that are written to it.
struct HashWriter(Sha256);

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
