//! `GET /api/v1/permit`: the permission to trade for a limited time, now or at the next change.
//!
//! Invariants: a permit is issued only while the journal is healthy and the state has caught up with
//! it; the number of waiting requests is limited; when the process shuts down, a waiting request is
//! answered without a permit.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::accounts::check_strict;
use crate::api::auth::Caller;
use crate::api::origin::{Client, Origin};
use crate::api::probes;
use crate::api::problem::{Problem, ProblemCode};
use crate::api::query::QueryParameters;
use crate::clock;
use crate::domain::health;
use crate::domain::health::Components;
use crate::domain::ids::Account;
use crate::engine::Subscription;
use crate::metrics::ListenerKind;
use crate::wire::answer::{Permit, PermitHealth};

/// The longest wait, in seconds.
const WAIT_SECONDS_MAX: u64 = 60;

/// The permit of an engine
///
/// A permit is valid for `valid_for_ms`, counted by the engine on its own monotonic clock from
/// `waited_ms` after it sent the request. It is issued only while the journal is healthy and the
/// state has caught up. When no permit is issued and the last one has expired, the engine does what
/// `on_expiry` said.
///
/// With `wait`, the answer is sent as soon as the epoch differs from `epoch` (by default: from the
/// current one), or after `wait` seconds, which should be less than `valid_for_ms`. At most 256
/// requests wait. `known: false` says that no configuration, token or event has named the account,
/// so it may be misspelt; with `strict_accounts: true` the answer is 404.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/permit", tag = "read",
    params(
        ("account" = Option<String>, Query, description = "The account; `default` if missing, `*` for only what applies to all accounts", max_length = 128),
        ("wait" = Option<u64>, Query, description = "How long to wait for a change, in seconds; 0 if missing", minimum = 0, maximum = 60),
        ("epoch" = Option<u64>, Query, description = "The epoch that the engine knows"),
    ),
    responses(
        (status = 200, description = "The permit, even for an account that was never seen", body = Permit),
        (status = 404, description = "`unknown_account`, with `strict_accounts: true`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_permit(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(origin): Extension<Origin>,
    uri: Uri,
) -> Result<Json<Permit>, Problem> {
    let asked = clock::monotonic();
    let parameters = QueryParameters::parse(&uri, &["account", "wait", "epoch"])?;
    let account = parameters.account()?.unwrap_or_default();
    let wait = parameters.number("wait", 0..=WAIT_SECONDS_MAX)?.unwrap_or(0);
    let epoch = parameters.number("epoch", 0..=i64::MAX.cast_unsigned())?;
    caller.check_account(account.as_str())?;
    // Subscribe before reading the state, or a change between the two would be missed.
    let changes = app.engine.directives();
    let permit = issue(&app, &account, asked)?;
    if wait == 0 || epoch.is_some_and(|known| known != permit.epoch) {
        return Ok(Json(permit));
    }
    // A request that need not wait needs no slot.
    let slot = app.listeners.acquire(ListenerKind::Permit, Client::of(&caller, origin), &app)?;
    let wait = Duration::from_secs(wait);
    tokio::select! {
        () = app.engine.closing() => {}
        () = tokio::time::sleep(wait) => {}
        () = changed(&app, &account, permit.epoch, changes) => {}
    }
    // A new permit in all three cases: its state, age and readiness must be the current ones.
    let permit = issue(&app, &account, asked);
    drop(slot);
    permit.map(Json)
}

/// Waits until the epoch of the account differs from `epoch`.
async fn changed(app: &AppState, account: &Account, epoch: u64, mut changes: Subscription) {
    loop {
        // A subscription that lost directives may have lost this change.
        let may_differ = changes.next().await.map_or(true, |next| next.kind.is_of_latch());
        if may_differ && app.engine.read(|m| m.permit(account.as_str()).epoch) != epoch {
            return;
        }
    }
}

/// Issues a permit for a request that arrived at `asked`.
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
        // A tick is recorded every second. Without one for this long, the writer waits for its log.
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
        // Measured last: the time that it took to issue the permit counts as well.
        let waited = clock::monotonic().saturating_duration_since(asked);
        Ok(Permit {
            known,
            ..Permit::new(account.as_str(), &permit, settings.permit, health, waited)
        })
    })
}

fn behind() -> Problem {
    Problem::new(ProblemCode::NotReady, "the state is behind: the journal accepts no records")
}
