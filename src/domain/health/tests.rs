//! Counting, stated health, silence, and the health of the system, in this order.

use std::time::Duration;

use super::*;
use crate::domain::event::Source;
use Health::{Degraded, Healthy, Unhealthy, Unknown};

/// One event in the life of a component, 10 s after the one before it.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Pass,
    Fail,
    Heartbeat,
    States(Health),
    /// Ten seconds pass, this many times, with a tick each second.
    Quiet(i64),
}

use Happening::{Fail, Heartbeat as Beat, Pass, Quiet, States};

const START: i64 = 1_700_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos((START + seconds) * 1_000_000_000).expect("a time")
}

fn component(name: &str) -> Component {
    Component::new(name).expect("a name")
}

fn heartbeat(name: &str, status: Option<Health>) -> Heartbeat {
    let interval = Some(Duration::from_secs(10));
    Heartbeat {
        component: component(name),
        status,
        message: None,
        latency: None,
        interval,
        source: None,
    }
}

/// Of an exporter that always listened.
fn tick(components: &mut Components, seconds: i64, settings: &HealthSettings) -> Vec<HealthChange> {
    components.tick(at(seconds), at(0), settings)
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
fn run(steps: &[Happening], settings: &HealthSettings) -> (Components, Vec<Health>) {
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
        let mut changes: Vec<HealthChange> = taken.expect("room").into_iter().collect();
        for second in 1..=quiet * 10 {
            changes.extend(tick(&mut components, seconds + second, settings));
        }
        seconds += quiet * 10;
        for change in changes {
            assert_ne!(change.status.health, told, "{steps:?}: a change that is none");
            told = change.status.health;
        }
        states.push(components.health("x").unwrap_or(Unknown));
        assert_eq!(states.last(), Some(&told), "{steps:?}: every change is told");
    }
    (components, states)
}

