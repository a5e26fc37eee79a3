//! Runs expressions on answers, each in a process of its own.
//!
//! Input: an expression and an answer. Output: rows, or the reason why there are none. Invariants: dropping
//! the future kills the process, and so does the end of this one; memory, time and output of the process are
//! bounded (`crate::cli::evaluate` sets its limits); it gets no variable of the environment.
//!
//! # Design
//!
//! - *Why a process.* An expression can run for ever, take all memory or overflow the stack. In a thread,
//!   the first could only be abandoned, and the other two end the exporter. A process costs a few
//!   milliseconds for each answer, which is nothing beside the request.
//! - *Rejected:* counting the steps of the interpreter. `"x" * 1e10` is one step.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use crate::expression::{Expression, ExpressionRow};
use crate::sources::{Evaluate, Evaluated};

/// This program.
const PROGRAM: &str = "/proc/self/exe";
/// The command that evaluates.
pub(crate) const COMMAND: &str = "evaluate-expression";
/// Bytes of the result, at most.
const OUTPUT_BYTES_MAX: u64 = 32 << 20;
/// KiB that the allocator of the process reserves at once: it has little room.
const RESERVED_KIB: &str = "32768";

/// The process, or that it must not be started any more.
#[derive(Default)]
enum EvaluatorChild {
    #[default]
    Waiting,
    Running(Child),
    Cancelled,
}

/// Kills the process when it is dropped.
struct KillOnDrop(Arc<Mutex<EvaluatorChild>>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let mut child = self.0.lock();
        if let EvaluatorChild::Running(child) = &mut *child {
            // It may have ended. The thread that reads its result waits for it.
            child.kill().ok();
        } else {
            *child = EvaluatorChild::Cancelled;
        }
    }
}

/// The way to run expressions.
pub(super) fn evaluator() -> Evaluate {
    Arc::new(|expression, answer| -> Evaluated { Box::pin(evaluate(expression, answer)) })
}

/// Processes of expressions at a time: each may take much memory and a core.
static PLACES: Semaphore = Semaphore::const_new(2);

#[expect(clippy::disallowed_methods, reason = "it ends when the process does, which is killed")]
async fn evaluate(expression: Expression, answer: Vec<u8>) -> Result<Vec<ExpressionRow>, String> {
    let Ok(place) = PLACES.acquire().await else {
        impossible!("the places are never closed");
        return Err(String::from("the expression was not run"));
    };
    let child = Arc::new(Mutex::new(EvaluatorChild::default()));
    let kill = KillOnDrop(Arc::clone(&child));
    let (send, result) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let result = run(&child, &expression, &answer);
        // If the pull has timed out, nobody waits.
        send.send(result).ok();
    });
    let result = result.await.unwrap_or_else(|_| Err(String::from("the expression was not run")));
    drop(kill);
    drop(place);
    result
}

fn run(
    shared: &Mutex<EvaluatorChild>,
    expression: &Expression,
    answer: &[u8],
) -> Result<Vec<ExpressionRow>, String> {
    let failed = |error: io::Error| format!("the expression was not run: {error}");
    let Some((stdin, stdout)) = start(shared).map_err(failed)? else {
        return Err(String::from("the expression was cancelled"));
    };
    let talked = talk((stdin, stdout), expression, answer);
    let ended = match &mut *shared.lock() {
        EvaluatorChild::Running(child) => {
            if talked.is_err() {
                child.kill().ok();
            }
            child.wait()
        }
        EvaluatorChild::Waiting | EvaluatorChild::Cancelled => {
            impossible!("a process that was started is known");
            return Err(String::from("the expression was not run"));
        }
    };
    let output = talked.map_err(failed)?;
    let parsed = serde_json::from_slice::<Result<Vec<ExpressionRow>, String>>(&output);
    parsed.unwrap_or_else(|_| {
        let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        Err(format!(
            "the expression took too much memory or time, or calls itself without an end ({status})"
        ))
    })
}

/// Starts the process, unless it was cancelled.
fn start(shared: &Mutex<EvaluatorChild>) -> io::Result<Option<(ChildStdin, ChildStdout)>> {
    let mut state = shared.lock();
    if matches!(*state, EvaluatorChild::Cancelled) {
        return Ok(None);
    }
    let mut child = Command::new(PROGRAM)
        .arg(COMMAND)
        .env_clear()
        .env("MIMALLOC_ARENA_RESERVE", RESERVED_KIB)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let pipes = child.stdin.take().zip(child.stdout.take());
    *state = EvaluatorChild::Running(child);
    pipes.map(Some).ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))
}

/// Writes the expression and the answer, and reads the result. The process reads everything before it
/// writes anything, so neither waits for the other.
fn talk(
    (mut stdin, stdout): (ChildStdin, ChildStdout),
    expression: &Expression,
    answer: &[u8],
) -> io::Result<Vec<u8>> {
    let text = expression.as_str().as_bytes();
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    stdin.write_all(&length.to_le_bytes())?;
    stdin.write_all(text)?;
    stdin.write_all(answer)?;
    drop(stdin);
    let mut output = Vec::new();
    stdout.take(OUTPUT_BYTES_MAX).read_to_end(&mut output)?;
    Ok(output)
}
