//! One turn of the check of running sums over all accounts.
//!
//! Input: the place where the last turn ended. Output: differences, and where the next turn begins.

use std::ops::Bound;

use crate::domain::account::AccountState;
use crate::domain::monitor::Monitor;
use crate::domain::recount::{Recount, RecountCursor, RunningTotal};

impl Monitor {
    /// Derives a sample of the running sums again. Reads about [`crate::domain::recount::ENTRIES_MAX`]
    /// entries, then the open orders or the symbol that it is at.
    #[must_use]
    pub fn recount(&self, from: &RecountCursor) -> (Recount, RecountCursor) {
        let mut recount = Recount::default();
        if from.account.is_none() && !self.notes.is_empty() {
            let is_equal = Some(self.notes.miscounted().is_none());
            recount.note(RunningTotal::Notes, is_equal, self.notes.len());
        }
        let here = from.account.as_ref().and_then(|name| self.accounts.get(name));
        let (mut account, mut symbol) = match here {
            Some(account) => (Some(account), from.symbol),
            None => (self.account_after(from), 0),
        };
        while let Some(at) = account {
            let here = |symbol| RecountCursor { account: Some(at.name.clone()), symbol };
            if recount.is_enough() {
                return (recount, here(symbol));
            }
            if let Some(next) = at.recount(symbol, &mut recount) {
                return (recount, here(next));
            }
            (account, symbol) = (self.account_after(&here(0)), 0);
        }
        (recount, RecountCursor::default())
    }

    fn account_after(&self, cursor: &RecountCursor) -> Option<&AccountState> {
        let after = cursor.account.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        self.accounts.after(after)
    }
}
