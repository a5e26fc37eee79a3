//! Passwords of the users in the web configuration file, checked against their bcrypt hashes.
//!
//! Input: the `Authorization` header, the users and the access of the route. Output: the user.
//! Invariants: passwords are checked only for routes that users may call; few checks run at once and
//! few wait, since each takes a core for a while, and a client that disconnects does not make room for
//! another check before its own has ended; an unknown user takes as long as a wrong password; only a
//! right password is remembered, one for each user, as a digest. Deliberately absent: tokens, which
//! need no slow hash (see `auth`).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::auth::{self, Access};
use crate::api::problem::{Problem, ProblemCode};
use crate::config::{Config, WebUser};

/// Compares a bcrypt hash with a password, away from the threads that serve. The check holds its slot
/// to its end, even if nobody waits for the result any more.
pub(crate) type PasswordCheckFn = Arc<
    dyn Fn(String, Vec<u8>, CheckSlot) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync,
>;

/// Checks that run at once.
const RUNNING_MAX: usize = 2;
/// Checks that run or wait; a further one is answered `overloaded`.
const WAITING_MAX: usize = 64;
/// Bytes of a password that bcrypt compares. A longer one is wrong: its end would not count.
const PASSWORD_BYTES_MAX: usize = 72;

/// The user of a request, with the right password: an extension of the request.
#[derive(Clone, Debug)]
pub(super) struct VerifiedUser(pub(super) Arc<WebUser>);

/// The slot of a check that runs. Dropping it lets the next check run.
#[derive(Debug)]
pub(crate) struct CheckSlot {
    _running: OwnedSemaphorePermit,
    _waiting: OwnedSemaphorePermit,
}

/// A right password that was checked: the name of its user, and the digest.
type RememberedPassword = (String, [u8; 32]);

/// Checks passwords, and remembers the right ones.
pub(super) struct PasswordChecks {
    check: PasswordCheckFn,
    /// Secret random bytes, so that a digest in a dump of the memory cannot be searched for in tables.
    salt: [u8; 32],
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// At most one for each user.
    remembered: Mutex<Vec<RememberedPassword>>,
}

impl PasswordChecks {
    pub(super) fn new(check: PasswordCheckFn, salt: [u8; 32]) -> Self {
        Self {
            check,
            salt,
            running: Arc::new(Semaphore::new(RUNNING_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            remembered: Mutex::default(),
        }
    }

    /// The user whose name and password a request carries. None if it carries none, a wrong one or
    /// a known token, and on a route that is public or that users may not call.
    ///
    /// # Errors
    /// `overloaded` when too many checks wait.
    pub(super) async fn user_of(
        &self,
        config: &Config,
        access: Access,
        headers: &HeaderMap,
    ) -> Result<Option<VerifiedUser>, Problem> {
        let users = &config.web_file.users;
        if users.is_empty() || access == Access::Public || !access.takes_users() {
            return Ok(None);
        }
        let is_basic = headers.get(header::AUTHORIZATION).and_then(auth::basic_pair).is_some();
        if !is_basic || auth::known_token(&config.tokens, headers).is_some() {
            return Ok(None);
        }
        self.user(users, headers).await
    }

    async fn user(
        &self,
        users: &[WebUser],
        headers: &HeaderMap,
    ) -> Result<Option<VerifiedUser>, Problem> {
        let is_single = headers.get_all(header::AUTHORIZATION).iter().count() == 1;
        let sent = headers.get(header::AUTHORIZATION).filter(|_| is_single);
        let sent = sent.and_then(auth::basic_pair);
        let Some((name, password)) = sent.filter(|(_, p)| p.len() <= PASSWORD_BYTES_MAX) else {
            return Ok(None);
        };
        let known = users.iter().find(|user| user.name.as_bytes() == name);
        let hash = known.map_or_else(|| unmatched(users), |user| user.bcrypt.clone());
        let digest = self.digest(&name, &hash, &password);
        if let Some(user) = known
            && self.remembers(&digest)
        {
            return Ok(Some(VerifiedUser(Arc::new(user.clone()))));
        }
        let is_right = self.check(hash, password).await?;
        let Some(user) = known.filter(|_| is_right) else { return Ok(None) };
        let mut remembered = self.remembered.lock();
        remembered.retain(|(name, _)| *name != user.name && users.iter().any(|u| u.name == *name));
        remembered.push((user.name.clone(), digest));
        Ok(Some(VerifiedUser(Arc::new(user.clone()))))
    }

    async fn check(&self, hash: String, password: Vec<u8>) -> Result<bool, Problem> {
        let full = || Problem::new(ProblemCode::Overloaded, "too many passwords are being checked");
        let waiting = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| full())?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| full())?;
        let slot = CheckSlot { _running: running, _waiting: waiting };
        Ok((self.check)(hash, password, slot).await)
    }

    /// Compares with every digest, so that the time does not depend on which one matched.
    fn remembers(&self, digest: &[u8; 32]) -> bool {
        let remembered = self.remembered.lock();
        let matches = remembered.iter().map(|(_, known)| known.as_slice().ct_eq(digest));
        matches.fold(subtle::Choice::from(0), |found, is_equal| found | is_equal).into()
    }

    fn digest(&self, name: &[u8], hash: &str, password: &[u8]) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.salt);
        for part in [name, hash.as_bytes(), password] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

