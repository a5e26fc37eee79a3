//! Alertmanager's webhook (version 4), and Grafana's (version 1): what alerts ask of the trading state.
//!
//! Input: the body of a notification. Output: [`Notification`], the causes to be set. Invariants:
//! fields that are not known are ignored, for Alertmanager adds some; every alert is looked at; a
//! resolved alert asks for nothing; what cannot be told apart asks for more, never for less: without
//! a usable label `account`, and for alerts that were cut off, all accounts are meant. Deliberately
//! absent: who may ask, and which alerts came before (see `domain::alerts`).
//!
//! The formats are those of <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>
//! and of the "webhook" contact point of Grafana's own alerting, which differ in fields that say
//! nothing here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::domain::digest::digest_of;
use crate::domain::ids::{self, Account};
use crate::domain::limits;
use crate::domain::state::TradingState;
use crate::wire::contract::error::{BodyError, Code, RequestError};
use crate::wire::contract::time;
use crate::wire::contract::value::RESERVED;

/// Unknown actions that are named in the answer and in the log.
const ACTIONS_NAMED_MAX: usize = 16;
/// The label that says what is asked for.
const ACTION: &str = "action";
/// Labels that say what an alert is about, in the order in which a reason names them.
const ABOUT: [&str; 6] = ["severity", "symbol", "drift", "component", "figure", "strategy"];
/// The label that says of which account.
const ACCOUNT: &str = "account";
/// The label with the name of a rule.
const ALERTNAME: &str = "alertname";
/// The rule that fires always, to show that the path of alerts works.
const WATCHDOG: &str = "Watchdog";

/// What a notification asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// Causes to be set, in the order of the alerts.
    pub asks: Vec<Ask>,
    /// Alerts that fire and ask for nothing.
    pub ignored: usize,
    /// Alerts that fire and ask for what is not known here.
    pub unknown: usize,
    /// The first of those actions, each once.
    pub unknown_actions: Vec<String>,
    /// Alerts that are resolved: they release nothing.
    pub resolved: usize,
    /// Alerts that the notification leaves out.
    pub truncated: u64,
    /// Whether the Watchdog is among those that fire.
    pub watchdog: bool,
}

/// A cause to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What fires, and since when: the same again is the same alert.
    pub id: String,
    /// The account, or `*`.
    pub account: Account,
    /// `Reducing` or `Halted`.
    pub state: TradingState,
    /// What fires, whenever it began.
    pub subject: String,
    /// Why, for people.
    pub reason: String,
}

type Labels = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    version: String,
    #[serde(default)]
    group_key: String,
    #[serde(default)]
    truncated_alerts: u64,
    #[serde(default)]
    status: String,
    #[serde(default)]
    group_labels: Labels,
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    #[serde(default)]
    status: String,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    annotations: Labels,
    #[serde(default)]
    starts_at: String,
    #[serde(default)]
    fingerprint: String,
    /// Grafana's: the values that it compared.
    #[serde(default)]
    value_string: String,
}

/// What the label `action` asks for.
enum Action<'a> {
    /// Nothing.
    None,
    /// A state.
    Set(TradingState),
    /// Something that is not known here.
    Unknown(&'a str),
}

/// Decodes the body of a notification.
///
/// # Errors
/// See [`RequestError`]: no JSON of that shape, or of another version.
pub fn decode(body: &[u8]) -> Result<Notification, RequestError> {
    if body.trim_ascii().is_empty() {
        return Err(BodyError::Empty.into());
    }
    let payload: Payload = serde_json::from_slice(body).map_err(|error| {
        // The message of an error of data may quote the value.
        let what = if error.is_data() {
            format!("no notification at line {} column {}", error.line(), error.column())
        } else {
            error.to_string()
        };
        BodyError::Syntax(what)
    })?;
    if !["4", "1"].contains(&payload.version.as_str()) {
        return Err(RequestError::Field {
            code: Code::InvalidValue,
            field: Some("version".into()),
            message: "version must be \"4\", or Grafana's \"1\"".into(),
        });
    }
    Ok(read(&payload))
}

