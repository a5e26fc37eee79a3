//! Who may call what: every path, by every kind of caller, plain and over TLS.
//!
//! Output: `docs/access.md`, written again if it is out of date. Invariant: the answers are those of
//! the real binary, and both transports give the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::ClientConfig;
use trading_exporter::api::{self, Access, Route};
use trading_exporter::config::Scope;

use crate::exporter::Exporter;
use crate::pki::{WebDirectory, argument, connect};
use crate::secrets::hex_digest;
use crate::web_file::{bcrypt, plain, status};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/access.md");

/// The columns: a heading, and how the caller authenticates.
const CALLERS: &[(&str, Caller)] = &[
    ("none", Caller::Nobody),
    ("unknown token", Caller::Bearer("unknown")),
    ("`ingest`", Caller::Bearer("ingest")),
    ("`ingest:broker`", Caller::Bearer("ingest:broker")),
    ("`read`", Caller::Bearer("read")),
    ("`metrics`", Caller::Bearer("metrics")),
    ("`halt`", Caller::Bearer("halt")),
    ("`release`", Caller::Bearer("release")),
    ("right scope, other account", Caller::Elsewhere),
    ("right token as password", Caller::Password),
    ("right token as `?token=`", Caller::Query),
    ("user", Caller::User("right")),
    ("user, wrong password", Caller::User("wrong")),
];

#[derive(Clone, Copy)]
enum Caller {
    Nobody,
    /// The text of the token is its scope.
    Bearer(&'static str),
    /// A token with a scope that the path accepts, confined to another account.
    Elsewhere,
    /// A token with a scope that the path accepts, as the password of Basic.
    Password,
    /// A token with a scope that the path accepts, in the query.
    Query,
    /// A user of the web configuration file.
    User(&'static str),
}

impl Caller {
    fn header(self, route: &Route) -> String {
        // Pages and public paths take any token.
        let scope = route.access.scopes().first().copied().unwrap_or(Scope::Read).as_str();
        let basic =
            |pair: &str| format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode(pair));
        match self {
            Self::Nobody | Self::Query => String::new(),
            Self::Bearer(token) => format!("authorization: Bearer {token}\r\n"),
            Self::Elsewhere => format!("authorization: Bearer {scope} elsewhere\r\n"),
            Self::Password => basic(&format!("anybody:{scope}")),
            Self::User(password) => basic(&format!("alice:{password}")),
        }
    }
}

impl Caller {
    /// The head of a request, with the token of this caller if it is in the query.
    fn head(self, route: &Route, head: &str) -> String {
        if !matches!(self, Self::Query) {
            return head.to_owned();
        }
        let scope = route.access.scopes().first().copied().unwrap_or(Scope::Read).as_str();
        let (target, rest) = head.split_once(" HTTP/1.1").unwrap();
        let sign = if target.contains('?') { '&' } else { '?' };
        format!("{target}{sign}token={scope} HTTP/1.1{rest}")
    }
}

/// A token for each scope, and one confined to the account `elsewhere`.
fn tokens() -> String {
    let mut text = "tokens:\n".to_owned();
    for scope in Scope::ALL.iter().copied() {
        for (suffix, accounts) in [("", ""), (" elsewhere", ", accounts: [elsewhere]")] {
            let name = format!("{}{suffix}", scope.as_str());
            let hash = hex_digest(&name);
            let scope = scope.as_str();
            writeln!(text, "- {{name: '{name}', sha256: '{hash}', scopes: ['{scope}']{accounts}}}")
                .unwrap();
        }
    }
    text
}

/// The request line and body of a route, about the account `paper`.
fn request(route: &Route) -> (String, &'static str) {
    let operation =
        &api::document()["paths"][&route.path][route.method.as_str().to_ascii_lowercase()];
    let path = route
        .path
        .replace("{account}", "paper")
        .replace("{order_id}", "O-1")
        .replace("{component}", "engine")
        .replace("{name}", "alpaca")
        .replace("{file}", "main.js");
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let takes_account = parameters.clone().any(|p| p["name"] == "account" && p["in"] == "query");
    let query = match (takes_account, route.path.as_str()) {
        (_, "/api/v1/series") => "?account=paper&symbol=S",
        (true, _) => "?account=paper",
        (false, _) => "",
    };
    let body = match route.path.as_str() {
        // One event for each of the two scopes.
        "/api/v1/events" => {
            r#"[{"type":"heartbeat","account":"paper","component":"engine"},
                {"type":"positions","account":"paper","source":"broker","positions":[]}]"#
        }
        // An order, which is the engine's, and a list, which is the broker's.
        "/api/v1/adapters/{name}" => {
            "{\"event\":\"new\",\"order\":{\"id\":\"1\",\"symbol\":\"A\",\"side\":\"buy\",\"qty\":\"1\"}}\n[]"
        }
        "/api/v1/halts" => r#"{"account":"paper","state":"halted","reason":"r","actor":"a"}"#,
        "/api/v1/halts/release" => r#"{"account":"paper","epoch":0,"reason":"r","actor":"a"}"#,
        "/api/v1/drift/reconcile" => {
            r#"{"account":"paper","symbol":"S","adopt":"broker","actor":"a","reason":"r"}"#
        }
        "/api/v1/alertmanager" => {
            r#"{"version":"4","groupKey":"g","status":"firing","receiver":"r","groupLabels":{},
               "commonLabels":{},"commonAnnotations":{},"externalURL":"http://a","alerts":[
               {"status":"firing","labels":{"alertname":"X","action":"halt","account":"paper"},
                "annotations":{},"startsAt":"2026-11-22T14:30:00Z","fingerprint":"f"}]}"#
        }
        _ => "",
    };
    (format!("{} {path}{query} HTTP/1.1\r\nhost: localhost\r\n", route.method), body)
}

