//! The content of a rule file, as values.

/// One file of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFile {
    /// Its name without `.rules.yml`.
    pub name: &'static str,
    /// Its subject, as part of a sentence.
    pub about: &'static str,
    /// Its groups; rules of a group are evaluated in order.
    pub groups: Vec<RuleGroup>,
}

/// Rules that are evaluated together, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleGroup {
    /// Its name, unique among all files.
    pub name: &'static str,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A recording rule.
    Recording(RecordingRule),
    /// An alert.
    Alerting(Box<AlertingRule>),
}

/// A recording rule: a series computed from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingRule {
    /// Its name: `level:metric:operation`.
    pub name: String,
    /// `PromQL`.
    pub expr: String,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertingRule {
    /// Its name. Alerts of several severities share it, so that one inhibits the other.
    pub name: &'static str,
    /// The value of the label `severity`.
    pub urgency: Urgency,
    /// `PromQL`; its value is `$value` in the messages.
    pub expr: String,
    /// `for`: how long it must hold; `None`: it fires at once.
    pub hold: Option<&'static str>,
    /// `keep_firing_for`: how long it outlives its expression; `None`: not at all.
    pub keep: Option<&'static str>,
    /// The label `action`: the exporter carries it out when Alertmanager delivers the alert.
    pub action: Option<&'static str>,
    /// One line; a Prometheus template.
    pub summary: String,
    /// The value, the threshold and what to do; a Prometheus template.
    pub description: String,
    /// The uid of the dashboard that shows it.
    pub dashboard: &'static str,
}

/// How soon a person must act: the label `severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// No action: it proves that alerts arrive.
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

impl AlertingRule {
    /// An alert that fires at once and ends with its expression.
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

    /// It fires after its expression held for this long.
    pub(super) fn holding(mut self, hold: &'static str) -> Self {
        self.hold = Some(hold);
        self
    }

    /// It keeps firing for this long after its expression ends.
    pub(super) fn keeping(mut self, keep: &'static str) -> Self {
        self.keep = Some(keep);
        self
    }

    /// It halts the account, and its message says so.
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

    /// Whether a halt causes it; such an alert cannot halt.
    pub(super) fn is_caused_by_halts(&self) -> bool {
        self.name.starts_with("Trading")
    }

    /// Sets its messages.
    pub(super) fn saying(mut self, summary: &str, description: &str) -> Self {
        summary.clone_into(&mut self.summary);
        description.clone_into(&mut self.description);
        self
    }

    pub(super) fn shown_on(mut self, dashboard: &'static str) -> Self {
        self.dashboard = dashboard;
        self
    }
}

impl From<AlertingRule> for Rule {
    fn from(alert: AlertingRule) -> Self {
        Self::Alerting(Box::new(alert))
    }
}

/// A rule that records a series.
pub(super) fn record(name: &str, expr: String) -> Rule {
    Rule::Recording(RecordingRule { name: name.to_owned(), expr })
}
