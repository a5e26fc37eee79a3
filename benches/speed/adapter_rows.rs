//! Adapter rows: how long Freqtrade waits for the answer to a message of its webhook, while other engines
//! post events. Its loop waits as long.

use std::thread;
use std::time::Duration;

use crate::folders::disk_folder;
use crate::http_rows::{events_at, fresh_engine};
use crate::load::{self, Round, Target};
use crate::rounds::{median, take_turns};
use crate::servers::{self, Server};
use crate::table::{Goal, Row};
use crate::traffic::SYMBOLS;

/// Duration of a round.
const ROUND: Duration = Duration::from_secs(4);
/// Connections of other engines, and the interval of events on each: together 1,000 a second.
const OTHERS: u64 = 8;
const OTHERS_PACE: Duration = Duration::from_millis(8);
/// Interval of the messages: some hundred in a round.
const PACE: Duration = Duration::from_millis(10);
/// The goal for the 99th percentile.
const GOAL_US: f64 = 10_000.0;

/// Recorded messages. Each pass over them gets numbers of trades that were not used before.
const JSON: &str = include_str!("../../tests/fixtures/adapters/freqtrade.ndjson");
const FORM: &str = include_str!("../../tests/fixtures/adapters/freqtrade-form.txt");

/// A format of the webhook.
#[derive(Clone, Copy)]
struct WebhookFormat {
    name: &'static str,
    content_type: &'static str,
    recording: &'static str,
    /// The text before and after the number of the trade.
    trade: (&'static str, &'static str),
}

const FORMATS: [WebhookFormat; 2] = [
    WebhookFormat {
        name: "json",
        content_type: "application/json",
        recording: JSON,
        trade: ("\"trade_id\": \"", "\""),
    },
    WebhookFormat {
        name: "form",
        content_type: "application/x-www-form-urlencoded",
        recording: FORM,
        trade: ("trade_id=", "&"),
    },
];

/// A message with another number of its trade.
fn renumbered(message: &str, (before, after): (&str, &str), pass: u64) -> String {
    let Some((head, rest)) = message.split_once(before) else { return message.to_owned() };
    let (number, tail) = rest.find(after).map_or((rest, ""), |at| rest.split_at(at));
    format!("{head}{before}{number}{pass:06}{tail}")
}

/// Messages of the webhook beside events of other engines. Returns the round of the messages.
fn beside_others(server: &Server, format: WebhookFormat, first_pass: u64) -> Round {
    thread::scope(|scope| {
        scope.spawn(|| {
            let target = Target { connections: OTHERS, pace: OTHERS_PACE, ..events_at(server) };
            load::run(target, &server.process, ROUND, |_| {
                let mut engine = fresh_engine(SYMBOLS);
                move |out: &mut Vec<u8>| engine.event(out)
            })
        });
        let target = Target {
            path: "/api/v1/adapters/freqtrade?account=bot",
            content_type: format.content_type,
            connections: 1,
            pace: PACE,
            ..events_at(server)
        };
        load::run(target, &server.process, ROUND, |_| {
            let passes = first_pass..;
            let mut messages = passes.flat_map(move |pass| {
                format.recording.lines().map(move |line| renumbered(line, format.trade, pass))
            });
            move |out: &mut Vec<u8>| {
                out.extend_from_slice(messages.next().unwrap_or_default().as_bytes());
            }
        })
    })
}

/// The 99th percentile of the answer to a message in each format, with every batch synced.
pub(crate) fn adapters() -> Vec<Row> {
    let folder = disk_folder();
    let storage = format!("--storage.path={}", folder.path().join("data").display());
    let server = servers::exporter(&["--storage.mode=journal", &storage]);
    let [json, form] = FORMATS;
    // A thousand passes are more than a round has.
    let (mut of_json, mut of_form) = ((1_000..).step_by(2_000), (2_000..).step_by(2_000));
    let rounds = take_turns([
        &mut || beside_others(&server, json, of_json.next().unwrap_or_default()),
        &mut || beside_others(&server, form, of_form.next().unwrap_or_default()),
    ]);
    let rows = FORMATS.into_iter().zip(rounds).map(|(format, rounds)| {
        let p99 = median(rounds.iter().map(|round| round.quantile_us(0.99)));
        Row {
            what: format!(
                "p99 of a Freqtrade message as {}, beside 1,000 events a second",
                format.name
            ),
            ours: format!("{p99:.0} µs"),
            against: "the goal".to_owned(),
            theirs: format!("{GOAL_US:.0} µs"),
            ratio: p99 / GOAL_US,
            goal: Goal::AtMost(1.0),
            note: "every batch synced".to_owned(),
        }
    });
    rows.collect()
}
