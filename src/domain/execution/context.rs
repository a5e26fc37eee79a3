//! The context of one event on the execution side: settings, names, and the receivers of results.

use crate::domain::compact::OneOrMany;
use crate::domain::directive::{DirectiveKind, Outbox};
use crate::domain::drift::Flow;
use crate::domain::execution::anomaly::AnomalyChange;
use crate::domain::ids::{Account, Symbol};
use crate::domain::settings::Settings;
use crate::domain::symbols::{SymbolKey, SymbolTable};
use crate::domain::time::Timestamp;

/// The context of one event on the execution side.
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
    /// Whether one more symbol may be added.
    pub may_grow: bool,
    /// Receives directives.
    pub outbox: &'a mut Outbox<'b>,
    /// Receives changes of positions.
    pub flows: &'a mut OneOrMany<(SymbolKey, Flow)>,
}

impl Context<'_, '_> {
    /// The key of a symbol. A new symbol beyond the bound is folded into `__other__`.
    pub fn intern(&mut self, symbol: &Symbol) -> SymbolKey {
        let may_grow = self.may_grow;
        self.symbols.intern(symbol, || may_grow)
    }

    /// Emits a directive: an anomaly changed its level.
    pub fn emit(&mut self, symbol: Option<SymbolKey>, change: AnomalyChange) {
        let symbol = symbol.and_then(|key| self.symbols.name(key)).cloned();
        let AnomalyChange { figure, level, value } = change;
        self.outbox.push(self.account, DirectiveKind::Anomaly { symbol, figure, level, value });
    }
}
