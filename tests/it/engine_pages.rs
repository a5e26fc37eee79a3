//! The pages about engines: every command of each is run as it is written, here or by a named test.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::exporter::{BINARY, Exporter};
use crate::feeds::servers::{Server, command, free_port};
use crate::list_server::{ListServer, Reply};
use crate::procedures::sections;

const FIX: &str = include_str!("../fixtures/adapters/fix44.txt");
const HUMMINGBOT: &str = include_str!("../fixtures/adapters/hummingbot.ndjson");

/// How a command of a page is run.
enum PageCommand {
    /// In a directory with files, against an exporter, followed by a check of both.
    Here(fn(&PageRun)),
    /// By another test or step, which is named.
    Elsewhere(&'static str),
}

use PageCommand::{Elsewhere, Here};

/// A command that was run.
struct PageRun {
    printed: String,
    exporter: Exporter,
}

impl PageRun {
    fn json(&self, path: &str) -> Value {
        self.exporter.get(path).json()
    }
}

/// Each page with its commands, in their order.
const PAGES: &[(&str, &[PageCommand])] = &[
    (
        include_str!("../../docs/engines/README.md"),
        &[
            Here(|run| assert!(run.printed.lines().count() > 10, "{}", run.printed)),
            Elsewhere("tests/run demo"),
            Elsewhere("clients/python/check package"),
        ],
    ),
    (include_str!("../../docs/engines/alpaca.md"), &[Here(is_in_the_brokers_book)]),
    (
        include_str!("../../docs/engines/brokers.md"),
        &[
            Elsewhere("clients/python/check package"),
            Elsewhere("clients/python/tests/test_broker.py"),
            Elsewhere("clients/python/tests/test_broker.py"),
            Elsewhere("clients/python/tests/test_broker.py"),
            Elsewhere("clients/python/tests/test_broker.py"),
            Elsewhere("clients/python/check package"),
            Elsewhere("clients/python/tests/test_broker.py"),
            Elsewhere("clients/python/tests/test_broker.py"),
            Elsewhere("clients/python/check package"),
            Elsewhere("clients/python/tests/test_broker.py"),
            Elsewhere("clients/python/tests/test_broker.py"),
        ],
    ),
    (
        include_str!("../../docs/engines/without-code.md"),
        &[
            Elsewhere("tests/it/without_code.rs"),
            Elsewhere("tests/it/without_code.rs"),
            Elsewhere("tests/it/without_code.rs"),
            Elsewhere("tests/it/without_code.rs"),
            Elsewhere("tests/it/without_code.rs"),
            Elsewhere("tests/it/without_code.rs"),
            Elsewhere("tests/it/without_code.rs"),
            Elsewhere("tests/it/without_code.rs"),
            Elsewhere("tests/it/without_code.rs"),
        ],
    ),
    (
        include_str!("../../docs/engines/csv.md"),
        &[
            Here(|run| assert_eq!(run.printed.lines().count(), 4, "{}", run.printed)),
            Here(|run| assert!(run.printed.contains(r#""accepted":4"#), "{}", run.printed)),
        ],
    ),
    (
        include_str!("../../docs/engines/fix.md"),
        &[
            Here(|run| assert!(run.printed.lines().count() > 10, "{}", run.printed)),
            Here(|run| assert!(run.printed.contains(r#""rejected":[]"#), "{}", run.printed)),
        ],
    ),
    (include_str!("../../docs/engines/freqtrade.md"), &[Elsewhere("clients/python/check package")]),
    (include_str!("../../docs/engines/hummingbot.md"), &[Here(has_an_order)]),
    (include_str!("../../docs/engines/lean.md"), &[]),
    (include_str!("../../docs/engines/nautilustrader.md"), &[]),
    (
        include_str!("../../docs/engines/own-engine.md"),
        &[Elsewhere("clients/python/tests/test_example.py")],
    ),
    (include_str!("../../docs/engines/tradingview.md"), &[]),
];

fn is_in_the_brokers_book(run: &PageRun) {
    let rows = run.json("/api/v1/positions?account=paper");
    let row = rows.as_array().unwrap().iter().find(|row| row["symbol"] == "BTC/USD").unwrap();
    assert_eq!(row["broker_quantity"], "-0.528563477", "{row}");
}

fn has_an_order(run: &PageRun) {
    let orders = run.json("/api/v1/orders?account=bot-1");
    assert_eq!(orders["orders"].as_array().map_or(0, Vec::len), 1, "{orders}");
}

/// The files that the commands name.
fn files(directory: &Path) {
    let mapping = include_str!("../../docs/engines/csv-mapping.yml");
    let table = include_str!("../fixtures/adapters/statement.csv");
    for (name, text) in [
        ("messages.log", FIX),
        ("FIX.4.4-DESK-EXCH.messages.log", FIX),
        ("csv-mapping.yml", mapping),
        ("statement.csv", table),
    ] {
        fs::write(directory.join(name), text).unwrap();
    }
}

/// A broker of MQTT that holds one order and one heartbeat of a bot.
fn mqtt() -> (Server, String) {
    let port = free_port().to_string();
    let publish = |topic: &str, payload: &str| {
        let mut publish = command("mosquitto_pub");
        publish.args(["-p", &port, "-r", "-q", "1", "-t", topic, "-m", payload]);
        publish.output().unwrap().status.success()
    };
    let server = Server::start("mosquitto", &["-p", &port], || publish("started", "1"));
    let line = HUMMINGBOT.lines().find(|line| line.contains("BuyOrderCreated")).unwrap();
    let message: Value = serde_json::from_str(line).unwrap();
    let payload = message["payload"].to_string();
    assert!(publish("hbot/bot-1/events", &payload) && publish("hbot/bot-1/hb", r#"{"ts":1}"#));
    (server, port)
}

/// Runs a command of a page.
fn run(written: &str) -> PageRun {
    let directory = tempfile::tempdir().unwrap();
    files(directory.path());
    let mapping = directory.path().join("csv-mapping.yml");
    let exporter = Exporter::start(&[&format!("--config.file={}", mapping.display())]);
    let alpaca =
        ListServer::start(Reply::ok(include_str!("../fixtures/adapters/alpaca-positions.json")));
    let (_server, port) = mqtt();
    let folder = Path::new(BINARY).parent().unwrap().display();
    // Only addresses are others, and the subscriber ends after the two messages.
    let command = written
        .replace("127.0.0.1:10471", &exporter.address.to_string())
        .replace("https://paper-api.alpaca.markets", &format!("http://{}", alpaca.address))
        .replace("mosquitto_sub ", &format!("mosquitto_sub -p {port} -C 2 "));
    let script = format!("PATH={folder}:$PATH KEY=key SECRET=secret BROKER_TOKEN=token\n{command}");
    let output =
        Command::new("bash").args(["-c", &script]).current_dir(directory.path()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    // `try-adapter` tells by its code that some rows of the statement cannot be read.
    let is_partial = written.contains("try-adapter csv") && output.status.code() == Some(1);
    assert!(output.status.success() || is_partial, "{written}: {printed}{errors}");
    PageRun { printed, exporter }
}

#[test]
fn every_command_of_a_page_does_what_the_page_says() {
    let mut ran = 0;
    for (page, commands) in PAGES {
        let title = page.lines().next().unwrap();
        let steps: Vec<String> =
            sections(page).into_iter().flat_map(|s| s.steps).map(|step| step.command).collect();
        assert_eq!(steps.len(), commands.len(), "{title}: {steps:?}");
        for (step, how) in steps.iter().zip(*commands) {
            match how {
                Here(check) => check(&run(step)),
                Elsewhere(test) => {
                    let file = test.split(' ').next().unwrap();
                    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
                    assert!(root.join(file).exists(), "{title}: {test}");
                    continue;
                }
            }
            ran += 1;
        }
    }
    assert_eq!(ran, 7);
}
