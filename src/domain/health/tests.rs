//! Section by section: counting, believing, silence, what components add up to.

use super::*;
use Health::{Degraded, Healthy, Unhealthy, Unknown};

/// One thing that happens to a component; each takes place 10 s after the one before it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pass,
    Fail,
    Heartbeat,
    States(Health),
    /// Ten seconds pass, this many times, with a tick each second.
    Quiet(i64),
}

use Step::{Fail, Heartbeat as Beat, Pass, Quiet, States};

const START: i64 = 1_700_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos((START + seconds) * 1_000_000_000).expect("a time")
}

fn component(name: &str) -> Component {
    Component::new(name).expect("a name")
}

fn heartbeat(name: &str, status: Option<Health>) -> Heartbeat {
    let interval = Some(Duration::from_secs(10));
    Heartbeat { component: component(name), status, message: None, latency: None, interval }
}

fn result(name: &str, passed: bool) -> CheckResult {
    CheckResult {
        component: component(name),
        passed,
        message: String::from(if passed { "fine" } else { "refused" }),
        latency: Duration::from_millis(7),
        interval: Duration::from_secs(10),
    }
}

/// The states after each step, held against the changes that were told.
fn run(steps: &[Step], settings: &HealthSettings) -> (Components, Vec<Health>) {
    let mut components = Components::default();
    let mut seconds = 0;
    let mut told = Unknown;
    let mut states = Vec::new();
    for step in steps {
        let mut quiet = 1;
        let taken = match step {
            Pass => components.check(&result("x", true), at(seconds), settings),
            Fail => components.check(&result("x", false), at(seconds), settings),
            Beat => components.heartbeat(&heartbeat("x", None), at(seconds), settings),
            States(s) => components.heartbeat(&heartbeat("x", Some(*s)), at(seconds), settings),
            Quiet(times) => {
                quiet = *times;
                Ok(None)
            }
        };
        let mut changes: Vec<Change> = taken.expect("room").into_iter().collect();
        for second in 1..=quiet * 10 {
            changes.extend(components.tick(at(seconds + second), settings));
        }
        seconds += quiet * 10;
        assert!(changes.len() <= 1, "{steps:?}: {changes:?}");
        for change in changes {
            assert_ne!(change.health, told, "{steps:?}: a change that is none");
            told = change.health;
        }
        states.push(components.health("x").unwrap_or(Unknown));
        assert_eq!(states.last(), Some(&told), "{steps:?}: every change is told");
    }
    (components, states)
}

#[test]
fn states_follow_results() {
    let check = |steps: &[Step], expect: &[Health]| {
        assert_eq!(run(steps, &HealthSettings::default()).1, expect, "{steps:?}");
    };
    // From unknown one success is healthy.
    check(&[Pass], &[Healthy]);
    check(&[Beat], &[Healthy]);
    check(&[States(Healthy)], &[Healthy]);
    // One failure: degraded. Three in a row: unhealthy.
    check(&[Fail], &[Degraded]);
    check(&[Pass, Fail, Fail, Fail, Fail], &[Healthy, Degraded, Degraded, Unhealthy, Unhealthy]);
    check(&[Fail, Fail, Pass, Fail, Fail], &[Degraded; 5]);
    // Two successes in a row: healthy again.
    check(&[Fail, Pass, Pass], &[Degraded, Degraded, Healthy]);
    check(
        &[Fail, Fail, Fail, Pass, Fail, Pass, Pass],
        &[Degraded, Degraded, Unhealthy, Unhealthy, Unhealthy, Unhealthy, Healthy],
    );
    // What a heartbeat states is believed at once, and is not counted towards anything worse.
    check(&[Beat, States(Unhealthy)], &[Healthy, Unhealthy]);
    check(&[States(Degraded); 5], &[Degraded; 5]);
    check(&[States(Unhealthy), States(Degraded)], &[Unhealthy, Degraded]);
    check(&[States(Unhealthy), Beat, States(Healthy)], &[Unhealthy, Unhealthy, Healthy]);
    check(&[States(Unknown), Beat], &[Unknown, Healthy]);
}

#[test]
fn silence_is_not_health() {
    let check = |steps: &[Step], expect: &[Health]| {
        assert_eq!(run(steps, &HealthSettings::default()).1, expect, "{steps:?}");
    };
    // Three intervals of 10 s are not yet too long; one second more is.
    check(&[Pass, Quiet(2)], &[Healthy, Healthy]);
    check(&[Pass, Quiet(3)], &[Healthy, Unknown]);
    check(&[States(Unhealthy), Quiet(3)], &[Unhealthy, Unknown]);
    // It is one failure, once.
    check(&[Pass, Quiet(9), Pass], &[Healthy, Unknown, Healthy]);
    check(&[Pass, Quiet(9), Fail, Fail], &[Healthy, Unknown, Degraded, Unhealthy]);
    check(&[Fail, Fail, Quiet(9), Fail], &[Degraded, Degraded, Unknown, Unhealthy]);

    let settings = HealthSettings::default();
    let (components, _) = run(&[Pass, Quiet(50)], &settings);
    let history = components.history("x").expect("known");
    assert_eq!(history.len(), 2, "silence is told once");
    let silence = CheckView {
        at: at(31),
        passed: false,
        health: Unknown,
        message: String::from("no result for more than 30 s"),
        latency: None,
    };
    assert_eq!(history[1], silence);
    let view = components.views(&settings).next().expect("one");
    assert_eq!((view.consecutive_failures, view.failures_total), (1, 1));
    assert_eq!((view.last_check_at, view.since), (Some(at(0)), at(31)));
}

