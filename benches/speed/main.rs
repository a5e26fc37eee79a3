//! Benchmark of the exporter, compared with theoretical limits and with alternatives.
//!
//! `just bench` (or `cargo bench`, or `cargo bench -- NAMES` for some topics) measures every row and
//! prints a table of ratios. The measured server has one core to itself, and the load has another. The
//! sides of a comparison take turns in short rounds, so that a slow phase of the machine slows both,
//! and a ratio is the median over the rounds. The program starts itself for roles that need their own
//! process. Deliberately absent: a verdict. A goal that is not met is printed as such, and nothing
//! fails.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark reads clocks, prints, and stops at the first error"
)]

mod machine;
mod traffic;
mod load;
mod folders;
mod servers;
mod rounds;
mod table;
mod http_rows;
mod latency_rows;
mod webhook_rows;
mod adapter_rows;
mod durable_rows;
mod journal_rows;
mod parse;
mod fold;
mod fold_rows;
mod memory;
mod scrape_rows;
mod instructions;
mod overload;
mod replay;

use std::env;
use std::process::ExitCode;

use table::Row;

/// As in the exporter.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A group of rows with a name on the command line.
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
    Topic { name: "busts", measure: fold_rows::busts },
    Topic { name: "scrape", measure: scrape_rows::scrape },
    Topic { name: "latency", measure: latency_rows::latency },
    Topic { name: "webhooks", measure: webhook_rows::webhooks },
    Topic { name: "adapters", measure: adapter_rows::adapters },
    Topic { name: "memory", measure: memory::row },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["role", "axum", address] => servers::serve_axum(address),
        ["role", "minimal", address] => servers::serve_minimal(address, None),
        ["role", "minimal", address, folder] => servers::serve_minimal(address, Some(folder)),
        ["role", "memory", symbols] => memory::report(symbols),
        ["role", "replay", mode, directory] => replay::report(mode, directory),
        ["replay", rest @ ..] => replay::measure(rest),
        ["overload", rest @ ..] => overload::measure(rest),
        ["role", "instructions", workload, rounds] => instructions::run(workload, rounds),
        ["instructions", rest @ ..] => return instructions::check(rest),
        names if names.iter().all(|name| TOPICS.iter().any(|t| t.name == *name)) => measure(names),
        _ => {
            let known: Vec<&str> = TOPICS.iter().map(|t| t.name).collect();
            println!(
                "arguments: none for all rows, or names of {known:?}, or `instructions`, `replay`, `overload`"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Measures the topics with these names, or all if there are none, and prints the table.
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
