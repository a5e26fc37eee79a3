//! Trading states: permits, accounts, decisions and their audit trail.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::scalar::Time;
use super::word::{AuditWord, CauseKindWord, HealthStateWord, OnExpiryWord, TradingStateWord};
use crate::domain::account::AccountState;
use crate::domain::audit::AuditEntry;
use crate::domain::event::Source;
use crate::domain::ids::Account as AccountId;
use crate::domain::monitor::{Monitor, Permit as DomainPermit};
use crate::domain::record::Refusal;
use crate::domain::settings::PermitSettings;
use crate::domain::state::Cause as DomainCause;

/// The trading state of accounts by name.
pub type States = BTreeMap<String, TradingStateWord>;

/// What an engine may do, for a limited time.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Permit {
    /// The account; `*`: the latch of all accounts alone.
    pub account: String,
    /// The more severe of the account's own state and that of `*`.
    pub state: TradingStateWord,
    /// Whether the configuration, a token or an event has named the account; false: perhaps it is
    /// misspelt.
    pub known: bool,
    /// Why, oldest first; empty when active.
    pub causes: Vec<Cause>,
    /// Number of changes so far; only rises: a client ignores a permit with a lower one.
    pub epoch: u64,
    /// How long the permit holds, in milliseconds, counted by the engine on its own monotonic
    /// clock from `waited_ms` after it asked.
    pub valid_for_ms: u64,
    /// How long after the request the permit was made, in milliseconds: at once, or after a wait,
    /// or in a stream. A client that counts from before it asked is only the more careful.
    pub waited_ms: u64,
    /// What the engine does when the permit runs out.
    pub on_expiry: OnExpiryWord,
    /// Sequence of the state that it was read from.
    pub sequence: u64,
    /// How the system and the path of alerts are; a permit is issued whatever it says.
    pub health: PermitHealth,
}

/// How the system and the path of alerts are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct PermitHealth {
    /// What the components of the account and the exporter's own probes add up to.
    pub status: HealthStateWord,
    /// Age of the last Watchdog that came by Alertmanager, in seconds; null: none since the start.
    pub watchdog_age_seconds: Option<f64>,
}

impl Permit {
    /// The answer for one account, made `waited` after the request.
    #[must_use]
    pub fn new(
        account: &str,
        permit: &DomainPermit,
        settings: PermitSettings,
        health: PermitHealth,
        waited: Duration,
    ) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            account: account.to_owned(),
            state: permit.state.into(),
            known: true,
            causes: Cause::all(account, permit),
            epoch: permit.epoch,
            valid_for_ms: millis(settings.valid_for),
            waited_ms: millis(waited),
            on_expiry: settings.on_expiry.into(),
            sequence: permit.sequence,
            health,
        }
    }
}

/// One reason why an account may not trade freely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cause {
    /// Its id, which a release may name.
    pub id: u64,
    /// The account that it is released for; `*`: it stands for all accounts.
    pub account: String,
    /// What kind of thing set it.
    pub kind: CauseKindWord,
    /// The state that it asks for.
    pub state: TradingStateWord,
    /// What it is about: a symbol, a component, a fingerprint.
    pub subject: Option<String>,
    /// Why, for people.
    pub reason: String,
    /// Who set it.
    pub actor: String,
    /// When (receive time).
    pub set_at: Time,
    /// How many causes of its kind it stands for: more than 1 where more were set than stand side
    /// by side. It is released for all of them.
    pub count: u64,
    /// The epoch that a release of it names now.
    pub epoch: u64,
    /// The body of the release: `POST /api/v1/halts/release` takes it as it is.
    pub release: ReleaseBody,
}

/// The body of a release, with what the permit knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReleaseBody {
    /// The account, or `*`: where the cause stands.
    pub account: String,
    /// The epoch of that latch.
    pub epoch: u64,
    /// Ids of the causes meant.
    pub causes: Vec<u64>,
    /// Who releases: put your name here. If nobody does, it says that no name was given.
    pub actor: &'static str,
    /// Why: put your reason here. If nobody does, it says that none was given.
    pub reason: &'static str,
}

/// In place of a name that a person forgot to put into the body of a release.
const NO_ACTOR: &str = "unnamed";
/// In place of a reason that a person forgot to put into the body of a release.
const NO_REASON: &str = "none given: the body from the permit was sent as it was";

impl Cause {
    /// The causes of a permit for `account`.
    pub(super) fn all(account: &str, permit: &DomainPermit) -> Vec<Self> {
        let stands_on = |cause: &DomainCause| {
            if permit.common.contains(&cause.id) {
                (AccountId::ALL, permit.common_epoch)
            } else {
                (account, permit.epoch)
            }
        };
        permit.causes.iter().map(|cause| Self::new(stands_on(cause), cause)).collect()
    }

    fn new((account, epoch): (&str, u64), cause: &DomainCause) -> Self {
        Self {
            count: cause.count,
            epoch,
            release: ReleaseBody {
                account: account.to_owned(),
                epoch,
                causes: vec![cause.id],
                actor: NO_ACTOR,
                reason: NO_REASON,
            },
            id: cause.id,
            account: account.to_owned(),
            kind: cause.kind.into(),
            state: cause.state.into(),
            subject: cause.subject.clone(),
            reason: cause.reason.clone(),
            actor: cause.by.actor.to_string(),
            set_at: Time(cause.set_at),
        }
    }
}

