//! Missing evidence: books that never arrived or are too old, silent engines, silent components. Each is
//! detected, and latched if the settings say so.

use trading_exporter::domain::ids::{Account, Actor};
use trading_exporter::domain::record::{Decision, Entry, Refusal, Verdict};
use trading_exporter::domain::settings::{EvidenceResponse, Settings};
use trading_exporter::domain::state::{CauseKind, TradingState};

use crate::flow::Fold;

fn positions(source: &str) -> String {
    format!(
        r#"{{"type":"positions","account":"paper","source":"{source}","positions":[{{"symbol":"AAPL","quantity":5,"average_price":10}}]}}"#
    )
}

fn failed(source: &str) -> String {
    format!(
        r#"{{"type":"positions","account":"paper","source":"{source}","status":"failed","error":"timeout"}}"#
    )
}

const ENGINE_LIVES: &str = r#"{"type":"heartbeat","account":"paper","component":"engine"}"#;

/// The names of the account's missing evidence.
fn names(fold: &Fold) -> Vec<&'static str> {
    let account = fold.monitor.account("paper").expect("known");
    let since = account.missing(fold.monitor.now(), fold.monitor.settings());
    since.into_iter().filter_map(|(kind, since)| since.map(|_| kind.as_str())).collect()
}

fn state(fold: &Fold) -> TradingState {
    fold.monitor.permit("paper").state
}

fn release(fold: &mut Fold, force: bool) -> Verdict {
    let decision = Decision::Release {
        account: Account::new("paper").expect("an account"),
        epoch: fold.monitor.permit("paper").epoch,
        causes: Vec::new(),
        force,
        reason: "known".to_owned(),
        by: Actor::new("ops").expect("an actor").into(),
    };
    fold.apply(Entry::Decision(decision))
}

#[test]
fn a_book_that_never_arrived_is_missing() {
    let check = |source: &str, other: &str, expect: &str| {
        let mut fold = Fold::new(Settings::default());
        fold.lines(&positions(source));
        for _ in 0..179 {
            fold.wait(1);
            // A failed fetch is no evidence.
            fold.lines(&(positions(source) + "\n" + &failed(other)));
        }
        fold.wait(1);
        assert_eq!(names(&fold), Vec::<&str>::new(), "{source}");
        fold.wait(1);
        assert_eq!(names(&fold), [expect]);
        assert_eq!(state(&fold), TradingState::Active, "an alert by default");
        fold.lines(&positions(other));
        assert_eq!(names(&fold), Vec::<&str>::new(), "{other} came");
    };
    check("local", "broker", "broker_book_never_came");
    check("broker", "local", "local_book_never_came");
}

#[test]
fn a_book_that_is_too_old_is_missing() {
    let mut fold = Fold::new(Settings::default());
    fold.lines(&(positions("local") + "\n" + &positions("broker")));
    fold.wait(180);
    fold.lines(&positions("local"));
    assert_eq!(names(&fold), Vec::<&str>::new());
    fold.wait(1);
    assert_eq!(names(&fold), ["book_stale"]);
    fold.lines(&positions("broker"));
    assert_eq!(names(&fold), Vec::<&str>::new());
}

#[test]
fn a_broker_s_data_does_not_end_an_engine_s_silence() {
    let mut settings = Settings::default();
    settings.missing_evidence.engine_silent_after = Some(std::time::Duration::from_secs(30));
    let mut fold = Fold::new(settings);
    fold.lines(ENGINE_LIVES);
    let broker_lives =
        r#"{"type":"heartbeat","account":"paper","component":"broker","source":"broker"}"#;
    for _ in 0..30 {
        fold.wait(1);
        fold.lines(&(positions("broker") + "\n" + broker_lives));
    }
    assert_eq!(names(&fold), Vec::<&str>::new());
    fold.wait(1);
    assert_eq!(names(&fold), ["engine_silent"]);
    fold.lines(ENGINE_LIVES);
    assert_eq!(names(&fold), Vec::<&str>::new());
}

