//! Query parameters, strictly: unknown, repeated and empty ones are refused by name.
//!
//! Input: the query of a URI and the names that the path has. Output: checked values. Deliberately
//! absent: defaults that depend on the state.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query};
use axum::http::Uri;

use crate::api::problem::{Code, Problem};
use crate::domain::closed_set::ClosedSet;
use crate::domain::ids::{Account, IdError};

/// The query parameters of one request; each is there at most once.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the query of `uri`, which may hold the parameters `names` alone.
    ///
    /// # Errors
    /// `unknown_parameter` for any other, `invalid_parameter` for a repeated one.
    pub(super) fn parse(uri: &Uri, names: &[&str]) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|error| {
            Problem::new(Code::InvalidParameter, format!("the query cannot be read: {error}"))
        })?;
        for (at, (name, value)) in pairs.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                return Err(unknown(name, names));
            }
            if pairs.iter().take(at).any(|(earlier, _)| earlier == name) {
                return Err(invalid(name, "is given more than once"));
            }
            // What stands for bytes that are no text once decoded.
            if value.contains(char::REPLACEMENT_CHARACTER) {
                return Err(invalid(name, "is not UTF-8 once decoded"));
            }
        }
        Ok(Self(pairs))
    }

    /// A parameter as it is; an empty one counts as missing.
    #[must_use]
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(n, _)| n == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// A parameter that is a name of `make`'s kind.
    ///
    /// # Errors
    /// `invalid_parameter` when it is no name.
    pub(super) fn name<T>(
        &self,
        name: &str,
        make: impl FnOnce(&str) -> Result<T, IdError>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        make(text).map(Some).map_err(|error| invalid(name, &error.to_string()))
    }

    /// The parameter `account`.
    ///
    /// # Errors
    /// `invalid_parameter` when it is no name.
    pub(super) fn account(&self) -> Result<Option<Account>, Problem> {
        self.name("account", Account::new)
    }

    /// A parameter that is a word of a closed set.
    ///
    /// # Errors
    /// `invalid_parameter` when it is none of them.
    pub(super) fn member<E: ClosedSet>(&self, name: &str) -> Result<Option<E>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let member = E::from_word(text).map(Some);
        member.ok_or_else(|| invalid(name, &format!("is none of {}", E::WORDS.join(", "))))
    }

    /// A parameter that is a whole number from 0 to `max`.
    ///
    /// # Errors
    /// `invalid_parameter` when it is not.
    pub(super) fn whole(&self, name: &str, max: u64) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|n| plain && *n <= max);
        let number =
            number.ok_or_else(|| invalid(name, &format!("is no whole number to {max}")))?;
        Ok(Some(number))
    }

    /// A parameter that is a whole number from 1 to `max`.
    ///
    /// # Errors
    /// `invalid_parameter` when it is not.
    pub(super) fn count(&self, name: &str, default: usize, max: usize) -> Result<usize, Problem> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|n| plain && (1..=max).contains(n));
        number.ok_or_else(|| invalid(name, &format!("is no whole number from 1 to {max}")))
    }
}

/// The names that stand in the path.
///
/// # Errors
/// `invalid_parameter` when they are not UTF-8 once decoded.
pub(super) fn path<T>(names: Result<Path<T>, PathRejection>) -> Result<T, Problem> {
    let why = "the path is not UTF-8 once decoded";
    names.map(|Path(names)| names).map_err(|_| Problem::new(Code::InvalidParameter, why))
}

/// A parameter that must be there.
///
/// # Errors
/// `missing_parameter` when it is not.
pub(super) fn required<T>(value: Option<T>, name: &str) -> Result<T, Problem> {
    value.ok_or_else(|| {
        Problem::new(Code::MissingParameter, format!("the parameter {name} is required"))
            .of_field(name)
    })
}

/// A parameter with a value that it cannot have.
#[must_use]
pub(super) fn invalid(name: &str, why: &str) -> Problem {
    Problem::new(Code::InvalidParameter, format!("the parameter {name} {why}")).of_field(name)
}

fn unknown(name: &str, names: &[&str]) -> Problem {
    let known = if names.is_empty() {
        String::from("this path takes no parameters")
    } else {
        format!("this path takes {}", names.join(", "))
    };
    let cut: String = name.chars().take(64).collect();
    Problem::new(Code::UnknownParameter, known).of_field(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_strict() {
        let check = |query: &str, expect: Result<(Option<&str>, usize), Code>| {
            let uri: Uri = format!("/path{query}").parse().expect("a uri");
            let got = Parameters::parse(&uri, &["account", "limit"]).and_then(|p| {
                let account = p.account()?.map(|a| a.to_string());
                Ok((account, p.count("limit", 100, 1000)?))
            });
            let got = got.map_err(|problem| problem.code());
            let expect = expect.map(|(account, limit)| (account.map(String::from), limit));
            assert_eq!(got, expect, "{query}");
        };
        check("", Ok((None, 100)));
        check("?", Ok((None, 100)));
        check("?account=", Ok((None, 100)));
        check("?account=paper&limit=7", Ok((Some("paper"), 7)));
        check("?account=a%2Fb%20c", Ok((Some("a/b c"), 100)));
        check("?Account=paper", Err(Code::UnknownParameter));
        check("?account=a&account=a", Err(Code::InvalidParameter));
        check("?account=%0a", Err(Code::InvalidParameter));
        check("?account=%ff", Err(Code::InvalidParameter));
        check("?limit=0", Err(Code::InvalidParameter));
        check("?limit=%2B1", Err(Code::InvalidParameter));
        check("?limit=1001", Err(Code::InvalidParameter));
        check("?limit=1e2", Err(Code::InvalidParameter));
        check("?limit=99999999999999999999", Err(Code::InvalidParameter));
    }
}
