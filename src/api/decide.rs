//! Decisions of operators: from the request to the engine and back.

use axum::extract::Request;

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::body;
use crate::api::problem::{Problem, ProblemCode};
use crate::api::query::QueryParameters;
use crate::domain::ids::Account;
use crate::domain::record::{Decision, Entry, Refusal, Verdict};
use crate::domain::state::TradingState;
use crate::wire::contract::error::RequestError;
use crate::wire::decode::DecodeLimits;

/// The result of a decision that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DecisionOutcome {
    /// The id of the cause that it set, or 0 if it set none.
    pub id: u64,
    /// The epoch of the latch after the decision.
    pub epoch: u64,
    /// The trading state of the account after the decision.
    pub state: TradingState,
    /// The sequence number of the state that includes the decision.
    pub sequence: u64,
}

/// Reads and decodes an operator's request.
///
/// # Errors
/// A problem of the query, of the body, or of a field.
pub(super) async fn read_request<T>(
    app: &AppState,
    request: Request,
    decode: fn(&[u8], &DecodeLimits) -> Result<T, RequestError>,
) -> Result<T, Problem> {
    QueryParameters::parse(request.uri(), &[])?;
    let bytes = body::read_decision(app, request).await?;
    let limits = {
        let web = &app.config.load().web;
        DecodeLimits { events_max: 1, text_bytes_max: web.text_bytes_max, depth_max: web.depth_max }
    };
    Ok(decode(&bytes, &limits)?)
}

/// Submits a decision to the engine, and waits until it is in the journal and applied. Decisions
/// that are refused are recorded as well: the audit trail comes from the fold.
///
/// # Errors
/// A problem with the code of the engine error, or of the refusal.
pub(super) async fn decide(
    app: &AppState,
    caller: &Caller,
    account: Account,
    decision: Decision,
) -> Result<DecisionOutcome, Problem> {
    let kind = kind(&decision);
    let receipt = app.engine.submit(vec![Entry::Decision(decision)], vec![account.clone()]).await?;
    let sequence = receipt.sequence;
    let made = match receipt.verdicts.first() {
        Some(Verdict::Decided { id, epoch }) => Ok((*id, *epoch)),
        Some(Verdict::Accepted | Verdict::Warned(_) | Verdict::Duplicate) => {
            Ok((0, app.engine.read(|monitor| monitor.permit(account.as_str()).epoch)))
        }
        Some(Verdict::Refused(refusal)) => Err(*refusal),
        Some(Verdict::Contradicts(_)) => Err(Refusal::Conflict),
        None => {
            impossible!("a receipt has a verdict for every entry");
            return Err(Problem::new(ProblemCode::Internal, "the engine gave no verdict"));
        }
    };
    let (token, refused) = (caller.token(), made.err().map(Refusal::as_str));
    tracing::info!(kind, account = account.as_str(), token, refused, sequence, "decision");
    let (id, epoch) = made.map_err(|refusal| refused_decision(app, &account, refusal))?;
    let Some((_, state)) = receipt.states.first() else {
        impossible!("a receipt has the state of every account that was submitted with it");
        return Err(Problem::new(ProblemCode::Internal, "the engine gave no state"));
    };
    Ok(DecisionOutcome { id, epoch, state: *state, sequence })
}

/// The problem of a refused decision. That of a release has the current epochs, so that the client
/// can ask again with the right one.
fn refused_decision(app: &AppState, account: &Account, refusal: Refusal) -> Problem {
    if !matches!(refusal, Refusal::StaleEpoch | Refusal::NothingToRelease) {
        return Problem::from(refusal);
    }
    let permit = app.engine.read(|monitor| monitor.permit(account.as_str()));
    let is_held_by_all = !account.is_all() && !permit.common.is_empty();
    let hint = if refusal == Refusal::NothingToRelease && is_held_by_all {
        ": the causes are set on `*`; release them for `*` with its own epoch"
    } else {
        ""
    };
    let epochs =
        [(account.to_string(), permit.epoch), (Account::ALL.to_owned(), permit.common_epoch)];
    Problem::new(Problem::from(refusal).code(), format!("{refusal}{hint}"))
        .with_epochs(epochs.into_iter().collect())
}

const fn kind(decision: &Decision) -> &'static str {
    match decision {
        Decision::Halt { .. } => "halt",
        Decision::Alert { .. } => "alert",
        Decision::Release { .. } => "release",
        Decision::Reconcile { .. } => "reconcile",
        Decision::Retire { .. } => "retire",
        Decision::Configure { .. } => "configure",
    }
}
