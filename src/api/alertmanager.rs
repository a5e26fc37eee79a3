//! `POST /api/v1/alertmanager`: halts by alert rules in Prometheus, the second line of defence.
//!
//! Invariants: an alert halts the account that it names or is refused, and never halts another one;
//! 2xx means that the halts are in the journal and in force; 503 means that they are not, and makes
//! Alertmanager send the notification again. Nothing here releases a halt.

use std::collections::BTreeSet;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::body::{self, ReadBody};
use crate::api::problem::{Problem, ProblemCode};
use crate::api::query::QueryParameters;
use crate::clock;
use crate::domain::ids::{Account, Actor};
use crate::domain::principal::Principal;
use crate::domain::record::{Decision, Entry, Refusal, Verdict};
use crate::metrics::NotificationOutcome;
use crate::wire::answer::{HaltAnswer, NotificationAnswer};
use crate::wire::request::notification::{self, Notification, RequestedHalt};

/// The actor of these decisions in the audit trail.
const ACTOR: &str = "alertmanager";

/// Accepts a notification of Alertmanager
///
/// A firing alert with the label `action: halt` (or `reduce`; upper and lower case are the same) sets
/// that state for the account in its label `account`, or for all accounts without this label. An
/// account that nobody has named is halted too, and gets the anomaly `halt_of_unknown_account`. Other
/// actions are counted, logged and listed in the answer. Every alert of a notification is processed.
/// Notifications of Grafana are accepted as well.
///
/// An alert that is sent again (same fingerprint and `startsAt`) changes nothing, even after a release. Alerts
/// that were truncated (`truncatedAlerts`) are assumed to ask for as much as those shown, for all
/// accounts unless `groupLabels` names one. Resolved alerts release nothing. The alert `Watchdog`
/// shows that the path works: the permit and `/metrics` have its age.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    post, path = "/api/v1/alertmanager", tag = "operate",
    request_body(content = serde_json::Value, description = "The notification, version 4 (or Grafana's, version 1)"),
    responses((status = 200, description = "The halts are in the journal and in force", body = NotificationAnswer)),
)]
pub(super) async fn post_notification(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<NotificationAnswer>, Problem> {
    let taken = take(&app, &caller, request).await;
    let outcome = match &taken {
        Ok(answer) if !answer.halts.is_empty() => NotificationOutcome::Set,
        Ok(answer) if answer.duplicates > 0 => NotificationOutcome::Duplicate,
        Ok(_) => NotificationOutcome::Nothing,
        Err(problem) if problem.code().status() == StatusCode::SERVICE_UNAVAILABLE => {
            NotificationOutcome::Failed
        }
        Err(_) => NotificationOutcome::Refused,
    };
    app.runtime.alertmanager.notifications.of(outcome).inc();
    taken.map(Json)
}

async fn take(
    app: &AppState,
    caller: &Caller,
    request: Request,
) -> Result<NotificationAnswer, Problem> {
    QueryParameters::parse(request.uri(), &[])?;
    let ReadBody { bytes, share, .. } = body::read_notification(app, request).await?;
    let Notification { halts, ignored, unknown, unknown_actions, resolved, truncated, watchdog } =
        notification::decode(&bytes)?;
    drop((bytes, share));
    if unknown > 0 {
        app.runtime.alertmanager.unknown_actions.inc_by(unknown as u64);
        let (actions, token) = (unknown_actions.join(", "), caller.token());
        tracing::warn!(actions, alerts = unknown, token, "alerts ask for an unknown action");
    }
    if watchdog {
        app.runtime.watchdog_arrived(clock::reading());
    }
    let asked = halts.len();
    let allowed: Vec<RequestedHalt> =
        halts.into_iter().filter(|halt| caller.may_see(halt.account.as_str())).collect();
    let forbidden = asked - allowed.len();
    let mut answer = NotificationAnswer {
        halts: Vec::new(),
        duplicates: 0,
        ignored,
        unknown_actions,
        unknown_accounts: Vec::new(),
        resolved,
        truncated,
        watchdog,
        sequence: 0,
    };
    set(app, caller, allowed, &mut answer).await?;
    if forbidden > 0 {
        // The allowed halts are set first: a mistake in one rule must not prevent the others.
        let detail = format!("{forbidden} alerts name accounts that the token does not cover");
        return Err(Problem::new(ProblemCode::Forbidden, detail));
    }
    Ok(answer)
}

/// Submits the halts that the alerts ask for, and waits until they are in the journal and applied.
async fn set(
    app: &AppState,
    caller: &Caller,
    halts: Vec<RequestedHalt>,
    answer: &mut NotificationAnswer,
) -> Result<(), Problem> {
    if halts.is_empty() {
        answer.sequence = app.engine.read(crate::domain::monitor::Monitor::sequence);
        return Ok(());
    }
    let accounts: Vec<Account> = halts.iter().map(|halt| halt.account.clone()).collect();
    let by = Actor::new(ACTOR).map_err(|e| Problem::new(ProblemCode::Internal, e.to_string()))?;
    let by = Principal::with_token(by, caller.token());
    let entries = halts.into_iter().map(|halt| decision(halt, &by)).collect();
    let receipt = app.engine.submit(entries, accounts).await?;
    answer.sequence = receipt.sequence;
    let mut refused: Option<Refusal> = None;
    for (verdict, (account, state)) in receipt.verdicts.into_iter().zip(receipt.states) {
        match verdict {
            Verdict::Decided { id, epoch } => answer.halts.push(HaltAnswer {
                id,
                account: account.to_string(),
                state,
                epoch,
                sequence: receipt.sequence,
            }),
            Verdict::Duplicate | Verdict::Accepted | Verdict::Warned(_) => answer.duplicates += 1,
            Verdict::Refused(refusal) => refused = Some(refusal),
            Verdict::Contradicts(_) => refused = Some(Refusal::Conflict),
        }
    }
    answer.unknown_accounts = unknown_accounts(app, answer);
    let (set, duplicates) = (answer.halts.len(), answer.duplicates);
    let (token, unknown) = (caller.token(), answer.unknown_accounts.join(", "));
    tracing::info!(set, duplicates, unknown, token, sequence = answer.sequence, "alertmanager");
    refused.map_or(Ok(()), |refusal| Err(refusal.into()))
}

/// The halted accounts that nobody has named: the author of the alert probably meant another one.
fn unknown_accounts(app: &AppState, answer: &NotificationAnswer) -> Vec<String> {
    let halted: BTreeSet<&str> = answer.halts.iter().map(|halt| halt.account.as_str()).collect();
    app.engine.read(|monitor| {
        let is_unknown = |name: &&str| monitor.account(name).is_some_and(|a| a.is_halted_unknown);
        halted.into_iter().filter(is_unknown).map(str::to_owned).collect()
    })
}

fn decision(halt: RequestedHalt, by: &Principal) -> Entry {
    let RequestedHalt { id, account, state, subject, reason } = halt;
    let by = by.clone();
    Entry::Decision(Decision::Alert { id, account, state, subject, reason, by })
}
