//! `GET /api/v1/permit`: what an engine may do, for a limited time; at once, or at the next change.
//!
//! Invariants: a permit is issued only while the log is healthy and the state caught up; at most
//! so many requests wait; one that waits ends with the process, without a permit.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::accounts::check_strict;
use crate::api::auth::Caller;
use crate::api::probes;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::clock;
use crate::domain::health;
use crate::domain::health::Components;
use crate::domain::ids::Account;
use crate::engine::Subscription;
use crate::wire::answer::{Permit, PermitHealth};

/// The longest wait, in seconds.
const WAIT_SECONDS_MAX: u64 = 60;

/// What an engine may do
///
/// A permit holds for `valid_for_ms`, counted by the engine on its own monotonic clock from
/// `waited_ms` after it asked. It is issued only while the journal is healthy and the state is
/// caught up; when none can be had and the last one ran out, the engine does what `on_expiry`
/// said. With `wait` the answer comes as soon as the epoch is another one than `epoch` (if
/// missing: than that of the moment), or after that time: let it be shorter than `valid_for_ms`.
/// At most 256 requests wait. `known: false` says that nobody has named the account, neither the
/// configuration nor a token nor an event: perhaps it is misspelt. With `strict_accounts: true` it
/// is answered 404.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/permit", tag = "read",
    params(
        ("account" = Option<String>, Query, description = "The account; `default` if missing, `*` for the state of all accounts alone", max_length = 128),
        ("wait" = Option<u64>, Query, description = "How long to wait for a change, in seconds; 0 if missing", minimum = 0, maximum = 60),
        ("epoch" = Option<u64>, Query, description = "The epoch that is known"),
    ),
    responses(
        (status = 200, description = "The permit, also of an account that was never seen", body = Permit),
        (status = 404, description = "`unknown_account`, with `strict_accounts: true`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_permit(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Permit>, Problem> {
    let asked = clock::monotonic();
    let parameters = Parameters::parse(&uri, &["account", "wait", "epoch"])?;
    let account = parameters.account()?.unwrap_or_default();
    let wait = parameters.whole("wait", WAIT_SECONDS_MAX)?.unwrap_or(0);
    let epoch = parameters.whole("epoch", u64::MAX)?;
    caller.check_account(account.as_str())?;
    // Before the state is read: a change in between must not be missed.
    let changes = app.engine.directives();
    let permit = issue(&app, &account, asked)?;
    if wait == 0 || epoch.is_some_and(|known| known != permit.epoch) {
        return Ok(Json(permit));
    }
    let listener = app.listeners.permit(&app)?;
    let wait = Duration::from_secs(wait);
    tokio::select! {
        () = app.engine.closing() => {}
        () = tokio::time::sleep(wait) => {}
        () = changed(&app, &account, permit.epoch, changes) => {}
    }
    let permit = issue(&app, &account, asked);
    drop(listener);
    permit.map(Json)
}

/// Waits until the epoch is another one.
async fn changed(app: &AppState, account: &Account, epoch: u64, mut changes: Subscription) {
    loop {
        // Whoever lost some looks too.
        let may_have = changes.next().await.map_or(true, |told| told.kind.is_of_latch());
        if may_have && app.engine.read(|m| m.permit(account.as_str()).epoch) != epoch {
            return;
        }
    }
}

/// The permit of an account, made for a request that came at `asked`.
///
/// # Errors
/// `not_ready` while none is issued; `unknown_account` where `strict_accounts` refuses it.
pub(super) fn issue(app: &AppState, account: &Account, asked: Instant) -> Result<Permit, Problem> {
    probes::check_ready(app)?;
    let now = clock::reading();
    let watchdog_age_seconds = app.runtime.watchdog_age(now).map(|age| age.as_secs_f64());
    let age = app.engine.age(now);
    app.engine.read(|monitor| {
        let settings = monitor.settings();
        // Ticks are records: a state without one for so long waits for its log.
        if monitor.sequence() > 0 && age > settings.permit.valid_for {
            return Err(behind());
        }
        let known = monitor.is_known(account.as_str());
        check_strict(monitor, account)?;
        let none = Components::default();
        let own = monitor.account(account.as_str()).map_or(&none, |account| &account.components);
        let status = health::system(own, monitor.probes(), &settings.health);
        let health = PermitHealth { status, watchdog_age_seconds };
        let permit = monitor.permit(account.as_str());
        // Read last, and never rounded up: a permit is not lengthened by its own making.
        let waited = clock::monotonic().saturating_duration_since(asked);
        Ok(Permit {
            known,
            ..Permit::new(account.as_str(), &permit, settings.permit, health, waited)
        })
    })
}

fn behind() -> Problem {
    Problem::new(Code::NotReady, "the state is behind: the log takes nothing")
}
