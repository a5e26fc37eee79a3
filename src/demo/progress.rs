//! What a person sees of the demo: lines that stay, and one that changes in place.
//!
//! Input: texts. Output: writes to a terminal, or plain lines to a file. Invariant: a writer that
//! is no terminal gets no control characters. Deliberately absent: what is worth telling.

use std::io::{self, Write};
use std::time::Duration;

/// How often the changing line is written where it cannot change in place.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Where the output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A terminal: the last line can be written over.
    Terminal,
    /// A file or a pipe.
    Plain,
}

/// The output of the demo.
#[derive(Debug)]
pub struct Progress<W> {
    out: W,
    medium: Medium,
    /// Whether a line stands that is to be written over.
    in_place: bool,
    next_plain: Duration,
}

impl<W: Write> Progress<W> {
    /// Output to `out`.
    pub const fn new(out: W, medium: Medium) -> Self {
        Self { out, medium, in_place: false, next_plain: Duration::ZERO }
    }

    /// Writes a line that stays, without a time.
    ///
    /// # Errors
    /// Whatever the writer says.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.clear()?;
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// Writes a line that stays, with the time since the start before it.
    ///
    /// # Errors
    /// Whatever the writer says.
    pub fn tell(&mut self, elapsed: Duration, text: &str) -> io::Result<()> {
        self.line(&format!("{}  {text}", stamp(elapsed)))
    }

    /// Shows where things stand: over the line before, or as a line now and then.
    ///
    /// # Errors
    /// Whatever the writer says.
    pub fn status(&mut self, elapsed: Duration, text: &str) -> io::Result<()> {
        match self.medium {
            Medium::Terminal => {
                self.clear()?;
                write!(self.out, "{}  {text}", stamp(elapsed))?;
                self.in_place = true;
                self.out.flush()
            }
            Medium::Plain if elapsed >= self.next_plain => {
                self.next_plain = elapsed + PLAIN_EVERY;
                self.tell(elapsed, text)
            }
            Medium::Plain => Ok(()),
        }
    }

    /// Takes away the changing line.
    fn clear(&mut self) -> io::Result<()> {
        if self.in_place {
            self.in_place = false;
            // Carriage return, then erase to the end of the line (ECMA-48 EL).
            write!(self.out, "\r\x1b[K")?;
        }
        Ok(())
    }
}

/// Minutes and seconds.
fn stamp(elapsed: Duration) -> String {
    format!("{:2}:{:02}", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_written_over_and_a_file_is_not() {
        let check = |medium: Medium, expect: &str| {
            let mut out = Vec::new();
            let mut progress = Progress::new(&mut out, medium);
            for second in 0..7 {
                progress.status(Duration::from_secs(second), "s").unwrap();
            }
            progress.tell(Duration::from_secs(67), "done").unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        };
        check(Medium::Plain, " 0:00  s\n 0:05  s\n 1:07  done\n");
        let steps: Vec<String> = (0..7).map(|n| format!(" 0:0{n}  s")).collect();
        check(Medium::Terminal, &format!("{}\r\x1b[K 1:07  done\n", steps.join("\r\x1b[K")));
    }
}
