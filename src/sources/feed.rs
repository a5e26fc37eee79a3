//! Age of the newest quote, by receive time.

use std::time::Duration;

use super::{ProbeOutcome, QuoteAge};

/// Checks the age of the newest quote.
#[derive(Debug)]
pub(super) struct NewestQuote {
    account: Option<String>,
    age_max: Duration,
}

impl NewestQuote {
    /// A check that fails if the newest quote of the account, or of any account, is older than `age_max`.
    pub(super) fn new(account: Option<&str>, age_max: Duration) -> Self {
        Self { account: account.map(String::from), age_max }
    }

    pub(super) fn check(&self, quote_age: &QuoteAge) -> ProbeOutcome {
        match quote_age(self.account.as_deref()) {
            None => Err(String::from("no quote yet")),
            Some(age) => {
                let seen = format!("the newest quote is {:.1} s old", age.as_secs_f64());
                if age <= self.age_max { Ok(seen) } else { Err(seen) }
            }
        }
    }
}
