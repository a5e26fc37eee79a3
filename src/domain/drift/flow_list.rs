//! Changes of one position in the order of event time, with sums over parts of the list.
//!
//! Input: flows in any order of arrival. Output: flows and their sums. Invariants: flows of one time
//! are in the order of arrival; one in order costs O(1), one out of order and a reversal cost a search
//! and at most the length of a chunk; a sum looks at each chunk once, and at the flows of the
//! chunks at both ends. Deliberately absent: which flows are needed (see `flows`).
//!
//! # Design
//! The newest flows form a plain list, and nearly all symbols have nothing else. Older ones are in
//! chunks, each with its sum and with its largest executions. A sum is exact, so that it does not
//! depend on where chunks begin: a state that was read back has other chunks.

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::flow::{Flow, FlowKind};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, ExactTotal};
use crate::domain::visits;

/// Flows outside of chunks, at most.
const TAIL_MAX: usize = 128;
/// Flows of a new chunk. One with twice as many is divided.
const CHUNK_LEN: usize = 64;

/// A flow and its receive time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct ReceivedFlow {
    pub(super) flow: Flow,
    pub(super) received: Timestamp,
}

/// The flows within a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FlowSum {
    /// The signed sum.
    pub(super) change: Decimal,
    /// Number of flows.
    pub(super) count: usize,
}

/// Flows in the order of event time.
#[derive(Clone, Default)]
pub(super) struct FlowList {
    /// The older flows; no chunk is empty.
    chunks: VecDeque<FlowChunk>,
    /// The newer flows.
    tail: VecDeque<ReceivedFlow>,
    len: usize,
}

#[derive(Clone, Default)]
struct FlowChunk {
    entries: VecDeque<ReceivedFlow>,
    sum: ExactTotal,
    /// At least the sizes of the largest purchase and of the largest sale, reversals left out. They are
    /// worked out when a chunk is made, and after a search that they did not save.
    largest: [Decimal; 2],
}

impl FlowChunk {
    fn of(entries: VecDeque<ReceivedFlow>) -> Self {
        let mut chunk = Self { entries, ..Self::default() };
        chunk.sum_up();
        chunk
    }

    /// Works out the sums.
    fn sum_up(&mut self) {
        visits::count(self.entries.len());
        self.sum = ExactTotal::default();
        for entry in &self.entries {
            self.sum.add(entry.flow.change);
        }
        self.find_largest();
    }

    /// Works out the largest sizes.
    fn find_largest(&mut self) {
        visits::count(self.entries.len());
        self.largest = Default::default();
        for entry in &self.entries {
            raise(&mut self.largest, &entry.flow);
        }
    }

    fn last(&self) -> Option<Timestamp> {
        self.entries.back().map(|entry| entry.flow.time)
    }

    fn first(&self) -> Option<Timestamp> {
        self.entries.front().map(|entry| entry.flow.time)
    }
}

/// The place of a kind of execution; `None` for an adjustment, which nothing reverses.
const fn size_of_kind(sizes: &mut [Decimal; 2], kind: FlowKind) -> Option<&mut Decimal> {
    let [bought, sold] = sizes;
    match kind {
        FlowKind::Buy => Some(bought),
        FlowKind::Sell => Some(sold),
        FlowKind::Adjustment => None,
    }
}

/// Raises the largest size of the kind of a flow to that of the flow.
fn raise(largest: &mut [Decimal; 2], flow: &Flow) {
    if flow.is_reversal() {
        return;
    }
    if let Some(largest) = size_of_kind(largest, flow.kind) {
        *largest = (*largest).max(flow.change.abs());
    }
}

impl FlowList {
    /// Number of flows.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The oldest flow.
    pub(super) fn first(&self) -> Option<&ReceivedFlow> {
        let chunk = self.chunks.front().and_then(|chunk| chunk.entries.front());
        chunk.or_else(|| self.tail.front())
    }

