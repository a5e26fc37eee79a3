//! Trading states: permits, accounts, decisions and the audit trail.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::account::AccountState;
use crate::domain::audit::{AuditAction, AuditEntry};
use crate::domain::event::Source;
use crate::domain::health;
use crate::domain::ids::Account as AccountId;
use crate::domain::monitor::{Monitor, Permit as DomainPermit};
use crate::domain::record::Refusal;
use crate::domain::settings::{OnExpiry, PermitSettings};
use crate::domain::state::{Cause as DomainCause, CauseKind, TradingState};
use crate::wire::time::Rfc3339;

/// The trading state of accounts by name.
pub type States = BTreeMap<String, TradingState>;

/// The permission to trade, for a limited time.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Permit {
    /// The account; `*`: the latch of all accounts alone.
    pub account: String,
    /// The more severe of the account's own state and that of `*`.
    pub state: TradingState,
    /// Whether the configuration, a token or an event names the account. If false, it may be
    /// misspelt.
    pub known: bool,
    /// The causes of the state, oldest first; empty when active.
    pub causes: Vec<Cause>,
    /// Number of changes so far. It only rises: a client ignores a permit with a lower epoch.
    pub epoch: u64,
    /// How long the permit is valid, in milliseconds. The engine counts on its own monotonic clock,
    /// from `waited_ms` after it sent the request.
    pub valid_for_ms: u64,
    /// Time from the request to the permit, in milliseconds: near 0, or longer after a wait or in a
    /// stream. A client may also count from the request itself: its permit then ends earlier.
    pub waited_ms: u64,
    /// The behaviour of the engine after the permit expires.
    pub on_expiry: OnExpiry,
    /// Sequence of the state that the permit was read from.
    pub sequence: u64,
    /// Health of the system and of alert delivery. It does not affect the permit.
    pub health: PermitHealth,
}

/// Health of the system and of alert delivery.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct PermitHealth {
    /// The combined state of the account's components and of the exporter's probes.
    pub status: health::Health,
    /// Age of the last Watchdog from Alertmanager, in seconds; null: none since the start.
    pub watchdog_age_seconds: Option<f64>,
}

impl Permit {
    /// The permit of one account, `waited` after the request.
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
            state: permit.state,
            known: true,
            causes: Cause::all(account, permit),
            epoch: permit.epoch,
            valid_for_ms: millis(settings.valid_for),
            waited_ms: millis(waited),
            on_expiry: settings.on_expiry,
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
    /// The account to release it for; `*`: it applies to all accounts.
    pub account: String,
    /// The kind of source that set it.
    pub kind: CauseKind,
    /// The state that it requires.
    pub state: TradingState,
    /// Its subject: a symbol, a component, a fingerprint.
    pub subject: Option<String>,
    /// The reason, for people.
    pub reason: String,
    /// The person or program that set it.
    pub actor: String,
    /// When (receive time).
    pub set_at: Rfc3339,
    /// The number of causes of its kind that it represents. It is above 1 after more causes were set
    /// than a latch holds; releasing it releases all of them.
    pub count: u64,
    /// The epoch that a release must name now.
    pub epoch: u64,
    /// A body that `POST /api/v1/halts/release` accepts as it is.
    pub release: ReleaseBody,
}

/// The body of a release, filled in as far as the permit can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReleaseBody {
    /// The account, or `*`, whose latch has the cause.
    pub account: String,
    /// The epoch of that latch.
    pub epoch: u64,
    /// Ids of the causes to release.
    pub causes: Vec<u64>,
    /// The person that releases: put your name here. The default says that none was given.
    pub actor: &'static str,
    /// The reason: put yours here. The default says that none was given.
    pub reason: &'static str,
}

/// The actor of a release whose body was sent unchanged.
const NO_ACTOR: &str = "unnamed";
/// The reason of a release whose body was sent unchanged.
const NO_REASON: &str = "none given: the body from the permit was sent as it was";

impl Cause {
    /// The causes of a permit for `account`.
    pub(super) fn all(account: &str, permit: &DomainPermit) -> Vec<Self> {
        let latch_of = |cause: &DomainCause| {
            if permit.common.contains(&cause.id) {
                (AccountId::ALL, permit.common_epoch)
            } else {
                (account, permit.epoch)
            }
        };
        permit.causes.iter().map(|cause| Self::new(latch_of(cause), cause)).collect()
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
            kind: cause.kind,
            state: cause.state,
            subject: cause.subject.clone(),
            reason: cause.reason.clone(),
            actor: cause.by.actor.to_string(),
            set_at: Rfc3339(cause.set_at),
        }
    }
}

