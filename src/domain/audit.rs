//! The audit trail that can be read: who decided what, with which token, when and why.
//!
//! Input: lines, each with its [`Share`]. Output: the same, newest first. Invariants: shares are
//! bounded apart, so that what an engine's token can make pushes out nothing that people decided;
//! a share that is full loses the oldest line of the account that has the most of it, so that no
//! account pushes out another's newest. Deliberately absent: the whole trail, which is the journal.

use std::collections::{BTreeMap, VecDeque};

use enum_map::EnumMap;
use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
use crate::domain::ids::{Account, Actor};
use crate::domain::limits;
use crate::domain::record::Refusal;
use crate::domain::state::TradingState;
use crate::domain::time::Timestamp;

/// What stands for a token where no tokens are configured.
pub const NO_TOKEN: &str = "none";

/// Who decided: the name they gave, and the token that they held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct By {
    /// The name they gave.
    pub actor: Actor,
    /// The name of the token; [`NO_TOKEN`] where no tokens are configured. None: no request, or a
    /// record of a version that did not keep it.
    pub token: Option<Box<str>>,
}

impl By {
    /// An actor with the token of that name.
    #[must_use]
    pub fn with_token(actor: Actor, token: &str) -> Self {
        Self { actor, token: Some(token.into()) }
    }

    /// The exporter itself.
    #[must_use]
    pub fn exporter() -> Self {
        Self::from(Actor::exporter())
    }
}

impl By {
    /// Whoever sent SIGHUP to the process.
    #[must_use]
    pub fn signal() -> Self {
        Self { actor: Actor::new("SIGHUP").unwrap_or_else(|_| Actor::exporter()), token: None }
    }
}

impl From<Actor> for By {
    fn from(actor: Actor) -> Self {
        Self { actor, token: None }
    }
}

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Sequence of the record.
    pub sequence: u64,
    /// When (receive time).
    pub at: Timestamp,
    /// The account, or `*`.
    pub account: Account,
    /// What was done or tried.
    pub action: AuditAction,
    /// Who.
    pub by: By,
    /// Why, for people.
    pub reason: String,
    /// Why it was refused, if it was.
    pub refused: Option<Refusal>,
    /// State of the latch after it.
    pub state: TradingState,
    /// Epoch of the latch after it.
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
    pub enum Share {
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

/// The audit trail.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Audit {
    shares: EnumMap<Share, Lines>,
    /// Number of lines so far; it orders the lines of all shares.
    noted: u64,
}

/// The lines of one share.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Lines {
    /// Each with its number among all.
    by_account: BTreeMap<Account, VecDeque<(u64, AuditEntry)>>,
    held: usize,
}

impl Audit {
    /// Adds a line.
    pub fn note(&mut self, share: Share, entry: AuditEntry) {
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

impl Lines {
    fn push(&mut self, number: u64, entry: AuditEntry) {
        let own = self.by_account.entry(entry.account.clone()).or_default();
        own.push_back((number, entry));
        self.held += 1;
        if self.held > limits::AUDIT_MAX {
            self.drop_one();
        }
    }

    /// Drops the oldest line of the account that has the most.
    fn drop_one(&mut self) {
        let most = self.by_account.iter().max_by_key(|(_, lines)| lines.len());
        let Some(account) = most.map(|(account, _)| account.clone()) else { return };
        if let Some(lines) = self.by_account.get_mut(&account) {
            lines.pop_front();
            self.held -= 1;
            if lines.is_empty() {
                self.by_account.remove(&account);
            }
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
            by: By::exporter(),
            reason: String::new(),
            refused: None,
            state: TradingState::Halted,
            epoch: 0,
            causes: Vec::new(),
        }
    }

    fn sequences(audit: &Audit, account: &str) -> Vec<u64> {
        audit.newest(|name| name.as_str() == account).iter().map(|line| line.sequence).collect()
    }

    #[test]
    fn a_full_share_takes_nothing_from_another() {
        let mut audit = Audit::default();
        audit.note(Share::Decided, line("b", 1));
        audit.note(Share::Automatic, line("b", 2));
        for sequence in 3..limits::AUDIT_MAX as u64 + 500 {
            audit.note(Share::Attempted, line("b", sequence));
        }
        let held = sequences(&audit, "b");
        assert_eq!(held.len(), limits::AUDIT_MAX + 2);
        assert_eq!(held[limits::AUDIT_MAX..], [2, 1], "the oldest two stand");
        assert_eq!(held[0], limits::AUDIT_MAX as u64 + 499);
    }

    #[test]
    fn an_account_pushes_out_its_own_lines_alone() {
        let mut audit = Audit::default();
        audit.note(Share::Attempted, line("b", 1));
        for sequence in 2..limits::AUDIT_MAX as u64 + 500 {
            audit.note(Share::Attempted, line("a", sequence));
        }
        assert_eq!(sequences(&audit, "b"), [1]);
        assert_eq!(sequences(&audit, "a").len(), limits::AUDIT_MAX - 1);
    }
}
