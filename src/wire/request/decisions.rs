//! Bodies of an operator's requests: halt, release, reconcile.
//!
//! Input: a whole body. Output: the parts of a [`Decision`]. Invariant: as strict as an event:
//! unknown and repeated names are refused, `x_*` is ignored, `null` is the same as missing. Absent:
//! authorization, and whether the decision can be carried out.

use crate::domain::ids::{Account, Actor, Symbol};
use crate::domain::principal::Principal;
use crate::domain::record::{Adopt, Decision};
use crate::domain::state::TradingState;
use crate::wire::contract::error::{BodyError, Flaw, RequestError};
use crate::wire::contract::field::{Field, FieldSet};
use crate::wire::contract::limits::DecodeLimits;
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::spec::{FieldSpec, names};
use crate::wire::contract::value::{AccountOrAll, CauseIds, HaltState, Reason, ValueContext};
use crate::wire::json::general;

/// The fields of a halt.
pub const HALT: [FieldSpec; 4] = [
    FieldSpec::optional::<AccountOrAll>(
        Field::Account,
        "The account, or `*` (if missing): all accounts.",
    ),
    FieldSpec::optional::<HaltState>(
        Field::State,
        "`halted` (if missing): no new orders; `reducing`: only orders that reduce a position.",
    ),
    FieldSpec::required::<Reason>(Field::Reason, "Why, for people and the audit trail."),
    FieldSpec::required::<Actor>(Field::Actor, "Who, for the audit trail."),
];

/// The fields of a release.
pub const RELEASE: [FieldSpec; 6] = [
    FieldSpec::optional::<AccountOrAll>(
        Field::Account,
        "The account, or `*` (if missing): the common latch, not those of the accounts.",
    ),
    FieldSpec::required::<u64>(
        Field::Epoch,
        "The epoch that was seen; a stale one releases nothing.",
    ),
    FieldSpec::required::<Reason>(Field::Reason, "Why, for people and the audit trail."),
    FieldSpec::required::<Actor>(Field::Actor, "Who, for the audit trail."),
    FieldSpec::optional::<CauseIds>(Field::Causes, "Ids of the causes meant; all if missing."),
    FieldSpec::optional::<bool>(
        Field::Force,
        "Release although a cause is still open (false if missing).",
    ),
];

/// The fields of a manual reconciliation.
pub const RECONCILE: [FieldSpec; 5] = [
    FieldSpec::required::<Account>(Field::Account, "The account of the drift."),
    FieldSpec::required::<Symbol>(Field::Symbol, "Its symbol."),
    FieldSpec::required::<Adopt>(
        Field::Adopt,
        "Which side is right: `broker` (the engine is told), or `local` (the difference is \
         accepted).",
    ),
    FieldSpec::required::<Actor>(Field::Actor, "Who, for the audit trail."),
    FieldSpec::required::<Reason>(Field::Reason, "Why, for people and the audit trail."),
];

/// A request to set a cause on a latch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaltRequest {
    /// The account, or `*`.
    pub account: Account,
    /// `Halted` or `Reducing`.
    pub state: TradingState,
    /// The reason, for the audit trail; not blank.
    pub reason: String,
    /// The person or program that decided.
    pub actor: Actor,
}

/// A request to take causes off a latch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRequest {
    /// The account, or `*`.
    pub account: Account,
    /// The epoch that the actor saw; a stale one releases nothing.
    pub epoch: u64,
    /// Ids of the causes to release; empty: all of them.
    pub causes: Vec<u64>,
    /// Release although a cause is still open.
    pub force: bool,
    /// The reason, for the audit trail; not blank.
    pub reason: String,
    /// The person or program that decided.
    pub actor: Actor,
}

/// A request to reconcile a drift by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconcileRequest {
    /// The account of the drift; never `*`.
    pub account: Account,
    /// Its symbol.
    pub symbol: Symbol,
    /// Which side is right.
    pub adopt: Adopt,
    /// The reason, for the audit trail; not blank.
    pub reason: String,
    /// The person or program that decided.
    pub actor: Actor,
}

impl HaltRequest {
    /// The decision, made with the token of this name.
    #[must_use]
    pub fn decided_with(self, token: &str) -> Decision {
        let Self { account, state, reason, actor } = self;
        Decision::Halt { account, state, reason, by: Principal::with_token(actor, token) }
    }
}

impl ReleaseRequest {
    /// The decision, made with the token of this name.
    #[must_use]
    pub fn decided_with(self, token: &str) -> Decision {
        let Self { account, epoch, causes, force, reason, actor } = self;
        let by = Principal::with_token(actor, token);
        Decision::Release { account, epoch, causes, force, reason, by }
    }
}

