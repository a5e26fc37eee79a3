//! The commands that a document shows, by section: blocks of `console`, and `curl` within the text.
//!
//! Input: Markdown. Output: sections with commands, each command with the output shown below it.
//! Invariant: no command is missed: other names for a command block are rejected. Deliberately absent:
//! running them, see `machine`.

/// A command, and the output shown in the document. Empty if the document shows none.
pub(crate) struct Step {
    pub(crate) command: String,
    pub(crate) shown: String,
}

/// The commands below one heading.
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) steps: Vec<Step>,
}

/// The sections of a document with a command.
pub(crate) fn sections(markdown: &str) -> Vec<Section> {
    let mut reader = Reader::default();
    for line in markdown.lines() {
        reader.line(line);
    }
    reader.paragraph();
    let mut sections = reader.sections;
    sections.retain(|section| !section.steps.is_empty());
    sections
}

/// The state of the parser of a document.
#[derive(Default)]
struct Reader {
    sections: Vec<Section>,
    paragraph: String,
    /// The open fence: its indent, and whether it has commands.
    fence: Option<(usize, bool)>,
    /// Whether the last command continues on the next line.
    continues: bool,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let text = line.trim_start();
        match (self.fence, text.strip_prefix("```")) {
            (None, Some(language)) => {
                assert!(
                    !matches!(language, "sh" | "bash" | "shell"),
                    "write it as console: {line}"
                );
                self.paragraph();
                self.fence = Some((line.len() - text.len(), language == "console"));
            }
            (Some(_), Some(_)) => {
                assert!(
                    !self.continues,
                    "a command has no end: {}",
                    self.steps().last().unwrap().command
                );
                self.fence = None;
            }
            (Some((indent, true)), None) => self.console(line.get(indent..).unwrap_or_default()),
            (Some((_, false)), None) => {}
            (None, None) => self.prose(line),
        }
    }

    fn prose(&mut self, line: &str) {
        if line.starts_with('#') {
            self.paragraph();
            let title = line.trim_start_matches('#').trim().to_owned();
            self.sections.push(Section { title, steps: Vec::new() });
        } else if line.trim().is_empty() {
            self.paragraph();
        } else {
            self.paragraph.extend([line.trim(), " "]);
        }
    }

    /// The end of a paragraph, whose inline code may be a command.
    fn paragraph(&mut self) {
        let paragraph = std::mem::take(&mut self.paragraph);
        let code = paragraph.split('`').skip(1).step_by(2);
        for command in code.filter(|code| code.starts_with("curl ")) {
            self.steps().push(Step { command: command.to_owned(), shown: String::new() });
        }
    }

    fn console(&mut self, line: &str) {
        if self.continues {
            let step = self.steps().last_mut().unwrap();
            step.command.extend(["\n", line]);
            self.continues = continues(&step.command);
        } else if let Some(command) = line.strip_prefix("$ ") {
            self.steps().push(Step { command: command.to_owned(), shown: String::new() });
            self.continues = continues(command);
        } else {
            let step = self.steps().last_mut().expect("an output without a command");
            step.shown.extend([line, "\n"]);
        }
    }

    fn steps(&mut self) -> &mut Vec<Step> {
        &mut self.sections.last_mut().expect("a command before the first heading").steps
    }
}

/// Whether a command continues on the next line: after a backslash or a pipe, in quotes, in a loop, in a
/// heredoc.
fn continues(command: &str) -> bool {
    if let Some((_, heredoc)) = command.split_once("<<EOF\n") {
        return !heredoc.ends_with("\nEOF");
    }
    let is_in_loop = command.contains("while ") && !command.trim_end().ends_with("done");
    let is_cut = ["<<EOF", "\\", "|"].iter().any(|end| command.ends_with(end));
    is_in_loop || is_cut || command.matches('\'').count() % 2 == 1
}

#[test]
fn commands_are_found_in_blocks_and_in_text() {
    let text = "# One\n\nText with `code`, `curl x`\nand `curl\n\"a b\"`.\n\n## Two\n\nText\n\n\
                  1. item\n\n   ```console\n   $ a \\\n       b\n   shown\n   $ c 'd\n     e'\n   $ e |\n     while f; do\n     g\n     done\n   ```\n\n\
                ## Three\n\n```yaml\n$ no\n# no heading\n```\n\n## Four\n```console\n$ cat <<EOF\n$ x\n\
                EOF\n```\n";
    let found: Vec<(String, Vec<(String, String)>)> = sections(text)
        .into_iter()
        .map(|section| {
            let steps = section.steps.into_iter().map(|step| (step.command, step.shown));
            (section.title, steps.collect())
        })
        .collect();
    let step = |command: &str, shown: &str| (command.to_owned(), shown.to_owned());
    assert_eq!(
        found,
        [
            ("One".to_owned(), vec![step("curl x", ""), step("curl \"a b\"", "")]),
            (
                "Two".to_owned(),
                vec![
                    step("a \\\n    b", "shown\n"),
                    step("c 'd\n  e'", ""),
                    step("e |\n  while f; do\n  g\n  done", "")
                ]
            ),
            ("Four".to_owned(), vec![step("cat <<EOF\n$ x\nEOF", "")]),
        ]
    );
}
