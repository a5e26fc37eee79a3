//! The check of running sums for the books of one symbol.

use super::books::Books;
use crate::domain::recount::{Recount, RunningTotal};
use crate::domain::symbols::SymbolKey;

impl Books {
    /// Derives the sums of one symbol again from its flows.
    pub fn recount(&self, key: SymbolKey, recount: &mut Recount) {
        let Some(line) = self.lines.get(&key) else { return };
        let flows = &line.flows;
        recount.note(RunningTotal::Flows, Some(flows.has_right_sums()), flows.len());
        recount.note(RunningTotal::Ledger, line.ledger.has_right_sum(flows), 1);
    }
}
