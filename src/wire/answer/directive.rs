//! What the exporter tells the world, as it stands in the stream and in webhooks.

use serde::Serialize;
use utoipa::ToSchema;

use super::drift::Drift;
use super::scalar::{Exact, Time};
use super::word::{
    CauseKindWord, DriftTypeWord, FigureWord, HealthStateWord, LevelWord, TradingStateWord,
};
use crate::domain::directive::{Directive as DomainDirective, DirectiveKind};

/// One thing told.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Directive {
    /// Its id, made from the sequence of the record that caused it: what was seen under the same
    /// id may be dropped. A `reconciled` event names it as `directive_id`.
    pub id: String,
    /// The account, or `*`: all accounts.
    pub account: String,
    /// When it was decided (receive time).
    pub at: Time,
    /// What is told.
    #[serde(flatten)]
    pub told: Told,
}

/// What is told, by type.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Told {
    /// A cause was set.
    Halt {
        /// What the account may do from now on.
        state: TradingStateWord,
        /// What kind of thing set it.
        cause: CauseKindWord,
        /// Why, for people.
        reason: String,
        /// The epoch after it, of that account; for `*`, of the common latch.
        epoch: u64,
    },
    /// Causes were released.
    Release {
        /// What the account may do from now on: other causes may still stand.
        state: TradingStateWord,
        /// The epoch after it, of that account; for `*`, of the common latch.
        epoch: u64,
    },
    /// The engine should set its book right.
    Reconcile {
        /// The instrument.
        symbol: String,
        /// What local holds, as far as is known.
        from_quantity: Exact,
        /// What it should hold.
        to_quantity: Exact,
        /// Average price that local has.
        from_price: Option<Exact>,
        /// Average price that it should have.
        to_price: Option<Exact>,
        /// How the books differ.
        drift_type: DriftTypeWord,
        /// 1 for the first time that it is sent.
        attempt: u32,
    },
    /// A drift opened, changed its severity or cleared.
    Drift {
        /// The drift, as in `GET /api/v1/drift`.
        drift: Box<Drift>,
    },
    /// An anomaly opened, changed its level or cleared.
    Anomaly {
        /// The instrument; null: the account as a whole.
        symbol: Option<String>,
        /// What is judged.
        figure: FigureWord,
        /// How bad it is from now on; null: cleared.
        severity: Option<LevelWord>,
        /// The value that decided, in the unit that the figure's name ends with.
        value: f64,
    },
    /// A component changed its state.
    Health {
        /// The component.
        component: String,
        /// Its state from now on.
        status: HealthStateWord,
    },
}

impl Directive {
    /// The answer for one directive.
    #[must_use]
    pub fn new(directive: &DomainDirective) -> Self {
        let DomainDirective { id, at, account, kind } = directive;
        Self {
            id: id.to_string(),
            account: account.to_string(),
            at: Time(*at),
            told: Told::new(account.as_str(), kind),
        }
    }
}

impl Told {
    fn new(account: &str, kind: &DirectiveKind) -> Self {
        match kind {
            DirectiveKind::Halt { state, cause, reason, epoch } => Self::Halt {
                state: (*state).into(),
                cause: (*cause).into(),
                reason: reason.clone(),
                epoch: *epoch,
            },
            DirectiveKind::Release { state, epoch } => {
                Self::Release { state: (*state).into(), epoch: *epoch }
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
                drift_type: (*drift).into(),
                attempt: *attempt,
            },
            DirectiveKind::Drift(drift) => {
                Self::Drift { drift: Box::new(Drift::new(account, drift)) }
            }
            DirectiveKind::Anomaly { symbol, figure, level, value } => Self::Anomaly {
                symbol: symbol.as_ref().map(ToString::to_string),
                figure: (*figure).into(),
                severity: level.map(Into::into),
                value: *value,
            },
            DirectiveKind::Health { component, health } => {
                Self::Health { component: component.to_string(), status: (*health).into() }
            }
        }
    }
}
