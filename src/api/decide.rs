//! Decisions of operators on their way to the engine.

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::problem::{Code, Problem};
use crate::domain::ids::Account;
use crate::domain::record::{Decision, Entry, Refusal, Verdict};
use crate::domain::state::TradingState;

/// What became of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    /// The id of what it made, or 0.
    pub id: u64,
    /// The epoch after it.
    pub epoch: u64,
    /// What the account may do after it.
    pub state: TradingState,
    /// Sequence of the state after it.
    pub sequence: u64,
}

/// Hands a decision to the engine, and waits until it is in the journal and folded. Refused ones
/// are there too: the fold keeps the audit trail.
///
/// # Errors
/// What the engine or the fold refuses.
pub(super) async fn decide(
    app: &AppState,
    caller: &Caller,
    account: Account,
    decision: Decision,
) -> Result<Decided, Problem> {
    let kind = kind(&decision);
    let receipt = app.engine.submit(vec![Entry::Decision(decision)], vec![account.clone()]).await?;
    let state = receipt.states.first().map(|(_, state)| *state).unwrap_or_default();
    let sequence = receipt.sequence;
    let verdict = receipt.verdicts.first();
    let refused = match verdict {
        Some(Verdict::Refused(refusal)) => Some(refusal.code()),
        Some(Verdict::Contradicts(_)) => Some(Refusal::Conflict.code()),
        Some(
            Verdict::Accepted | Verdict::Warned(_) | Verdict::Duplicate | Verdict::Decided { .. },
        )
        | None => None,
    };
    let token = caller.token();
    tracing::info!(kind, account = account.as_str(), token, refused, sequence, "decision");
    match verdict {
        Some(Verdict::Decided { id, epoch }) => {
            Ok(Decided { id: *id, epoch: *epoch, state, sequence })
        }
        Some(Verdict::Accepted | Verdict::Warned(_) | Verdict::Duplicate) => {
            let epoch = app.engine.read(|monitor| monitor.permit(account.as_str()).epoch);
            Ok(Decided { id: 0, epoch, state, sequence })
        }
        Some(Verdict::Refused(refusal)) => Err(refused_decision(app, &account, *refusal)),
        Some(Verdict::Contradicts(_)) => Err(Problem::from(Refusal::Conflict)),
        None => Err(Problem::new(Code::Internal, "the engine gave no verdict")),
    }
}

/// The problem of a refused decision: of a release, with what it would have to name now.
fn refused_decision(app: &AppState, account: &Account, refusal: Refusal) -> Problem {
    if !matches!(refusal, Refusal::StaleEpoch | Refusal::NothingToRelease) {
        return Problem::from(refusal);
    }
    let permit = app.engine.read(|monitor| monitor.permit(account.as_str()));
    let is_held_by_all = !account.is_all() && !permit.common.is_empty();
    let hint = if refusal == Refusal::NothingToRelease && is_held_by_all {
        ": the causes stand on `*`, and are released for `*` with its own epoch"
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
