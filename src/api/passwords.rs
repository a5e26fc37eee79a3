//! Passwords of the users in the web configuration file, checked against their bcrypt hashes.
//!
//! Input: the `Authorization` header and the users. Output: the user. Invariants: few checks run at
//! once and few wait, since each takes a core for a while; an unknown user takes as long as a wrong
//! password; only a right password is remembered, as a digest, so that wrong ones cannot push it
//! out. Deliberately absent: tokens, which need no slow hash (see `auth`).

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::api::auth;
use crate::api::problem::{Problem, ProblemCode};
use crate::config::WebUser;

/// Compares a bcrypt hash with a password, away from the threads that serve.
pub(crate) type PasswordCheckFn =
    Arc<dyn Fn(String, Vec<u8>) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// Checks that run at once.
const RUNNING_MAX: usize = 2;
/// Checks that run or wait; a further one is answered `overloaded`.
const WAITING_MAX: usize = 64;
/// Right passwords that are remembered.
const REMEMBERED_MAX: usize = 512;
/// Bytes of a password. bcrypt uses 72 of them.
const PASSWORD_BYTES_MAX: usize = 1024;

/// The user of a request, with the right password: an extension of the request.
#[derive(Clone, Debug)]
pub(super) struct VerifiedUser(pub(super) Arc<WebUser>);

/// Checks passwords, and remembers the right ones.
pub(super) struct PasswordChecks {
    check: PasswordCheckFn,
    /// Distinguishes the digests of this process.
    salt: u64,
    running: Semaphore,
    waiting: Semaphore,
    /// Digests of users with their hashes and right passwords, the oldest first.
    remembered: Mutex<VecDeque<[u8; 32]>>,
}

impl PasswordChecks {
    pub(super) fn new(check: PasswordCheckFn, salt: u64) -> Self {
        Self {
            check,
            salt,
            running: Semaphore::new(RUNNING_MAX),
            waiting: Semaphore::new(WAITING_MAX),
            remembered: Mutex::default(),
        }
    }

    /// The user whose name and password a request carries. None if it carries none, or a wrong one.
    ///
    /// # Errors
    /// `overloaded` when too many checks wait.
    pub(super) async fn user(
        &self,
        users: &[WebUser],
        headers: &HeaderMap,
    ) -> Result<Option<VerifiedUser>, Problem> {
        let sent = headers.get(header::AUTHORIZATION).and_then(auth::basic_pair);
        let Some((name, password)) = sent.filter(|(_, p)| p.len() <= PASSWORD_BYTES_MAX) else {
            return Ok(None);
        };
        let known = users.iter().find(|user| user.name.as_bytes() == name);
        let hash = known.map_or_else(|| unmatched(users), |user| user.bcrypt.clone());
        let digest = self.digest(&name, &hash, &password);
        if let Some(user) = known
            && self.remembered.lock().contains(&digest)
        {
            return Ok(Some(VerifiedUser(Arc::new(user.clone()))));
        }
        let is_right = self.check(hash, password).await?;
        let Some(user) = known.filter(|_| is_right) else { return Ok(None) };
        let mut remembered = self.remembered.lock();
        if !remembered.contains(&digest) {
            if remembered.len() >= REMEMBERED_MAX {
                remembered.pop_front();
            }
            remembered.push_back(digest);
        }
        Ok(Some(VerifiedUser(Arc::new(user.clone()))))
    }

    async fn check(&self, hash: String, password: Vec<u8>) -> Result<bool, Problem> {
        let full = || Problem::new(ProblemCode::Overloaded, "too many passwords are being checked");
        let _waiting = self.waiting.try_acquire().map_err(|_| full())?;
        let _running = self.running.acquire().await.map_err(|_| full())?;
        Ok((self.check)(hash, password).await)
    }

    fn digest(&self, name: &[u8], hash: &str, password: &[u8]) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.salt.to_le_bytes());
        for part in [name, hash.as_bytes(), password] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

/// A hash for a name that is unknown, as slow as that of the first user.
fn unmatched(users: &[WebUser]) -> String {
    let cost = users.first().and_then(|user| user.bcrypt.get(4..6)).unwrap_or("10");
    format!("$2y${cost}$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi")
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::HeaderValue;
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    /// A check that accepts the password that its hash ends with, and counts.
    fn checks() -> (PasswordChecks, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let check: PasswordCheckFn = Arc::new(move |hash, password| {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::ready(hash.as_bytes().ends_with(&password)))
        });
        (PasswordChecks::new(check, 7), count)
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
        check(&format!("alice:{}", "x".repeat(2000)), None, 6).await;
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
        let check: PasswordCheckFn = Arc::new(|_, _| Box::pin(std::future::pending()));
        let checks = PasswordChecks::new(check, 7);
        let (known, sent) = (users(), basic("alice:a"));
        let mut waiting: Vec<_> =
            (0..WAITING_MAX).map(|_| Box::pin(checks.user(&known, &sent))).collect();
        for wait in &mut waiting {
            assert!(futures_util::poll!(wait).is_pending());
        }
        assert!(checks.user(&known, &sent).await.is_err());
    }

    #[test]
    fn an_unknown_user_takes_as_long_as_a_known_one() {
        assert!(unmatched(&users()).starts_with("$2y$12$"));
        assert_eq!(unmatched(&users()).len(), 60);
    }
}