/// One account, its trading state and totals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Account {
    /// Its name.
    pub account: String,
    /// The more severe of its own state and that of `*`.
    pub state: TradingState,
    /// Number of changes of that state so far.
    pub epoch: u64,
    /// Current causes, including those of `*`.
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
    /// Confirmed drifts that have not cleared.
    pub open_drifts: usize,
    /// When the last event was received.
    pub last_event_at: Option<Rfc3339>,
    /// When the newest local snapshot was taken.
    pub local_snapshot_at: Option<Rfc3339>,
    /// When the newest broker snapshot was taken.
    pub broker_snapshot_at: Option<Rfc3339>,
}

impl Account {
    /// An account of a monitor.
    #[must_use]
    pub fn new(monitor: &Monitor, account: &AccountState) -> Self {
        let permit = monitor.permit(account.name.as_str());
        let counters = account.execution.whole().counters();
        let differences = account.books.differences(&account.symbols);
        Self {
            account: account.name.to_string(),
            state: permit.state,
            epoch: permit.epoch,
            causes: permit.causes.len(),
            symbols: account.symbols.len(),
            open_orders: account.execution.open_orders_total(),
            submitted: counters.submitted,
            fills: counters.fills,
            anomalies: account.execution.anomalies(&account.symbols).len(),
            open_drifts: differences.filter(|d| d.state.is_open()).count(),
            last_event_at: account.last_event_at.map(Rfc3339),
            local_snapshot_at: account.books.snapshot_at(Source::Local).map(Rfc3339),
            broker_snapshot_at: account.books.snapshot_at(Source::Broker).map(Rfc3339),
        }
    }
}

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditLine {
    /// Sequence of the record.
    pub sequence: u64,
    /// When (receive time).
    pub at: Rfc3339,
    /// The account, or `*`.
    pub account: String,
    /// The decision, carried out or refused.
    pub action: AuditAction,
    /// The name that the request gave.
    pub actor: String,
    /// The name of the token of the request; `none` if no tokens are configured. Null: the exporter
    /// decided, or the record is of a version that did not store the token.
    pub token: Option<String>,
    /// The reason, for people.
    pub reason: String,
    /// The code of the refusal; null: the decision was carried out.
    pub refused: Option<&'static str>,
    /// State of the latch after it.
    pub state: TradingState,
    /// Epoch of the latch after it.
    pub epoch: u64,
    /// Ids of the causes set or released.
    pub causes: Vec<u64>,
}

impl AuditLine {
    /// One entry of the audit trail.
    #[must_use]
    pub fn new(entry: &AuditEntry) -> Self {
        Self {
            sequence: entry.sequence,
            at: Rfc3339(entry.at),
            account: entry.account.to_string(),
            action: entry.action,
            actor: entry.by.actor.to_string(),
            token: entry.by.token.as_deref().map(str::to_owned),
            reason: entry.reason.clone(),
            refused: entry.refused.map(Refusal::as_str),
            state: entry.state,
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
    /// Its trading state from now on.
    pub state: TradingState,
    /// The epoch after it, which a release must name.
    pub epoch: u64,
    /// Sequence of the state after it.
    pub sequence: u64,
}

/// The outcome of a notification of Alertmanager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NotificationAnswer {
    /// Causes that were set, or already existed under the same fingerprint.
    pub halts: Vec<HaltAnswer>,
    /// Alerts that were already handled: nothing changed.
    pub duplicates: usize,
    /// Firing alerts that request nothing.
    pub ignored: usize,
    /// Unknown values of the label `action` of firing alerts: other than `halt`, `reduce` and `none`.
    /// The first 16.
    pub unknown_actions: Vec<String>,
    /// Halted accounts that were unknown before: each has the anomaly `halt_of_unknown_account`.
    pub unknown_accounts: Vec<String>,
    /// Resolved alerts. They release nothing.
    pub resolved: usize,
    /// Alerts that the notification left out.
    pub truncated: u64,
    /// Whether the Watchdog was firing.
    pub watchdog: bool,
    /// Sequence of the state after it.
    pub sequence: u64,
}

/// Causes were released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReleaseAnswer {
    /// The account, or `*`.
    pub account: String,
    /// Its trading state from now on. Other causes may remain.
    pub state: TradingState,
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
    /// The adopted side: `broker` or `local`.
    pub adopt: &'static str,
    /// The trading state of the account. A reconciliation releases no halt.
    pub state: TradingState,
    /// Sequence of the state after it.
    pub sequence: u64,
}