/// The schema of the body: what is read of it.
pub(crate) fn schema() -> Json {
    let labels = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let text = |about: &str| json!({ "type": "string", "description": about });
    json!({
        "type": "object",
        "description": "Alertmanager's webhook, version 4, or Grafana's, version 1; other \
                        fields are ignored.",
        "required": ["version", "alerts"],
        "properties": {
            "version": { "enum": ["4", "1"] },
            "groupKey": text("The group of alerts."),
            "truncatedAlerts": {
                "type": "integer",
                "minimum": 0,
                "description": "Alerts that are not shown: they are taken to ask for as much as \
                                one that is, of all accounts unless `groupLabels` names one.",
            },
            "status": text("`resolved` when no alert of the group fires."),
            "groupLabels": labels,
            "alerts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "status": text("`resolved` asks for nothing; all else fires."),
                        "labels": labels,
                        "annotations": labels,
                        "startsAt": text("Since when it fires."),
                        "fingerprint": text("Stands for the labels."),
                    },
                },
            },
        },
    })
}

fn read(payload: &Payload) -> Notification {
    let mut notification =
        Notification { truncated: payload.truncated_alerts, ..Notification::default() };
    for alert in &payload.alerts {
        if !alert.fires() {
            notification.resolved += 1;
            continue;
        }
        notification.watchdog |= alert.label(ALERTNAME) == WATCHDOG;
        match action(&alert.labels) {
            Action::Set(state) => notification.asks.push(alert.ask(state)),
            Action::Unknown(name) => notification.note_unknown(name),
            Action::None if alert.label(ALERTNAME) == WATCHDOG => {}
            Action::None => notification.ignored += 1,
        }
    }
    notification.asks.extend(left_out(payload, notification.truncated));
    notification
}

/// What the alerts that were cut off are taken to ask for: the most that one of those shown asks,
/// unless the labels of the group say it. `commonLabels` are no witness: Alertmanager makes them
/// of the alerts that it shows.
fn left_out(payload: &Payload, truncated: u64) -> Option<Ask> {
    if truncated == 0 || payload.status == "resolved" {
        return None;
    }
    let state = if payload.group_labels.contains_key(ACTION) {
        action(&payload.group_labels).state()
    } else {
        payload.alerts.iter().filter_map(|alert| action(&alert.labels).state()).max()
    }?;
    let mut shown: Vec<String> =
        payload.alerts.iter().filter(|alert| alert.fires()).map(Alert::id).collect();
    shown.sort_unstable();
    let group = digest_of(&payload.group_key);
    let mut reason = format!("{truncated} alerts of the group ");
    push_plain(&mut reason, &payload.group_key);
    Some(Ask {
        id: format!("group:{group:032x}:{:032x}", digest_of(&(truncated, shown))),
        account: account(&payload.group_labels),
        state,
        subject: format!("group:{group:032x}"),
        reason: cut(reason + " were cut off by Alertmanager"),
    })
}

impl Notification {
    fn note_unknown(&mut self, name: &str) {
        self.unknown += 1;
        let mut plain = String::new();
        push_plain(&mut plain, name);
        plain.truncate(plain.floor_char_boundary(limits::ID_BYTES_MAX));
        if self.unknown_actions.len() < ACTIONS_NAMED_MAX && !self.unknown_actions.contains(&plain)
        {
            self.unknown_actions.push(plain);
        }
    }
}

impl Action<'_> {
    const fn state(&self) -> Option<TradingState> {
        match self {
            Self::Set(state) => Some(*state),
            Self::None | Self::Unknown(_) => None,
        }
    }
}

impl Alert {
    /// What is not said to be resolved fires.
    fn fires(&self) -> bool {
        self.status != "resolved"
    }

    fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// The fingerprint of the labels; Alertmanager sends it since 0.19.
    fn subject(&self) -> String {
        if ids::check(&self.fingerprint).is_ok() {
            return self.fingerprint.clone();
        }
        format!("labels:{:032x}", digest_of(&self.labels))
    }

    /// The fingerprint, and the instant since which it fires, however it is written.
    fn id(&self) -> String {
        let since = time::parse_rfc3339(&self.starts_at)
            .map_or_else(|_| format!("{:032x}", digest_of(&self.starts_at)), time::rfc3339);
        format!("{}@{since}", self.subject())
    }

