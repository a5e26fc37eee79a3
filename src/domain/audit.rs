//! The audit trail for reading: who decided what, with which token, when and why.
//!
//! Input: lines, each with its [`AuditShare`]. Output: the lines, newest first. Invariants: each share
//! has its own bound, so that lines made with an engine's token cannot displace the decisions of
//! people; a full share drops the oldest line of the account with the most lines, so that no account
//! displaces the newest lines of another. Deliberately absent: the whole trail, which is the journal.

use std::collections::{BTreeMap, VecDeque};

use enum_map::EnumMap;
use serde::{Deserialize, Serialize};

use crate::domain::closed_set::{by_word, closed_set};
use crate::domain::ids::Account;
use crate::domain::limits;
use crate::domain::principal::Principal;
use crate::domain::record::Refusal;
use crate::domain::state::{CauseKind, TradingState};
use crate::domain::time::Timestamp;

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Sequence of the record.
    pub sequence: u64,
    /// Receive time of the record.
    pub at: Timestamp,
    /// The account, or `*`.
    pub account: Account,
    /// The action or attempt.
    pub action: AuditAction,
    /// The person, program or rule.
    pub by: Principal,
    /// The reason, for people.
    pub reason: String,
    /// The refusal; none: it was carried out.
    pub refused: Option<Refusal>,
    /// State of the latch after the action.
    pub state: TradingState,
    /// Epoch of the latch after the action.
    pub epoch: u64,
    /// Ids of the causes set or released.
    pub causes: Vec<u64>,
}

closed_set! {
    /// An action or attempt in the audit trail.
    pub enum AuditAction {
        /// A cause was set.
        Halt = "halt",
        /// Causes were released.
        Release = "release",
        /// Causes were released although one was still open.
        ForcedRelease = "forced_release",
        /// A drift was reconciled by hand.
        Reconcile = "reconcile",
        /// A reconcile directive was sent to the engine.
        ReconcileSent = "reconcile_sent",
        /// The books agreed after a directive.
        ReconcileConfirmed = "reconcile_confirmed",
        /// No directive was confirmed: the drift escalated.
        ReconcileEscalated = "reconcile_escalated",
        /// A series was retired.
        Retire = "retire",
        /// The configuration was reloaded.
        Configure = "configure",
    }
}

closed_set! {
    /// A part of the audit trail with a bound of its own.
    pub enum AuditShare {
        /// Decided with the scope `halt` or `release`, and carried out.
        Decided = "decided",
        /// Done to a latch by the exporter itself.
        Automatic = "automatic",
        /// Refused, or possible with an ingest token.
        Attempted = "attempted",
        /// Attempted on accounts that are not kept: anybody can invent their names.
        Stray = "stray",
    }
}

impl AuditShare {
    /// The share of the lines about causes of a kind.
    #[must_use]
    pub const fn of_cause(kind: CauseKind) -> Self {
        match kind {
            CauseKind::Operator | CauseKind::Alertmanager => Self::Decided,
            CauseKind::Drift
            | CauseKind::Risk
            | CauseKind::Component
            | CauseKind::NotMonitored
            | CauseKind::MissingEvidence => Self::Automatic,
        }
    }
}

/// The audit trail.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuditTrail {
    #[serde(with = "by_word")]
    shares: EnumMap<AuditShare, AuditLines>,
    /// Number of lines so far; it orders the lines of all shares.
    noted: u64,
}

/// The lines of one share.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct AuditLines {
    /// Each line with its number in the whole trail.
    by_account: BTreeMap<Account, VecDeque<(u64, AuditEntry)>>,
    held: usize,
}

impl AuditTrail {
    /// Adds a line.
    pub fn note(&mut self, share: AuditShare, entry: AuditEntry) {
        self.noted += 1;
        self.shares[share].push(self.noted, entry);
    }

    /// The lines of these accounts, newest first.
    #[must_use]
    pub fn newest(&self, is_asked_for: impl Fn(&Account) -> bool) -> Vec<&AuditEntry> {
        let of = self.shares.values().flat_map(|lines| &lines.by_account);
        let mut lines: Vec<&(u64, AuditEntry)> =
            of.filter(|(account, _)| is_asked_for(account)).flat_map(|(_, lines)| lines).collect();
        lines.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        lines.into_iter().map(|(_, entry)| entry).collect()
    }
}

impl AuditLines {
    fn push(&mut self, number: u64, entry: AuditEntry) {
        let own = self.by_account.entry(entry.account.clone()).or_default();
        own.push_back((number, entry));
        self.held += 1;
        if self.held > limits::AUDIT_MAX {
            self.drop_one();
        }
    }

    /// Drops the oldest line of the account with the most lines.
    fn drop_one(&mut self) {
        let most = self.by_account.iter().max_by_key(|(_, lines)| lines.len());
        let Some(account) = most.map(|(account, _)| account.clone()) else {
            impossible!("a share past its bound has lines");
            return;
        };
        let Some(lines) = self.by_account.get_mut(&account) else {
            impossible!("the account was just found");
            return;
        };
        lines.pop_front();
        self.held -= 1;
        if lines.is_empty() {
            self.by_account.remove(&account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(account: &str, sequence: u64) -> AuditEntry {
        AuditEntry {
            sequence,
            at: Timestamp::MIN,
            account: Account::new(account).expect("an account"),
            action: AuditAction::Halt,
            by: Principal::exporter(),
            reason: String::new(),
            refused: None,
            state: TradingState::Halted,
            epoch: 0,
            causes: Vec::new(),
        }
    }

    fn sequences(audit: &AuditTrail, account: &str) -> Vec<u64> {
        audit.newest(|name| name.as_str() == account).iter().map(|line| line.sequence).collect()
    }

    #[test]
    fn a_full_share_displaces_no_line_of_another() {
        let mut audit = AuditTrail::default();
        audit.note(AuditShare::Decided, line("b", 1));
        audit.note(AuditShare::Automatic, line("b", 2));
        for sequence in 3..limits::AUDIT_MAX as u64 + 500 {
            audit.note(AuditShare::Attempted, line("b", sequence));
        }
        let held = sequences(&audit, "b");
        assert_eq!(held.len(), limits::AUDIT_MAX + 2);
        assert_eq!(held[limits::AUDIT_MAX..], [2, 1], "the two oldest lines are kept");
        assert_eq!(held[0], limits::AUDIT_MAX as u64 + 499);
    }

    #[test]
    fn an_account_displaces_only_its_own_lines() {
        let mut audit = AuditTrail::default();
        audit.note(AuditShare::Attempted, line("b", 1));
        for sequence in 2..limits::AUDIT_MAX as u64 + 500 {
            audit.note(AuditShare::Attempted, line("a", sequence));
        }
        assert_eq!(sequences(&audit, "b"), [1]);
        assert_eq!(sequences(&audit, "a").len(), limits::AUDIT_MAX - 1);
    }
}
