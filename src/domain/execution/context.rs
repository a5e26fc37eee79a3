//! What the execution side is handed with each event: settings, names, and where to put results.

use crate::domain::compact::OneOrMany;
use crate::domain::directive::{DirectiveKind, Outbox};
use crate::domain::drift::Flow;
use crate::domain::execution::anomaly::Change;
use crate::domain::ids::{Account, Symbol};
use crate::domain::settings::Settings;
use crate::domain::symbols::{SymbolKey, SymbolTable};
use crate::domain::time::Timestamp;

/// What the execution side is handed with each event.
#[derive(Debug)]
pub struct Context<'a, 'b> {
    /// Receive time of the record.
    pub now: Timestamp,
    /// The settings in force.
    pub settings: &'a Settings,
    /// The account.
    pub account: &'a Account,
    /// Its symbols.
    pub symbols: &'a mut SymbolTable,
    /// Whether one more symbol is watched.
    pub may_grow: bool,
    /// Where directives go.
    pub outbox: &'a mut Outbox<'b>,
    /// Where changes of positions go.
    pub flows: &'a mut OneOrMany<(SymbolKey, Flow)>,
}

impl Context<'_, '_> {
    /// The key of a symbol; a new one past the bound is folded.
    pub fn intern(&mut self, symbol: &Symbol) -> SymbolKey {
        let may_grow = self.may_grow;
        self.symbols.intern(symbol, || may_grow)
    }

    /// Tells that an anomaly changed its level.
    pub fn tell(&mut self, symbol: Option<SymbolKey>, change: Change) {
        let symbol = symbol.and_then(|key| self.symbols.name(key)).cloned();
        let Change { figure, level, value } = change;
        self.outbox.push(self.account, DirectiveKind::Anomaly { symbol, figure, level, value });
    }
}
