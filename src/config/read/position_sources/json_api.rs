//! `http`: the list of any API that answers JSON.

use std::path::PathBuf;

use super::{secret_of, signature};
use crate::config::scalar::{ValueError, choice, path, text, url};
use crate::config::section::Section;
use crate::config::{
    Environment, HiddenText, ListMethod, ListReader, ListRequest, RequestSignature, SecretUrl,
    SignatureScheme,
};
use crate::domain::closed_set::ClosedSet;
use crate::domain::event::Source;
use crate::expression::{Expression, Preset};

/// Headers of each kind, at most.
const HEADERS_MAX: usize = 32;
/// Bytes of a body.
const BODY_BYTES_MAX: usize = 64 << 10;

pub(super) fn read(
    s: &mut Section<'_>,
    role: Source,
    environment: &Environment,
) -> Option<ListRequest> {
    let url = s.require("url", url);
    let mut method = ListMethod::Get;
    s.set("method", &mut method, choice);
    let mut body = String::new();
    s.set("body", &mut body, body_text);
    if method == ListMethod::Get && !body.is_empty() {
        s.wrong("body", "needs method: POST");
    }
    let headers = headers(s, environment);
    let mut signature = None;
    s.section("signature", |s| signature = signature::read(s, environment));
    let needs_post = |signature: &RequestSignature| signature.scheme == SignatureScheme::Kraken;
    if method == ListMethod::Get && signature.as_ref().is_some_and(needs_post) {
        s.wrong("method", "must be POST, which the scheme kraken signs");
    }
    let (expression, preset) = expression(s)?;
    let query = url.as_deref().and_then(|url| url.split_once('?')).map_or("", |(_, query)| query);
    if preset == Some(Preset::Bybit) && !query.split('&').any(|pair| pair == "limit=200") {
        s.wrong("url", "must have limit=200 in its query, which bybit needs to list all positions");
    }
    Some(ListRequest {
        role,
        url: SecretUrl::new(url?),
        method,
        body,
        headers,
        basic: None,
        signature,
        reader: ListReader::Expression(expression),
    })
}

fn body_text(node: &crate::config::yaml::YamlNode) -> Result<String, ValueError> {
    let text = text(node)?;
    if text.len() > BODY_BYTES_MAX {
        return Err(ValueError(format!("must have at most {BODY_BYTES_MAX} bytes")));
    }
    Ok(text.to_owned())
}

/// Headers with their values, and those whose values are in files.
fn headers(s: &mut Section<'_>, environment: &Environment) -> Vec<(String, HiddenText)> {
    let mut headers = s.named("headers", HEADERS_MAX, |name, node| {
        let name = header_name(name)?;
        let value = text(node)?;
        if !value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            return Err(ValueError::must("one line of ASCII"));
        }
        Ok((name, HiddenText::new(value)))
    });
    let files: Vec<(String, PathBuf)> =
        s.named("header_files", HEADERS_MAX, |name, node| Ok((header_name(name)?, path(node)?)));
    for (name, file) in files {
        if headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name)) {
            s.wrong("header_files", format!("{name} is in headers as well"));
        }
        if let Some(value) = secret_of(s, "header_files", file, environment) {
            headers.push((name, value));
        }
    }
    headers
}

/// The name of a header that may be set.
pub(super) fn header_name(name: &str) -> Result<String, ValueError> {
    let is_token =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let reserved = ["host", "content-length", "transfer-encoding", "connection"];
    if !is_token || name.len() > 128 {
        return Err(ValueError::must("the name of a header: letters, digits, - and _"));
    }
    if reserved.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return Err(ValueError(String::from("is set by the exporter")));
    }
    Ok(name.to_owned())
}

/// The expression, from exactly one of `jq` and `preset`.
fn expression(s: &mut Section<'_>) -> Option<(Expression, Option<Preset>)> {
    let (mut own, mut preset) = (None, None);
    let both_or_none = s.has("jq") == s.has("preset");
    s.set("jq", &mut own, |node| Expression::parse(text(node)?).map(Some).map_err(ValueError));
    s.set("preset", &mut preset, |node| {
        let found = Preset::from_word(text(node)?);
        found.map(Some).ok_or_else(|| ValueError::must(Preset::WORDS.join(" or ")))
    });
    if both_or_none {
        s.wrong_here("must have either jq or preset");
        return None;
    }
    let expression = own.or_else(|| Expression::parse(preset?.text()).ok())?;
    Some((expression, preset))
}
