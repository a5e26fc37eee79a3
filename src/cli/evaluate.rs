//! `evaluate-expression`: the process in which the exporter runs an expression on an answer.
//!
//! Input on stdin: the length of the expression (four bytes, the lowest first), the expression, the answer.
//! Output on stdout: JSON of the rows or of the reason. Invariants: everything is read before anything is
//! written; the process bounds itself before it looks at the expression: memory, time, no new files, the
//! lowest priority; it ends with its parent.

use std::fs;
use std::io::{self, Read};

use rustix::process::{Resource, Rlimit, Signal, setrlimit};

use super::{Failure, write_out};
use crate::expression::Expression;

/// Bytes of memory beside those of the answer and its parsed form.
const MEMORY_BYTES: u64 = 512 << 20;
/// Bytes of memory for each byte of the answer.
const MEMORY_PER_BYTE: u64 = 64;
/// Seconds of computing, if nobody kills the process before.
const CPU_SECONDS: u64 = 300;
/// How much less than others the process gets of a core.
const NICE: i32 = 10;

pub(super) fn run() -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).ok();
    rustix::process::nice(NICE).ok();
    // Without memory, the system ends this process before the exporter.
    fs::write("/proc/self/oom_score_adj", "1000").ok();
    let mut input = Vec::new();
    let read = io::stdin().read_to_end(&mut input);
    read.map_err(|source| Failure::Terminal { doing: "read an expression from stdin", source })?;
    bound(input.len() as u64);
    let result = evaluate(&input);
    let json = serde_json::to_string(&result);
    json.map_or(Err(Failure::Reported), |json| write_out(&json))
}

/// Limits of the operating system. One that cannot be set leaves the deadline of the parent.
fn bound(input_bytes: u64) {
    let memory = MEMORY_BYTES.saturating_add(input_bytes.saturating_mul(MEMORY_PER_BYTE));
    for (resource, limit) in [
        (Resource::As, memory),
        (Resource::Cpu, CPU_SECONDS),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 0),
    ] {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) }).ok();
    }
}

fn evaluate(input: &[u8]) -> Result<Vec<crate::expression::ExpressionRow>, String> {
    let garbled = || String::from("the expression did not arrive");
    let (length, rest) = input.split_first_chunk::<4>().ok_or_else(garbled)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| garbled())?;
    let (text, answer) = rest.split_at_checked(length).ok_or_else(garbled)?;
    let text = std::str::from_utf8(text).map_err(|_| garbled())?;
    Expression::parse(text)?.evaluate(answer)
}