/// A hash for a name that is unknown, as slow as the slowest of the users.
fn unmatched(users: &[WebUser]) -> String {
    let costs = users.iter().filter_map(|user| user.bcrypt.get(4..6));
    let cost = costs.max().unwrap_or("10");
    format!("$2y${cost}$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi")
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::HeaderValue;
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use crate::api::ROUTES;
    use crate::config::WebFile;

    /// A check that accepts the password that its hash ends with, and counts.
    fn checks() -> (PasswordChecks, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let check: PasswordCheckFn = Arc::new(move |hash, password, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::ready(hash.as_bytes().ends_with(&password)))
        });
        (PasswordChecks::new(check, [7; 32]), count)
    }

    fn users() -> Vec<WebUser> {
        let user = |name: &str, hash: &str| WebUser { name: name.into(), bcrypt: hash.into() };
        vec![user("alice", "$2y$12$a-right"), user("bob", "$2y$12$b-right")]
    }

    fn basic(pair: &str) -> HeaderMap {
        let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
        let value = HeaderValue::try_from(value).unwrap();
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    #[tokio::test]
    async fn only_right_passwords_are_remembered() {
        let (checks, count) = checks();
        let check = async |pair: &str, expect: Option<&str>, total: usize| {
            let found = checks.user(&users(), &basic(pair)).await.unwrap();
            assert_eq!(found.as_ref().map(|user| user.0.name.as_str()), expect, "{pair}");
            assert_eq!(count.load(Ordering::Relaxed), total, "{pair}");
        };
        check("alice:a-right", Some("alice"), 1).await;
        check("alice:a-right", Some("alice"), 1).await;
        check("alice:wrong", None, 2).await;
        check("alice:wrong", None, 3).await;
        check("bob:a-right", None, 4).await;
        check("carol:LDeSi", None, 5).await;
        check("carol:LDeSi", None, 6).await;
        check(&format!("alice:{}", "x".repeat(73)), None, 6).await;
        check("no colon", None, 6).await;
        assert!(checks.user(&users(), &HeaderMap::new()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_new_hash_forgets_the_old_password() {
        let (checks, _) = checks();
        let sent = basic("alice:a-right");
        assert!(checks.user(&users(), &sent).await.unwrap().is_some());
        let mut changed = users();
        changed[0].bcrypt = "$2y$12$other".into();
        assert!(checks.user(&changed, &sent).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn checks_that_wait_are_bounded() {
        let check: PasswordCheckFn = Arc::new(|_, _, slot| {
            Box::pin(async move {
                let () = std::future::pending().await;
                drop(slot);
                false
            })
        });
        let checks = PasswordChecks::new(check, [7; 32]);
        let (known, sent) = (users(), basic("alice:a"));
        let mut waiting: Vec<_> =
            (0..WAITING_MAX).map(|_| Box::pin(checks.user(&known, &sent))).collect();
        for wait in &mut waiting {
            assert!(futures_util::poll!(wait).is_pending());
        }
        assert!(checks.user(&known, &sent).await.is_err());
    }

    /// A client that disconnects drops its future, and the check runs on.
    #[tokio::test]
    async fn a_check_that_nobody_waits_for_keeps_its_slot() {
        let (alive, slots) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (counted, kept) = (Arc::clone(&alive), Arc::clone(&slots));
        let check: PasswordCheckFn = Arc::new(move |_, _, slot| {
            counted.fetch_add(1, Ordering::Relaxed);
            kept.lock().push(slot);
            Box::pin(std::future::pending())
        });
        let checks = PasswordChecks::new(check, [7; 32]);
        let (known, sent) = (users(), basic("alice:a"));
        for _ in 0..1_000 {
            let mut asked = Box::pin(checks.user(&known, &sent));
            assert!(futures_util::poll!(&mut asked).is_pending());
        }
        assert_eq!(alive.load(Ordering::Relaxed), RUNNING_MAX);
        // Once they have ended, others run.
        slots.lock().clear();
        for _ in 0..1_000 {
            let mut asked = Box::pin(checks.user(&known, &sent));
            assert!(futures_util::poll!(&mut asked).is_pending());
        }
        assert_eq!(alive.load(Ordering::Relaxed), 2 * RUNNING_MAX);
    }

    #[tokio::test]
    async fn passwords_are_checked_only_where_users_are_let_in() {
        let (checks, count) = checks();
        let web_file = WebFile { users: users(), ..WebFile::default() };
        let config = Config { web_file: Arc::new(web_file), ..Config::default() };
        let sent = basic("alice:a-right");
        for route in ROUTES.iter() {
            let before = count.load(Ordering::Relaxed);
            checks.remembered.lock().clear();
            let found = checks.user_of(&config, route.access, &sent).await.unwrap();
            let reads = route.method == axum::http::Method::GET && route.access != Access::Public;
            assert_eq!(found.is_some(), reads, "{}", route.path);
            let checked = count.load(Ordering::Relaxed) - before;
            assert_eq!(checked, usize::from(reads), "{}", route.path);
        }
    }

    #[test]
    fn an_unknown_user_takes_as_long_as_the_slowest_known_one() {
        let mut known = users();
        known.push(WebUser { name: "carol".into(), bcrypt: "$2y$13$c-right".into() });
        let hash = unmatched(&known);
        assert!(hash.starts_with("$2y$13$"));
        let parts: bcrypt::HashParts = hash.parse().unwrap();
        assert_eq!(parts.get_cost(), 13);
    }
}
