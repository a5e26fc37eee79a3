//! The webhooks of Alertmanager (version 4) and Grafana (version 1): halts requested by alerts.
//!
//! Input: the body of a notification. Output: [`Notification`], the causes to set. Invariants: unknown
//! fields are ignored, because new versions of Alertmanager add some; every alert is read; a resolved
//! alert requests nothing. When in doubt a notification requests more, not less: without a usable label
//! `account`, and for alerts that Alertmanager left out, it means all accounts. Absent: authorization,
//! and which alerts were seen before (see `domain::alerts`).
//!
//! Alertmanager's format is documented at
//! <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>. The "webhook" contact
//! point of Grafana's own alerting differs only in fields that are not used here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::domain::digest::digest_of;
use crate::domain::ids::{self, Account};
use crate::domain::limits;
use crate::domain::state::TradingState;
use crate::wire::contract::error::{BodyError, FieldCode, RequestError};
use crate::wire::contract::value::RESERVED;
use crate::wire::time;

/// Unknown actions that the answer and the log name, at most.
const ACTIONS_NAMED_MAX: usize = 16;
/// The label with the requested action.
const ACTION: &str = "action";
/// Labels that a reason repeats, in this order.
const ABOUT: [&str; 6] = ["severity", "symbol", "drift", "component", "figure", "strategy"];
/// The label with the account.
const ACCOUNT: &str = "account";
/// The label with the name of the alert rule.
const ALERTNAME: &str = "alertname";
/// The rule that always fires, to show that alerts are delivered.
const WATCHDOG: &str = "Watchdog";

/// The content of a notification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// Causes to set, in the order of the alerts.
    pub halts: Vec<RequestedHalt>,
    /// Firing alerts that request nothing.
    pub ignored: usize,
    /// Firing alerts with an unknown action.
    pub unknown: usize,
    /// The first unknown actions, each once.
    pub unknown_actions: Vec<String>,
    /// Resolved alerts. They release nothing.
    pub resolved: usize,
    /// Alerts that Alertmanager left out of the notification.
    pub truncated: u64,
    /// Whether the Watchdog is firing.
    pub watchdog: bool,
}

/// A halt that a firing alert requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedHalt {
    /// Identifies one period of firing: the subject and the time when it started.
    pub id: String,
    /// The account, or `*`.
    pub account: Account,
    /// `Reducing` or `Halted`.
    pub state: TradingState,
    /// Identifies the alert, whenever it started.
    pub subject: String,
    /// The reason, for people.
    pub reason: String,
}

type AlertLabels = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertmanagerPayload {
    version: String,
    #[serde(default)]
    group_key: String,
    #[serde(default)]
    truncated_alerts: u64,
    #[serde(default)]
    status: String,
    #[serde(default)]
    group_labels: AlertLabels,
    alerts: Vec<WebhookAlert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WebhookAlert {
    #[serde(default)]
    status: String,
    #[serde(default)]
    labels: AlertLabels,
    #[serde(default)]
    annotations: AlertLabels,
    #[serde(default)]
    starts_at: String,
    #[serde(default)]
    fingerprint: String,
    /// Grafana's: the values that the rule compared.
    #[serde(default)]
    value_string: String,
}

/// The value of the label `action`.
enum RequestedAction<'a> {
    None,
    Set(TradingState),
    Unknown(&'a str),
}

/// Decodes the body of a notification.
///
/// # Errors
/// See [`RequestError`]: not JSON, not a notification, or an unknown version.
pub fn decode(body: &[u8]) -> Result<Notification, RequestError> {
    if body.trim_ascii().is_empty() {
        return Err(BodyError::Empty.into());
    }
    let payload: AlertmanagerPayload = serde_json::from_slice(body).map_err(|error| {
        // A message about data may quote a value of the body, so it is replaced.
        let what = if error.is_data() {
            format!("no notification at line {} column {}", error.line(), error.column())
        } else {
            error.to_string()
        };
        BodyError::Syntax(what)
    })?;
    if !["4", "1"].contains(&payload.version.as_str()) {
        return Err(RequestError::Field {
            code: FieldCode::InvalidValue,
            field: Some("version".into()),
            message: "version must be \"4\", or Grafana's \"1\"".into(),
        });
    }
    Ok(read(&payload))
}

/// The schema of the fields that are read.
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
                "description": "Alerts that are left out. They request as much as the strictest \
                                alert shown, for all accounts unless `groupLabels` names one.",
            },
            "status": text("`resolved` if no alert of the group is firing."),
            "groupLabels": labels,
            "alerts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "status": text("`resolved` requests nothing; anything else is firing."),
                        "labels": labels,
                        "annotations": labels,
                        "startsAt": text("The time when it started to fire."),
                        "fingerprint": text("A hash of the labels."),
                    },
                },
            },
        },
    })
}

