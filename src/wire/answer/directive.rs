//! Directives, as the stream and the webhooks publish them.

use serde::Serialize;
use utoipa::ToSchema;

use super::drift::Drift;
use super::scalar::Exact;
use crate::domain::directive::{Directive as DomainDirective, DirectiveKind};
use crate::domain::drift::DriftType;
use crate::domain::execution::anomaly::{AnomalyLevel, Figure};
use crate::domain::health;
use crate::domain::state::{CauseKind, TradingState};
use crate::wire::time::Rfc3339;

/// One directive.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Directive {
    /// Its id, made from the sequence of the record that caused it. A directive may be delivered
    /// twice: drop the second one with the same id. A `reconciled` event names it as `directive_id`.
    pub id: String,
    /// The account, or `*`: all accounts.
    pub account: String,
    /// When it was decided (receive time).
    pub at: Rfc3339,
    /// Its content.
    #[serde(flatten)]
    pub content: DirectiveContent,
}

/// The content of a directive, by type.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DirectiveContent {
    /// A cause was set.
    Halt {
        /// The trading state from now on.
        state: TradingState,
        /// The kind of source that set it.
        cause: CauseKind,
        /// The reason, for people.
        reason: String,
        /// The epoch after it, of that account; for `*`, of the common latch.
        epoch: u64,
    },
    /// Causes were released.
    Release {
        /// The trading state from now on. Other causes may remain.
        state: TradingState,
        /// The epoch after it, of that account; for `*`, of the common latch.
        epoch: u64,
    },
    /// The engine should correct its book.
    Reconcile {
        /// The instrument.
        symbol: String,
        /// The quantity in the engine's book, as far as it is known.
        from_quantity: Exact,
        /// The quantity that it should have.
        to_quantity: Exact,
        /// The average price in the engine's book.
        from_price: Option<Exact>,
        /// The average price that it should have.
        to_price: Option<Exact>,
        /// How the books differ.
        drift_type: DriftType,
        /// 1 for the first attempt.
        attempt: u32,
    },
    /// A drift opened, changed severity or cleared.
    Drift {
        /// The drift, as in `GET /api/v1/drift`.
        drift: Box<Drift>,
    },
    /// An anomaly opened, changed level or cleared.
    Anomaly {
        /// The instrument; null: the account as a whole.
        symbol: Option<String>,
        /// The figure that crossed its threshold.
        figure: Figure,
        /// The severity from now on; null: cleared.
        severity: Option<AnomalyLevel>,
        /// The value that decided, in the unit that the figure's name ends with.
        value: f64,
    },
    /// A component changed state.
    Health {
        /// The component.
        component: String,
        /// Its state from now on.
        status: health::Health,
    },
}

impl Directive {
    /// A directive of the domain.
    #[must_use]
    pub fn new(directive: &DomainDirective) -> Self {
        let DomainDirective { id, at, account, kind } = directive;
        Self {
            id: id.to_string(),
            account: account.to_string(),
            at: Rfc3339(*at),
            content: DirectiveContent::new(account.as_str(), kind),
        }
    }
}

impl DirectiveContent {
    fn new(account: &str, kind: &DirectiveKind) -> Self {
        match kind {
            DirectiveKind::Halt { state, cause, reason, epoch } => {
                Self::Halt { state: *state, cause: *cause, reason: reason.clone(), epoch: *epoch }
            }
            DirectiveKind::Release { state, epoch } => {
                Self::Release { state: *state, epoch: *epoch }
            }
            DirectiveKind::Reconcile {
                symbol,
                from_quantity,
                to_quantity,
                from_price,
                to_price,
                drift,
                attempt,
            } => Self::Reconcile {
                symbol: symbol.to_string(),
                from_quantity: Exact(*from_quantity),
                to_quantity: Exact(*to_quantity),
                from_price: from_price.map(Exact),
                to_price: to_price.map(Exact),
                drift_type: *drift,
                attempt: *attempt,
            },
            DirectiveKind::Drift(drift) => {
                Self::Drift { drift: Box::new(Drift::new(account, drift)) }
            }
            DirectiveKind::Anomaly { symbol, figure, level, value } => Self::Anomaly {
                symbol: symbol.as_ref().map(ToString::to_string),
                figure: *figure,
                severity: *level,
                value: *value,
            },
            DirectiveKind::Health { component, health } => {
                Self::Health { component: component.to_string(), status: *health }
            }
        }
    }
}
