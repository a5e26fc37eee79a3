//! A hint that one position may exist under two names.
//!
//! Input: the current drifts. Output: a [`DriftHint`] on both drifts of a pair. Invariant: the hint is
//! for people, and changes no judgement. Deliberately absent: mapping names (see the aliases of symbols
//! in the configuration).

use std::collections::BTreeSet;

use super::books::Books;
use super::view::{DriftHint, DriftType};
use crate::domain::step::Step;
use crate::domain::symbols::SymbolKey;
use crate::domain::time::{Timestamp, nanos};
use crate::domain::units::{Decimal, agree};

/// A drift of a position that only one side knows of.
#[derive(Clone, Copy, Debug)]
struct OneSided {
    quantity: Decimal,
    first_seen_at: Timestamp,
    key: SymbolKey,
}

impl Books {
    /// Marks each ghost and unknown position of equal quantity that appeared together: within one
    /// `drift.compare_every`. O(n log n) in the current drifts when one of those just compared is new,
    /// else O(1) for each of these.
    pub(super) fn hint_at_two_names(
        &mut self,
        compared: &BTreeSet<SymbolKey>,
        step: &Step<'_, '_>,
    ) {
        let is_new = |key: &SymbolKey| {
            self.drift(*key).is_some_and(|drift| {
                drift.first_seen_at() == step.now && drift.latest.is_one_sided()
            })
        };
        if !compared.iter().any(is_new) {
            return;
        }
        let mut unknown = self.one_sided(DriftType::UnknownPosition);
        unknown.sort_by_key(|one| one.quantity);
        let together = nanos(step.settings.drift.compare_every);
        let mut pairs = Vec::new();
        for ghost in self.one_sided(DriftType::GhostPosition) {
            let place = unknown.partition_point(|one| one.quantity < ghost.quantity);
            // An equal quantity may be off by dust, so look at both neighbours of the place too.
            let near = unknown.iter().skip(place.saturating_sub(1));
            let equal = near
                .take(3)
                .filter(|one| agree(one.quantity, ghost.quantity))
                .find(|one| one.first_seen_at.since(ghost.first_seen_at).abs() <= together);
            pairs.extend(equal.map(|one| (ghost.key, one.key)));
        }
        for key in pairs.into_iter().flat_map(|(ghost, unknown)| [ghost, unknown]) {
            let Some(drift) = self.drift_mut(key) else {
                impossible!("a one-sided drift was just found");
                continue;
            };
            drift.hint = Some(DriftHint::SamePositionTwoNames);
        }
    }

    fn one_sided(&self, drift_type: DriftType) -> Vec<OneSided> {
        let drifts = self.watched.iter().filter_map(|key| {
            let drift = self.drift(*key)?;
            let difference = drift.latest.size.quantity;
            (drift.latest.drift_type == drift_type).then(|| OneSided {
                // The quantity of the side that holds the position. The difference is local - broker.
                quantity: if drift_type == DriftType::GhostPosition {
                    difference
                } else {
                    -difference
                },
                first_seen_at: drift.first_seen_at(),
                key: *key,
            })
        });
        drifts.collect()
    }
}