fn read(payload: &AlertmanagerPayload) -> Notification {
    let mut notification =
        Notification { truncated: payload.truncated_alerts, ..Notification::default() };
    for alert in &payload.alerts {
        if !alert.fires() {
            notification.resolved += 1;
            continue;
        }
        notification.watchdog |= alert.label(ALERTNAME) == WATCHDOG;
        match action(&alert.labels) {
            RequestedAction::Set(state) => notification.halts.push(alert.halt(state)),
            RequestedAction::Unknown(name) => notification.note_unknown(name),
            RequestedAction::None if alert.label(ALERTNAME) == WATCHDOG => {}
            RequestedAction::None => notification.ignored += 1,
        }
    }
    notification.halts.extend(left_out(payload, notification.truncated));
    notification
}

/// The halt for the alerts that Alertmanager left out: the action of the group's labels, else the
/// strictest one of the alerts shown. `commonLabels` say nothing about them: Alertmanager computes
/// those from the alerts that it shows.
fn left_out(payload: &AlertmanagerPayload, truncated: u64) -> Option<RequestedHalt> {
    if truncated == 0 || payload.status == "resolved" {
        return None;
    }
    let state = if payload.group_labels.contains_key(ACTION) {
        action(&payload.group_labels).state()
    } else {
        payload.alerts.iter().filter_map(|alert| action(&alert.labels).state()).max()
    }?;
    let mut shown: Vec<String> =
        payload.alerts.iter().filter(|alert| alert.fires()).map(WebhookAlert::id).collect();
    shown.sort_unstable();
    let group = digest_of(&payload.group_key);
    let mut reason = format!("{truncated} alerts of the group ");
    push_plain(&mut reason, &payload.group_key);
    Some(RequestedHalt {
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

impl RequestedAction<'_> {
    const fn state(&self) -> Option<TradingState> {
        match self {
            Self::Set(state) => Some(*state),
            Self::None | Self::Unknown(_) => None,
        }
    }
}

impl WebhookAlert {
    /// Any status other than `resolved` counts as firing.
    fn fires(&self) -> bool {
        self.status != "resolved"
    }

    fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// The fingerprint of the labels. Alertmanager sends one since 0.19.
    fn subject(&self) -> String {
        if ids::check(&self.fingerprint).is_ok() {
            return self.fingerprint.clone();
        }
        format!("labels:{:032x}", digest_of(&self.labels))
    }

    /// The fingerprint and the time when it started to fire, in one spelling.
    fn id(&self) -> String {
        let since = time::parse_rfc3339(&self.starts_at)
            .map_or_else(|_| format!("{:032x}", digest_of(&self.starts_at)), time::rfc3339);
        format!("{}@{since}", self.subject())
    }

    /// The name of the alert and its labels [`ABOUT`].
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

    fn halt(&self, state: TradingState) -> RequestedHalt {
        let mut reason = self.name();
        let text = ["summary", "description", "message"]
            .iter()
            .find_map(|name| self.annotations.get(*name).filter(|text| !text.is_empty()));
        for text in text.into_iter().chain([&self.value_string]).filter(|text| !text.is_empty()) {
            reason.push_str(": ");
            push_plain(&mut reason, text);
        }
        let account = account(&self.labels);
        let label = self.label(ACCOUNT);
        if account.is_all() && !label.is_empty() && label != Account::ALL {
            reason.push_str(" (its label account is no name of an account)");
        }
        RequestedHalt {
            id: self.id(),
            account,
            state,
            subject: self.subject(),
            reason: cut(reason),
        }
    }
}

/// The requested action, in upper or lower case.
fn action(labels: &AlertLabels) -> RequestedAction<'_> {
    let name = labels.get(ACTION).map_or("", |name| name.trim());
    let is = |word: &str| name.eq_ignore_ascii_case(word);
    if name.is_empty() || is("none") {
        RequestedAction::None
    } else if is("halt") {
        RequestedAction::Set(TradingState::Halted)
    } else if is("reduce") {
        RequestedAction::Set(TradingState::Reducing)
    } else {
        RequestedAction::Unknown(name)
    }
}

/// The account in the labels, without surrounding white space. All accounts if there is none or the
/// label is not an account: an alert about `__other__`, for example, may be about any account.
fn account(labels: &AlertLabels) -> Account {
    let name = labels.get(ACCOUNT).map_or("", |name| name.trim());
    if RESERVED.contains(&name) {
        return Account::all();
    }
    Account::new(name).unwrap_or_else(|_| Account::all())
}

/// Appends a text from outside on one line: characters that cannot be printed become spaces.
fn push_plain(out: &mut String, text: &str) {
    for letter in text.chars().take(limits::TEXT_BYTES_MAX) {
        let mut bytes = [0; 4];
        let letter = letter.encode_utf8(&mut bytes);
        // Writing to a string cannot fail.
        write!(out, "{}", if ids::check(letter).is_ok() { &*letter } else { " " }).ok();
    }
}

/// Cuts a text to the usual limit.
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
    fn the_label_action_selects_the_state() {
        let check = |labels: Json, expect: Option<(&str, TradingState)>| {
            let notification = read(&payload(&[alert(&labels)]));
            let halts: Vec<_> =
                notification.halts.iter().map(|halt| (halt.account.as_str(), halt.state)).collect();
            assert_eq!(halts, Vec::from_iter(expect), "{labels}");
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
    fn unknown_actions_are_named() {
        let with_action = |action: &str| alert(&json!({"action": action, "account": "paper"}));
        let notification = read(&payload(&[
            with_action("stop"),
            with_action("stop"),
            with_action("pa\nge"),
            with_action("halt"),
        ]));
        assert_eq!((notification.unknown, notification.ignored), (3, 0));
        assert_eq!(notification.unknown_actions, ["stop", "pa ge"]);
        assert_eq!(notification.halts.len(), 1);
    }

    #[test]
    fn the_format_of_grafana_is_accepted() {
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
        let halt = read(&body).halts.remove(0);
        assert_eq!(halt.account.as_str(), "paper");
        assert!(halt.reason.ends_with("too few fills  : [ var=B value=6.7 ]"), "{}", halt.reason);
    }

    #[test]
    fn every_alert_is_read() {
        let quiet = alert(&json!({"alertname": "X", "account": "paper"}));
        let mut many = vec![quiet; 2_000];
        many[1_500]["labels"] = json!({"action": "halt", "account": "paper"});
        let notification = read(&payload(&many));
        assert_eq!((notification.halts.len(), notification.ignored), (1, 1_999));
        assert_eq!(notification.truncated, 0);
    }

    #[test]
    fn an_alert_is_identified_by_its_labels_and_its_start() {
        let labels = json!({"action": "halt", "account": "paper", "alertname": "FillRatioLow"});
        let one = alert(&labels);
        let halt = read(&payload(std::slice::from_ref(&one))).halts.remove(0);
        assert_eq!(halt.id, "af3c1de2@2026-11-22T14:30:00.5Z");
        assert_eq!(halt.subject, "af3c1de2");
        assert_eq!(halt.reason, "FillRatioLow: too few fills  ");
        let id = |change: &dyn Fn(&mut Json)| {
            let mut other = one.clone();
            change(&mut other);
            read(&payload(&[other])).halts.remove(0).id
        };
        assert_eq!(id(&|a| a["startsAt"] = json!("2026-11-22T14:30:00.500Z")), halt.id);
        assert_eq!(id(&|a| a["annotations"] = json!({})), halt.id);
        assert_ne!(id(&|a| a["startsAt"] = json!("2026-11-22T14:30:01Z")), halt.id);
        assert_ne!(id(&|a| a["fingerprint"] = json!("0")), halt.id);
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
    fn resolved_alerts_request_nothing() {
        let mut resolved = alert(&json!({"action": "halt"}));
        resolved["status"] = json!("resolved");
        let notification = read(&payload(&[resolved]));
        assert_eq!((notification.halts.len(), notification.resolved), (0, 1));
        let mut unsaid = alert(&json!({"action": "halt"}));
        unsaid.as_object_mut().expect("an object").remove("status");
        assert_eq!(read(&payload(&[unsaid])).halts.len(), 1);
    }

    #[test]
    fn truncated_alerts_widen_the_scope() {
        let check = |change: &dyn Fn(&mut Json), expect: Option<(&str, TradingState)>| {
            let labels = json!({"action": "reduce", "account": "paper"});
            let mut body = payload(&[alert(&labels)]);
            body["truncatedAlerts"] = json!(3);
            change(&mut body);
            let mut halts = read(&body).halts;
            let wide = halts.pop().filter(|halt| halt.id.starts_with("group:"));
            let got = wide.as_ref().map(|halt| (halt.account.as_str(), halt.state));
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
            read(&body).halts.pop().expect("a halt").id
        };
        assert_eq!(id(3), id(3));
        assert_ne!(id(3), id(4));
    }

    #[test]
    fn the_watchdog_is_detected() {
        let dog = alert(&json!({"alertname": "Watchdog"}));
        let notification = read(&payload(std::slice::from_ref(&dog)));
        assert!(notification.watchdog);
        assert_eq!((notification.halts.len(), notification.ignored), (0, 0));
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
        let reason = read(&payload(&[alert(&long)])).halts.remove(0).reason;
        assert_eq!(reason.len(), limits::TEXT_BYTES_MAX);
        let mut bare = alert(&json!({"action": "halt"}));
        bare["annotations"] = json!({});
        assert_eq!(read(&payload(&[bare])).halts.remove(0).reason, "an alert without a name");
        let labels = json!({"action": "halt", "alertname": "PositionDrift", "severity": "critical",
            "symbol": "AAPL", "drift": "ghost_position"});
        assert_eq!(
            read(&payload(&[alert(&labels)])).halts.remove(0).reason,
            "PositionDrift (severity critical, symbol AAPL, drift ghost_position): too few fills  "
        );
    }
}
