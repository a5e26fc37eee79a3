//! The thin binary: arguments in, an exit code out.

use std::process::ExitCode;

/// Events are small strings, allocated on a request's thread and freed on the writer's thread. glibc
/// is slow for that pattern (see docs/performance.md); mimalloc frees across threads cheaply.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    trading_exporter::cli::main()
}
