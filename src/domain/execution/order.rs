//! One order as a set of facts, and what they add up to.
//!
//! Input: facts in any order of arrival. Output: [`Standing`]. Invariant: any permutation of the
//! same facts stands for the same outcome and quantities. Deliberately absent: counting, windows
//! and positions (see `settle`).

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::domain::compact::{NonMaxU32, OneOrMany, ThinVec};
use crate::domain::event::Initiator;
use crate::domain::execution::counters::Outcome;
use crate::domain::execution::fills::{Effective, Executed, Fills};
use crate::domain::execution::slippage::slippage_bps;
use crate::domain::execution::window::EntryKey;
use crate::domain::ids::{OrderId, Session};
use crate::domain::symbols::SymbolKey;
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Notional, Price, Quantity, Side, agree, exact};

/// One order: its facts, and what was made of them so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The first id of its replace chain.
    pub order_id: OrderId,
    /// The other ids of the chain.
    pub aliases: ThinVec<OrderId>,
    /// The run of the engine.
    pub session: Option<Session>,
    /// The instrument, once any fact told it.
    pub symbol: Option<SymbolKey>,
    /// Buy or sell, once any fact told it.
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
    pub submission: Option<Submission>,
    /// The earliest acceptance (event time).
    pub accepted_at: Option<Timestamp>,
    /// Executions, busts and corrections.
    pub fills: Fills,
    /// Accepted changes.
    pub replaces: ThinVec<Replace>,
    /// Terminal facts.
    pub ends: ThinVec<End>,
    /// Why it was rejected: place in `REJECT_REASONS`.
    pub reject_reason: Option<u8>,
    /// Its id was submitted for another symbol, too, and refused: a fact that says no symbol may be
    /// about either.
    pub is_disputed: bool,
    /// What was made of the facts so far.
    pub done: Done,
}

/// The submission of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submission {
    /// Event time.
    pub at: Timestamp,
    /// How much was ordered.
    pub ordered: Ordered,
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
    /// What was sent, to tell a duplicate from a conflict.
    pub content: SubmissionContent,
    /// Sent under the first id of the chain. One under a later id stands only while there is no
    /// other, and of several the earliest.
    pub of_first_id: bool,
}

/// How much was ordered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ordered {
    /// So many units.
    Quantity(Quantity),
    /// Units for an amount of money; few orders are.
    Notional(Box<ByNotional>),
}

/// An amount of money that was ordered for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ByNotional {
    /// As it was sent, in the quote currency.
    pub notional: Notional,
    /// The sum of quantity x price that fills the order.
    #[serde(with = "exact")]
    pub enough: Decimal,
}

/// What tells one submission from another: the digest of its fields, and the time if it gave one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmissionContent {
    /// Digest of the fields.
    pub digest: u128,
    /// The sender's time.
    pub given_time: Option<Timestamp>,
}

/// An accepted change of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replace {
    /// Event time.
    pub at: Timestamp,
    /// The new total quantity; none: unchanged.
    pub quantity: Option<Quantity>,
    /// The new limit price; none: unchanged.
    pub limit_price: Option<Price>,
}

/// A terminal fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Event time.
    pub at: Timestamp,
    /// What it says.
    pub outcome: Outcome,
    /// Who cancelled.
    pub initiator: Option<Initiator>,
    /// Why, as it was told.
    pub reason: Option<Box<str>>,
    /// Why it was rejected, as a code.
    pub code: Option<Box<str>>,
}

/// What was made of an order's facts so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing done or not")]
pub struct Done {
    /// Executions, from the first, of which everything was made while they were plain.
    pub settled: u32,
    /// Its submission is counted.
    pub submitted: bool,
    /// Its acceptance is counted.
    pub accepted: bool,
    /// Outcomes that it arrived at once, by `Outcome::index`.
    pub arrived: [bool; 5],
    /// The outcome that is counted now.
    pub outcome: Option<Outcome>,
    /// An overfill is counted.
    pub overfilled: bool,
    /// The ordered quantity that is counted.
    #[serde(with = "exact")]
    pub ordered: Decimal,
    /// Its latency to the acceptance is observed.
    pub ack_observed: bool,
    /// Its latency from the acceptance to the first execution is observed.
    pub first_fill_observed: bool,
    /// Its fill time is observed.
    pub fill_observed: bool,
    /// It entered the windows; it may have been pushed out since.
    pub entered: bool,
    /// A missing reference is counted.
    pub references_missed: bool,
    /// Leaves that are counted as open.
    #[serde(with = "exact")]
    pub leaves: Decimal,
    /// It is counted as open.
    pub open: bool,
    /// It is counted as unacknowledged.
    pub unacknowledged: bool,
    /// Its entries in the windows of `Place::ALL`.
    pub entries: [Option<EntryKey>; 4],
}

