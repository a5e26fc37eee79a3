//! The output of the demo: lines that stay, and a status line that is updated in place.
//!
//! Input: texts. Output: writes to a terminal, or plain lines to a file. Invariant: control characters
//! are only written to a terminal. Deliberately absent: the content of the lines.

use std::io::{self, Write};
use std::time::Duration;

/// Interval of status lines in a file, where they cannot be updated in place.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// The kind of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputMedium {
    /// A terminal: the status line is updated in place.
    Terminal,
    /// A file or a pipe.
    Plain,
}

/// The output of the demo.
#[derive(Debug)]
pub(crate) struct DemoOutput<W> {
    out: W,
    medium: OutputMedium,
    /// Whether the last line is a status line, which the next line replaces.
    in_place: bool,
    next_plain: Duration,
}

impl<W: Write> DemoOutput<W> {
    pub(crate) const fn new(out: W, medium: OutputMedium) -> Self {
        Self { out, medium, in_place: false, next_plain: Duration::ZERO }
    }

    /// Writes a line that stays.
    ///
    /// # Errors
    /// Those of the writer.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        self.clear()?;
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// Writes a line that stays, prefixed with the time since the start.
    ///
    /// # Errors
    /// Those of the writer.
    pub(crate) fn timed_line(&mut self, elapsed: Duration, text: &str) -> io::Result<()> {
        self.line(&format!("{}  {text}", stamp(elapsed)))
    }

    /// Updates the status line. In a file, writes a new one at intervals.
    ///
    /// # Errors
    /// Those of the writer.
    pub(crate) fn status(&mut self, elapsed: Duration, text: &str) -> io::Result<()> {
        match self.medium {
            OutputMedium::Terminal => {
                self.clear()?;
                write!(self.out, "{}  {text}", stamp(elapsed))?;
                self.in_place = true;
                self.out.flush()
            }
            OutputMedium::Plain if elapsed >= self.next_plain => {
                self.next_plain = elapsed + PLAIN_EVERY;
                self.timed_line(elapsed, text)
            }
            OutputMedium::Plain => Ok(()),
        }
    }

    /// Erases the status line.
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
    fn status_lines_are_updated_in_place_on_a_terminal_only() {
        let check = |medium: OutputMedium, expect: &str| {
            let mut out = Vec::new();
            let mut output = DemoOutput::new(&mut out, medium);
            for second in 0..7 {
                output.status(Duration::from_secs(second), "s").unwrap();
            }
            output.timed_line(Duration::from_secs(67), "done").unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        };
        check(OutputMedium::Plain, " 0:00  s\n 0:05  s\n 1:07  done\n");
        let steps: Vec<String> = (0..7).map(|n| format!(" 0:0{n}  s")).collect();
        check(OutputMedium::Terminal, &format!("{}\r\x1b[K 1:07  done\n", steps.join("\r\x1b[K")));
    }
}
