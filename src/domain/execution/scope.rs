//! Counters, window and anomalies of one symbol, account, strategy or venue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::execution::anomaly::{Standing, Standings};
use crate::domain::execution::counters::Counters;
use crate::domain::execution::figures::{Figures, Quantiles};
use crate::domain::execution::window::Window;
use crate::domain::ids::Symbol;
use crate::domain::limits;
use crate::domain::settings::{Reference, RuleIndex};

/// Counters, window and anomalies of one symbol, account, strategy or venue.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Scope {
    pub(super) counters: Counters,
    pub(super) window: Window,
    /// Fills in the window of fills, busted ones left out.
    pub(super) window_fills: usize,
    /// Rejections in a row.
    pub(super) rejections_in_row: u32,
    pub(super) standings: Standings,
    /// Which anomaly rules are for it.
    pub(super) rule: RuleIndex,
}

impl Scope {
    /// What is counted for ever.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What the window says now. O(1).
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures { fills: self.window_fills, ..self.window.figures() }
    }

    /// The anomalies that stand.
    #[must_use]
    pub fn anomalies(&self) -> &[Standing] {
        self.standings.all()
    }

    /// Slippages of the window's orders, of those that have one, in the order of the window.
    #[must_use]
    pub fn slippages(&self, reference: Reference) -> Vec<f64> {
        self.window.slippages(reference.index())
    }

    /// Quantiles of slippage over the window; none without a sample. Sorts the window.
    #[must_use]
    pub fn quantiles(&self, reference: Reference) -> Option<Quantiles> {
        Quantiles::of(self.slippages(reference))
    }
}

/// The scopes that an order belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The account as a whole.
    Whole,
    /// Its symbol.
    Symbol,
    /// Its strategy, if broken down.
    Strategy,
    /// Its venue, if broken down.
    Venue,
}

impl Place {
    /// All of them, in the order of indices.
    pub const ALL: [Self; 4] = [Self::Whole, Self::Symbol, Self::Strategy, Self::Venue];

    /// Place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Whole => 0,
            Self::Symbol => 1,
            Self::Strategy => 2,
            Self::Venue => 3,
        }
    }
}

/// Scopes by name, with a bound: further names fold into `__other__`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Breakdown {
    places: BTreeMap<String, u32>,
    scopes: Vec<Scope>,
    folded: u64,
}

impl Breakdown {
    /// The place of a name, made if need be.
    pub(super) fn place(&mut self, name: &str) -> u32 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let name = if self.scopes.len() + 1 < limits::BREAKDOWNS_MAX {
            name
        } else {
            self.folded += 1;
            Symbol::OTHER
        };
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = u32::try_from(self.scopes.len()).unwrap_or(u32::MAX);
        self.scopes.push(Scope::default());
        self.places.insert(name.to_owned(), place);
        place
    }

    /// The scope at a place.
    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Scope> {
        self.scopes.get_mut(place as usize)
    }

    /// All scopes, in the order of their places.
    pub(super) fn scopes_mut(&mut self) -> impl Iterator<Item = &mut Scope> {
        self.scopes.iter_mut()
    }

    /// Scopes by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Scope)> {
        self.places
            .iter()
            .filter_map(|(name, at)| Some((name.as_str(), self.scopes.get(*at as usize)?)))
    }

    /// How many times a new name was folded.
    #[must_use]
    pub const fn folded(&self) -> u64 {
        self.folded
    }
}
