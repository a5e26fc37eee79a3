//! Folding of components: the last resort, when folding symbols is not enough.
//!
//! Input: the components of an account. Output: the same, with one `__other__` for the folded ones.
//! Invariants: a component that is unhealthy or silent is shown under its own name; the failures of all
//! folded components are summed. An account has few components (see `limits`), so all of its healthy
//! ones fold together.

use std::collections::BTreeSet;

use crate::domain::health::{ComponentView, Health};
use crate::domain::ids::{Component, Symbol};
use crate::metrics::rows::ControlRow;
use crate::metrics::weigh::weigh_control;

/// Names of the folded components of an account.
#[derive(Debug, Default)]
pub(super) struct FoldedComponents(BTreeSet<String>);

impl FoldedComponents {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Unfolds all of them.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Folds all that are healthy.
    pub(super) fn fold(&mut self, row: &ControlRow) {
        let healthy = row.components.iter().filter(|view| is_healthy(view));
        self.0.extend(healthy.map(|view| view.component.as_str().to_owned()));
    }

    /// How many series the folding saves.
    pub(super) fn saves(&self, row: &ControlRow) -> u64 {
        if self.0.is_empty() {
            return 0;
        }
        let mut folded = row.clone();
        self.apply(&mut folded);
        weigh_control(row).saturating_sub(weigh_control(&folded))
    }

    /// Replaces the folded components by one.
    pub(super) fn apply(&self, row: &mut ControlRow) {
        if self.0.is_empty() {
            return;
        }
        let views = &mut row.components;
        let is_folded = |view: &ComponentView| self.0.contains(view.component.as_str());
        let folded = views.iter().filter(|view| is_folded(view));
        let failures_total = folded.clone().map(|view| view.failures_total).sum();
        let healthy = folded.clone().filter(|view| is_healthy(view));
        let last_check_at = healthy.filter_map(|view| view.last_check_at).min();
        let Some(first) = folded.clone().next().cloned() else { return };
        let Ok(component) = Component::new(Symbol::OTHER) else {
            impossible!("`__other__` is the name of a component");
            return;
        };
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
        views.retain(|view| !is_folded(view) || !is_healthy(view));
        views.push(other);
    }
}

/// How many components of an account can fold.
pub(super) fn foldable_components(row: &ControlRow) -> usize {
    row.components.iter().filter(|view| is_healthy(view)).count()
}

fn is_healthy(view: &ComponentView) -> bool {
    view.health == Health::Healthy && !view.silent
}
