//! Decisions of the fold as JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::CodecError;
use super::decision::by;
use crate::domain::control::{Control, Decided};
use crate::domain::ids::{Account, Symbol};
use crate::domain::state::{Cause, CauseKind, TradingState};
use crate::domain::time::Timestamp;
use crate::domain::units::parse_decimal;

/// A [`Control`] as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ControlJson<'a> {
    /// Sequence of the record that led to it.
    of: u64,
    received_at_nanos: i64,
    account: Cow<'a, str>,
    decided: DecidedJson<'a>,
}

/// A [`Decided`] as JSON.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum DecidedJson<'a> {
    Halt {
        id: u64,
        cause: CauseKind,
        state: TradingState,
        subject: Option<Cow<'a, str>>,
        reason: Cow<'a, str>,
        actor: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Cow<'a, str>>,
    },
    Release {
        causes: Cow<'a, [u64]>,
        forced: bool,
        reason: Cow<'a, str>,
        actor: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Cow<'a, str>>,
    },
    Reconcile {
        symbol: Cow<'a, str>,
        to_quantity: Cow<'a, str>,
        attempt: u32,
    },
}

impl<'a> From<&'a Control> for ControlJson<'a> {
    fn from(control: &'a Control) -> Self {
        let decided = match &control.decided {
            Decided::Halt(cause) => DecidedJson::Halt {
                id: cause.id,
                cause: cause.kind,
                state: cause.state,
                subject: cause.subject.as_deref().map(Cow::from),
                reason: cause.reason.as_str().into(),
                actor: cause.by.actor.as_str().into(),
                token: cause.by.token.as_deref().map(Cow::from),
            },
            Decided::Release { causes, forced, reason, by } => DecidedJson::Release {
                causes: causes.as_slice().into(),
                forced: *forced,
                reason: reason.as_str().into(),
                actor: by.actor.as_str().into(),
                token: by.token.as_deref().map(Cow::from),
            },
            Decided::Reconcile { symbol, to_quantity, attempt } => DecidedJson::Reconcile {
                symbol: symbol.as_str().into(),
                to_quantity: to_quantity.to_string().into(),
                attempt: *attempt,
            },
        };
        Self {
            of: control.sequence,
            received_at_nanos: control.at.as_nanos(),
            account: control.account.as_str().into(),
            decided,
        }
    }
}

impl TryFrom<ControlJson<'_>> for Control {
    type Error = CodecError;

    fn try_from(json: ControlJson<'_>) -> Result<Self, CodecError> {
        let at = Timestamp::from_nanos(json.received_at_nanos).map_err(|e| content(&e))?;
        let decided = match json.decided {
            DecidedJson::Halt { id, cause, state, subject, reason, actor, token } => {
                Decided::Halt(Cause {
                    id,
                    kind: cause,
                    state,
                    subject: subject.map(Cow::into_owned),
                    reason: reason.into_owned(),
                    by: by(&actor, token).map_err(|e| content(&e))?,
                    set_at: at,
                    count: 1,
                })
            }
            DecidedJson::Release { causes, forced, reason, actor, token } => Decided::Release {
                causes: causes.into_owned(),
                forced,
                reason: reason.into_owned(),
                by: by(&actor, token).map_err(|e| content(&e))?,
            },
            DecidedJson::Reconcile { symbol, to_quantity, attempt } => Decided::Reconcile {
                symbol: Symbol::new(&symbol).map_err(|e| content(&e))?,
                to_quantity: parse_decimal(&to_quantity).map_err(|e| content(&e))?,
                attempt,
            },
        };
        let account = Account::new(&json.account).map_err(|e| content(&e))?;
        Ok(Self { sequence: json.of, at, account, decided })
    }
}

fn content(reason: &impl ToString) -> CodecError {
    super::content_error("decision of the fold", reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::By;
    use crate::domain::ids::Actor;
    use crate::domain::units::Decimal;

    #[test]
    fn decisions_come_back_equal() {
        let check = |decided: Decided| {
            let account = Account::new("a\"b").unwrap();
            let control = Control { sequence: 7, at: Timestamp::MIN, account, decided };
            let text = serde_json::to_string(&ControlJson::from(&control)).unwrap();
            let json: ControlJson<'_> = serde_json::from_str(&text).unwrap();
            assert_eq!(Control::try_from(json).unwrap(), control, "{text}");
        };
        let (by, reason) =
            (By::with_token(Actor::new("op").unwrap(), "desk"), String::from("so\n\u{1}\"ß"));
        check(Decided::Halt(Cause {
            id: 3,
            kind: CauseKind::Drift,
            state: TradingState::Halted,
            subject: Some("AAPL".to_owned()),
            reason: reason.clone(),
            by: by.clone(),
            set_at: Timestamp::MIN,
            count: 1,
        }));
        check(Decided::Release { causes: vec![1, 2], forced: true, reason, by });
        check(Decided::Reconcile {
            symbol: Symbol::new("BTC/USDT").unwrap(),
            to_quantity: Decimal::new(-961, 8),
            attempt: 3,
        });
    }
}
