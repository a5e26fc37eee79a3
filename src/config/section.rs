//! A section of the configuration: a map whose fields are read by name; unread fields are mistakes.
//!
//! Input: a node and a report. Output: values written over their defaults, and every mistake with its
//! path and line. Invariants: a field that is missing or `null` keeps its default; a field that is not
//! read is a mistake; one mistake hides no other.

use std::cell::RefCell;

use super::error::Mistake;
use super::scalar::ValueError;
use super::yaml::{MapEntry, YamlNode, YamlValue};

/// Collects the mistakes of one text.
#[derive(Debug, Default)]
pub(super) struct MistakeReport {
    mistakes: RefCell<Vec<Mistake>>,
    foreign: RefCell<Vec<Mistake>>,
    /// Every field that was read, with `[]` for positions in lists, and whether the text has it. A test
    /// compares the example with this list.
    #[cfg(test)]
    pub(super) fields: RefCell<std::collections::BTreeMap<String, bool>>,
}

impl MistakeReport {
    pub(super) fn add(&self, path: &str, line: Option<u64>, message: impl Into<String>) {
        let mistake = Mistake { path: path.to_owned(), line, message: message.into() };
        self.mistakes.borrow_mut().push(mistake);
    }

    /// Adds a mistake in another file. It comes after those of the text.
    pub(super) fn add_foreign(&self, mistake: Mistake) {
        self.foreign.borrow_mut().push(mistake);
    }

    /// The mistakes in the order of the text; those without a line come last.
    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|m| m.line.unwrap_or(u64::MAX));
        mistakes.extend(self.foreign.into_inner());
        mistakes
    }

    #[cfg(test)]
    fn note(&self, path: &str, present: bool) {
        let mut plain = String::new();
        for part in path.split_inclusive(']') {
            plain.push_str(part.trim_end_matches(|c: char| c == ']' || c.is_ascii_digit()));
            plain.push_str(if part.ends_with(']') { "]" } else { "" });
        }
        *self.fields.borrow_mut().entry(plain).or_default() |= present;
    }
}

/// A map whose fields are being read.
#[derive(Debug)]
pub(super) struct Section<'d> {
    path: String,
    line: u64,
    entries: &'d [MapEntry],
    asked: Vec<&'static str>,
    report: &'d MistakeReport,
}

/// Reads a map at `path` with `fields`, and reports the fields that it did not read. `null` is a map
/// without fields; any other value is a mistake.
pub(super) fn read_map<'d, T>(
    node: &'d YamlNode,
    path: &str,
    report: &'d MistakeReport,
    fields: impl FnOnce(&mut Section<'d>) -> T,
) -> Option<T> {
    let entries = match &node.value {
        YamlValue::Map(entries) => entries.as_slice(),
        YamlValue::Null => &[],
        YamlValue::Scalar(_) | YamlValue::List(_) => {
            report.add(path, Some(node.line), "must be a map of fields");
            return None;
        }
    };
    let path = path.to_owned();
    let mut section = Section { path, line: node.line, entries, asked: Vec::new(), report };
    let value = fields(&mut section);
    section.refuse_the_rest();
    Some(value)
}

/// Reads a list of at most `max` maps at `path` with `fields`.
pub(super) fn read_list<'d, T>(
    node: &'d YamlNode,
    path: &str,
    max: usize,
    report: &'d MistakeReport,
    mut fields: impl FnMut(&mut Section<'d>) -> Option<T>,
) -> Vec<T> {
    let YamlValue::List(items) = &node.value else {
        if node.value != YamlValue::Null {
            report.add(path, Some(node.line), "must be a list");
        }
        return Vec::new();
    };
    if items.len() > max {
        report.add(path, Some(node.line), format!("must not have more than {max} entries"));
        return Vec::new();
    }
    let indexed = items.iter().enumerate();
    let read = indexed.map(|(i, n)| read_map(n, &format!("{path}[{i}]"), report, &mut fields));
    read.flatten().flatten().collect()
}

impl<'d> Section<'d> {
    /// Reads a field into `target`, which keeps its value if the field is missing or `null`.
    pub(super) fn set<T>(
        &mut self,
        name: &'static str,
        target: &mut T,
        read: impl FnOnce(&YamlNode) -> Result<T, ValueError>,
    ) {
        let Some(entry) = self.take(name).filter(|e| e.node.value != YamlValue::Null) else {
            return;
        };
        match read(&entry.node) {
            Ok(value) => *target = value,
            Err(fault) => self.wrong_at(name, entry.node.line, fault.0),
        }
    }

    /// Reads a field that can be switched off: `off` and `null` give None.
    pub(super) fn set_or_off<T>(
        &mut self,
        name: &'static str,
        target: &mut Option<T>,
        read: impl FnOnce(&YamlNode) -> Result<T, ValueError>,
    ) {
        let Some(entry) = self.take(name) else { return };
        if is_off(&entry.node) {
            *target = None;
            return;
        }
        match read(&entry.node) {
            Ok(value) => *target = Some(value),
            Err(ValueError(message)) => {
                self.wrong_at(name, entry.node.line, format!("{message}, or off"));
            }
        }
    }