/// Decodes the body of `POST /api/v1/halts`.
///
/// # Errors
/// See [`RequestError`].
pub fn decode_halt(body: &[u8], limits: &DecodeLimits) -> Result<HaltRequest, RequestError> {
    let mut object = read(body, limits, names(&[&HALT]))?;
    Ok(HaltRequest {
        account: target(&mut object)?,
        state: object
            .optional(Field::State)?
            .map_or(TradingState::Halted, |HaltState(state)| state),
        reason: reason(&mut object)?,
        actor: object.required(Field::Actor)?,
    })
}

/// Decodes the body of `POST /api/v1/halts/release`.
///
/// # Errors
/// See [`RequestError`].
pub fn decode_release(body: &[u8], limits: &DecodeLimits) -> Result<ReleaseRequest, RequestError> {
    let mut object = read(body, limits, names(&[&RELEASE]))?;
    Ok(ReleaseRequest {
        account: target(&mut object)?,
        epoch: object.required(Field::Epoch)?,
        causes: object
            .optional::<CauseIds>(Field::Causes)?
            .map_or_else(Vec::new, |causes| causes.0),
        force: object.optional(Field::Force)?.unwrap_or(false),
        reason: reason(&mut object)?,
        actor: object.required(Field::Actor)?,
    })
}

/// Decodes the body of `POST /api/v1/drift/reconcile`.
///
/// # Errors
/// See [`RequestError`].
pub fn decode_reconcile(
    body: &[u8],
    limits: &DecodeLimits,
) -> Result<ReconcileRequest, RequestError> {
    let mut object = read(body, limits, names(&[&RECONCILE]))?;
    Ok(ReconcileRequest {
        account: object.required(Field::Account)?,
        symbol: object.required(Field::Symbol)?,
        adopt: object.required(Field::Adopt)?,
        reason: reason(&mut object)?,
        actor: object.required(Field::Actor)?,
    })
}

/// Reads the one object of a body, and checks its names.
fn read<'a>(
    body: &'a [u8],
    limits: &DecodeLimits,
    allowed: FieldSet,
) -> Result<ObjectReader<'a>, RequestError> {
    let syntax = |e: &dyn std::error::Error| BodyError::Syntax(e.to_string());
    let text = std::str::from_utf8(body).map_err(|e| syntax(&e))?;
    if text.trim().is_empty() {
        return Err(BodyError::Empty.into());
    }
    let mut object = ObjectReader::within(ValueContext::new(limits.text_bytes_max));
    if let Err(error) = object.read(text) {
        general::check(text).map_err(|e| syntax(&e))?;
        // The text is JSON. So it is not an object, or a name in it has a bad escape.
        let body = if error.is_data() { BodyError::NotAnObject } else { syntax(&error) };
        return Err(body.into());
    }
    if object.depth() > limits.depth_max {
        return Err(BodyError::TooDeep { max: limits.depth_max }.into());
    }
    object.check_names()?;
    object.check_fields(allowed, "this request")?;
    Ok(object)
}

fn target(object: &mut ObjectReader<'_>) -> Result<Account, Flaw> {
    let account = object.optional::<AccountOrAll>(Field::Account)?;
    Ok(account.map_or_else(Account::all, |a| a.0))
}

