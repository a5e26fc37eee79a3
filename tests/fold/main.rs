//! Tests of the fold: recorded order flow, the examples of the definitions, and a naive model.

#![cfg(test)]

mod bounds;
mod budget;
mod controls;
mod ends;
mod evidence;
mod delivery;
mod flow;
mod golden;
mod latch;
mod many;
mod in_flight;
mod naive;
mod permutations;
mod recount;
#[path = "../support/recount.rs"]
mod recount_all;
mod scrape_snapshots;
mod restating;
mod session;
mod shares;
mod snapshots;
mod state;
mod steps;
mod vectors;
mod weight;
