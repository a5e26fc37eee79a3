//! Checks that hold for every rule.

use std::collections::BTreeSet;

use super::*;
use crate::domain::settings::{Figure, Levels};

fn alerts(settings: &Settings, style: &RuleStyle) -> Vec<AlertingRule> {
    let rules = rule_files(settings, style).into_iter().flat_map(|file| file.groups);
    let alerts = rules.flat_map(|group| group.rules).filter_map(|rule| match rule {
        Rule::Alerting(alert) => Some(*alert),
        Rule::Recording(_) => None,
    });
    alerts.collect()
}

#[test]
fn names_of_groups_and_records_are_unique() {
    let files = rule_files(&Settings::default(), &RuleStyle::default());
    let mut seen = BTreeSet::new();
    for group in files.iter().flat_map(|file| &file.groups) {
        assert!(seen.insert(group.name.to_owned()), "{}", group.name);
        for rule in &group.rules {
            let Rule::Recording(record) = rule else { continue };
            assert_eq!(
                record.name.matches(':').count(),
                2,
                "{}: level:metric:operation",
                record.name
            );
            assert!(seen.insert(record.name.clone()), "{}", record.name);
        }
    }
}

#[test]
fn the_less_severe_alert_waits_longer() {
    let seconds = |hold: Option<&str>| {
        let Some(hold) = hold else { return 0 };
        let (number, unit) = hold.split_at(hold.len() - 1);
        let number: u32 = number.parse().expect("a number");
        number
            * match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                other => panic!("{other}"),
            }
    };
    let all = alerts(&Settings::default(), &RuleStyle::default());
    for one in &all {
        for other in all.iter().filter(|a| a.name == one.name && a.urgency < one.urgency) {
            assert!(seconds(other.hold) > seconds(one.hold), "{} {:?}", one.name, one.urgency);
        }
    }
}

#[test]
fn only_the_alerts_in_halt_on_halt() {
    let check = |halt_on: &[&str]| {
        let halt_on: Vec<String> = halt_on.iter().map(|name| (*name).to_owned()).collect();
        let style = RuleStyle { halt_on: halt_on.clone(), ..RuleStyle::default() };
        let all = alerts(&Settings::default(), &style);
        let halting = all.iter().filter(|alert| alert.action == Some("halt"));
        assert_eq!(halting.clone().map(AlertingRule::title).collect::<Vec<_>>(), halt_on);
        for alert in halting {
            assert!(alert.description.contains("halt"), "{}", alert.description);
        }
    };
    check(&[]);
    check(&["PositionDriftCritical"]);
    check(&["PositionDriftModerate", "FillRatioLowCritical", "ExporterDownCritical"]);
    assert_eq!(RuleStyle::default().halt_on, ["PositionDriftCritical"]);
    let names = may_halt();
    assert!(names.contains("FillRatioLowCritical") && names.contains(HALT_ON));
    for name in ["FillRatioLow", "WatchdogNone", "TradingHaltedCritical"] {
        assert!(!names.contains(name), "{name}");
    }
}

#[test]
fn every_alert_has_messages() {
    for alert in alerts(&Settings::default(), &RuleStyle::default()) {
        let name = alert.name;
        assert!(alert.summary.len() > 10 && alert.description.len() > 40, "{name}");
        for text in [&alert.summary, &alert.description] {
            assert!(!text.contains(['\n', '\t']) && !text.contains("  "), "{name}: {text}");
            assert_eq!(text.matches("{{").count(), text.matches("}}").count(), "{name}: {text}");
        }
    }
}

#[test]
fn thresholds_come_from_the_configuration_alone() {
    let mut settings = Settings::default();
    settings.anomaly.default.levels[Figure::FillRatio] = Levels::new(0.815, 0.617);
    settings.anomaly.default.min_samples = 33;
    let literal = RuleStyle { thresholds: Thresholds::Literal, ..RuleStyle::default() };
    let text = render_all(&rule_files(&settings, &literal), &literal);
    for number in ["< 0.815", "< 0.617", ">= 33", "> 0.185000"] {
        assert!(text.contains(number), "{number}");
    }
    let joined = RuleStyle::default();
    let of = |settings| render_all(&rule_files(settings, &joined), &joined);
    assert_eq!(of(&settings), of(&Settings::default()), "joined rules hold no threshold");
}

#[test]
fn a_level_that_is_off_has_no_literal_rule() {
    let mut settings = Settings::default();
    let slippage = &mut settings.anomaly.default.levels[Figure::SlippageBps];
    *slippage = Levels { warning: Some(10.0), critical: None };
    let check = |thresholds, expect: &[Urgency]| {
        let style = RuleStyle { thresholds, ..RuleStyle::default() };
        let all = alerts(&settings, &style);
        let found: Vec<_> =
            all.iter().filter(|a| a.name == "SlippageHigh").map(|a| a.urgency).collect();
        assert_eq!(found, expect, "{thresholds:?}");
    };
    check(Thresholds::Literal, &[Urgency::Moderate]);
    check(Thresholds::Joined, &[Urgency::Critical, Urgency::Moderate]);
}