    /// Inserts a flow after those of the same time.
    pub(super) fn insert(&mut self, entry: ReceivedFlow) {
        self.len += 1;
        let time = entry.flow.time;
        let is_in_chunk = self.tail.front().is_some_and(|first| time < first.flow.time);
        if is_in_chunk && !self.chunks.is_empty() {
            return self.insert_in_chunk(entry);
        }
        if self.tail.len() == self.tail.capacity() {
            // Grow by half: there is a list for each symbol, and lists that double are half empty.
            self.tail.reserve_exact((self.tail.len() / 2).max(4));
        }
        if self.tail.back().is_some_and(|last| last.flow.time > time) {
            visits::search(self.tail.len());
            let place = self.tail.partition_point(|e| e.flow.time <= time);
            self.tail.insert(place, entry);
        } else {
            self.tail.push_back(entry);
        }
        if self.tail.len() > TAIL_MAX {
            self.chunks.push_back(FlowChunk::of(self.tail.drain(..CHUNK_LEN).collect()));
        }
    }

    fn insert_in_chunk(&mut self, entry: ReceivedFlow) {
        visits::search(self.chunks.len());
        let time = entry.flow.time;
        let later = self.chunks.partition_point(|chunk| chunk.first() <= Some(time));
        let at = later.saturating_sub(1);
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        let place = chunk.entries.partition_point(|e| e.flow.time <= time);
        chunk.entries.insert(place, entry);
        if chunk.entries.len() < 2 * CHUNK_LEN {
            chunk.sum.add(entry.flow.change);
            return raise(&mut chunk.largest, &entry.flow);
        }
        let newer = FlowChunk::of(chunk.entries.split_off(CHUNK_LEN));
        chunk.sum_up();
        self.chunks.insert(at + 1, newer);
    }

    /// Removes the oldest flow.
    pub(super) fn pop_first(&mut self) -> Option<ReceivedFlow> {
        let Some(chunk) = self.chunks.front_mut() else {
            let popped = self.tail.pop_front();
            self.len -= usize::from(popped.is_some());
            return popped;
        };
        let popped = chunk.entries.pop_front();
        self.len -= usize::from(popped.is_some());
        if let Some(popped) = popped {
            chunk.sum.subtract(popped.flow.change);
        }
        if chunk.entries.is_empty() {
            self.chunks.pop_front();
        }
        popped
    }

    /// The flows from the first one that is not `before`, in order.
    pub(super) fn from(
        &self,
        before: impl Fn(Timestamp) -> bool,
    ) -> impl Iterator<Item = &ReceivedFlow> {
        let is_before = |time: Option<Timestamp>| time.is_some_and(&before);
        let at = self.chunks.partition_point(|chunk| is_before(chunk.last()));
        let first = self.chunks.get(at).map_or(&self.tail, |chunk| &chunk.entries);
        let skipped = first.partition_point(|entry| before(entry.flow.time));
        let chunks = self.chunks.iter().skip(at).map(|chunk| &chunk.entries);
        let lists = chunks.chain([&self.tail]).enumerate();
        lists.flat_map(move |(place, list)| list.iter().skip(if place == 0 { skipped } else { 0 }))
    }

    /// The sum of the flows after `after` and up to `to`, inclusive.
    pub(super) fn sum(&self, after: Timestamp, to: Timestamp) -> FlowSum {
        let (mut change, mut count) = (ExactTotal::default(), 0);
        let mut add = |entries: &VecDeque<ReceivedFlow>| {
            let start = entries.partition_point(|entry| entry.flow.time <= after);
            for entry in entries.iter().skip(start).take_while(|entry| entry.flow.time <= to) {
                visits::count(1);
                change.add(entry.flow.change);
                count += 1;
            }
        };
        let start = self.chunks.partition_point(|chunk| chunk.last() <= Some(after));
        let mut whole = (ExactTotal::default(), 0);
        for chunk in self.chunks.iter().skip(start).take_while(|chunk| chunk.first() <= Some(to)) {
            visits::count(1);
            if chunk.first() > Some(after) && chunk.last() <= Some(to) {
                whole.0.add_total(chunk.sum);
                whole.1 += chunk.entries.len();
            } else {
                add(&chunk.entries);
            }
        }
        add(&self.tail);
        change.add_total(whole.0);
        FlowSum { change: change.saturated(), count: count + whole.1 }
    }

    /// Whether the sum of each chunk equals that of its flows.
    pub(super) fn has_right_sums(&self) -> bool {
        self.chunks.iter().all(|chunk| total(&chunk.entries).get() == chunk.sum.get())
    }

    /// The sum of all flows; the nearest decimal if it is out of range.
    pub(super) fn total(&self) -> Decimal {
        let mut sum = total(&self.tail);
        for chunk in &self.chunks {
            sum.add_total(chunk.sum);
        }
        sum.saturated()
    }

