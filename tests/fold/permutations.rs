//! Any permutation of one order's events gives the same facts, outcome, quantities and ledger, equal to
//! those of the naive model.

use proptest::prelude::*;
use trading_exporter::domain::settings::Settings;

use crate::flow::Fold;
use crate::naive::{Step, any_step, consistent, judge};

/// The steps of one order, and a permutation of them. Each step has its own time, because steps of equal
/// time are ordered by arrival.
fn any_permutation() -> impl Strategy<Value = (Vec<Step>, Vec<Step>)> {
    let steps = prop::collection::vec(any_step(1), 1..14).prop_map(|steps| {
        let mut steps = consistent(steps);
        for (at, step) in (0i64..).zip(&mut steps) {
            step.at = (at * 7) % 31;
        }
        steps
    });
    steps.prop_flat_map(|steps| (Just(steps.clone()), Just(steps).prop_shuffle()))
}

/// Outcome, Q, F and ledger of the order.
fn end(steps: &[Step]) -> (String, String) {
    let mut fold = Fold::new(Settings::default());
    for (at, step) in steps.iter().enumerate() {
        fold.lines(&step.line(at));
    }
    let account = fold.monitor.account("default").expect("the account");
    let order = account.execution.order(&account.symbols, None, "O0").expect("the order");
    // A symbol without any fill has no books, which equals a position of 0.
    let mut positions = account.books.positions(&account.symbols);
    let ledger =
        positions.next().map_or_else(|| "0".to_owned(), |p| p.ledger.normalize().to_string());
    let quantity = order.quantity.map(|q| q.normalize().to_string());
    let filled = order.filled_quantity.normalize().to_string();
    (format!("{:?} {quantity:?} {filled}", order.outcome), ledger)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_order_of_arrival_does_not_matter((steps, shuffled) in any_permutation()) {
        prop_assert_eq!(end(&steps), end(&shuffled));
        let naive = judge(&steps);
        let quantity = naive.quantity.map(|q| q.to_string());
        let expected = format!("{:?} {quantity:?} {}", naive.outcome, naive.filled);
        prop_assert_eq!(end(&steps).0, expected);
    }
}