#[test]
fn silence_is_never_shorter_than_its_least() {
    let check = |interval: Option<u64>, silent_after: i64| {
        let settings = HealthSettings::default();
        let mut components = Components::default();
        let interval = interval.map(Duration::from_secs);
        let beat = Heartbeat { interval, ..heartbeat("x", None) };
        components.heartbeat(&beat, at(0), &settings).expect("room");
        assert_eq!(components.tick(at(silent_after), &settings), [], "{interval:?}");
        let changes = components.tick(at(silent_after + 1), &settings);
        assert_eq!(changes.len(), 1, "{interval:?}");
        assert_eq!((&changes[0].component, changes[0].health), (&component("x"), Unknown));
    };
    check(Some(10), 30);
    check(Some(1), 5);
    check(Some(0), 5);
    check(None, 90);
}

#[test]
fn an_interval_is_remembered_until_another_is_said() {
    let settings = HealthSettings::default();
    let mut components = Components::default();
    let mut beat = heartbeat("x", None);
    components.heartbeat(&beat, at(0), &settings).expect("room");
    beat.interval = None;
    components.heartbeat(&beat, at(1), &settings).expect("room");
    assert_eq!(components.views(&settings).next().expect("one").interval.as_secs(), 10);
    assert_eq!(components.tick(at(31), &settings), []);
    assert_eq!(components.tick(at(32), &settings).len(), 1);
}

#[test]
fn counts_are_settings() {
    let settings = HealthSettings { failures: 1, successes: 1, ..HealthSettings::default() };
    assert_eq!(run(&[Fail, Pass], &settings).1, [Unhealthy, Healthy]);
    let settings = HealthSettings { failures: 2, successes: 3, ..HealthSettings::default() };
    assert_eq!(
        run(&[Fail, Fail, Pass, Pass, Pass], &settings).1,
        [Degraded, Unhealthy, Unhealthy, Unhealthy, Healthy]
    );
}

#[test]
fn the_system_adds_up() {
    let check = |own: &[(&str, Health)], common: &[(&str, Health)], expect: Health| {
        let settings = HealthSettings::default();
        let make = |states: &[(&str, Health)]| {
            let mut components = Components::default();
            for (name, health) in states {
                let beat = heartbeat(name, Some(*health));
                components.heartbeat(&beat, at(0), &settings).expect("room");
            }
            components
        };
        assert_eq!(system(&make(own), &make(common), &settings), expect, "{own:?} {common:?}");
    };
    check(&[], &[], Unknown);
    check(&[("engine", Healthy)], &[], Healthy);
    check(&[], &[("disk", Healthy)], Healthy);
    check(&[("engine", Healthy), ("broker", Healthy)], &[("disk", Healthy)], Healthy);
    for critical in ["broker", "data_feed", "engine"] {
        check(&[(critical, Unhealthy), ("disk", Healthy)], &[], Unhealthy);
        check(&[("disk", Unknown)], &[(critical, Unhealthy)], Unhealthy);
        check(&[(critical, Degraded)], &[], Degraded);
        check(&[(critical, Unknown), ("disk", Healthy)], &[], Degraded);
    }
    check(&[("disk", Unhealthy)], &[], Degraded);
    check(&[("engine", Healthy)], &[("disk", Unhealthy)], Degraded);
    check(&[("engine", Healthy)], &[("disk", Unknown)], Degraded);
    check(&[("engine", Unknown)], &[("disk", Unknown)], Unknown);
    // A name can stand on both sides: the account's own heartbeat and a probe.
    check(&[("broker", Healthy)], &[("broker", Unhealthy)], Unhealthy);
}

#[test]
fn views_tell_what_is_known() {
    let settings = HealthSettings::default();
    let mut components = Components::default();
    components.check(&result("disk", false), at(1), &settings).expect("room");
    components.check(&result("disk", false), at(2), &settings).expect("room");
    components.heartbeat(&heartbeat("broker", None), at(3), &settings).expect("room");
    let views: Vec<ComponentView> = components.views(&settings).collect();
    let names: Vec<(&str, bool)> =
        views.iter().map(|v| (v.component.as_str(), v.critical)).collect();
    assert_eq!(names, [("broker", true), ("disk", false)]);
    let disk = ComponentView {
        component: component("disk"),
        health: Degraded,
        critical: false,
        message: String::from("refused"),
        last_check_at: Some(at(2)),
        latency: Some(Duration::from_millis(7)),
        interval: Duration::from_secs(10),
        consecutive_failures: 2,
        failures_total: 2,
        since: at(1),
    };
    assert_eq!(views[1], disk);
    assert_eq!(components.history("nobody"), None);
}

#[test]
fn everything_is_bounded() {
    let settings = HealthSettings::default();
    let mut components = Components::default();
    for index in 0..limits::COMPONENTS_MAX {
        let name = format!("c{index}");
        components.check(&result(&name, true), at(0), &settings).expect("room");
    }
    let one_more = components.check(&result("more", true), at(0), &settings);
    assert_eq!(one_more, Err(Refusal::TooManyComponents));
    let one_more = components.heartbeat(&heartbeat("more", None), at(0), &settings);
    assert_eq!(one_more, Err(Refusal::TooManyComponents));
    assert_eq!(components.retire(&component("more")), Err(Refusal::NotFound));
    assert_eq!(components.retire(&component("c0")), Ok(()));
    assert!(components.check(&result("more", true), at(0), &settings).is_ok());

    for second in 0..1_500 {
        components.check(&result("more", true), at(second), &settings).expect("known");
    }
    let history = components.history("more").expect("known");
    assert_eq!(history.len(), limits::HEALTH_HISTORY_MAX);
    assert_eq!(history.last().map(|c| c.at), Some(at(1_499)), "the oldest are dropped");
}