#[test]
fn states_follow_results() {
    let check = |steps: &[Happening], expect: &[Health]| {
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
    check(&[States(Degraded), States(Degraded), Fail, Fail], &[Degraded; 4]);
    check(&[States(Unknown), Beat], &[Unknown, Healthy]);
}

#[test]
fn silence_never_improves_a_state() {
    let check = |steps: &[Happening], expect: &[Health]| {
        assert_eq!(run(steps, &HealthSettings::default()).1, expect, "{steps:?}");
    };
    // Three intervals of 10 s are not yet too long; one second more is. Two further intervals are a
    // failure each.
    check(&[Pass, Quiet(2)], &[Healthy, Healthy]);
    check(&[Pass, Quiet(3)], &[Healthy, Unknown]);
    check(&[Pass, Quiet(4), Quiet(1)], &[Healthy, Unknown, Unhealthy]);
    // What is worse than unknown stays, and failures before it count.
    check(&[States(Unhealthy), Quiet(3)], &[Unhealthy, Unhealthy]);
    check(&[States(Degraded), Quiet(3)], &[Degraded, Unknown]);
    check(&[Fail, Fail, Quiet(3)], &[Degraded, Degraded, Unhealthy]);
    check(&[Pass, Quiet(3), Fail, Fail], &[Healthy, Unknown, Degraded, Unhealthy]);
    check(&[Pass, Quiet(4), Fail], &[Healthy, Unknown, Unhealthy]);
    // One result ends unknown, and what was before it stands again; unhealthy takes two.
    check(&[Pass, Quiet(3), Pass], &[Healthy, Unknown, Healthy]);
    check(&[Fail, Quiet(3), Pass, Pass], &[Degraded, Unknown, Degraded, Healthy]);
    check(&[Pass, Quiet(9), Pass, Pass], &[Healthy, Unhealthy, Unhealthy, Healthy]);
    check(&[States(Unhealthy), Quiet(9), Beat, Beat], &[Unhealthy, Unhealthy, Unhealthy, Healthy]);

    let settings = HealthSettings::default();
    let (components, _) = run(&[Pass, Quiet(50)], &settings);
    let history: Vec<CheckView> =
        components.history("x").expect("known").into_iter().map(|(_, check)| check).collect();
    assert_eq!(history.len(), 3, "of a silence that lasts, the changes are kept");
    let silence = |seconds, health, age| CheckView {
        at: at(seconds),
        passed: false,
        health,
        message: format!("no result for more than {age} s"),
        latency: None,
    };
    assert_eq!(history[1..], [silence(31, Unknown, 30), silence(51, Unhealthy, 50)]);
    let view = components.views(&settings).next().expect("one");
    assert_eq!((view.consecutive_failures, view.failures_total), (48, 48));
    assert_eq!((view.last_check_at, view.since, view.silent), (Some(at(0)), at(51), true));
}

#[test]
fn silence_is_never_shorter_than_its_least() {
    let check = |interval: Option<u64>, silent_after: i64, unhealthy_after: i64| {
        let settings = HealthSettings::default();
        let mut components = Components::default();
        let interval = interval.map(Duration::from_secs);
        let beat = Heartbeat { interval, ..heartbeat("x", None) };
        components.heartbeat(&beat, at(0), &settings).expect("room");
        let changes: Vec<(i64, Health)> = (1..=unhealthy_after + 10)
            .flat_map(|now| {
                tick(&mut components, now, &settings).into_iter().map(move |c| (now, c))
            })
            .map(|(now, change)| (now, change.status.health))
            .collect();
        let expect = [(silent_after + 1, Unknown), (unhealthy_after + 1, Unhealthy)];
        assert_eq!(changes, expect, "{interval:?}");
    };
    check(Some(10), 30, 50);
    check(Some(1), 5, 7);
    check(None, 90, 150);
}

#[test]
fn what_the_exporter_could_not_hear_is_no_silence() {
    let settings = HealthSettings::default();
    let beating = |components: &mut Components| {
        components.heartbeat(&heartbeat("x", None), at(0), &settings).expect("room");
    };
    // Down from 5 s to 1,000 s. Its old result is no health, but nothing more follows from it until
    // it had as long as ever.
    let mut components = Components::default();
    beating(&mut components);
    let changes: Vec<(i64, Health)> = (1_000..1_100)
        .flat_map(|now| {
            let changes = components.tick(at(now), at(1_000), &settings);
            changes.into_iter().map(move |change| (now, change.status.health))
        })
        .collect();
    assert_eq!(changes, [(1_000, Unknown), (1_041, Unhealthy)]);
    // A component that is heard again in time was never unhealthy.
    let mut components = Components::default();
    beating(&mut components);
    components.tick(at(1_000), at(1_000), &settings);
    components.tick(at(1_020), at(1_000), &settings);
    let change = components.heartbeat(&heartbeat("x", None), at(1_021), &settings).expect("room");
    assert_eq!(change.map(|change| change.status.health), Some(Healthy));
}

#[test]
fn silence_alone_is_told_apart() {
    let settings = HealthSettings::default();
    let told = |steps: &[Happening]| {
        let (mut components, _) = run(steps, &settings);
        let change = components.check(&result("x", false), at(1_000), &settings).expect("room");
        change.map(|change| (change.status.health, change.status.by_silence))
    };
    // Silence made it unhealthy; then a check fails, too.
    assert_eq!(told(&[Pass, Quiet(9)]), Some((Unhealthy, false)));
    assert_eq!(told(&[Pass, Fail, Fail, Fail, Quiet(9)]), None, "a result said so before");
    let (components, _) = run(&[Pass, Quiet(9)], &settings);
    assert_eq!(components.health("x"), Some(Unhealthy));
}

#[test]
fn the_worst_of_two_witnesses_counts() {
    use Source::{Broker, Local};
    /// Who says what, one second after the other, and what it adds up to.
    fn check(said: &[(Source, Health)], expect: &[Health]) {
        let settings = HealthSettings::default();
        let mut components = Components::default();
        for ((seconds, (source, status)), expect) in (0..).zip(said).zip(expect) {
            let beat = Heartbeat { source: Some(*source), ..heartbeat("broker", Some(*status)) };
            components.heartbeat(&beat, at(seconds), &settings).expect("room");
            assert_eq!(components.health("broker"), Some(*expect), "{said:?} {seconds}");
        }
    }
    // The engine does not overrule what the broker says, nor the reverse.
    check(
        &[(Broker, Unhealthy), (Local, Healthy), (Local, Healthy), (Local, Healthy)],
        &[Unhealthy; 4],
    );
    check(
        &[(Local, Degraded), (Broker, Healthy), (Broker, Healthy), (Local, Healthy)],
        &[Degraded; 4],
    );
    check(
        &[(Broker, Unhealthy), (Local, Healthy), (Broker, Healthy), (Broker, Healthy)],
        &[Unhealthy, Unhealthy, Unhealthy, Healthy],
    );

    // One of the two falls silent.
    let settings = HealthSettings::default();
    let mut components = Components::default();
    let beat = |components: &mut Components, source, seconds| {
        let beat = Heartbeat { source, ..heartbeat("broker", None) };
        components.heartbeat(&beat, at(seconds), &settings).expect("room");
    };
    beat(&mut components, Some(Broker), 0);
    let mut told = Vec::new();
    for seconds in 1..=60 {
        // Who names no source is the engine.
        beat(&mut components, None, seconds);
        let changes = tick(&mut components, seconds, &settings);
        told.extend(changes.into_iter().map(|change| (seconds, change.status)));
    }
    let by = |health, by_silence| ComponentStatus { health, by_silence };
    assert_eq!(told, [(31, by(Unknown, false)), (51, by(Unhealthy, true))]);
    let view = components.views(&settings).next().expect("one");
    assert_eq!((view.health, view.silent, view.last_check_at), (Unhealthy, true, Some(at(0))));
    let witnesses: Vec<_> =
        view.witnesses.iter().map(|w| (w.witness, w.health, w.silent)).collect();
    let expect = [(Witness::Local, Healthy, false), (Witness::Broker, Unhealthy, true)];
    assert_eq!(witnesses, expect);
    let history = components.history("broker").expect("known");
    assert!(history.windows(2).all(|pair| pair[0].1.at <= pair[1].1.at), "oldest first");
    assert_eq!(history.iter().filter(|(who, _)| *who == Witness::Broker).count(), 3);
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
    assert_eq!(tick(&mut components, 31, &settings), []);
    assert_eq!(tick(&mut components, 32, &settings).len(), 1);
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
fn the_largest_code_is_the_worst() {
    let codes = [Healthy, Degraded, Unknown, Unhealthy].map(|health| (health.code(), health));
    assert!(codes.is_sorted() && codes.map(|(code, _)| code) == [0, 1, 2, 3]);
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
    check(&[("engine", Unknown)], &[("disk", Healthy)], Degraded);
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
        silent: false,
        witnesses: vec![WitnessView {
            witness: Witness::Exporter,
            health: Degraded,
            message: String::from("refused"),
            last_check_at: at(2),
            silent: false,
        }],
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
    assert_eq!(history.last().map(|(_, c)| c.at), Some(at(1_499)), "the oldest are dropped");
}