    /// Reads a required field; None after a mistake.
    pub(super) fn require<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&YamlNode) -> Result<T, ValueError>,
    ) -> Option<T> {
        let mut value = None;
        let before = self.report.mistakes.borrow().len();
        self.set(name, &mut value, |node| read(node).map(Some));
        if value.is_none() && self.report.mistakes.borrow().len() == before {
            self.wrong(name, "is missing");
        }
        value
    }

    /// Reads a map inside this one, if the text has it.
    pub(super) fn section(&mut self, name: &'static str, fields: impl FnOnce(&mut Section<'d>)) {
        if let Some(entry) = self.take(name) {
            read_map(&entry.node, &self.path_of(name), self.report, fields);
        }
    }

    /// Reads a map that can be switched off: `off` and `null` set `target` to None. Otherwise `fields`
    /// receives the current value of `target` and returns the new one, or None after a mistake.
    pub(super) fn section_or_off<T: Clone>(
        &mut self,
        name: &'static str,
        target: &mut Option<T>,
        fields: impl FnOnce(&mut Section<'d>, Option<T>) -> Option<T>,
    ) {
        let Some(entry) = self.take(name) else { return };
        if is_off(&entry.node) {
            *target = None;
            return;
        }
        let from = target.clone();
        let path = self.path_of(name);
        let value = read_map(&entry.node, &path, self.report, |section| fields(section, from));
        if let Some(Some(value)) = value {
            *target = Some(value);
        }
    }

    /// Reads a list of maps, at most `max` of them.
    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        max: usize,
        fields: impl FnMut(&mut Section<'d>) -> Option<T>,
    ) -> Vec<T> {
        let Some(entry) = self.take(name) else { return Vec::new() };
        read_list(&entry.node, &self.path_of(name), max, self.report, fields)
    }

    /// Reads a map of at most `max` fields whose names are the user's own. A name may appear once.
    pub(super) fn named<T>(
        &mut self,
        name: &'static str,
        max: usize,
        read: impl Fn(&str, &YamlNode) -> Result<T, ValueError>,
    ) -> Vec<T> {
        let Some(entry) = self.take(name) else { return Vec::new() };
        let entries = match &entry.node.value {
            YamlValue::Map(entries) => entries.as_slice(),
            YamlValue::Null => &[],
            YamlValue::Scalar(_) | YamlValue::List(_) => {
                self.wrong_at(name, entry.node.line, String::from("must be a map of fields"));
                return Vec::new();
            }
        };
        if entries.len() > max {
            let message = format!("must not have more than {max} entries");
            self.wrong_at(name, entry.node.line, message);
            return Vec::new();
        }
        let mut values = Vec::new();
        for (place, MapEntry { name: own, line, node }) in entries.iter().enumerate() {
            let is_repeated = entries.iter().take(place).any(|earlier| earlier.name == *own);
            match read(own, node) {
                Ok(_) if is_repeated => {
                    self.wrong_at(&format!("{name}.{own}"), *line, String::from("appears twice"));
                }
                Ok(value) => values.push(value),
                Err(fault) => self.wrong_at(&format!("{name}.{own}"), *line, fault.0),
            }
        }
        values
    }

    /// Reports a mistake in a field (or below it), at its line or else at that of the section.
    pub(super) fn wrong(&self, name: &str, message: impl Into<String>) {
        let own = name.split(['.', '[']).next().unwrap_or(name);
        let entry = self.entries.iter().find(|e| e.name == own);
        self.wrong_at(name, entry.map_or(self.line, |e| e.line), message.into());
    }

    /// Reports a mistake in the section as a whole.
    pub(super) fn wrong_here(&self, message: impl Into<String>) {
        self.report.add(&self.path, Some(self.line), message);
    }

    /// Whether the text gives this field a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|e| e.name == name && e.node.value != YamlValue::Null)
    }

    /// Whether the text names this field, with or without a value.
    pub(super) fn names(&self, name: &str) -> bool {
        self.entries.iter().any(|e| e.name == name)
    }

    /// The place of this section, for later checks.
    pub(super) fn place(&self) -> SectionPlace {
        SectionPlace { path: self.path.clone(), line: self.line }
    }

    pub(super) const fn report(&self) -> &'d MistakeReport {
        self.report
    }

    fn path_of(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    fn wrong_at(&self, name: &str, line: u64, message: String) {
        self.report.add(&self.path_of(name), Some(line), message);
    }

    fn take(&mut self, name: &'static str) -> Option<&'d MapEntry> {
        self.asked.push(name);
        let found = self.entries.iter().find(|e| e.name == name);
        #[cfg(test)]
        self.report.note(&self.path_of(name), found.is_some());
        found
    }

    fn refuse_the_rest(self) {
        for (place, entry) in self.entries.iter().enumerate() {
            let path = self.path_of(&entry.name);
            if !self.asked.contains(&entry.name.as_str()) {
                let known = self.asked.join(", ");
                let message = format!("unknown field; known here: {known}");
                self.report.add(&path, Some(entry.line), message);
            } else if self.entries.iter().take(place).any(|e| e.name == entry.name) {
                self.report.add(&path, Some(entry.line), "appears twice");
            }
        }
    }
}

/// The place of a section, for mistakes that are found after it was read.
#[derive(Clone, Debug)]
pub(super) struct SectionPlace {
    pub(super) path: String,
    pub(super) line: u64,
}

fn is_off(node: &YamlNode) -> bool {
    match &node.value {
        YamlValue::Null => true,
        YamlValue::Scalar(text) => text == "off",
        YamlValue::List(_) | YamlValue::Map(_) => false,
    }
}
