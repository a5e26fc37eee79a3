//! The row of memory: symbols with full windows, in a process of their own.

use std::process::{Command, Stdio};

use trading_exporter::domain::execution::window::WindowEntry;

use crate::fold::Fold;
use crate::machine::resident_bytes;
use crate::table::{Goal, Row};

/// Symbols of the row.
const SYMBOLS: u64 = 10_000;
/// Orders of a window, as by default.
const WINDOW: usize = 1_000;
const MIB: f64 = 1024.0 * 1024.0;

/// Fills the windows, and prints the bytes that the process grew by.
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

/// Memory with full windows, against the entries of the windows alone.
pub(crate) fn row() -> Vec<Row> {
    let used = measure(SYMBOLS);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let entries = (size_of::<WindowEntry>() * WINDOW) as f64 * SYMBOLS as f64;
    vec![Row {
        what: format!("memory of {SYMBOLS} symbols with full windows of {WINDOW} orders"),
        ours: format!("{:.0} MiB", used / MIB),
        against: format!("the windows' entries alone, {} bytes each", size_of::<WindowEntry>()),
        theirs: format!("{:.0} MiB", entries / MIB),
        ratio: used / entries,
        goal: Goal::AtMost(2.0),
        note: "all orders held beside them included".to_owned(),
    }]
}