    /// Whether more than `max` flows are later than `after`.
    pub(super) fn has_more_since(&self, after: Timestamp, max: usize) -> bool {
        let later = |entries: &VecDeque<ReceivedFlow>| {
            entries.len() - entries.partition_point(|entry| entry.flow.time <= after)
        };
        visits::search(self.len);
        let mut count = later(&self.tail);
        for chunk in self.chunks.iter().rev() {
            if count > max || chunk.last() <= Some(after) {
                break;
            }
            visits::count(1);
            count += later(&chunk.entries);
        }
        count > max
    }

    /// Reduces an execution by its bust or correction downward: of the executions of that time and
    /// kind, the first one that is large enough. Returns whether there is one.
    pub(super) fn reverse(&mut self, reversal: Flow) -> bool {
        let (time, size) = (reversal.time, reversal.change.abs());
        visits::search(self.len);
        let start = self.chunks.partition_point(|chunk| chunk.last() < Some(time));
        for at in start..self.chunks.len() {
            visits::count(1);
            let Some(chunk) = self.chunks.get_mut(at).filter(|c| c.first() <= Some(time)) else {
                break;
            };
            let largest = size_of_kind(&mut chunk.largest, reversal.kind);
            if largest.is_none_or(|largest| *largest < size) {
                continue;
            }
            let Some(reduced) = reduce(&mut chunk.entries, reversal) else {
                chunk.find_largest();
                continue;
            };
            chunk.sum.subtract(reduced.before);
            chunk.sum.add(reduced.after);
            self.len -= usize::from(reduced.after.is_zero());
            if chunk.entries.is_empty() {
                self.chunks.remove(at);
            }
            return true;
        }
        let reduced = reduce(&mut self.tail, reversal);
        self.len -= usize::from(reduced.is_some_and(|reduced| reduced.after.is_zero()));
        reduced.is_some()
    }

    /// All flows, in order.
    fn iter(&self) -> impl Iterator<Item = &ReceivedFlow> {
        self.from(|_| false)
    }
}

/// The sum of some flows.
fn total(entries: &VecDeque<ReceivedFlow>) -> ExactTotal {
    let mut sum = ExactTotal::default();
    for entry in entries {
        sum.add(entry.flow.change);
    }
    sum
}

/// The change of an execution before and after a reversal. One with nothing left is removed.
#[derive(Clone, Copy)]
struct ReducedFlow {
    before: Decimal,
    after: Decimal,
}

/// Reduces the first execution that is large enough for the reversal. `None` if there is none.
fn reduce(entries: &mut VecDeque<ReceivedFlow>, reversal: Flow) -> Option<ReducedFlow> {
    let first = entries.partition_point(|entry| entry.flow.time < reversal.time);
    let of_time = entries.iter_mut().enumerate().skip(first);
    let mut of_time = of_time.take_while(|(_, entry)| entry.flow.time == reversal.time);
    let is_of = |flow: &Flow| {
        visits::count(1);
        flow.kind == reversal.kind
            && !flow.is_reversal()
            && flow.change.abs() >= reversal.change.abs()
    };
    let (place, entry) = of_time.find(|(_, entry)| is_of(&entry.flow))?;
    let before = entry.flow.change;
    let after = before.saturating_add(reversal.change);
    entry.flow.change = after;
    if after.is_zero() {
        entries.remove(place);
    }
    Some(ReducedFlow { before, after })
}

impl fmt::Debug for FlowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for FlowList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq;
        let mut list = serializer.serialize_seq(Some(self.len))?;
        for entry in self.iter() {
            list.serialize_element(entry)?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for FlowList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut list = Self::default();
        for entry in Vec::deserialize(deserializer)? {
            list.insert(entry);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_sum_of_a_chunk_is_found() {
        let mut list = FlowList::default();
        for change in 0..500 {
            let flow = Flow { time: Timestamp::MIN, change: change.into(), kind: FlowKind::Buy };
            list.insert(ReceivedFlow { flow, received: Timestamp::MIN });
        }
        assert!(list.has_right_sums());
        assert_eq!(list.total(), Decimal::from(500 * 499 / 2));
        let chunk = list.chunks.back_mut().expect("a chunk");
        chunk.sum.add(Decimal::ONE);
        assert!(!list.has_right_sums());
    }
}
