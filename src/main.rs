//! The thin binary: arguments in, an exit code out.

use std::process::ExitCode;

/// The strings of an event are allocated on a request thread and freed on the writer thread. glibc's
/// malloc is slow for that pattern, see docs/performance.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    trading_exporter::cli::main()
}