/// What the facts of an order add up to.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that follows or not")]
pub struct Standing {
    /// Q, once known.
    pub quantity: Option<Decimal>,
    /// F: executed and not busted.
    pub filled: Decimal,
    /// Sum of quantity x price over F; none when a price is not known, or it cannot be held.
    pub notional: Option<Decimal>,
    /// Whether it was given by an amount of money, not by a quantity.
    pub by_notional: bool,
    /// Whether F is more than Q.
    pub overfilled: bool,
    /// How it ended; none: it did not, as far as is known.
    pub outcome: Option<Outcome>,
    /// Event time of the first execution that stands.
    pub first_fill_at: Option<Timestamp>,
    /// Event time of the last execution that stands.
    pub last_fill_at: Option<Timestamp>,
    /// Whether a synthetic execution is part of F.
    pub synthetic: bool,
    /// Whether the user cancelled it.
    pub user_cancelled: bool,
    /// Event time of the fact that ended it.
    pub ended_at: Option<Timestamp>,
}

impl Order {
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
            replaces: ThinVec::default(),
            ends: ThinVec::default(),
            reject_reason: None,
            is_disputed: false,
            done: Done::default(),
        }
    }

    /// Facts held, submission and acceptance left out.
    #[must_use]
    pub fn facts(&self) -> usize {
        let fills = self.fills.len() + self.fills.amendments().len();
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

    /// Whether anything but its submission was heard.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        self.accepted_at.is_some()
            || !self.fills.is_empty()
            || !self.ends.is_empty()
            || !self.replaces.is_empty()
    }

    /// The executions with their quantities resolved, in the order of arrival: those without a
    /// quantity of their own take what the explicit ones leave, the earliest takes all.
    #[must_use]
    pub fn resolved(&self) -> Vec<Effective> {
        let all = self.fills.all();
        let mut fills: Vec<Effective> = all.iter().map(|f| self.fills.effective(f)).collect();
        let open = |fill: &Effective| fill.quantity.is_none();
        if !fills.iter().any(open) {
            return fills;
        }
        let explicit = sum(fills.iter().filter_map(|f| f.quantity));
        let left = self.quantity(&fills).map(|q| q.saturating_sub(explicit).max(Decimal::ZERO));
        let times = all.iter().map(|f| f.at);
        let waiting = times.zip(&fills).enumerate().filter(|(_, (_, fill))| open(fill));
        let earliest = waiting.min_by_key(|(index, (at, _))| (*at, *index)).map(|(index, _)| index);
        for (index, fill) in fills.iter_mut().enumerate().filter(|(_, fill)| open(fill)) {
            fill.quantity = match left {
                Some(left) if Some(index) == earliest => Some(left),
                Some(_) => Some(Decimal::ZERO),
                None => None,
            };
        }
        fills
    }

    /// The executions that something may still be made of, with their places. While they are plain
    /// those are the ones that came since the order was last settled whole; else all.
    #[must_use]
    #[inline]
    pub fn unsettled(&self) -> OneOrMany<(usize, Effective)> {
        if self.fills.is_empty() {
            return OneOrMany::default();
        }
        if self.fills.is_plain() {
            let fills = self.fills.all().iter().enumerate().skip(self.done.settled as usize);
            return fills.map(|(at, fill)| (at, fill.reported())).collect();
        }
        self.resolved().into_iter().enumerate().collect()
    }

    /// Q: the quantity of the last accepted replace (of several at one instant the largest), raised
    /// to what explicit executions had filled by that time; without one, that of the submission.
    fn quantity(&self, fills: &[Effective]) -> Option<Decimal> {
        let Some((at, quantity)) = self.last_quantity() else {
            return match &self.submission.as_ref()?.ordered {
                Ordered::Quantity(quantity) => Some(quantity.get()),
                Ordered::Notional(_) => None,
            };
        };
        let by_then = self.fills.all().iter().zip(fills).filter(|(fill, _)| fill.at <= at);
        let filled = sum(by_then.filter_map(|(_, effective)| effective.quantity));
        Some(quantity.get().max(filled))
    }

    /// The quantity of the last accepted replace that gave one, and its time.
    fn last_quantity(&self) -> Option<(Timestamp, Quantity)> {
        self.replaces.iter().filter_map(|r| Some((r.at, r.quantity?))).max()
    }

    /// Q, and what the executions add up to.
    fn executed(&self) -> (Option<Decimal>, Executed) {
        if self.fills.is_plain() && self.last_quantity().is_none() {
            return (self.quantity(&[]), self.fills.reported());
        }
        let fills = self.resolved();
        let mut executed = Executed::default();
        for (fill, effective) in self.fills.all().iter().zip(&fills) {
            executed.add(fill, *effective);
        }
        (self.quantity(&fills), executed)
    }

    /// The strongest terminal fact: it ends an order that is not filled.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.ends.iter().min_by_key(|e| (e.outcome.index(), e.at))
    }

    /// The amount of money that was ordered for; none: it was a quantity, or is not known.
    #[must_use]
    pub fn by_notional(&self) -> Option<&ByNotional> {
        match &self.submission.as_ref()?.ordered {
            Ordered::Notional(by) => Some(by),
            Ordered::Quantity(_) => None,
        }
    }

    /// Whether the venue still holds that nothing is left: it accepted no new quantity after it said
    /// so.
    fn is_final(&self) -> bool {
        let Some((replaced_at, _)) = self.last_quantity() else { return true };
        let fills = self.fills.all().iter().filter(|fill| fill.is_final);
        let mut standing = fills.filter(|fill| {
            self.fills.effective(fill).quantity.is_none_or(|quantity| !quantity.is_zero())
        });
        standing.any(|fill| fill.at >= replaced_at)
    }

    /// What the facts add up to.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let (quantity, executed) = self.executed();
        let end = self.end();
        let against_quantity = quantity.map(|q| compare(executed.quantity, q));
        let by_notional = self.by_notional();
        let is_filled = against_quantity.is_some_and(Ordering::is_ge)
            || (executed.is_final && self.is_final())
            || by_notional.zip(executed.notional).is_some_and(|(by, sum)| sum.abs() >= by.enough);
        let (outcome, ended_at) = if is_filled {
            (Some(Outcome::Filled), executed.last_at)
        } else {
            (end.map(|end| end.outcome), end.map(|end| end.at))
        };
        Standing {
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
        let changes = self.replaces.iter().filter_map(|r| Some((r.at, r.limit_price?.known()?)));
        [expected, arrival, changes.max().map(|(_, price)| price).or(limit)]
    }

    /// Slippage of the order in basis points against each reference, positive = worse:
    /// s (P - ref) / abs(ref) x 10^4. None without a fill, a side or a usable reference.
    #[must_use]
    pub fn slippage_bps(&self, standing: &Standing) -> [Option<f64>; 3] {
        match self.side.zip(standing.notional) {
            Some((side, notional)) => {
                slippage_bps(side, notional, standing.filled, self.references())
            }
            None => [None; 3],
        }
    }
}

