//! Digests of 128 bits in place of ids and contents, and maps by digest.
//!
//! SipHash-1-3 with a fixed key: equal on every machine and in every release, so that a replay gives
//! the same state. The key is not a secret: a client that may post events may post any id anyway.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use siphasher::sip128::{Hash128, Hasher128, SipHasher13};

/// A map whose keys are digests.
pub type ByDigest<V> = HashMap<u128, V, BuildHasherDefault<DigestHasher>>;

/// The digest of a value.
#[must_use]
pub fn digest_of(value: &impl Hash) -> u128 {
    digest_through::<256>(value)
}

/// [`digest_of`] for an id, which is mostly short.
#[must_use]
pub fn digest_of_id(id: &impl Hash) -> u128 {
    digest_through::<64>(id)
}

#[inline]
fn digest_through<const GATHERED_MAX: usize>(value: &impl Hash) -> u128 {
    let mut gathered = HashBuffer { bytes: [0; GATHERED_MAX], len: 0, begun: None };
    value.hash(&mut gathered);
    gathered.digest().as_u128()
}

/// Buffers the bytes of the many small fields of a value, to hash up to `GATHERED_MAX` in one call. The
/// digest is the same as field by field.
///
/// Hot path: guarded by benches/instructions.
struct HashBuffer<const GATHERED_MAX: usize> {
    bytes: [u8; GATHERED_MAX],
    len: usize,
    /// The hash of the bytes before those in the buffer; none: the buffer was never full.
    begun: Option<SipHasher13>,
}

impl<const GATHERED_MAX: usize> HashBuffer<GATHERED_MAX> {
    fn gathered(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn digest(&self) -> Hash128 {
        match self.begun {
            None => SipHasher13::new().hash(self.gathered()),
            Some(mut begun) => {
                begun.write(self.gathered());
                begun.finish128()
            }
        }
    }

    /// Hashes bytes that do not fit into the buffer. A separate cold function, so that the common case
    /// is small enough to be inlined at every field.
    #[cold]
    #[inline(never)]
    fn write_past(&mut self, bytes: &[u8]) {
        let mut begun = self.begun.unwrap_or_default();
        begun.write(self.gathered());
        begun.write(bytes);
        self.len = 0;
        self.begun = Some(begun);
    }
}

impl<const GATHERED_MAX: usize> Hasher for HashBuffer<GATHERED_MAX> {
    fn finish(&self) -> u64 {
        self.digest().h1
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let free = self.bytes.get_mut(self.len..);
        if let Some(room) = free.and_then(|free| free.get_mut(..bytes.len())) {
            room.copy_from_slice(bytes);
            // No overflow: the bytes fitted into the buffer.
            self.len = self.len.wrapping_add(bytes.len());
        } else {
            self.write_past(bytes);
        }
    }
}

/// Hashes keys that are digests already: the low half of a digest is the hash.
#[derive(Clone, Copy, Debug, Default)]
pub struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half of a digest is the hash")]
    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }
}

/// The stored form of maps by digest: pairs in the order of their keys, so that equal maps are stored as
/// equal bytes. For `#[serde(with = "sorted")]`.
pub(crate) mod sorted {
    use super::{ByDigest, Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<V: Copy + Serialize, S: Serializer>(
        map: &ByDigest<V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut pairs: Vec<(u128, V)> = map.iter().map(|(key, value)| (*key, *value)).collect();
        pairs.sort_unstable_by_key(|(key, _)| *key);
        serializer.collect_seq(pairs)
    }

    pub(crate) fn deserialize<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ByDigest<V>, D::Error> {
        let pairs = Vec::<(u128, V)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn buffered_bytes_have_the_digest_of_single_fields(
            fields in prop::collection::vec(("[a-z]{0,300}", any::<Option<u32>>(), any::<i64>()), 0..9),
        ) {
            let mut plain = SipHasher13::new();
            fields.hash(&mut plain);
            prop_assert_eq!(digest_of(&fields), plain.finish128().as_u128());
            prop_assert_eq!(digest_of_id(&fields), plain.finish128().as_u128());
        }
    }
}