/// One account and how much is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Account {
    /// Its name.
    pub account: String,
    /// What it may do: the more severe of its own state and that of `*`.
    pub state: TradingStateWord,
    /// Number of changes of that state so far.
    pub epoch: u64,
    /// Causes that stand, those of `*` among them.
    pub causes: usize,
    /// Symbols seen.
    pub symbols: usize,
    /// Open orders.
    pub open_orders: u64,
    /// Orders submitted.
    pub submitted: u64,
    /// Executions.
    pub fills: u64,
    /// Open anomalies.
    pub anomalies: usize,
    /// Drifts that are confirmed and not cleared.
    pub open_drifts: usize,
    /// When the last event was received.
    pub last_event_at: Option<Time>,
    /// When the newest local snapshot was taken.
    pub local_snapshot_at: Option<Time>,
    /// When the newest broker snapshot was taken.
    pub broker_snapshot_at: Option<Time>,
}

impl Account {
    /// The answer for one account of a monitor.
    #[must_use]
    pub fn new(monitor: &Monitor, account: &AccountState) -> Self {
        let permit = monitor.permit(account.name.as_str());
        let counters = account.execution.whole().counters();
        let differences = account.books.differences(&account.symbols);
        Self {
            account: account.name.to_string(),
            state: permit.state.into(),
            epoch: permit.epoch,
            causes: permit.causes.len(),
            symbols: account.symbols.len(),
            open_orders: account.execution.open_orders_total(),
            submitted: counters.submitted,
            fills: counters.fills,
            anomalies: account.execution.anomalies(&account.symbols).len(),
            open_drifts: differences.filter(|d| d.state.is_open()).count(),
            last_event_at: account.last_event_at.map(Time),
            local_snapshot_at: account.books.snapshot_at(Source::Local).map(Time),
            broker_snapshot_at: account.books.snapshot_at(Source::Broker).map(Time),
        }
    }
}

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditLine {
    /// Sequence of the record.
    pub sequence: u64,
    /// When (receive time).
    pub at: Time,
    /// The account, or `*`.
    pub account: String,
    /// What was done or tried.
    pub action: AuditWord,
    /// Who: the name that was given.
    pub actor: String,
    /// The name of the token that decided; `none` where no tokens are configured. Null: the exporter
    /// did it by itself, or the record is of a version that kept no token.
    pub token: Option<String>,
    /// Why, for people.
    pub reason: String,
    /// The code of the refusal; null: it was carried out.
    pub refused: Option<&'static str>,
    /// State of the latch after it.
    pub state: TradingStateWord,
    /// Epoch of the latch after it.
    pub epoch: u64,
    /// Ids of the causes set or released.
    pub causes: Vec<u64>,
}

impl AuditLine {
    /// The answer for one line.
    #[must_use]
    pub fn new(entry: &AuditEntry) -> Self {
        Self {
            sequence: entry.sequence,
            at: Time(entry.at),
            account: entry.account.to_string(),
            action: entry.action.into(),
            actor: entry.by.actor.to_string(),
            token: entry.by.token.as_deref().map(str::to_owned),
            reason: entry.reason.clone(),
            refused: entry.refused.map(Refusal::code),
            state: entry.state.into(),
            epoch: entry.epoch,
            causes: entry.causes.clone(),
        }
    }
}

/// A halt was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HaltAnswer {
    /// Id of the cause.
    pub id: u64,
    /// The account, or `*`.
    pub account: String,
    /// What it may do from now on.
    pub state: TradingStateWord,
    /// The epoch after it: a release names it.
    pub epoch: u64,
    /// Sequence of the state after it.
    pub sequence: u64,
}

/// What a notification of Alertmanager came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NotificationAnswer {
    /// Causes that were set, or stood already under the same fingerprint.
    pub halts: Vec<HaltAnswer>,
    /// Alerts that were acted on before: nothing changed.
    pub duplicates: usize,
    /// Alerts that fire and ask for nothing.
    pub ignored: usize,
    /// What alerts that fire ask for and nobody knows: values of the label `action` other than
    /// `halt`, `reduce` and `none`. The first 16.
    pub unknown_actions: Vec<String>,
    /// Accounts that were halted and that nobody had named: `halt_of_unknown_account` stands there.
    pub unknown_accounts: Vec<String>,
    /// Alerts that are resolved: they release nothing.
    pub resolved: usize,
    /// Alerts that the notification left out.
    pub truncated: u64,
    /// Whether the Watchdog was among those that fire.
    pub watchdog: bool,
    /// Sequence of the state after it.
    pub sequence: u64,
}

/// Causes were released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReleaseAnswer {
    /// The account, or `*`.
    pub account: String,
    /// What it may do from now on: other causes may still stand.
    pub state: TradingStateWord,
    /// The epoch after it.
    pub epoch: u64,
    /// Sequence of the state after it.
    pub sequence: u64,
}

/// A drift was reconciled by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReconcileAnswer {
    /// The account.
    pub account: String,
    /// The instrument.
    pub symbol: String,
    /// The side taken: `broker` or `local`.
    pub adopt: &'static str,
    /// What the account may do: a reconciliation releases no halt.
    pub state: TradingStateWord,
    /// Sequence of the state after it.
    pub sequence: u64,
}
