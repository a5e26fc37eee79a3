//! The whole state in one document: the output of `replay`.

use serde::Serialize;

use super::{
    Account, Anomaly, AuditLine, Cause, Component, Drift, Execution, ExecutionSource, PositionRow,
};
use crate::domain::account::AccountState;
use crate::domain::ids::Account as AccountName;
use crate::domain::monitor::Monitor;
use crate::domain::state::TradingState;
use crate::domain::units::Decimal;
use crate::wire::time::Rfc3339;

/// The whole state.
#[derive(Clone, Debug, Serialize)]
pub struct Whole {
    /// Sequence of the newest record.
    pub sequence: u64,
    /// When it was received.
    pub received_at: Rfc3339,
    /// Decisions in the journal that this version would not have made.
    pub decisions_missed: u64,
    /// The trading state of all accounts: `active`, `reducing`, `halted`.
    pub state: TradingState,
    /// Number of changes of that state so far.
    pub epoch: u64,
    /// The causes of that state, oldest first.
    pub standing_causes: Vec<Cause>,
    /// The probes of the exporter.
    pub probes: Vec<Component>,
    /// The accounts, by name.
    pub accounts: Vec<WholeAccount>,
    /// The audit trail, oldest first.
    pub audit: Vec<AuditLine>,
}

/// The whole state of one account.
#[derive(Clone, Debug, Serialize)]
pub struct WholeAccount {
    /// Its trading state and totals.
    #[serde(flatten)]
    pub overview: Account,
    /// The causes of its trading state, oldest first, with those for all accounts.
    pub standing_causes: Vec<Cause>,
    /// The three books side by side.
    pub positions: Vec<PositionRow>,
    /// Current differences.
    pub drift: Vec<Drift>,
    /// Drifts that were confirmed.
    pub drift_history: Vec<Drift>,
    /// Counters and figures of the account as a whole, then of each symbol.
    pub execution: Vec<Execution>,
    /// Open anomalies.
    pub anomalies_open: Vec<Anomaly>,
    /// Components that have reported.
    pub components: Vec<Component>,
}

impl Whole {
    /// The state of a monitor.
    #[must_use]
    pub fn new(monitor: &Monitor) -> Self {
        let all = AccountName::ALL;
        let common = monitor.permit(all);
        let probes = monitor.probes().views(&monitor.settings().health);
        let accounts = monitor.accounts();
        let mut audit: Vec<AuditLine> =
            monitor.audit().newest(|_| true).map(AuditLine::new).collect();
        audit.reverse();
        Self {
            sequence: monitor.sequence(),
            received_at: Rfc3339(monitor.now()),
            decisions_missed: monitor.decisions_missed(),
            state: common.state,
            epoch: common.epoch,
            standing_causes: Cause::all(all, &common),
            probes: probes.map(|view| Component::new(all, view, monitor.now())).collect(),
            accounts: accounts.map(|account| WholeAccount::new(monitor, account)).collect(),
            audit,
        }
    }
}

impl WholeAccount {
    fn new(monitor: &Monitor, account: &AccountState) -> Self {
        let (name, settings) = (account.name.as_str(), monitor.settings());
        let (books, symbols) = (&account.books, &account.symbols);
        let drift = |view| Drift::new(name, &view);
        let components = account.components.views(&settings.health);
        let anomalies = account.execution.anomalies(symbols).into_iter();
        Self {
            overview: Account::new(monitor, account),
            standing_causes: Cause::all(name, &monitor.permit(name)),
            positions: PositionRow::of(account, monitor.now(), settings).collect(),
            drift: books.differences(symbols).map(drift).collect(),
            drift_history: books.history().map(drift).collect(),
            execution: executions(account),
            anomalies_open: anomalies.map(|anomaly| Anomaly::new(name, anomaly)).collect(),
            components: components.map(|v| Component::new(name, v, monitor.now())).collect(),
        }
    }
}

/// The account as a whole, then its symbols.
fn executions(account: &AccountState) -> Vec<Execution> {
    let (name, execution) = (account.name.as_str(), &account.execution);
    let symbols = || account.symbols.iter();
    let whole = ExecutionSource {
        account: name,
        symbol: None,
        strategy: None,
        scope: execution.whole(),
        open: Some(execution.open_orders_total()),
        unacknowledged: Some(symbols().map(|(key, _)| execution.unacknowledged(key)).sum()),
        rejections: Some(execution.rejections()),
        ledger: None,
    };
    let ledgers: std::collections::BTreeMap<String, Decimal> = account
        .books
        .positions(&account.symbols)
        .map(|position| (position.symbol.to_string(), position.ledger))
        .collect();
    let each = symbols().filter_map(|(key, symbol)| {
        Some(ExecutionSource {
            account: name,
            symbol: Some(symbol.as_str()),
            strategy: None,
            scope: execution.symbol(key)?,
            open: Some(execution.open_orders(key)),
            unacknowledged: Some(execution.unacknowledged(key)),
            rejections: None,
            ledger: Some(ledgers.get(symbol.as_str()).copied().unwrap_or_default()),
        })
    });
    std::iter::once(whole).chain(each).map(Execution::new).collect()
}