#[test]
fn missing_evidence_restricts_where_configured() {
    let check = |set: fn(&mut Settings, EvidenceResponse), run: fn(&mut Fold), subject: &str| {
        let asked = [
            (EvidenceResponse::Alert, TradingState::Active),
            (EvidenceResponse::Reduce, TradingState::Reducing),
            (EvidenceResponse::Halt, TradingState::Halted),
        ];
        for (response, expect) in asked {
            let mut settings = Settings::default();
            set(&mut settings, response);
            let mut fold = Fold::new(settings);
            fold.wait(1);
            run(&mut fold);
            fold.wait(180);
            assert_eq!(state(&fold), TradingState::Active, "{subject}");
            fold.wait(2);
            assert_eq!(state(&fold), expect, "{subject} {response:?}");
            let causes = fold.monitor.permit("paper").causes;
            let causes: Vec<_> = causes.iter().map(|c| (c.kind, c.subject.as_deref())).collect();
            let cause = (CauseKind::MissingEvidence, Some(subject));
            let set = usize::from(response != EvidenceResponse::Alert);
            assert_eq!(causes, vec![cause; set], "{response:?}");
        }
    };
    let never_came = |s: &mut Settings, response| s.missing_evidence.book_never_came = response;
    check(never_came, |fold| drop(fold.lines(&positions("broker"))), "local_book_never_came");
    check(never_came, |fold| drop(fold.lines(&positions("local"))), "broker_book_never_came");
    check(
        |s, response| s.missing_evidence.book_stale = response,
        |fold| drop(fold.lines(&(positions("local") + "\n" + &positions("broker")))),
        "book_stale",
    );
    check(
        |s, response| {
            s.missing_evidence.engine_silent = response;
            s.missing_evidence.engine_silent_after = Some(std::time::Duration::from_mins(3));
        },
        |fold| drop(fold.lines(ENGINE_LIVES)),
        "engine_silent",
    );
}

fn halting() -> Fold {
    let mut settings = Settings::default();
    settings.missing_evidence.book_stale = EvidenceResponse::Halt;
    Fold::new(settings)
}

#[test]
fn missing_evidence_latches_until_a_person_releases_it() {
    let mut fold = halting();
    let both = positions("local") + "\n" + &positions("broker");
    fold.lines(&both);
    fold.wait(182);
    assert_eq!(state(&fold), TradingState::Halted);
    assert_eq!(release(&mut fold, false), Verdict::Refused(Refusal::CauseOpen));
    // A person releases it, and the same missing evidence does not halt again.
    assert!(matches!(release(&mut fold, true), Verdict::Decided { .. }));
    fold.wait(10);
    assert_eq!(state(&fold), TradingState::Active);
    // It was present again, and is missing again.
    fold.lines(&both);
    fold.wait(182);
    assert_eq!(state(&fold), TradingState::Halted);
    // Its return releases nothing.
    fold.lines(&both);
    fold.wait(1);
    assert_eq!(state(&fold), TradingState::Halted);
    assert!(matches!(release(&mut fold, false), Verdict::Decided { .. }));
    assert_eq!(state(&fold), TradingState::Active);
}

#[test]
fn evidence_missed_while_the_exporter_was_down_halts_nobody() {
    let mut fold = halting();
    let both = positions("local") + "\n" + &positions("broker");
    fold.lines(&both);
    fold.skip(3_600);
    fold.wait(180);
    assert_eq!(names(&fold), ["book_stale"], "it is reported immediately");
    assert_eq!(state(&fold), TradingState::Active);
    fold.wait(2);
    assert_eq!(state(&fold), TradingState::Halted, "it was not renewed in time");
}

#[test]
fn a_silent_component_halts_unless_configured_otherwise() {
    let beat =
        r#"{"type":"heartbeat","account":"paper","component":"engine","interval_seconds":1}"#;
    let fails =
        r#"{"type":"heartbeat","account":"paper","component":"engine","status":"unhealthy"}"#;
    let silent = |halt_on_silence| {
        let mut settings = Settings::default();
        settings.health.halt_on_unhealthy = vec!["engine".to_owned()];
        settings.health.halt_on_silence = halt_on_silence;
        let mut fold = Fold::new(settings);
        fold.lines(beat);
        fold.wait(7);
        assert_eq!(state(&fold), TradingState::Active);
        fold.wait(1);
        fold
    };
    let fold = silent(true);
    let permit = fold.monitor.permit("paper");
    assert_eq!((permit.state, permit.causes[0].kind), (TradingState::Halted, CauseKind::Component));
    let mut fold = silent(false);
    assert_eq!(state(&fold), TradingState::Active);
    // A component that reports a status is not silent.
    fold.lines(fails);
    assert_eq!(state(&fold), TradingState::Halted);
}

#[test]
fn the_engine_does_not_overrule_the_broker() {
    let mut settings = Settings::default();
    settings.health.halt_on_unhealthy = vec!["broker".to_owned()];
    let mut fold = Fold::new(settings);
    let beat = |source: &str, status: &str| {
        format!(
            r#"{{"type":"heartbeat","account":"paper","component":"broker","source":"{source}","status":"{status}"}}"#
        )
    };
    fold.lines(&beat("broker", "unhealthy"));
    assert_eq!(state(&fold), TradingState::Halted);
    fold.lines(&[beat("local", "healthy"), beat("local", "healthy")].join("\n"));
    assert_eq!(release(&mut fold, false), Verdict::Refused(Refusal::CauseOpen));
    fold.lines(&[beat("broker", "healthy"), beat("broker", "healthy")].join("\n"));
    assert!(matches!(release(&mut fold, false), Verdict::Decided { .. }));
}
