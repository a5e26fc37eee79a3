//! An order with many facts gives the figures of the naive model, as one with few facts does, and a
//! state that was stored and read back goes on in the same way.

use std::collections::BTreeSet;

use proptest::prelude::*;
use trading_exporter::domain::execution::OrderView;
use trading_exporter::domain::settings::Settings;
use trading_exporter::domain::units::Decimal;

use crate::flow::Fold;
use crate::naive::{Fact, Step, any_fact, check, check_totals, consistent, judge, repeating};
use crate::snapshots::{bytes, restored};

/// Many facts of one order, most of them about executions.
fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0i64..40, any_fact(40)).prop_map(|(at, fact)| Step { order: 0, at, fact });
    prop::collection::vec(step, 20..90).prop_map(repeating)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_order_with_many_facts_has_the_figures_of_the_naive_model(
        steps in any_steps(),
        stop in 0usize..90,
    ) {
        let mut fold = Fold::new(Settings::default());
        let mut totals = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            fold.lines(&step.line(at));
            if at == stop {
                let stored = bytes(&fold.monitor);
                fold.monitor = restored(&stored);
                prop_assert_eq!(bytes(&fold.monitor), stored);
            }
            let naive = judge(&steps[..=at]);
            totals = check_totals(&fold, std::slice::from_ref(&naive), &totals);
            let account = fold.monitor.account("default").expect("an account");
            let order = account.execution.order(&account.symbols, None, "O0").expect("the order");
            prop_assert_eq!(order.outcome, naive.outcome);
            prop_assert_eq!(order.quantity, naive.quantity.map(Into::into));
            prop_assert_eq!(order.filled_quantity, naive.filled.into());
            check(&fold, if naive.is_in_window() { std::slice::from_ref(&naive) } else { &[] });
        }
    }
}

/// Steps of two orders that are one chain, each with its own time, and where the replace that joins
/// them arrives.
fn any_chain() -> impl Strategy<Value = (Vec<Step>, usize)> {
    let step = (0u8..2, any_fact(30)).prop_map(|(order, fact)| Step { order, at: 0, fact });
    let steps = prop::collection::vec(step, 2..90).prop_map(|steps| {
        let mut steps = consistent(steps);
        // An execution is reported under one of the ids only, and its amendments under any.
        let mut fills = BTreeSet::new();
        steps.retain(|step| {
            let Fact::Filled { fill, .. } = step.fact else { return true };
            fills.insert(fill)
        });
        for (at, step) in (0i64..).zip(&mut steps) {
            step.at = (at * 37) % 97;
        }
        steps
    });
    (steps, 0usize..90)
}

/// The order, the ledger and the net totals after all steps, of which one joins the orders.
fn joined(steps: &[Step], joined_at: usize) -> (OrderView, String, Vec<Decimal>) {
    let mut fold = Fold::new(Settings::default());
    for (at, step) in steps.iter().enumerate() {
        if at == joined_at.min(steps.len() - 1) {
            let line = r#"{"type":"order_replaced","order_id":"O0","new_order_id":"O1","symbol":"X","side":"buy","time":1795357700}"#;
            fold.lines(line);
        }
        fold.lines(&step.line(at));
    }
    let account = fold.monitor.account("default").expect("the account");
    let order = account.execution.order(&account.symbols, None, "O0").expect("the order");
    let mut positions = account.books.positions(&account.symbols);
    let ledger = positions.next().map_or(Decimal::ZERO, |position| position.ledger);
    let counters = account.execution.whole().counters();
    let money = counters.money.values().next().copied().unwrap_or_default();
    let totals = [
        counters.filled_quantity,
        money.notional,
        money.fees,
        money.rebates,
        money.slippage_cost,
        money.price_improvement,
    ];
    (order, ledger.normalize().to_string(), totals.map(|total| total.net()).to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Wherever among its facts the replace of a chain arrives, and whichever order is larger by then.
    #[test]
    fn a_chain_that_is_joined_late_is_one_order((steps, at) in any_chain()) {
        let (late, late_ledger, late_totals) = joined(&steps, at);
        let (early, ledger, totals) = joined(&steps, 0);
        prop_assert_eq!(late.outcome, early.outcome);
        prop_assert_eq!(late.quantity, early.quantity);
        prop_assert_eq!(late.filled_quantity, early.filled_quantity);
        prop_assert_eq!(late.average_price, early.average_price);
        prop_assert_eq!(late.slippage_bps, early.slippage_bps);
        prop_assert_eq!(late_ledger, ledger);
        prop_assert_eq!(late_totals, totals);
    }
}
