//! The audit trail for reading: who decided what, with which token, when and why.
//!
//! Input: lines, each with its [`AuditShare`]. Output: the lines, newest first. Invariants: the newest
//! [`limits::AUDIT_MAX`] lines of each share of each account are kept, so that no account displaces a
//! line of another, and lines made with an engine's token displace no decision of a person; of
//! accounts that are not kept, as many for each token. Deliberately absent: the whole trail, which is
//! the journal.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use enum_map::EnumMap;
use serde::{Deserialize, Serialize};

use crate::domain::closed_set::{by_word, closed_set};
use crate::domain::ids::Account;
use crate::domain::limits;
use crate::domain::principal::Principal;
use crate::domain::record::Refusal;
use crate::domain::state::{CauseKind, TradingState};
use crate::domain::time::Timestamp;
use crate::domain::weight;

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
    by_account: BTreeMap<Account, AccountLines>,
    /// Lines of [`AuditShare::Stray`], by the name of the token.
    strays: BTreeMap<Box<str>, AuditLines>,
    /// Number of lines so far; it orders the lines of all shares.
    noted: u64,
}

/// The lines of one account, by share.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct AccountLines(#[serde(with = "by_word")] EnumMap<AuditShare, AuditLines>);

/// Lines, oldest first, each with its number in the whole trail.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct AuditLines {
    lines: VecDeque<(u64, AuditEntry)>,
    /// Bytes of their texts.
    text_bytes: usize,
}

impl AuditTrail {
    /// Adds a line.
    pub fn note(&mut self, share: AuditShare, entry: AuditEntry) {
        self.noted += 1;
        let lines = if share == AuditShare::Stray {
            let token = entry.by.token.clone().unwrap_or_default();
            self.strays.entry(token).or_default()
        } else {
            &mut self.by_account.entry(entry.account.clone()).or_default().0[share]
        };
        lines.push(self.noted, entry);
    }

    /// The lines of these accounts, newest first. Each costs O(log n) in the number of accounts.
    pub fn newest(
        &self,
        is_asked_for: impl Fn(&Account) -> bool,
    ) -> impl Iterator<Item = &AuditEntry> {
        let of = self.by_account.iter().filter(|(account, _)| is_asked_for(account));
        let kept = of.flat_map(|(_, lines)| lines.0.values()).map(|lines| &lines.lines);
        let strays = self.strays.values().map(|lines| &lines.lines);
        let mut unread: BinaryHeap<(u64, usize)> = BinaryHeap::new();
        let mut lists = Vec::new();
        for list in kept.chain(strays) {
            let mut list = list.iter();
            if let Some(last) = list.next_back() {
                unread.push((last.0, lists.len()));
                lists.push((last, list));
            }
        }
        let all = std::iter::from_fn(move || {
            let (_, at) = unread.pop()?;
            let (newest, older) = lists.get_mut(at)?;
            let line = *newest;
            if let Some(next) = older.next_back() {
                *newest = next;
                unread.push((next.0, at));
            }
            Some(&line.1)
        });
        all.filter(move |line| is_asked_for(&line.account))
    }

    /// Bytes of the lines of [`AuditShare::Stray`].
    #[must_use]
    pub fn strays_bytes(&self) -> usize {
        let bytes = |lines: &AuditLines| lines.text_bytes + lines.lines.len() * weight::AUDIT_LINE;
        self.strays.values().map(bytes).sum()
    }

    /// Number of lines that are held of an account, and the bytes of their texts.
    #[must_use]
    pub fn size_of(&self, account: &Account) -> (usize, usize) {
        let of = self.by_account.get(account).into_iter().flat_map(|lines| lines.0.values());
        of.fold((0, 0), |(count, bytes), lines| {
            (count + lines.lines.len(), bytes + lines.text_bytes)
        })
    }
}

impl AuditLines {
    fn push(&mut self, number: u64, entry: AuditEntry) {
        self.text_bytes += entry.text_bytes();
        self.lines.push_back((number, entry));
        if self.lines.len() > limits::AUDIT_MAX
            && let Some((_, oldest)) = self.lines.pop_front()
        {
            self.text_bytes -= oldest.text_bytes();
        }
    }
}

impl AuditEntry {
    /// Bytes of its texts.
    fn text_bytes(&self) -> usize {
        let token = self.by.token.as_ref().map_or(0, |token| token.len());
        self.reason.len() + self.by.actor.as_str().len() + token + size_of_val(&*self.causes)
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
        audit.newest(|name| name.as_str() == account).map(|line| line.sequence).collect()
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
        let max = limits::AUDIT_MAX as u64;
        for sequence in 0..max {
            audit.note(AuditShare::Attempted, line("b", sequence));
        }
        for sequence in max..5 * max {
            audit.note(AuditShare::Attempted, line("a", sequence));
        }
        let newest_first = |lines: std::ops::Range<u64>| lines.rev().collect::<Vec<u64>>();
        assert_eq!(sequences(&audit, "b"), newest_first(0..max));
        assert_eq!(sequences(&audit, "a"), newest_first(4 * max..5 * max));
        let all: Vec<u64> = audit.newest(|_| true).map(|line| line.sequence).collect();
        assert_eq!(all, [newest_first(4 * max..5 * max), newest_first(0..max)].concat());
        let account = Account::new("a").expect("an account");
        assert_eq!(
            audit.size_of(&account),
            (limits::AUDIT_MAX, limits::AUDIT_MAX * "trading-exporter".len())
        );
    }

    #[test]
    fn a_token_displaces_only_its_own_lines_about_unknown_accounts() {
        let mut audit = AuditTrail::default();
        let by = |token: &str, account: &str, sequence| {
            let actor = crate::domain::ids::Actor::new("x").expect("an actor");
            AuditEntry { by: Principal::with_token(actor, token), ..line(account, sequence) }
        };
        audit.note(AuditShare::Stray, by("person", "papr", 1));
        for sequence in 2..limits::AUDIT_MAX as u64 + 500 {
            audit.note(AuditShare::Stray, by("dev", &format!("dev-{sequence}"), sequence));
        }
        assert_eq!(sequences(&audit, "papr"), [1]);
        assert_eq!(audit.newest(|_| true).count(), limits::AUDIT_MAX + 1);
    }
}
