//! Derives all running sums of a state again.

use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::recount::{RecountCursor, RunningTotal};

/// Every sum that differs, and the number of sums that were compared.
pub(crate) fn recount(monitor: &Monitor) -> (Vec<RunningTotal>, usize) {
    let (mut differences, mut compared) = (Vec::new(), 0);
    let mut cursor = RecountCursor::default();
    loop {
        let (turn, next) = monitor.recount(&cursor);
        differences.extend(turn.differences);
        compared += turn.compared;
        if next == RecountCursor::default() {
            return (differences, compared);
        }
        cursor = next;
    }
}
