//! Query parameters, checked strictly: an unknown or repeated one is refused by name.
//!
//! Input: the query of a URI and the names that the path accepts. Output: checked values. An empty
//! parameter counts as missing. Deliberately absent: defaults that depend on the state.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query};
use axum::http::Uri;

use crate::api::problem::{Problem, ProblemCode};
use crate::domain::closed_set::ClosedSet;
use crate::domain::ids::{Account, IdError};

/// The query parameters of one request, each at most once.
#[derive(Debug)]
pub(super) struct QueryParameters(Vec<(String, String)>);

impl QueryParameters {
    /// Parses the query of `uri`. Only the parameters `names` are accepted.
    ///
    /// # Errors
    /// `unknown_parameter` for any other, `invalid_parameter` for one that is repeated or not UTF-8.
    pub(super) fn parse(uri: &Uri, names: &[&str]) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|error| {
            Problem::new(
                ProblemCode::InvalidParameter,
                format!("the query cannot be read: {error}"),
            )
        })?;
        for (at, (name, value)) in pairs.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                return Err(unknown(name, names));
            }
            if pairs.iter().take(at).any(|(earlier, _)| earlier == name) {
                return Err(invalid(name, "is given more than once"));
            }
            // The decoder puts this character in place of bytes that are not UTF-8.
            if value.contains(char::REPLACEMENT_CHARACTER) {
                return Err(invalid(name, "is not UTF-8 after percent-decoding"));
            }
        }
        Ok(Self(pairs))
    }

    /// A parameter as text. `None` if it is missing or empty.
    #[must_use]
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(n, _)| n == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// A parameter that is a name, checked by the constructor `make`.
    ///
    /// # Errors
    /// `invalid_parameter` when the constructor refuses it.
    pub(super) fn name<T>(
        &self,
        name: &str,
        make: impl FnOnce(&str) -> Result<T, IdError>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        make(text).map(Some).map_err(|error| invalid(name, &error.to_string()))
    }

    /// # Errors
    /// `invalid_parameter` when it is not a valid account name.
    pub(super) fn account(&self) -> Result<Option<Account>, Problem> {
        self.name("account", Account::new)
    }

    /// A parameter that is a word of a closed set.
    ///
    /// # Errors
    /// `invalid_parameter` when it is none of them. An empty one is not: a script that lost its value
    /// must not get another side or state than it meant.
    pub(super) fn member<E: ClosedSet>(&self, name: &str) -> Result<Option<E>, Problem> {
        let Some((_, text)) = self.0.iter().find(|(known, _)| known == name) else {
            return Ok(None);
        };
        let member = E::from_word(text).map(Some);
        member.ok_or_else(|| invalid(name, &format!("is not one of {}", E::WORDS.join(", "))))
    }

    /// A parameter that is a whole number in `range`.
    ///
    /// # Errors
    /// `invalid_parameter` when it is not.
    pub(super) fn number<T: FromStr + PartialOrd + Display>(
        &self,
        name: &str,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let is_plain = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|n| is_plain && range.contains(n));
        let (min, max) = (range.start(), range.end());
        let why = || invalid(name, &format!("is not a whole number from {min} to {max}"));
        number.map(Some).ok_or_else(why)
    }
}

/// The names in the path.
///
/// # Errors
/// `invalid_parameter` when one is not UTF-8 after percent-decoding.
pub(super) fn path<T>(names: Result<Path<T>, PathRejection>) -> Result<T, Problem> {
    let why = "the path is not UTF-8 after percent-decoding";
    names.map(|Path(names)| names).map_err(|_| Problem::new(ProblemCode::InvalidParameter, why))
}

/// A required parameter.
///
/// # Errors
/// `missing_parameter` when it is missing.
pub(super) fn required<T>(value: Option<T>, name: &str) -> Result<T, Problem> {
    value.ok_or_else(|| {
        Problem::new(ProblemCode::MissingParameter, format!("the parameter {name} is required"))
            .of_field(name)
    })
}

/// The problem of a parameter with an invalid value. `why` follows its name in the message.
pub(super) fn invalid(name: &str, why: &str) -> Problem {
    Problem::new(ProblemCode::InvalidParameter, format!("the parameter {name} {why}"))
        .of_field(name)
}

fn unknown(name: &str, names: &[&str]) -> Problem {
    let known = if names.is_empty() {
        String::from("this path accepts no parameters")
    } else {
        format!("this path accepts {}", names.join(", "))
    };
    let cut: String = name.chars().take(64).collect();
    Problem::new(ProblemCode::UnknownParameter, known).of_field(cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Source;

    #[test]
    fn parameters_are_strict() {
        let check = |query: &str, expect: Result<(Option<&str>, usize), ProblemCode>| {
            let uri: Uri = format!("/path{query}").parse().expect("a uri");
            let got = QueryParameters::parse(&uri, &["account", "limit"]).and_then(|p| {
                let account = p.account()?.map(|a| a.to_string());
                Ok((account, p.number("limit", 1..=1000)?.unwrap_or(100)))
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
        check("?Account=paper", Err(ProblemCode::UnknownParameter));
        check("?account=a&account=a", Err(ProblemCode::InvalidParameter));
        check("?account=%0a", Err(ProblemCode::InvalidParameter));
        check("?account=%ff", Err(ProblemCode::InvalidParameter));
        check("?limit=0", Err(ProblemCode::InvalidParameter));
        check("?limit=%2B1", Err(ProblemCode::InvalidParameter));
        check("?limit=1001", Err(ProblemCode::InvalidParameter));
        check("?limit=1e2", Err(ProblemCode::InvalidParameter));
        check("?limit=99999999999999999999", Err(ProblemCode::InvalidParameter));
    }
    #[test]
    fn words_are_those_of_their_set() {
        let check = |query: &str, expect: Result<Option<Source>, ProblemCode>| {
            let uri: Uri = format!("/path{query}").parse().expect("a uri");
            let role = QueryParameters::parse(&uri, &["role"]).and_then(|p| p.member("role"));
            assert_eq!(role.map_err(|problem| problem.code()), expect, "{query}");
        };
        check("", Ok(None));
        check("?role=broker", Ok(Some(Source::Broker)));
        check("?role=", Err(ProblemCode::InvalidParameter));
        check("?role=Broker", Err(ProblemCode::InvalidParameter));
    }
}