    /// The name of the alert, and what it is about.
    fn name(&self) -> String {
        let mut name = String::new();
        push_plain(&mut name, self.label(ALERTNAME));
        if name.trim().is_empty() {
            name = String::from("an alert without a name");
        }
        let about = ABOUT.into_iter().filter(|label| !self.label(label).is_empty());
        let about: Vec<String> =
            about.map(|label| format!("{label} {}", self.label(label))).collect();
        if !about.is_empty() {
            name.push_str(" (");
            push_plain(&mut name, &about.join(", "));
            name.push(')');
        }
        name
    }

    fn ask(&self, state: TradingState) -> Ask {
        let mut reason = self.name();
        let text = ["summary", "description", "message"]
            .iter()
            .find_map(|name| self.annotations.get(*name).filter(|text| !text.is_empty()));
        for text in text.into_iter().chain([&self.value_string]).filter(|text| !text.is_empty()) {
            reason.push_str(": ");
            push_plain(&mut reason, text);
        }
        let account = account(&self.labels);
        let asked = self.label(ACCOUNT);
        if account.is_all() && !asked.is_empty() && asked != Account::ALL {
            reason.push_str(" (its label account is no name of an account)");
        }
        Ask { id: self.id(), account, state, subject: self.subject(), reason: cut(reason) }
    }
}

/// What is asked for, whatever its case.
fn action(labels: &Labels) -> Action<'_> {
    let name = labels.get(ACTION).map_or("", |name| name.trim());
    let is = |word: &str| name.eq_ignore_ascii_case(word);
    if name.is_empty() || is("none") {
        Action::None
    } else if is("halt") {
        Action::Set(TradingState::Halted)
    } else if is("reduce") {
        Action::Set(TradingState::Reducing)
    } else {
        Action::Unknown(name)
    }
}

/// The account of the label; all of them when it is missing, or names none: an alert about
/// accounts folded into `__other__` may be about any. White space around a name is no part of it.
fn account(labels: &Labels) -> Account {
    let name = labels.get(ACCOUNT).map_or("", |name| name.trim());
    if RESERVED.contains(&name) {
        return Account::all();
    }
    Account::new(name).unwrap_or_else(|_| Account::all())
}

/// Adds a text of others without line ends and what else cannot be printed.
fn push_plain(out: &mut String, text: &str) {
    for letter in text.chars().take(limits::TEXT_BYTES_MAX) {
        let mut bytes = [0; 4];
        let letter = letter.encode_utf8(&mut bytes);
        // Writing to a string cannot fail.
        write!(out, "{}", if ids::check(letter).is_ok() { &*letter } else { " " }).ok();
    }
}