impl End {
    /// A terminal fact of which nothing more is told.
    #[must_use]
    pub const fn new(outcome: Outcome, at: Timestamp) -> Self {
        Self { at, outcome, initiator: None, reason: None, code: None }
    }
}

impl Done {
    /// Takes over what was counted of an order that became part of this one, so that nothing is
    /// counted twice.
    pub fn absorb(&mut self, gone: &Self) {
        self.submitted |= gone.submitted;
        self.accepted |= gone.accepted;
        for (arrived, theirs) in self.arrived.iter_mut().zip(gone.arrived) {
            *arrived |= theirs;
        }
        self.outcome = self.outcome.or(gone.outcome);
        self.overfilled |= gone.overfilled;
        self.ordered = self.ordered.saturating_add(gone.ordered);
        self.ack_observed |= gone.ack_observed;
        self.first_fill_observed |= gone.first_fill_observed;
        self.fill_observed |= gone.fill_observed;
        self.references_missed |= gone.references_missed;
    }
}

impl Standing {
    /// P = sum(q p) / F; none without a fill.
    #[must_use]
    pub fn average_price(&self) -> Option<Decimal> {
        self.notional.filter(|_| !self.filled.is_zero())?.checked_div(self.filled)
    }
}

/// What was filled against what was ordered; equal within dust.
fn compare(filled: Decimal, ordered: Decimal) -> Ordering {
    let exactly = filled.cmp(&ordered);
    let is_dust = exactly.is_ne() && !filled.is_zero() && agree(filled, ordered);
    if is_dust { Ordering::Equal } else { exactly }
}

fn sum(values: impl Iterator<Item = Decimal>) -> Decimal {
    values.fold(Decimal::ZERO, Decimal::saturating_add)
}
