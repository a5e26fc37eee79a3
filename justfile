# Short names for what is done often; `just` lists them. Nothing here that tests/run does not do.

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

# Accept changed golden files, after reading the difference.
golden:
    INSTA_UPDATE=always cargo test

# Measure the speed, all of it or some rows, against the limit and against others.
bench *ROWS:
    cargo bench --bench speed -- {{ ROWS }}

# Measure how fast a journal is replayed, in how much memory, and what a snapshot costs.
bench-replay EVENTS="5000000":
    cargo bench --bench speed -- replay {{ EVENTS }}

# Draw the dashboards into target/panels/*.png, with what a real Prometheus answers.
panels:
    tests/run panels

# Make grafana/dashboards/*.json anew.
dashboards:
    .cache/venv/bin/python grafana/generate.py

# Run one step of the full check; `just step --list` names them.
step *NAMES:
    tests/run {{ NAMES }}

# Run everything that CI runs.
ci:
    .ci/run