/// The head of the answer.
fn answer(stream: &mut (impl Read + Write), request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// The status for each caller, by route, and the challenges of the routes.
type Answers = BTreeMap<String, (Vec<u16>, String)>;

fn answers(exporter: &Exporter, tls: Option<&Arc<ClientConfig>>) -> Answers {
    let ask = |text: &str| match tls {
        None => answer(&mut plain(exporter.address), text),
        Some(client) => answer(&mut connect(exporter.address, client).unwrap(), text),
    };
    let mut answers = Answers::new();
    for route in api::ROUTES.iter() {
        let (head, body) = request(route);
        let mut row = Vec::new();
        let mut challenges = String::new();
        for (_, caller) in CALLERS {
            let lines = caller.header(route);
            let length = body.len();
            let head = caller.head(route, &head);
            let text = format!(
                "{head}{lines}connection: close\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\n\r\n{body}"
            );
            let found = ask(&text);
            row.push(status(&found));
            if matches!(caller, Caller::Nobody) {
                let asked = found.lines().filter_map(|l| l.strip_prefix("www-authenticate: "));
                let schemes = asked.filter_map(|challenge| challenge.split(' ').next());
                challenges = schemes.collect::<Vec<_>>().join(", ");
            }
        }
        answers.insert(format!("{} {}", route.method, route.path), (row, challenges));
    }
    answers
}

fn start(directory: &WebDirectory, web: &str) -> Exporter {
    let config = directory.path("exporter.yml");
    fs::write(&config, tokens()).unwrap();
    let exporter = Exporter::start(&[
        &format!("--config.file={}", config.display()),
        &argument(&directory.path(web)),
    ]);
    let event = r#"{"type":"heartbeat","account":"paper","component":"engine"}"#;
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ingest\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{event}",
        event.len()
    );
    let found = match web {
        "plain.yml" => answer(&mut plain(exporter.address), &head),
        _ => answer(&mut connect(exporter.address, &directory.client(None)).unwrap(), &head),
    };
    assert_eq!(status(&found), 200, "{found}");
    exporter
}

#[test]
fn the_table_of_access_is_that_of_the_server() {
    let users = format!("basic_auth_users:\n  alice: {}\n", bcrypt("right"));
    let directory = WebDirectory::new("", &users);
    directory.put("plain.yml", &users);
    let tls = answers(&start(&directory, "web.yml"), Some(&directory.client(None)));
    let found = answers(&start(&directory, "plain.yml"), None);
    assert_eq!(found, tls, "both transports give the same answers");
    for route in api::ROUTES.iter() {
        check(route, &found[&format!("{} {}", route.method, route.path)]);
    }
    let text = document(&found);
    if fs::read_to_string(DOCUMENT).unwrap_or_default() != text {
        fs::write(DOCUMENT, &text).unwrap();
        panic!("docs/access.md was out of date and is written again: commit it");
    }
}

