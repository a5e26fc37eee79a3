//! Components fold last: the well ones of an account, where folding symbols was not enough.
//!
//! Input: the components of an account. Output: the same, with one `__other__` for those that are
//! folded. Invariants: a component that is not healthy, or silent, stands under its own name; what
//! failed of all that are folded is summed. The components of an account are few (see `limits`), so
//! they fold together.

use std::collections::BTreeSet;

use crate::domain::health::{ComponentView, Health};
use crate::domain::ids::{Component, Symbol};
use crate::metrics::projection::ControlRow;
use crate::metrics::weigh::weigh_common;

/// Names of the components of an account that are folded.
#[derive(Debug, Default)]
pub(super) struct FoldedComponents(BTreeSet<String>);

impl FoldedComponents {
    /// How many are folded.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Lets all of them come back.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Folds all that are well.
    pub(super) fn fold(&mut self, row: &ControlRow) {
        let well = row.components.iter().filter(|view| is_well(view));
        self.0.extend(well.map(|view| view.component.as_str().to_owned()));
    }

    /// Series that this saves.
    pub(super) fn saves(&self, row: &ControlRow) -> u64 {
        if self.0.is_empty() {
            return 0;
        }
        let mut shown = row.clone();
        self.apply(&mut shown);
        weigh_common(row).saturating_sub(weigh_common(&shown))
    }

    /// Shows one for those that are folded.
    pub(super) fn apply(&self, row: &mut ControlRow) {
        if self.0.is_empty() {
            return;
        }
        let views = &mut row.components;
        let is_folded = |view: &ComponentView| self.0.contains(view.component.as_str());
        let folded = views.iter().filter(|view| is_folded(view));
        let failures_total = folded.clone().map(|view| view.failures_total).sum();
        let well = folded.clone().filter(|view| is_well(view));
        let last_check_at = well.filter_map(|view| view.last_check_at).min();
        let Some(first) = folded.clone().next().cloned() else { return };
        let Ok(component) = Component::new(Symbol::OTHER) else { return };
        let other = ComponentView {
            component,
            health: Health::Healthy,
            critical: false,
            silent: false,
            latency: None,
            last_check_at,
            failures_total,
            ..first
        };
        views.retain(|view| !is_folded(view) || !is_well(view));
        views.push(other);
    }
}

/// How many components of an account may fold.
pub(super) fn well(row: &ControlRow) -> usize {
    row.components.iter().filter(|view| is_well(view)).count()
}

fn is_well(view: &ComponentView) -> bool {
    view.health == Health::Healthy && !view.silent
}
