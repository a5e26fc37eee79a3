//! Integration tests, one binary: each module drives the library or the program from outside.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and helpers are not test functions"
)]

#[path = "../support/child.rs"]
mod child;
mod exporter;
mod pki;
mod accounts;
mod events;
mod adapters;
mod feeds;
mod alertmanager;
mod case_alertmanager;
mod releases;
mod journal;
mod recovery;
mod directory;
mod process;
mod web_file;
mod tls;
mod access;
mod supervisor;
mod prometheus;
mod receiver;
mod list_server;
mod sources;
mod source_kinds;
mod without_code;
mod reconcile;
mod engine_pages;
mod evidence;
mod case_value;
mod stream;
mod tenants;
mod webhooks;
mod demo;
mod bodies;
mod busts;
mod contract;
mod secrets;
mod session;
#[path = "../fold/delivery.rs"]
mod delivery;
mod in_flight;
mod procedures;
mod case_fills;
mod case_orders;
mod readme;
mod case_input;
mod clock;
mod golden_journal;
mod golden_scrape;
mod promql;
mod alert_rules;
mod scrape_parsers;
mod scrapes;
mod doors;
