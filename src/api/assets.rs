//! `GET /web/{file}`: the script, the style and the icon of the status page.
//!
//! Output: the files of `web/`, as they were when the program was built. Invariants: they hold no data,
//! so everybody may read them; a browser asks again each time and gets 304 for a file that it has, so
//! that after an upgrade no page mixes two versions. Deliberately absent: the page (see `page`).

use std::sync::LazyLock;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::api::problem::{Problem, ProblemCode};
use crate::api::query;

/// One file.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// A row of [`ASSETS`].
macro_rules! asset {
    ($name:literal, $media_type:ident) => {
        Asset {
            name: $name,
            media_type: $media_type,
            text: include_str!(concat!("../../web/", $name)),
        }
    };
}

/// The files of `web/`, but for the shell that the page is made from.
const ASSETS: [Asset; 17] = [
    asset!("main.js", SCRIPT),
    asset!("store.js", SCRIPT),
    asset!("api.js", SCRIPT),
    asset!("stream.js", SCRIPT),
    asset!("trading.js", SCRIPT),
    asset!("drifts.js", SCRIPT),
    asset!("execution.js", SCRIPT),
    asset!("health.js", SCRIPT),
    asset!("audit.js", SCRIPT),
    asset!("decisions.js", SCRIPT),
    asset!("table.js", SCRIPT),
    asset!("spark.js", SCRIPT),
    asset!("words.js", SCRIPT),
    asset!("format.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("page.css", STYLE),
    asset!("icon.svg", IMAGE),
];

/// The entity tag of each file, computed once.
static TAGS: LazyLock<Vec<String>> =
    LazyLock::new(|| ASSETS.iter().map(|asset| entity_tag(asset.text)).collect());

/// A file of the status page
///
/// Scripts, the style and the icon. They hold no data.
#[utoipa::path(
    get, path = "/web/{file}", tag = "process",
    params(("file" = String, Path, description = "The name of the file")),
    responses(
        (status = 200, description = "The file", body = String, content_type = "text/javascript; charset=utf-8"),
        (status = 304, description = "The file is the one of `If-None-Match`"),
        (status = 400, description = "`invalid_parameter`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_path`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_asset(
    file: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file = query::path(file)?;
    let found = ASSETS.iter().zip(TAGS.iter()).find(|(asset, _)| asset.name == file);
    let Some((asset, tag)) = found else {
        return Err(Problem::new(ProblemCode::UnknownPath, "the page has no such file"));
    };
    let Ok(entity_tag) = HeaderValue::from_str(tag) else {
        return Err(Problem::new(ProblemCode::Internal, "an entity tag is plain text"));
    };
    let common =
        [(header::ETAG, entity_tag), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if is_known(&headers, tag) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let media_type = [(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type))];
    Ok((common, media_type, asset.text).into_response())
}

/// Whether the client has the file with this tag: RFC 9110, section 13.1.2, with the weak comparison.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

fn entity_tag(text: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(text).into();
    let (start, _) = digest.split_at(8);
    let start = start.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("\"{start:016x}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module that is missing from the table would be a 404 in the browser.
    #[test]
    fn the_table_has_every_file() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/web");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "shell.html")
            .collect();
        let mut names: Vec<&str> = ASSETS.iter().map(|asset| asset.name).collect();
        files.sort_unstable();
        names.sort_unstable();
        assert_eq!(names, files);
    }

    #[test]
    fn a_file_that_the_client_has_is_not_sent_again() {
        let check = |sent: Option<&'static str>, expect: bool| {
            let mut headers = HeaderMap::new();
            headers.extend(sent.map(|s| (header::IF_NONE_MATCH, HeaderValue::from_static(s))));
            assert_eq!(is_known(&headers, "\"ab\""), expect, "{sent:?}");
        };
        check(None, false);
        check(Some("\"ab\""), true);
        check(Some("\"x\", W/\"ab\""), true);
        check(Some("*"), true);
        check(Some("\"x\""), false);
        check(Some("ab"), false);
    }
}