/// At most as many bytes as other texts have.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(limits::TEXT_BYTES_MAX));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(labels: &Json) -> Json {
        json!({
            "status": "firing",
            "labels": labels,
            "annotations": { "summary": "too few\nfills \u{202e}" },
            "startsAt": "2026-11-22T15:30:00.5+01:00",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus/graph",
            "fingerprint": "af3c1de2",
            "later": { "fields": ["are", "fine"] },
        })
    }

    fn payload(alerts: &[Json]) -> Json {
        json!({
            "version": "4",
            "groupKey": "{}:{alertname=\"FillRatioLow\"}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "halt",
            "groupLabels": {},
            "commonLabels": { "account": "paper", "action": "halt" },
            "commonAnnotations": {},
            "externalURL": "http://alertmanager",
            "alerts": alerts,
        })
    }

    fn read(payload: &Json) -> Notification {
        decode(payload.to_string().as_bytes()).expect("a notification")
    }

    #[test]
    fn labels_say_what_is_asked_for() {
        let check = |labels: Json, expect: Option<(&str, TradingState)>| {
            let notification = read(&payload(&[alert(&labels)]));
            let asks: Vec<_> =
                notification.asks.iter().map(|ask| (ask.account.as_str(), ask.state)).collect();
            assert_eq!(asks, Vec::from_iter(expect), "{labels}");
            assert_eq!(notification.ignored, usize::from(expect.is_none()), "{labels}");
        };
        let halted = TradingState::Halted;
        check(json!({"action": "halt", "account": "paper"}), Some(("paper", halted)));
        check(json!({"action": "reduce", "account": "a b"}), Some(("a b", TradingState::Reducing)));
        check(json!({"action": "halt"}), Some(("*", halted)));
        check(json!({"action": "halt", "account": "*"}), Some(("*", halted)));
        check(json!({"action": "halt", "account": ""}), Some(("*", halted)));
        check(json!({"action": "halt", "account": "__other__"}), Some(("*", halted)));
        check(json!({"action": "halt", "account": "new\nline"}), Some(("*", halted)));
        check(json!({"action": "halt", "account": "x".repeat(129)}), Some(("*", halted)));
        check(json!({"action": "HALT", "account": " paper "}), Some(("paper", halted)));
        check(json!({"action": "Reduce", "account": "x"}), Some(("x", TradingState::Reducing)));
        check(json!({"action": "none", "account": "paper"}), None);
        check(json!({"action": "", "account": "paper"}), None);
        check(json!({"account": "paper"}), None);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let ask = |action: &str| alert(&json!({"action": action, "account": "paper"}));
        let notification = read(&payload(&[ask("stop"), ask("stop"), ask("pa\nge"), ask("halt")]));
        assert_eq!((notification.unknown, notification.ignored), (3, 0));
        assert_eq!(notification.unknown_actions, ["stop", "pa ge"]);
        assert_eq!(notification.asks.len(), 1);
    }

    #[test]
    fn grafanas_own_notification_is_taken() {
        let mut body = payload(&[alert(&json!({"action": "halt", "account": "paper"}))]);
        for (name, value) in [
            ("version", json!("1")),
            ("orgId", json!(1)),
            ("title", json!("[FIRING:1]")),
            ("state", json!("alerting")),
            ("message", json!("**Firing**")),
        ] {
            body[name] = value;
        }
        body["alerts"][0]["values"] = json!({"B": 6.7, "C": null});
        body["alerts"][0]["valueString"] = json!("[ var=B value=6.7 ]");
        let ask = read(&body).asks.remove(0);
        assert_eq!(ask.account.as_str(), "paper");
        assert!(ask.reason.ends_with("too few fills  : [ var=B value=6.7 ]"), "{}", ask.reason);
    }

    #[test]
    fn every_alert_is_looked_at() {
        let quiet = alert(&json!({"alertname": "X", "account": "paper"}));
        let mut many = vec![quiet; 2_000];
        many[1_500]["labels"] = json!({"action": "halt", "account": "paper"});
        let notification = read(&payload(&many));
        assert_eq!((notification.asks.len(), notification.ignored), (1, 1_999));
        assert_eq!(notification.truncated, 0);
    }

    #[test]
    fn an_alert_is_its_labels_and_its_beginning() {
        let labels = json!({"action": "halt", "account": "paper", "alertname": "FillRatioLow"});
        let one = alert(&labels);
        let ask = read(&payload(std::slice::from_ref(&one))).asks.remove(0);
        assert_eq!(ask.id, "af3c1de2@2026-11-22T14:30:00.5Z");
        assert_eq!(ask.subject, "af3c1de2");
        assert_eq!(ask.reason, "FillRatioLow: too few fills  ");
        let id = |change: &dyn Fn(&mut Json)| {
            let mut other = one.clone();
            change(&mut other);
            read(&payload(&[other])).asks.remove(0).id
        };
        assert_eq!(id(&|a| a["startsAt"] = json!("2026-11-22T14:30:00.500Z")), ask.id);
        assert_eq!(id(&|a| a["annotations"] = json!({})), ask.id);
        assert_ne!(id(&|a| a["startsAt"] = json!("2026-11-22T14:30:01Z")), ask.id);
        assert_ne!(id(&|a| a["fingerprint"] = json!("0")), ask.id);
        let bare = |labels: &Json| {
            id(&|a| {
                a["fingerprint"] = json!("");
                a["labels"] = labels.clone();
            })
        };
        assert_eq!(bare(&labels), bare(&labels));
        assert_ne!(bare(&labels), bare(&json!({"action": "halt", "account": "live"})));
    }

    #[test]
    fn what_is_resolved_asks_for_nothing() {
        let mut resolved = alert(&json!({"action": "halt"}));
        resolved["status"] = json!("resolved");
        let notification = read(&payload(&[resolved]));
        assert_eq!((notification.asks.len(), notification.resolved), (0, 1));
        let mut unsaid = alert(&json!({"action": "halt"}));
        unsaid.as_object_mut().expect("an object").remove("status");
        assert_eq!(read(&payload(&[unsaid])).asks.len(), 1);
    }

    #[test]
    fn what_was_cut_off_widens_the_scope() {
        let check = |change: &dyn Fn(&mut Json), expect: Option<(&str, TradingState)>| {
            let labels = json!({"action": "reduce", "account": "paper"});
            let mut body = payload(&[alert(&labels)]);
            body["truncatedAlerts"] = json!(3);
            change(&mut body);
            let mut asks = read(&body).asks;
            let wide = asks.pop().filter(|ask| ask.id.starts_with("group:"));
            let got = wide.as_ref().map(|ask| (ask.account.as_str(), ask.state));
            assert_eq!(got, expect, "{body}");
        };
        let (reducing, halted) = (TradingState::Reducing, TradingState::Halted);
        check(&|_| (), Some(("*", reducing)));
        check(&|b| b["groupLabels"] = json!({"account": "paper"}), Some(("paper", reducing)));
        check(&|b| b["groupLabels"] = json!({"action": "halt"}), Some(("*", halted)));
        check(&|b| b["groupLabels"] = json!({"action": "page"}), None);
        check(&|b| b["alerts"][0]["status"] = json!("resolved"), Some(("*", reducing)));
        check(&|b| b["status"] = json!("resolved"), None);
        check(&|b| b["alerts"] = json!([]), None);
        check(&|b| b["truncatedAlerts"] = json!(0), None);
        let id = |truncated: u64| {
            let mut body = payload(&[alert(&json!({"action": "halt"}))]);
            body["truncatedAlerts"] = json!(truncated);
            read(&body).asks.pop().expect("an ask").id
        };
        assert_eq!(id(3), id(3));
        assert_ne!(id(3), id(4));
    }

    #[test]
    fn the_watchdog_is_seen() {
        let dog = alert(&json!({"alertname": "Watchdog"}));
        let notification = read(&payload(std::slice::from_ref(&dog)));
        assert!(notification.watchdog);
        assert_eq!((notification.asks.len(), notification.ignored), (0, 0));
        let mut resolved = dog;
        resolved["status"] = json!("resolved");
        assert!(!read(&payload(&[resolved])).watchdog);
    }

    #[test]
    fn other_bodies_are_refused() {
        let check = |body: &str, expect: &str| {
            let error = decode(body.as_bytes()).expect_err(body);
            let code = match error {
                RequestError::Body(error) => error.code(),
                RequestError::Field { code, .. } => code.as_str(),
            };
            assert_eq!(code, expect, "{body}");
        };
        check("", "invalid_json");
        check("[]", "invalid_json");
        check("{}", "invalid_json");
        check(r#"{"version":"4"}"#, "invalid_json");
        check(r#"{"version":"4","alerts":[{"labels":{"a":1}}]}"#, "invalid_json");
        check(r#"{"version":"3","alerts":[]}"#, "invalid_value");
        check(&("[".repeat(10_000) + &"]".repeat(10_000)), "invalid_json");
    }

    #[test]
    fn reasons_are_short_and_plain() {
        let long = json!({"action": "halt", "alertname": "é".repeat(10_000)});
        let reason = read(&payload(&[alert(&long)])).asks.remove(0).reason;
        assert_eq!(reason.len(), limits::TEXT_BYTES_MAX);
        let mut bare = alert(&json!({"action": "halt"}));
        bare["annotations"] = json!({});
        assert_eq!(read(&payload(&[bare])).asks.remove(0).reason, "an alert without a name");
        let labels = json!({"action": "halt", "alertname": "PositionDrift", "severity": "critical",
            "symbol": "AAPL", "drift": "ghost_position"});
        assert_eq!(
            read(&payload(&[alert(&labels)])).asks.remove(0).reason,
            "PositionDrift (severity critical, symbol AAPL, drift ghost_position): too few fills  "
        );
    }
}
