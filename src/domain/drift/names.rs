//! One position under two names: a hint for people, beside the drifts that it looks like.
//!
//! Input: the drifts that stand. Output: a [`Hint`] on each of a pair. Invariant: nothing is judged by
//! it. Deliberately absent: mapping names (see the aliases of symbols in the configuration).

use std::collections::BTreeSet;

use super::books::Books;
use super::compare::CompareContext;
use super::{DriftType, Hint};
use crate::domain::symbols::SymbolKey;
use crate::domain::time::{Timestamp, nanos};
use crate::domain::units::{Decimal, agree};

/// A drift of a position that one side alone knows of.
#[derive(Clone, Copy, Debug)]
struct OneSided {
    quantity: Decimal,
    first_seen_at: Timestamp,
    key: SymbolKey,
}

impl Books {
    /// Marks each ghost and unknown position of equal quantity that appeared together: within one
    /// `drift.compare_every`. O(n log n) in the drifts that stand when one of those just compared is
    /// new, else O(1) for each of these.
    pub(super) fn hint_at_two_names(
        &mut self,
        compared: &BTreeSet<SymbolKey>,
        context: &CompareContext<'_>,
    ) {
        let is_new = |key: &SymbolKey| {
            let drift = self.lines.get(key).and_then(|line| line.drift.as_ref());
            drift.is_some_and(|drift| {
                drift.first_seen_at() == context.now && drift.reading.is_one_sided()
            })
        };
        if !compared.iter().any(is_new) {
            return;
        }
        let mut unknown = self.one_sided(DriftType::UnknownPosition);
        unknown.sort_by_key(|one| one.quantity);
        let together = nanos(context.settings.drift.compare_every);
        let mut pairs = Vec::new();
        for ghost in self.one_sided(DriftType::GhostPosition) {
            let place = unknown.partition_point(|one| one.quantity < ghost.quantity);
            // Dust may stand on either side of the place.
            let near = unknown.iter().skip(place.saturating_sub(1));
            let equal = near
                .take(3)
                .filter(|one| agree(one.quantity, ghost.quantity))
                .find(|one| one.first_seen_at.since(ghost.first_seen_at).abs() <= together);
            pairs.extend(equal.map(|one| (ghost.key, one.key)));
        }
        for (ghost, unknown) in pairs {
            for key in [ghost, unknown] {
                if let Some(drift) = self.lines.get_mut(&key).and_then(|line| line.drift.as_mut()) {
                    drift.hint = Some(Hint::SamePositionTwoNames);
                }
            }
        }
    }

    fn one_sided(&self, drift_type: DriftType) -> Vec<OneSided> {
        let drifts = self.watched.iter().filter_map(|key| {
            let drift = self.lines.get(key)?.drift.as_ref()?;
            let difference = drift.reading.size.quantity;
            (drift.reading.drift_type == drift_type).then(|| OneSided {
                // What the side that holds it holds: the difference is local - broker.
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
