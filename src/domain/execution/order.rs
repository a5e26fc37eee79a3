//! One order as a set of facts, and the state that they add up to.
//!
//! Input: facts in any order of arrival. Output: [`OrderState`]. Invariant: every permutation of the
//! same facts gives the same outcome and quantities. Deliberately absent: counting, windows and
//! positions (see `apply`).

use std::cmp::Ordering;

use enum_map::EnumMap;
use serde::{Deserialize, Serialize};

use crate::domain::compact::{NonMaxU32, ThinVec};
use crate::domain::enum_set::EnumSet;
use crate::domain::event::Initiator;
use crate::domain::execution::amendments::Amendment;
use crate::domain::execution::counters::Outcome;
use crate::domain::execution::fills::{Fill, Fills};
use crate::domain::execution::reason::RejectReason;
use crate::domain::execution::replaces::{AcceptedReplace, Replaces};
use crate::domain::execution::scope::ScopeKind;
use crate::domain::execution::slippage::slippage_bps;
use crate::domain::execution::window::EntryKey;
use crate::domain::ids::{OrderId, Session};
use crate::domain::symbols::SymbolKey;
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Notional, Price, Quantity, Side, agree, compare, exact};
use crate::domain::weight;

/// One order: its facts, and which part of them is counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The first id of its replace chain.
    pub order_id: OrderId,
    /// The other ids of the chain.
    pub aliases: ThinVec<OrderId>,
    /// The run of the engine.
    pub session: Option<Session>,
    /// The instrument, once a fact reported it.
    pub symbol: Option<SymbolKey>,
    /// Buy or sell, once a fact reported it.
    pub side: Option<Side>,
    /// Place of its strategy among the account's breakdowns.
    pub strategy: Option<NonMaxU32>,
    /// Place of its venue among the account's breakdowns.
    pub venue: Option<NonMaxU32>,
    /// Its strategy among the account's words, also when it is not broken down.
    pub strategy_name: Option<NonMaxU32>,
    /// Its venue among the account's words.
    pub venue_name: Option<NonMaxU32>,
    /// The venue's id of it.
    pub venue_order_id: Option<OrderId>,
    /// The submission.
    pub submission: Option<OrderSubmission>,
    /// The earliest acceptance (event time).
    pub accepted_at: Option<Timestamp>,
    /// Executions, busts and corrections.
    pub fills: Fills,
    /// Accepted changes.
    pub replaces: Replaces,
    /// Terminal facts.
    pub ends: ThinVec<TerminalFact>,
    /// Why it was rejected.
    pub reject_reason: Option<RejectReason>,
    /// A submission with the same id and another symbol was refused. From then on, a fact without a
    /// symbol could be about either order.
    pub is_disputed: bool,
    /// The part of the facts that is counted already.
    pub counted: CountedFacts,
}

/// The submission of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderSubmission {
    /// Event time.
    pub at: Timestamp,
    /// The ordered quantity or amount.
    pub ordered: OrderedSize,
    /// Reference prices by `Reference::ALL`.
    pub references: [Option<Price>; 3],
    /// The price when the strategy decided.
    pub decision_price: Option<Price>,
    /// Its type among the account's words.
    pub order_type: Option<NonMaxU32>,
    /// Its time in force among the account's words.
    pub time_in_force: Option<NonMaxU32>,
    /// Whether it may only reduce a position.
    pub reduce_only: Option<bool>,
    /// Tells a duplicate from a conflict.
    pub content: SubmissionDigest,
    /// Sent under the first id of the chain. A submission under a later id counts only while there is
    /// no other; of several, the earliest counts.
    pub of_first_id: bool,
}

/// The ordered quantity or amount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OrderedSize {
    /// So many units.
    Quantity(Quantity),
    /// Units for an amount of money; few orders are.
    Notional(Box<NotionalSize>),
}

/// An amount of money that was ordered for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotionalSize {
    /// As it was sent, in the quote currency.
    pub notional: Notional,
    /// The sum of quantity x price that fills the order.
    #[serde(with = "exact")]
    pub enough: Decimal,
}

/// Identifies a submission: the digest of its fields, and the time if it gave one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmissionDigest {
    /// Digest of the fields.
    pub digest: u128,
    /// The sender's time.
    pub given_time: Option<Timestamp>,
}

/// A terminal fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalFact {
    /// Event time.
    pub at: Timestamp,
    /// The outcome that it reports.
    pub outcome: Outcome,
    /// Who cancelled.
    pub initiator: Option<Initiator>,
    /// Why, in the words of the sender.
    pub reason: Option<Box<str>>,
    /// Why it was rejected, as a code.
    pub code: Option<Box<str>>,
}

