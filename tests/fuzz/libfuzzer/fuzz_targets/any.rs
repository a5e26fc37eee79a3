//! One target of tests/fuzz, chosen by the variable `FUZZ_TARGET`, under libFuzzer.
#![no_main]

#[path = "../../targets.rs"]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = targets::TARGETS.iter().find(|(target, _)| *target == name);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET is none of the targets: {name}")).1
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
