//! Execution quality: orders as sets of facts, windows, figures, anomalies.

pub mod anomaly;
pub mod counters;
pub mod figures;
pub mod histogram;

use crate::domain::ids::{OrderId, Session, Strategy, Symbol, Venue};
use crate::domain::settings::Reference;
use crate::domain::symbols::SymbolKey;
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Side};

use anomaly::AnomalyView;
use counters::{Counters, Outcome};
use figures::{Figures, Quantiles};
use histogram::Histogram;

/// Counters and window of one symbol, account, strategy or venue.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    counters: Counters,
}

impl Scope {
    /// What is counted for ever.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What the window says now. O(1).
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures::default()
    }

    /// Quantiles of slippage over the window; none without a sample. Sorts the window.
    #[must_use]
    pub fn quantiles(&self, _reference: Reference) -> Option<Quantiles> {
        None
    }
}

/// One order as the API shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderView {
    /// The engine's id (the first of a replace chain).
    pub order_id: OrderId,
    /// Other ids of the same chain.
    pub aliases: Vec<OrderId>,
    /// The run of the engine.
    pub session: Option<Session>,
    /// The instrument, once known.
    pub symbol: Option<Symbol>,
    /// Buy or sell, once known.
    pub side: Option<Side>,
    /// The strategy, once known.
    pub strategy: Option<Strategy>,
    /// The venue, once known.
    pub venue: Option<Venue>,
    /// Q, once known.
    pub quantity: Option<Decimal>,
    /// F.
    pub filled_quantity: Decimal,
    /// P; none without a fill.
    pub average_price: Option<Decimal>,
    /// How it ended; none: open, or not known enough.
    pub outcome: Option<Outcome>,
    /// Whether its submission arrived.
    pub submitted_at: Option<Timestamp>,
    /// When the venue accepted it (event time).
    pub accepted_at: Option<Timestamp>,
    /// When its outcome was reached (event time of the deciding fact).
    pub ended_at: Option<Timestamp>,
    /// When the last fact was received.
    pub received_at: Timestamp,
    /// Reference prices: expected, arrival, limit.
    pub references: [Option<Decimal>; 3],
    /// Slippage against them, in basis points, positive = worse.
    pub slippage_bps: [Option<f64>; 3],
    /// Executions that stand.
    pub fills: Vec<FillView>,
}

/// One execution as the API shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct FillView {
    /// Its id, if it has one.
    pub fill_id: Option<crate::domain::ids::FillId>,
    /// Event time.
    pub time: Timestamp,
    /// Quantity.
    pub quantity: Decimal,
    /// Price.
    pub price: Decimal,
    /// Made by the engine to set its books right.
    pub synthetic: bool,
}

/// Orders, windows, figures and anomalies of one account.
#[derive(Clone, Debug)]
pub struct Execution {
    whole: Scope,
    symbols: Vec<Scope>,
    ack: Histogram,
    fill: Histogram,
    slippage: [Histogram; 3],
}

/// Bounds of the latency histograms, in seconds.
pub const LATENCY_BOUNDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Bounds of the slippage histogram, in basis points, positive = worse.
pub const SLIPPAGE_BOUNDS: [f64; 13] =
    [-50.0, -20.0, -10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0];

/// Reasons of rejections: the closed set of the label `reason`.
pub const REJECT_REASONS: [&str; 11] = [
    "post_only",
    "insufficient_funds",
    "invalid_price",
    "invalid_quantity",
    "reduce_only",
    "rate_limit",
    "risk_limit",
    "market_closed",
    "unknown_symbol",
    "duplicate_id",
    "other",
];

impl Default for Execution {
    fn default() -> Self {
        Self {
            whole: Scope::default(),
            symbols: Vec::new(),
            ack: Histogram::new(&LATENCY_BOUNDS),
            fill: Histogram::new(&LATENCY_BOUNDS),
            slippage: [(); 3].map(|()| Histogram::new(&SLIPPAGE_BOUNDS)),
        }
    }
}

impl Execution {
    /// The account as a whole.
    #[must_use]
    pub const fn whole(&self) -> &Scope {
        &self.whole
    }

    /// One symbol; none: no order of it was seen.
    #[must_use]
    pub fn symbol(&self, key: SymbolKey) -> Option<&Scope> {
        self.symbols.get(key.index())
    }

    /// Strategies by name, if broken down.
    pub fn strategies(&self) -> impl Iterator<Item = (&str, &Scope)> {
        std::iter::empty()
    }

    /// Venues by name, if broken down.
    pub fn venues(&self) -> impl Iterator<Item = (&str, &Scope)> {
        std::iter::empty()
    }

    /// Open orders of one symbol.
    #[must_use]
    pub fn open_orders(&self, _key: SymbolKey) -> u64 {
        0
    }

    /// Open orders of the account.
    #[must_use]
    pub fn open_orders_total(&self) -> u64 {
        0
    }

    /// Submitted, nothing heard for too long.
    #[must_use]
    pub fn unacknowledged(&self, _key: SymbolKey) -> u64 {
        0
    }

    /// Submission time (received, if it had none) of the oldest open order.
    #[must_use]
    pub fn oldest_open_at(&self) -> Option<Timestamp> {
        None
    }

    /// Rejections by `REJECT_REASONS`.
    #[must_use]
    pub const fn rejections(&self) -> &[u64; 11] {
        &[0; 11]
    }

    /// The latest order rejected for each reason.
    #[must_use]
    pub fn rejection_exemplar(&self, _reason: usize) -> Option<&histogram::Exemplar> {
        None
    }

    /// Submission to acceptance, in seconds.
    #[must_use]
    pub const fn ack_histogram(&self) -> &Histogram {
        &self.ack
    }

    /// Submission to last fill of fully filled orders, in seconds.
    #[must_use]
    pub const fn fill_histogram(&self) -> &Histogram {
        &self.fill
    }

    /// Slippage of each fill, in basis points, by `Reference::ALL`.
    #[must_use]
    pub const fn slippage_histograms(&self) -> &[Histogram; 3] {
        &self.slippage
    }

    /// Anomalies that stand.
    #[must_use]
    pub fn anomalies(&self) -> Vec<AnomalyView> {
        Vec::new()
    }

    /// Orders held, in the order of their first fact; `after` continues a listing.
    pub fn orders(&self, _after: Option<u64>) -> impl Iterator<Item = (u64, OrderView)> + '_ {
        std::iter::empty()
    }

    /// One order held, by any id of its chain.
    #[must_use]
    pub fn order(&self, _session: Option<&str>, _order_id: &str) -> Option<OrderView> {
        None
    }

    /// Orders dropped because a bound was reached: open, unknown.
    #[must_use]
    pub const fn dropped(&self) -> (u64, u64) {
        (0, 0)
    }
}