/// The part of an order that counters, histograms and windows already contain.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CountedFacts {
    /// Fills, from the first, that are counted completely. 0 as soon as one must be looked at again,
    /// and for an order with an index of its fills.
    pub fills: u32,
    /// How often a submission under a further id changed the reference of many counted fills.
    #[serde(default)]
    pub restated: u8,
    /// The steps that are counted, each once in the life of an order.
    pub once: EnumSet<CountedOnce>,
    /// Outcomes that the order ever reached.
    pub reached: EnumSet<Outcome>,
    /// The outcome that is counted now.
    pub outcome: Option<Outcome>,
    /// The ordered quantity in the counters.
    #[serde(with = "exact")]
    pub ordered: Decimal,
    /// The leaves in the open orders of the symbol.
    #[serde(with = "exact")]
    pub leaves: Decimal,
    /// Whether it is counted as open.
    pub open: bool,
    /// Whether it is counted as unacknowledged.
    pub unacknowledged: bool,
    /// Whether it entered the windows; they may have evicted it since.
    pub entered: bool,
    /// Its entries in the windows of its scopes.
    pub entries: EnumMap<ScopeKind, Option<EntryKey>>,
}

/// The steps of an order that are counted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, enum_map::Enum)]
pub enum CountedOnce {
    /// Its submission.
    Submission,
    /// Its acceptance.
    Acceptance,
    /// An overfill.
    Overfill,
    /// Its missing references.
    MissingReferences,
    /// The latency from submission to acceptance.
    AckLatency,
    /// The latency from acceptance to the first fill.
    FirstFillLatency,
    /// The latency from submission to the last fill.
    FillLatency,
}

/// The state of an order that its facts add up to.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each read by name")]
pub struct OrderState {
    /// Q, once known.
    pub quantity: Option<Decimal>,
    /// F: executed and not busted.
    pub filled: Decimal,
    /// Sum of quantity x price over F; `None` if a price is missing, or if the sum is out of range.
    pub notional: Option<Decimal>,
    /// Whether an amount of money was ordered, not a quantity.
    pub by_notional: bool,
    /// Whether F is more than Q.
    pub overfilled: bool,
    /// How it ended; `None` while no fact says so.
    pub outcome: Option<Outcome>,
    /// Event time of the first fill that is not busted.
    pub first_fill_at: Option<Timestamp>,
    /// Event time of the last fill that is not busted.
    pub last_fill_at: Option<Timestamp>,
    /// Whether a synthetic execution is part of F.
    pub synthetic: bool,
    /// Whether the user cancelled it.
    pub user_cancelled: bool,
    /// Event time of the fact that ended it.
    pub ended_at: Option<Timestamp>,
}

/// Of two submissions in one chain, the one of the lower rank wins: that of the first id, then the
/// earlier one, then the one with the lower digest. The order of arrival does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SubmissionRank {
    /// Whether it was sent under a later id of the chain.
    pub(super) of_later_id: bool,
    /// Event time.
    pub(super) at: Timestamp,
    /// Digest of its fields.
    pub(super) digest: u128,
}

impl OrderSubmission {
    /// Its rank among the submissions of one chain.
    pub(super) const fn rank(&self) -> SubmissionRank {
        let digest = self.content.digest;
        SubmissionRank { of_later_id: !self.of_first_id, at: self.at, digest }
    }

    /// The reference `expected`.
    #[must_use]
    pub const fn expected(&self) -> Option<Price> {
        let [expected, _, _] = self.references;
        expected
    }
}

impl Order {
    /// About the bytes of it, with its place, its ids and its facts. Parts that few orders have are not
    /// looked at.
    #[must_use]
    pub fn bytes(&self) -> usize {
        weight::ORDER
            + self.fills.bytes()
            + self.aliases.len() * weight::ORDER_ID
            + self.replaces.len() * size_of::<AcceptedReplace>()
            + self.ends.len() * weight::ORDER_END
    }

    /// An order of which nothing but its id is known.
    #[must_use]
    pub fn new(order_id: OrderId, session: Option<Session>) -> Self {
        Self {
            order_id,
            aliases: ThinVec::default(),
            session,
            symbol: None,
            side: None,
            strategy: None,
            venue: None,
            strategy_name: None,
            venue_name: None,
            venue_order_id: None,
            submission: None,
            accepted_at: None,
            fills: Fills::default(),
            replaces: Replaces::default(),
            ends: ThinVec::default(),
            reject_reason: None,
            is_disputed: false,
            counted: CountedFacts::default(),
        }
    }

    /// Facts held, submission and acceptance left out.
    #[must_use]
    pub fn facts(&self) -> usize {
        let fills = self.fills.facts();
        // A replace may bring an id and nothing else that is new.
        let replaces = self.replaces.len().max(self.aliases.len());
        fills + replaces + self.ends.len()
    }

    /// Whether it reached its venue: a submission, an acceptance, a fill or a rejection is known.
    #[must_use]
    pub fn reached(&self) -> bool {
        self.submission.is_some()
            || self.accepted_at.is_some()
            || !self.fills.is_empty()
            || self.ends.iter().any(|end| end.outcome == Outcome::Rejected)
    }

