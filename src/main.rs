//! The thin binary: arguments in, an exit code out.

use std::process::ExitCode;

/// An event is a handful of small texts, made by one thread and dropped by another: with the
/// allocator of glibc a third of the instructions of a request are spent in it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    trading_exporter::cli::main()
}
