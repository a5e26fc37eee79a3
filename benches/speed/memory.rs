//! The memory row: symbols with full windows, measured in a separate process.

use std::process::{Command, Stdio};

use trading_exporter::domain::execution::window::WindowEntry;

use crate::fold::Fold;
use crate::machine::resident_bytes;
use crate::table::{Goal, Row};

const SYMBOLS: u64 = 10_000;
/// Orders of a window: the default.
const WINDOW: usize = 1_000;
const MIB: f64 = 1024.0 * 1024.0;

/// Fills the windows and prints by how many bytes the process grew.
pub(crate) fn report(symbols: &str) {
    let symbols: u64 = symbols.parse().expect("a number of symbols");
    let before = resident_bytes();
    let mut fold = Fold::new(symbols, WINDOW);
    fold.fill(symbols * u64::try_from(WINDOW).expect("a length"));
    println!("{}", resident_bytes() - before);
}

fn measure(symbols: u64) -> f64 {
    let this = std::env::current_exe().expect("the path of this program");
    let child = Command::new(this)
        .args(["role", "memory", &symbols.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .expect("a process that measures");
    let text = String::from_utf8(child.stdout).expect("text");
    text.trim().parse().expect("bytes")
}

/// Memory of the state with full windows, against the window entries alone.
pub(crate) fn row() -> Vec<Row> {
    let used = measure(SYMBOLS);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let entries = (size_of::<WindowEntry>() * WINDOW) as f64 * SYMBOLS as f64;
    vec![Row {
        what: format!("memory of {SYMBOLS} symbols with full windows of {WINDOW} orders"),
        ours: format!("{:.0} MiB", used / MIB),
        against: format!("the window entries alone, {} bytes each", size_of::<WindowEntry>()),
        theirs: format!("{:.0} MiB", entries / MIB),
        ratio: used / entries,
        goal: Goal::AtMost(2.0),
        note: "includes all orders held".to_owned(),
    }]
}