    /// Whether any event but its submission was received.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        self.accepted_at.is_some()
            || !self.fills.is_empty()
            || !self.ends.is_empty()
            || !self.replaces.is_empty()
    }

    /// Adds an execution.
    pub fn add_fill(&mut self, fill: Fill) {
        self.fills.push(fill);
        self.fills.index(self.replaced_at());
    }

    /// Adds a bust or a correction.
    pub fn amend_fill(&mut self, amendment: Amendment) {
        self.fills.amend(amendment);
        self.fills.index(self.replaced_at());
    }

    /// Adds an accepted change.
    pub fn add_replace(&mut self, replace: AcceptedReplace) {
        self.replaces.insert(replace);
        self.fills.replaced(self.replaced_at());
    }

    /// Moves the executions, amendments and replaces of a merged order into this one. If both have an
    /// execution under one id, the one here stays, and the other is returned.
    pub(super) fn absorb_fills(&mut self, gone: &mut Self) -> Vec<Fill> {
        let doubles = self.fills.absorb(&mut gone.fills);
        self.replaces.absorb(&mut gone.replaces);
        self.fills.index(self.replaced_at());
        self.fills.replaced(self.replaced_at());
        self.counted.fills = 0;
        doubles
    }

    /// Builds the index that a stored order leaves out. All of its facts are counted.
    pub fn restore_index(&mut self) {
        self.fills.index(self.replaced_at());
        if self.symbol.is_some() {
            self.fills.counted();
        }
    }

    /// Marks every execution as not counted completely.
    pub fn count_all_again(&mut self) {
        self.counted.fills = 0;
        self.fills.change_all();
    }

    /// The strongest terminal fact: it ends an order that is not filled.
    #[must_use]
    pub fn end(&self) -> Option<&TerminalFact> {
        self.ends.iter().min_by_key(|e| (e.outcome, e.at))
    }

    /// The ordered amount of money; `None` for an ordered quantity, and before the submission.
    #[must_use]
    pub fn by_notional(&self) -> Option<&NotionalSize> {
        match &self.submission.as_ref()?.ordered {
            OrderedSize::Notional(by) => Some(by),
            OrderedSize::Quantity(_) => None,
        }
    }

    /// The state that the facts add up to.
    #[must_use]
    pub fn state(&self) -> OrderState {
        let (quantity, executed) = self.executed();
        let end = self.end();
        let against_quantity = quantity.map(|q| compare_within_dust(executed.quantity, q));
        let by_notional = self.by_notional();
        let is_filled = against_quantity.is_some_and(Ordering::is_ge)
            || (executed.is_final && self.is_final())
            || by_notional.zip(executed.notional).is_some_and(|(by, sum)| sum.abs() >= by.enough);
        let (outcome, ended_at) = if is_filled {
            (Some(Outcome::Filled), executed.last_at)
        } else {
            (end.map(|end| end.outcome), end.map(|end| end.at))
        };
        OrderState {
            quantity,
            filled: executed.quantity,
            notional: executed.notional,
            by_notional: by_notional.is_some(),
            overfilled: against_quantity == Some(Ordering::Greater),
            outcome,
            first_fill_at: executed.first_at,
            last_fill_at: executed.last_at,
            synthetic: executed.synthetic,
            user_cancelled: self.ends.iter().any(|e| e.initiator == Some(Initiator::User)),
            ended_at,
        }
    }

    /// Reference prices by `Reference::ALL`. The limit is that of the last replace that gave one
    /// (of several at one instant the highest), else that of the submission. 0 is no limit.
    #[must_use]
    pub fn references(&self) -> [Option<Price>; 3] {
        let [expected, arrival, limit] =
            self.submission.as_ref().map(|s| s.references).unwrap_or_default();
        let last = self.replaces.last_limit().map(|(_, price)| price);
        [expected, arrival, last.or(limit)]
    }

    /// Slippage of the order in basis points against each reference, positive = worse:
    /// s (P - ref) / abs(ref) x 10^4. None without a fill, a side or a usable reference.
    #[must_use]
    pub fn slippage_bps(&self, state: &OrderState) -> [Option<f64>; 3] {
        match self.side.zip(state.notional) {
            Some((side, notional)) => slippage_bps(side, notional, state.filled, self.references()),
            None => [None; 3],
        }
    }
}

impl TerminalFact {
    /// A terminal fact without any details.
    #[must_use]
    pub const fn new(outcome: Outcome, at: Timestamp) -> Self {
        Self { at, outcome, initiator: None, reason: None, code: None }
    }
}

impl CountedFacts {
    /// Adds the counted part of an order that was merged into this one, so that nothing is counted
    /// twice.
    pub fn absorb(&mut self, gone: &Self) {
        self.once.extend(gone.once);
        self.reached.extend(gone.reached);
        self.outcome = self.outcome.or(gone.outcome);
        self.ordered = self.ordered.saturating_add(gone.ordered);
        self.restated = self.restated.saturating_add(gone.restated);
    }
}

impl OrderState {
    /// P = sum(q p) / F; `None` without a fill.
    #[must_use]
    pub fn average_price(&self) -> Option<Decimal> {
        self.notional.filter(|_| !self.filled.is_zero())?.checked_div(self.filled)
    }
}

/// Compares the filled with the ordered quantity; equal within dust.
fn compare_within_dust(filled: Decimal, ordered: Decimal) -> Ordering {
    let exactly = compare(filled, ordered);
    let is_dust = exactly.is_ne() && !filled.is_zero() && agree(filled, ordered);
    if is_dust { Ordering::Equal } else { exactly }
}
