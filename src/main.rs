//! The thin binary: arguments in, an exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    trading_exporter::cli::main()
}
