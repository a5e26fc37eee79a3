//! The speed of the exporter, against the limit and against what one would run instead.
//!
//! `just bench` (or `cargo bench`, or `cargo bench -- NAMES` for some rows) runs every row in one
//! go and prints a table of ratios. The server of a row has one core for itself and whatever loads
//! it another; what is compared takes turns in short rounds, so that a machine that slows down
//! slows down both, and a ratio is the median over the rounds. The program runs itself for the
//! roles that need a process of their own. Deliberately absent: judging; a goal that does not hold
//! is printed as such, and nothing fails.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement reads clocks, prints, and ends at the first thing that goes wrong"
)]

mod machine;
mod traffic;
mod load;
mod servers;
mod rounds;
mod table;
mod http_rows;
mod latency_rows;
mod webhook_rows;
mod durable_rows;
mod journal_rows;
mod parse;
mod fold;
mod fold_rows;
mod memory;
mod scrape_rows;
mod instructions;
mod replay;

use std::env;
use std::process::ExitCode;

use table::Row;

/// The allocator of the exporter.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a name on the command line stands for.
struct Topic {
    name: &'static str,
    measure: fn() -> Vec<Row>,
}

/// All topics, in the order of the table.
const TOPICS: &[Topic] = &[
    Topic { name: "single", measure: http_rows::single },
    Topic { name: "batch", measure: http_rows::batch },
    Topic { name: "durable", measure: durable_rows::durable },
    Topic { name: "journal", measure: journal_rows::journal },
    Topic { name: "recovery", measure: durable_rows::recovery },
    Topic { name: "apply", measure: fold_rows::apply },
    Topic { name: "scrape", measure: scrape_rows::scrape },
    Topic { name: "latency", measure: latency_rows::latency },
    Topic { name: "webhooks", measure: webhook_rows::webhooks },
    Topic { name: "memory", measure: memory::row },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["role", "axum", address] => servers::serve_axum(address),
        ["role", "least", address] => servers::serve_least(address, None),
        ["role", "least", address, folder] => servers::serve_least(address, Some(folder)),
        ["role", "memory", symbols] => memory::report(symbols),
        ["role", "replay", way, directory] => replay::report(way, directory),
        ["replay", rest @ ..] => replay::measure(rest),
        ["role", "instructions", work, rounds] => instructions::work(work, rounds),
        ["instructions", rest @ ..] => return instructions::check(rest),
        names if names.iter().all(|name| TOPICS.iter().any(|t| t.name == *name)) => measure(names),
        _ => {
            let known: Vec<&str> = TOPICS.iter().map(|t| t.name).collect();
            println!(
                "say nothing for all rows, or names of {known:?}, or `instructions`, or `replay`"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Measures the topics of those names; without any, all.
fn measure(names: &[&str]) {
    machine::pin_to_load_core();
    let mut rows = Vec::new();
    for topic in TOPICS.iter().filter(|t| names.is_empty() || names.contains(&t.name)) {
        eprintln!("measuring: {}", topic.name);
        rows.extend((topic.measure)());
    }
    println!("{}", machine::describe());
    println!("{}", table::markdown(&rows));
}
