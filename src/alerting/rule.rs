//! Rules as values: what a rule file holds, before it is text.

/// One file of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFile {
    /// Its name without `.rules.yml`.
    pub name: &'static str,
    /// What its rules are about, as part of a sentence.
    pub about: &'static str,
    /// Its groups; rules of a group are evaluated in order.
    pub groups: Vec<Group>,
}

/// Rules that are evaluated together, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name, unique among all files.
    pub name: &'static str,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A series that is computed.
    Record(Record),
    /// An alert.
    Alert(Box<Alert>),
}

/// A series that is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name: `level:metric:operation`.
    pub name: String,
    /// `PromQL`.
    pub expr: String,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its name. Several severities of one thing share it, so that one inhibits the other.
    pub name: &'static str,
    /// The value of the label `severity`.
    pub urgency: Urgency,
    /// `PromQL`; its value is what the message calls the value.
    pub expr: String,
    /// `for`: how long it must hold; none: it fires at once.
    pub hold: Option<&'static str>,
    /// `keep_firing_for`: how long it outlives its expression; none: not at all.
    pub keep: Option<&'static str>,
    /// The label `action`: what the exporter does when Alertmanager tells it.
    pub action: Option<&'static str>,
    /// One line, a template of Prometheus.
    pub summary: String,
    /// What, how much, threshold, what to do: a template of Prometheus.
    pub description: String,
    /// The dashboard that shows it: its uid.
    pub dashboard: &'static str,
}

/// How soon somebody must act; the value of the label `severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Nothing to do: it proves that alerts arrive.
    None,
    /// When there is time.
    Minor,
    /// Today.
    Moderate,
    /// Now.
    Critical,
}

impl Urgency {
    /// The value of the label `severity`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minor => "minor",
            Self::Moderate => "moderate",
            Self::Critical => "critical",
        }
    }
}

impl Alert {
    /// An alert that fires at once and ends with its expression; [`Self::holding`] and the others
    /// add to it.
    pub(super) fn new(name: &'static str, urgency: Urgency, expr: String) -> Self {
        Self {
            name,
            urgency,
            expr,
            hold: None,
            keep: None,
            action: None,
            summary: String::new(),
            description: String::new(),
            dashboard: "trading-overview",
        }
    }

    /// It must hold for this long.
    pub(super) fn holding(mut self, hold: &'static str) -> Self {
        self.hold = Some(hold);
        self
    }

    /// It goes on for this long after its expression.
    pub(super) fn keeping(mut self, keep: &'static str) -> Self {
        self.keep = Some(keep);
        self
    }

    /// Alertmanager tells the exporter to halt the account, and the message says so.
    pub(super) fn halts(&mut self) {
        self.action = Some("halt");
        if !self.description.contains("halted") {
            self.description.push_str(" This alert halts the account; a person releases it.");
        }
    }

    /// Its name and severity as one word, as in `PositionDriftCritical`.
    #[must_use]
    pub fn title(&self) -> String {
        let severity = self.urgency.as_str();
        let (first, rest) = severity.split_at(1);
        format!("{}{}{rest}", self.name, first.to_uppercase())
    }

    /// Whether a halt raises it: it cannot be the reason of one.
    pub(super) fn is_of_halts(&self) -> bool {
        self.name.starts_with("Trading")
    }

    /// What it says, and where to look.
    pub(super) fn saying(mut self, summary: &str, description: &str) -> Self {
        summary.clone_into(&mut self.summary);
        description.clone_into(&mut self.description);
        self
    }

    /// The dashboard that shows it.
    pub(super) fn shown_on(mut self, dashboard: &'static str) -> Self {
        self.dashboard = dashboard;
        self
    }
}

impl From<Alert> for Rule {
    fn from(alert: Alert) -> Self {
        Self::Alert(Box::new(alert))
    }
}

/// A rule that records a series.
pub(super) fn record(name: &str, expr: String) -> Rule {
    Rule::Record(Record { name: name.to_owned(), expr })
}