fn reason(object: &mut ObjectReader<'_>) -> Result<String, Flaw> {
    let Reason(reason) = object.required(Field::Reason)?;
    Ok(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::contract::value::CAUSES_NAMED_MAX;

    /// `""` is good, else `code field`, or the code of the body.
    fn check<T>(decoded: Result<T, RequestError>, body: &str, expect: &str) {
        let got = match decoded {
            Ok(_) => String::new(),
            Err(RequestError::Body(error)) => String::from(error.code()),
            Err(RequestError::Field { code, field, message }) => {
                let field = field.expect("a field");
                assert!(message.starts_with(&field), "{message}");
                format!("{} {field}", code.as_str())
            }
        };
        assert_eq!(got, expect, "{body}");
    }

    const LIMITS: DecodeLimits = DecodeLimits { events_max: 1, text_bytes_max: 512, depth_max: 16 };

    #[test]
    fn halts() {
        let halt = |body: &str| decode_halt(body.as_bytes(), &LIMITS);
        assert_eq!(
            halt(r#"{"account":"paper","state":"reducing","reason":"news","actor":"ann"}"#),
            Ok(HaltRequest {
                account: Account::new("paper").expect("a name"),
                state: TradingState::Reducing,
                reason: "news".into(),
                actor: Actor::new("ann").expect("a name"),
            })
        );
        let all = halt(r#"{"reason":"news","actor":"ann","x_ticket":{"id":7}}"#).expect("a halt");
        assert_eq!((all.account.as_str(), all.state), ("*", TradingState::Halted));
        let all = halt(r#"{"account":"*","state":null,"reason":"r","actor":"a"}"#).expect("a halt");
        assert!(all.account.is_all());
        let check = |body: &str, expect: &str| check(halt(body), body, expect);
        check(r#"{"actor":"ann"}"#, "missing_field reason");
        check(r#"{"reason":"news"}"#, "missing_field actor");
        check(r#"{"reason":" \n","actor":"ann"}"#, "invalid_text reason");
        check(r#"{"reason":"news","actor":""}"#, "invalid_identifier actor");
        check(r#"{"reason":"news","actor":"a\u202eb"}"#, "invalid_identifier actor");
        check(r#"{"account":"","reason":"r","actor":"a"}"#, "invalid_identifier account");
        check(r#"{"account":"__other__","reason":"r","actor":"a"}"#, "invalid_identifier account");
        check(r#"{"state":"active","reason":"r","actor":"a"}"#, "invalid_value state");
        check(r#"{"reason":"r","actor":"a","force":true}"#, "unknown_field force");
        check(r#"{"reason":"r","actor":"a","why":1}"#, "unknown_field why");
        check(r#"{"reason":"r","actor":"a","actor":"b"}"#, "duplicate_field actor");
        check("", "invalid_json");
        check("null", "invalid_json");
        check("[]", "invalid_json");
        check(r#"{"reason":"#, "invalid_json");
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        check(&deep, "invalid_json");
        check(&format!(r#"{{"x_a":{deep},"reason":"r","actor":"a"}}"#), "too_deep");
    }

    #[test]
    fn releases() {
        let release = |body: &str| decode_release(body.as_bytes(), &LIMITS);
        assert_eq!(
            release(
                r#"{"account":"paper","epoch":7,"causes":[12,"13"],"force":true,"reason":"ok","actor":"ann"}"#
            ),
            Ok(ReleaseRequest {
                account: Account::new("paper").expect("a name"),
                epoch: 7,
                causes: vec![12, 13],
                force: true,
                reason: "ok".into(),
                actor: Actor::new("ann").expect("a name"),
            })
        );
        let bare = release(r#"{"epoch":"0","reason":"ok","actor":"ann"}"#).expect("a release");
        assert_eq!((bare.account.as_str(), bare.force, bare.causes), ("*", false, vec![]));
        let with = |rest: &str| format!(r#"{{"reason":"ok","actor":"ann",{rest}}}"#);
        let check = |rest: &str, expect: &str| check(release(&with(rest)), rest, expect);
        check(r#""account":"paper""#, "missing_field epoch");
        check(r#""epoch":18446744073709551615"#, "");
        check(r#""epoch":18446744073709551616"#, "invalid_number epoch");
        check(r#""epoch":-1"#, "invalid_number epoch");
        check(r#""epoch":1.5"#, "invalid_number epoch");
        check(r#""epoch":true"#, "invalid_number epoch");
        check(r#""epoch":1,"force":"yes""#, "invalid_value force");
        check(r#""epoch":1,"causes":7"#, "invalid_number causes");
        check(r#""epoch":1,"causes":[7,"x"]"#, "invalid_number causes");
        let many = |count: usize| format!(r#""epoch":1,"causes":[{}]"#, vec!["1"; count].join(","));
        check(&many(CAUSES_NAMED_MAX), "");
        check(&many(CAUSES_NAMED_MAX + 1), "invalid_number causes");
    }

    #[test]
    fn reconciliations() {
        let reconcile = |body: &str| decode_reconcile(body.as_bytes(), &LIMITS);
        let good = r#"{"account":"paper","symbol":"MSFT","adopt":"broker","actor":"ann","reason":"statement"}"#;
        let request = reconcile(good).expect("a request");
        assert_eq!((request.symbol.as_str(), request.adopt), ("MSFT", Adopt::Broker));
        let check = |from: &str, to: &str, expect: &str| {
            let body = good.replace(from, to);
            check(reconcile(&body), &body, expect);
        };
        check("paper", "*", "invalid_identifier account");
        check("\"paper\"", "null", "missing_field account");
        check("broker", "local", "");
        check("broker", "ledger", "invalid_value adopt");
        check("MSFT", "", "invalid_identifier symbol");
        check("statement", "", "invalid_text reason");
    }
}
