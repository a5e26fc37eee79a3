//! The size of the state, and whether an event may be recorded when the state is too large.
//!
//! Input: the state, an event, the [`Pressure`]. Output: yes or no. Deliberately absent: the ceiling,
//! which is that of the machine; the fold never asks.

use crate::domain::account::AccountState;
use crate::domain::event::{Body, Event};
use crate::domain::ids::Account;
use crate::domain::monitor::Monitor;
use crate::domain::principal::NO_TOKEN;
use crate::domain::record::Entry;
use crate::domain::weight::{self, Admission, Holder, Pressure, StateWeight};

impl Monitor {
    /// About the bytes of the state, by holder. O(accounts).
    #[must_use]
    pub fn weigh(&self) -> StateWeight {
        let mut weight = StateWeight::default();
        for account in self.accounts.values() {
            let name = &account.name;
            let bytes = account.bytes() + self.bytes_about(name);
            let is_named = self.settings.accounts.is_named(name.as_str());
            weight.add(self.holder_of(name, None), bytes, is_named);
        }
        for (sender, bytes) in self.notes.bytes() {
            match sender {
                "" => weight.add_common(bytes),
                token => weight.add(Holder::Token(token.into()), bytes, false),
            }
        }
        let all = self.bytes_about(&Account::all()) + self.probes.bytes();
        weight.add_common(all + self.audit.strays_bytes() + self.recent.len() * weight::AUDIT_LINE);
        weight
    }

    /// Bytes beside an account: its lines of the audit trail, its alerts.
    fn bytes_about(&self, account: &Account) -> usize {
        let (lines, text_bytes) = self.audit.size_of(account);
        lines * weight::AUDIT_LINE + text_bytes + self.alerts.len(account) * weight::ALERT
    }

    /// Who is charged for an account. A new one will be opened by `token`.
    fn holder_of(&self, account: &Account, token: Option<&str>) -> Holder {
        if self.settings.accounts.is_named(account.as_str()) {
            return Holder::Account(account.clone());
        }
        let opened_by = match self.accounts.get(account) {
            Some(state) => state.opened_by.as_deref(),
            None => token,
        };
        match opened_by.filter(|token| *token != NO_TOKEN) {
            Some(token) => Holder::Token(token.into()),
            None => Holder::Account(account.clone()),
        }
    }

    /// Whether an entry, sent with that token, may be recorded under this pressure. Everything but
    /// events and notes may.
    #[must_use]
    pub fn admits(&self, entry: &Entry, token: Option<&str>, pressure: &Pressure) -> bool {
        if let Entry::Note(note) = entry {
            let holder = Holder::Token(note.sender.clone());
            return matches!(pressure.admission(&holder), Admission::All);
        }
        let Some(event) = entry.event() else { return true };
        let account = self.accounts.get(&event.account);
        let is_vital = || account.is_some_and(|account| self.is_vital(account, event));
        match pressure.admission(&self.holder_of(&event.account, token)) {
            Admission::All => true,
            Admission::KnownOrders => {
                let is_known = |account: &AccountState| account.execution.knows_order(event);
                account.is_some_and(is_known) || is_vital()
            }
            Admission::Vital => is_vital(),
            Admission::Nothing => false,
        }
    }

    /// Whether an event is a heartbeat of a known component or a snapshot of known symbols.
    fn is_vital(&self, account: &AccountState, event: &Event) -> bool {
        let renamed = self.settings.aliases.renamed(event);
        match &renamed.as_ref().unwrap_or(event).body {
            Body::Heartbeat(heartbeat) => {
                account.components.health(heartbeat.component.as_str()).is_some()
            }
            Body::Positions(positions) => {
                positions.rows.iter().all(|row| account.symbols.get(&row.symbol).is_some())
            }
            Body::Order(_)
            | Body::Quote(_)
            | Body::PositionAdjusted(_)
            | Body::Reconciled(_)
            | Body::AccountEquity(_) => false,
        }
    }
}
