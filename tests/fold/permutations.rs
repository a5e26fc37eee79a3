//! Any permutation of one order's events ends in the same facts, outcome, quantities and ledger,
//! and those are the naive model's.

use proptest::prelude::*;
use trading_exporter::domain::settings::Settings;

use crate::flow::Fold;
use crate::naive::{Step, any_step, consistent, judge};

/// One order's steps, and the same in another order of arrival. Facts of one instant are told
/// apart by arrival, so each gets an instant of its own.
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

/// Outcome, Q, F and ledger of the one order.
fn end(steps: &[Step]) -> (String, String) {
    let mut fold = Fold::new(Settings::default());
    for (at, step) in steps.iter().enumerate() {
        fold.lines(&step.line(at));
    }
    let account = fold.monitor.account("default").expect("the account");
    let order = account.execution.order(&account.symbols, None, "O0").expect("the order");
    // A symbol of which nothing ever moved has no books, which is as flat as a position of 0.
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
    fn arrival_does_not_matter((steps, shuffled) in any_permutation()) {
        prop_assert_eq!(end(&steps), end(&shuffled));
        let naive = judge(&steps);
        let quantity = naive.quantity.map(|q| q.to_string());
        let expected = format!("{:?} {quantity:?} {}", naive.outcome, naive.filled);
        prop_assert_eq!(end(&steps).0, expected);
    }
}
