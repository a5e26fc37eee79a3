# Short names for common tasks; `just` lists them. tests/run does everything without just.

# List the recipes.
default:
    @just --list --unsorted

# Run the exporter on its default address.
run *ARGS:
    cargo run --release -- {{ ARGS }}

# Run the demo: a recorded session, drifts, a halt.
demo *ARGS:
    cargo run -- demo {{ ARGS }}

# Type-check everything, fast.
check:
    cargo check --all-targets

# Format the code.
fmt:
    cargo fmt --all

# Lint as strictly as CI does.
lint:
    tests/run fmt clippy doc

# Run the tests whose name contains NAME.
test NAME="":
    cargo test {{ NAME }}

# Accept changed golden files. Read the difference first.
golden:
    INSTA_UPDATE=always cargo test

# Run the benchmarks, all or some topics, against limits and alternatives.
bench *ROWS:
    cargo bench --bench speed -- {{ ROWS }}

# Measure time and memory of a replay of a journal, and the cost of a snapshot.
bench-replay EVENTS="5000000":
    cargo bench --bench speed -- replay {{ EVENTS }}

# Offer ten times the capacity for SECONDS, and print what decisions, scrapes and memory do.
bench-overload SECONDS="20":
    cargo bench --bench speed -- overload {{ SECONDS }}

# Draw the dashboards into target/panels/*.png, with the answers of a real Prometheus.
panels:
    tests/run panels

# Generate grafana/dashboards/*.json.
dashboards:
    .cache/venv/bin/python grafana/generate.py

# Write a bill of materials to trading-exporter_bin.cdx.json (needs `cargo install cargo-cyclonedx`).
sbom:
    cargo cyclonedx --format json --describe binaries

# Run one step of the full check; `just step --list` names them.
step *NAMES:
    tests/run {{ NAMES }}

# Run everything that CI runs.
ci:
    .ci/run