/// The rules that hold for every route, whatever the table says.
fn check(route: &Route, (row, challenges): &(Vec<u16>, String)) {
    let of = |heading: &str| {
        let column = CALLERS.iter().position(|(known, _)| *known == heading).unwrap();
        row[column]
    };
    let is_in = |heading: &str| !matches!(of(heading), 401 | 403);
    let path = &route.path;
    if route.access == Access::Probe {
        return assert!(CALLERS.iter().all(|(heading, _)| is_in(heading)), "{path}");
    }
    assert_eq!(of("unknown token"), 401, "{path}");
    // A password is checked only where users are let in.
    let is_public = route.access == Access::Public;
    assert_eq!(is_in("user, wrong password"), is_public, "{path}");
    match route.access {
        Access::Public | Access::Probe => assert!(is_in("none"), "{path}"),
        Access::Page => assert_eq!(challenges, "Basic", "{path}"),
        Access::AnyOf(_) | Access::Webhook(_) | Access::Unconfined(_) => {
            assert_eq!(of("none"), 401, "{path}");
            for scope in Scope::ALL.iter().copied() {
                let heading = format!("`{}`", scope.as_str());
                let expect = route.access.scopes().contains(&scope);
                assert_eq!(is_in(&heading), expect, "{path} {heading}");
            }
        }
    }
    let decides = route.access.scopes().iter().any(|s| matches!(s, Scope::Halt | Scope::Release));
    assert_eq!(is_in("right token as password"), !decides, "{path}");
    let takes_query = matches!(route.access, Access::Webhook(_) | Access::Public);
    assert_eq!(is_in("right token as `?token=`"), takes_query, "{path}");
    let writes = route.method != "GET";
    assert_eq!(is_in("user"), !writes, "{path}");
}

fn document(answers: &Answers) -> String {
    let mut text = String::from(
        "# Who may call what\n\n\
         Every path, called by every kind of caller, with tokens and a user configured. The test\n\
         `the_table_of_access_is_that_of_the_server` sends these requests to the real server, plain and\n\
         over TLS, and writes this file again if an answer has changed.\n\n\
         - **yes**: the caller is let in. The answer then depends on the request.\n\
         - A scope stands for a token with this scope alone. A *user* is one of `basic_auth_users` in the\n  \
           web configuration file.\n\
         - *Right scope, other account*: the request is about the account `paper`, and the token, which has a\n  \
           scope that the path accepts, is confined to another account. The status is that of the answer.\n  \
           Lists leave out what the token may not see.\n\
         - *Right token as password*: a token with a scope that the path accepts, sent as the password of\n  \
           Basic with any user name. Paths of decisions do not take it.\n\
         - *Right token as `?token=`*: the same token in the query. Only adapters take it, for systems that\n  \
           can configure only a URL.\n\
         - The password of a user is checked only on paths that users may call. Public paths ignore it.\n\
         - *Asks for*: the challenges in a 401.\n\n",
    );
    let headings: Vec<&str> = CALLERS.iter().map(|(heading, _)| *heading).collect();
    writeln!(text, "| path | {} | asks for |", headings.join(" | ")).unwrap();
    writeln!(text, "|---|{}---|", "---|".repeat(headings.len())).unwrap();
    for route in api::ROUTES.iter() {
        let name = format!("{} {}", route.method, route.path);
        let (row, challenges) = &answers[&name];
        let cell = |(status, (_, caller)): (&u16, &(&str, Caller))| match (status, caller) {
            (401 | 403, _) | (_, Caller::Elsewhere) => status.to_string(),
            _ => "yes".to_owned(),
        };
        let cells: Vec<String> = row.iter().zip(CALLERS).map(cell).collect();
        writeln!(text, "| `{name}` | {} | {challenges} |", cells.join(" | ")).unwrap();
    }
    text
}
