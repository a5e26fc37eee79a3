//! A table that finds a member's name by its first bytes.
//!
//! Input: the 16 bytes after the opening quote of a name. Output: the key of that name, and the
//! length of the name with its closing quote and colon.
//!
//! # Design
//!
//! A scanner usually looks for the closing quote and then compares texts. Here a name of 2 to 14
//! bytes is compared together with its closing quote and its colon, as one masked `u128`, so finding
//! the end and recognising the name are one step. The first four bytes, hashed, choose the slot;
//! names that collide take the following slots, and an empty slot ends the search. The slots outnumber
//! the names by far, so that few collide. The table is built at compile time. Longer names and names
//! followed by white space are not found here; the caller then looks for the quote itself. Hot path:
//! guarded by benches/instructions. The tests of `contract::field` hold it for every real name.

/// Bytes that are compared: the longest name that can be found is two shorter.
pub(crate) const HEAD_BYTES: usize = 16;

/// Slots that a hash can choose.
const HASHED_SLOTS: usize = 256;

/// The number of slots for this many names: the search may pass the last hashed slot, and the last
/// slot is always empty.
pub(crate) const fn slots_for(names: usize) -> usize {
    HASHED_SLOTS + names + 1
}

/// See the module.
pub(crate) struct HeadTable<K, const SLOTS: usize> {
    slots: [HeadSlot<K>; SLOTS],
}

#[derive(Clone, Copy)]
struct HeadSlot<K> {
    /// The bytes of the name, its quote and its colon; the first byte is the lowest.
    word: u128,
    /// Covers the bytes that count.
    mask: u128,
    name_bytes: u8,
    /// None: the slot is empty.
    key: Option<K>,
}

impl<K: Copy, const SLOTS: usize> HeadTable<K, SLOTS> {
    /// The table of these names; `SLOTS` is [`slots_for`] their number. Names that are too short or
    /// too long are left out.
    #[expect(clippy::indexing_slicing, reason = "it runs at compile time")]
    #[expect(clippy::cast_possible_truncation, reason = "a name has at most 14 bytes here")]
    pub(crate) const fn new(keys: &[K], names: &[&str]) -> Self {
        // No text consists of 16 bytes 0xff, so an empty slot never matches.
        let empty = HeadSlot { word: u128::MAX, mask: u128::MAX, name_bytes: 0, key: None };
        let mut slots = [empty; SLOTS];
        let mut index = 0;
        while index < names.len() {
            let name = names[index].as_bytes();
            let len = name.len() + 2;
            if len >= 4 && len <= HEAD_BYTES {
                let mut bytes = [0; HEAD_BYTES];
                bytes.split_at_mut(name.len()).0.copy_from_slice(name);
                bytes[name.len()] = b'"';
                bytes[name.len() + 1] = b':';
                let word = u128::from_le_bytes(bytes);
                let mut slot = first_slot(word);
                while slots[slot].key.is_some() {
                    slot += 1;
                }
                let mask = u128::MAX >> (8 * (HEAD_BYTES - len));
                let key = Some(keys[index]);
                slots[slot] = HeadSlot { word, mask, name_bytes: name.len() as u8, key };
            }
            index += 1;
        }
        Self { slots }
    }

    /// The key of the name at the start of `head`, and the length of the name with its quote and
    /// colon.
    #[inline]
    pub(crate) fn find(&self, head: &[u8; HEAD_BYTES]) -> Option<(K, usize)> {
        let word = u128::from_le_bytes(*head);
        let mut at = first_slot(word);
        loop {
            let slot = self.slots.get(at)?;
            if (word ^ slot.word) & slot.mask == 0 {
                return Some((slot.key?, usize::from(slot.name_bytes) + 2));
            }
            if slot.name_bytes == 0 {
                return None;
            }
            at += 1;
        }
    }
}

/// The slot that the first four bytes choose.
const fn first_slot(word: u128) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "the first four bytes are wanted")]
    let start = word as u32;
    (start.wrapping_mul(0x9e37_79b1) >> (u32::BITS - HASHED_SLOTS.ilog2())) as usize
}
