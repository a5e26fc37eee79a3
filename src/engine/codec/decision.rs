//! Decisions from outside as JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::domain::audit::By;
use crate::domain::ids::{Account, Actor, Component, IdError, Symbol};
use crate::domain::record::{Adopt, Decision};
use crate::domain::state::TradingState;

/// A decision as JSON.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum DecisionJson<'a> {
    Halt {
        account: Cow<'a, str>,
        state: StateJson,
        reason: Cow<'a, str>,
        actor: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Cow<'a, str>>,
    },
    Alert {
        id: Cow<'a, str>,
        account: Cow<'a, str>,
        state: StateJson,
        subject: Cow<'a, str>,
        reason: Cow<'a, str>,
        actor: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Cow<'a, str>>,
    },
    Release {
        account: Cow<'a, str>,
        epoch: u64,
        causes: Cow<'a, [u64]>,
        force: bool,
        reason: Cow<'a, str>,
        actor: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Cow<'a, str>>,
    },
    Reconcile {
        account: Cow<'a, str>,
        symbol: Cow<'a, str>,
        adopt: AdoptJson,
        privileged: bool,
        reason: Cow<'a, str>,
        actor: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Cow<'a, str>>,
    },
    Retire {
        account: Cow<'a, str>,
        symbol: Option<Cow<'a, str>>,
        component: Option<Cow<'a, str>>,
        actor: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Cow<'a, str>>,
    },
    Configure {
        change: Cow<'a, str>,
        is_refused: bool,
        actor: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Cow<'a, str>>,
    },
}

/// [`TradingState`] as JSON.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StateJson {
    Active,
    Reducing,
    Halted,
}

impl From<TradingState> for StateJson {
    fn from(state: TradingState) -> Self {
        match state {
            TradingState::Active => Self::Active,
            TradingState::Reducing => Self::Reducing,
            TradingState::Halted => Self::Halted,
        }
    }
}

impl From<StateJson> for TradingState {
    fn from(state: StateJson) -> Self {
        match state {
            StateJson::Active => Self::Active,
            StateJson::Reducing => Self::Reducing,
            StateJson::Halted => Self::Halted,
        }
    }
}

/// [`Adopt`] as JSON.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AdoptJson {
    Broker,
    Local,
}

impl<'a> From<&'a Decision> for DecisionJson<'a> {
    fn from(decision: &'a Decision) -> Self {
        match decision {
            Decision::Halt { account, state, reason, by } => Self::Halt {
                account: account.as_str().into(),
                state: (*state).into(),
                reason: reason.as_str().into(),
                actor: by.actor.as_str().into(),
                token: by.token.as_deref().map(Cow::from),
            },
            Decision::Alert { id, account, state, subject, reason, by } => Self::Alert {
                id: id.as_str().into(),
                account: account.as_str().into(),
                state: (*state).into(),
                subject: subject.as_str().into(),
                reason: reason.as_str().into(),
                actor: by.actor.as_str().into(),
                token: by.token.as_deref().map(Cow::from),
            },
            Decision::Release { account, epoch, causes, force, reason, by } => Self::Release {
                account: account.as_str().into(),
                epoch: *epoch,
                causes: causes.as_slice().into(),
                force: *force,
                reason: reason.as_str().into(),
                actor: by.actor.as_str().into(),
                token: by.token.as_deref().map(Cow::from),
            },
            Decision::Reconcile { account, symbol, adopt, privileged, reason, by } => {
                Self::Reconcile {
                    account: account.as_str().into(),
                    symbol: symbol.as_str().into(),
                    adopt: match adopt {
                        Adopt::Broker => AdoptJson::Broker,
                        Adopt::Local => AdoptJson::Local,
                    },
                    privileged: *privileged,
                    reason: reason.as_str().into(),
                    actor: by.actor.as_str().into(),
                    token: by.token.as_deref().map(Cow::from),
                }
            }
            Decision::Configure { change, is_refused, by } => Self::Configure {
                change: change.as_str().into(),
                is_refused: *is_refused,
                actor: by.actor.as_str().into(),
                token: by.token.as_deref().map(Cow::from),
            },
            Decision::Retire { account, symbol, component, by } => Self::Retire {
                account: account.as_str().into(),
                symbol: symbol.as_ref().map(|s| s.as_str().into()),
                component: component.as_ref().map(|c| c.as_str().into()),
                actor: by.actor.as_str().into(),
                token: by.token.as_deref().map(Cow::from),
            },
        }
    }
}

impl TryFrom<DecisionJson<'_>> for Decision {
    type Error = IdError;

    fn try_from(decision: DecisionJson<'_>) -> Result<Self, IdError> {
        Ok(match decision {
            DecisionJson::Halt { account, state, reason, actor, token } => Self::Halt {
                account: Account::new(&account)?,
                state: state.into(),
                reason: reason.into_owned(),
                by: by(&actor, token)?,
            },
            DecisionJson::Alert { id, account, state, subject, reason, actor, token } => {
                Self::Alert {
                    id: id.into_owned(),
                    account: Account::new(&account)?,
                    state: state.into(),
                    subject: subject.into_owned(),
                    reason: reason.into_owned(),
                    by: by(&actor, token)?,
                }
            }
            DecisionJson::Release { account, epoch, causes, force, reason, actor, token } => {
                Self::Release {
                    account: Account::new(&account)?,
                    epoch,
                    causes: causes.into_owned(),
                    force,
                    reason: reason.into_owned(),
                    by: by(&actor, token)?,
                }
            }
            DecisionJson::Reconcile {
                account,
                symbol,
                adopt,
                privileged,
                reason,
                actor,
                token,
            } => Self::Reconcile {
                account: Account::new(&account)?,
                symbol: Symbol::new(&symbol)?,
                adopt: match adopt {
                    AdoptJson::Broker => Adopt::Broker,
                    AdoptJson::Local => Adopt::Local,
                },
                privileged,
                reason: reason.into_owned(),
                by: by(&actor, token)?,
            },
            DecisionJson::Configure { change, is_refused, actor, token } => {
                Self::Configure { change: change.into_owned(), is_refused, by: by(&actor, token)? }
            }
            DecisionJson::Retire { account, symbol, component, actor, token } => Self::Retire {
                account: Account::new(&account)?,
                symbol: symbol.map(|s| Symbol::new(&s)).transpose()?,
                component: component.map(|c| Component::new(&c)).transpose()?,
                by: by(&actor, token)?,
            },
        })
    }
}

/// Who decided; records of earlier versions hold no token.
pub(super) fn by(actor: &str, token: Option<Cow<'_, str>>) -> Result<By, IdError> {
    Ok(By { actor: Actor::new(actor)?, token: token.map(|token| token.into_owned().into()) })
}
