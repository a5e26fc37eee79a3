//! Disks that fail, fill up, or are slow.

use std::fs;
use std::path::Path;

use crate::Rounds;
use crate::exporter::{Ended, Exporter};
use crate::load::{ClientReport, Home, Load, Orders, Plan, figure, orders};
use crate::mount::Mounted;

/// A sync fails: nothing is acknowledged after it, the sync is not retried, the process exits with an
/// error, and everything acknowledged before is kept.
pub(crate) fn failed_sync(rounds: &Rounds) -> String {
    let rounds = rounds.of(12);
    let (mut acknowledged, mut while_serving) = (0, 0);
    for n in 1..=rounds {
        let directory = tempfile::tempdir().unwrap();
        let home =
            Home::in_directory(directory.path(), directory.path(), "  segment_bytes: 64KiB\n");
        let trace = directory.path().join("strace");
        let (report, ended) = match start_with_failing_sync(&home, &trace, n) {
            Ok(exporter) => {
                let plan = Plan {
                    name: "f".into(),
                    clients: 4,
                    orders_per_request: 2,
                    requests_max: 2_000,
                };
                let report = Load::start(exporter.address, &plan).ended();
                while_serving += 1;
                (report, exporter.ended())
            }
            Err(ended) => (ClientReport::default(), ended),
        };
        assert_eq!(ended.status.code(), Some(1), "sync {n}: {}", ended.said);
        check_never_tried_again(&fs::read_to_string(trace).unwrap(), n);
        let lost = home.check(&Exporter::start(&home.config), &report);
        assert!(lost.is_empty(), "sync {n}: lost {lost:?}");
        acknowledged += report.acknowledged.len();
    }
    assert!(acknowledged > 0 && while_serving > 0);
    format!(
        "EIO at sync number 1 to {rounds} ({while_serving} while serving): ended with an error, never \
         tried again; {acknowledged} orders acknowledged; lost: nothing"
    )
}

/// Starts the exporter on a disk whose `n`-th sync fails.
fn start_with_failing_sync(home: &Home, trace: &Path, n: u64) -> Result<Exporter, Ended> {
    let output = trace.display().to_string();
    let inject = format!("inject=fdatasync:error=EIO:when={n}");
    let strace = ["--seccomp-bpf", "-o", &output, "-e", "trace=fdatasync", "-e", &inject];
    Exporter::try_start(&home.config, &strace)
}

/// With small segments an exporter syncs less often before it listens.
const STARTING_SYNCS_MAX: u64 = 60;

/// The sync of a halt requested by Alertmanager fails: the request fails, so Alertmanager sends it
/// again. A halt that was acknowledged is in force.
pub(crate) fn failed_sync_of_an_alert(rounds: &Rounds) -> String {
    let rounds = rounds.of(6);
    let (mut served, mut halted, mut refused) = (0, 0, 0);
    for n in 1..=rounds + STARTING_SYNCS_MAX {
        if served == rounds {
            break;
        }
        let directory = tempfile::tempdir().unwrap();
        let home =
            Home::in_directory(directory.path(), directory.path(), "  segment_bytes: 64KiB\n");
        let trace = directory.path().join("strace");
        let Ok(exporter) = start_with_failing_sync(&home, &trace, n) else { continue };
        served += 1;
        let mut acknowledged = Vec::new();
        let mut client = exporter.client();
        for number in 0.. {
            let account = format!("b{number}");
            let answer = client.send("POST", "/api/v1/alertmanager", &notification(&account));
            match answer {
                Some(answer) if answer.status == 200 => acknowledged.push(account),
                Some(answer) => {
                    assert_eq!(answer.status, 503, "{answer:?}");
                    assert!(answer.body.contains("journal_failed"), "{answer:?}");
                    refused += 1;
                    break;
                }
                None => break,
            }
        }
        assert_eq!(exporter.ended().status.code(), Some(1), "sync {n}");
        let again = Exporter::start(&home.config);
        for account in &acknowledged {
            let path = format!("/api/v1/permit?account={account}");
            let permit = again.client().send("GET", &path, "").unwrap().body;
            assert!(permit.contains(r#""state":"halted""#), "sync {n}: {permit}");
        }
        halted += acknowledged.len();
    }
    assert_eq!(served, rounds, "it started so often");
    assert!(halted > 0 && refused > 0, "{halted} halted, {refused} refused");
    format!(
        "EIO under halts by Alertmanager: {rounds} rounds, {halted} answered 200 and {refused} 503; halts \
         lost: none"
    )
}

/// An alert that halts an account, as Alertmanager sends it.
fn notification(account: &str) -> String {
    format!(
        r#"{{"version":"4","groupKey":"{{}}:{{}}","status":"firing","receiver":"halt","alerts":[
            {{"status":"firing","fingerprint":"{account}","startsAt":"2026-11-22T14:30:00Z",
              "labels":{{"alertname":"FillRatioLow","account":"{account}","action":"halt"}}}}]}}"#
    )
}

/// After the failed sync, its thread calls no other sync.
fn check_never_tried_again(trace: &str, n: u64) {
    let failed = trace.lines().position(|line| line.contains("EIO")).expect("it failed");
    let thread = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let lines: Vec<&str> = trace.lines().collect();
    let again = lines[failed + 1..]
        .iter()
        .find(|line| thread(line) == thread(lines[failed]) && line.contains("fdatasync("));
    assert_eq!(again, None, "sync {n} was tried again");
}

/// A small disk fills up: events are rejected, everything else works, and there is room for halts.
pub(crate) fn full(rounds: &Rounds) -> String {
    let (mut accepted, mut halts) = (0, 0);
    for round in 0..rounds.of(2) {
        let directory = tempfile::tempdir().unwrap();
        let disk = Mounted::memory(&directory.path().join("disk"), 1_024);
        let home = Home::in_directory(directory.path(), &disk.path, "  segment_bytes: 128KiB\n");
        let mut exporter = Exporter::start(&home.config);
        let plan =
            Plan { name: "e".into(), clients: 2, orders_per_request: 100, requests_max: 100 };
        let mut report = Load::start(exporter.address, &plan).ended();
        assert!(report.refused.get(&503).is_some_and(|n| *n > 10), "{:?}", report.refused);
        let post = |exporter: &Exporter, path: &str, body: &str| {
            exporter.client().send("POST", path, body).unwrap()
        };
        fill_up(&exporter, &mut report);
        let event = orders(&Orders::from([format!("late-{round}")]));
        for restarted in [false, true] {
            let refused = post(&exporter, "/api/v1/events", &event);
            assert!(refused.status == 503 && refused.body.contains("disk_full"), "{refused:?}");
            let get = |path: &str| exporter.client().send("GET", path, "").unwrap();
            assert_eq!(get("/-/healthy").status, 200);
            assert_eq!(get("/-/ready").status, 503);
            assert_eq!(get("/metrics").status, 200);
            let halt = format!(
                r#"{{"account":"b","state":"halted","actor":"jo","reason":"full, {restarted}"}}"#
            );
            let set = post(&exporter, "/api/v1/halts", &halt);
            assert_eq!(set.status, 201, "{set:?}");
            halts += 1;
            exporter.kill();
            exporter = Exporter::start(&home.config);
            let get = |path: &str| exporter.client().send("GET", path, "").unwrap().body;
            let audit = get("/api/v1/audit?account=b");
            assert!(audit.contains(&format!("full, {restarted}")), "{audit}");
            let metrics = get("/metrics");
            assert!(figure(&metrics, r#"trading_state{account="b"}"#) > 1.0, "{metrics}");
        }
        let lost = home.check(&exporter, &report);
        assert!(lost.is_empty(), "lost {lost:?}");

        disk.resize(8 * 1024);
        wait_until_accepted(&exporter, &event);
        report.acknowledged.insert(format!("late-{round}"));
        let lost = home.check(&exporter, &report);
        assert!(lost.is_empty(), "lost {lost:?}");
        accepted += report.acknowledged.len();
    }
    format!(
        "full disk: {accepted} orders acknowledged, events refused, {halts} halts set and kept over \
         kill -9 and restart on the full disk, events taken again with room; lost: nothing"
    )
}

/// Posts small requests until the disk is full.
fn fill_up(exporter: &Exporter, report: &mut ClientReport) {
    for n in 0.. {
        let order = Orders::from([format!("small-{n}")]);
        let answer = exporter.client().send("POST", "/api/v1/events", &orders(&order)).unwrap();
        if answer.status == 503 {
            report.unsure.extend(order);
            return;
        }
        assert!(answer.status == 200 && n < 10_000, "{answer:?}");
        report.acknowledged.extend(order);
    }
}

/// The exporter tries to allocate room at most once a second.
fn wait_until_accepted(exporter: &Exporter, event: &str) {
    let deadline = trading_exporter::clock::monotonic() + crate::exporter::SOON;
    while exporter.client().send("POST", "/api/v1/events", event).unwrap().status != 200 {
        assert!(trading_exporter::clock::monotonic() < deadline, "there is room");
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

/// Each sync takes 200 ms: many requests share one, and memory does not grow.
pub(crate) fn slow(rounds: &Rounds) -> String {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::in_directory(directory.path(), directory.path(), "  segment_bytes: 4MiB\n");
    let trace = directory.path().join("strace");
    let output = trace.display().to_string();
    let inject = "inject=fdatasync:delay_enter=200000";
    let strace = ["--seccomp-bpf", "-o", &output, "-e", "trace=fdatasync", "-e", inject];
    let exporter = Exporter::try_start(&home.config, &strace).expect("it starts");
    let requests = usize::try_from(rounds.of(20)).unwrap();
    let burst = |name: &str| {
        let plan =
            Plan { name: name.into(), clients: 64, orders_per_request: 10, requests_max: requests };
        let report = Load::start(exporter.address, &plan).ended();
        assert!(report.refused.is_empty(), "{:?}", report.refused);
        (report, resident_kib(exporter.pid()))
    };
    let (mut report, after_first) = burst("one");
    let (second, after_second) = burst("two");
    report.add(second);
    let orders = report.acknowledged.len();
    // The memory of the orders in the state, and some slack for the allocator.
    let allowed = after_first + 8 * 1024 + u64::try_from(orders).unwrap() * 2;
    assert!(after_second <= allowed, "from {after_first} to {after_second} KiB");
    let syncs = fs::read_to_string(trace).unwrap().matches("fdatasync(").count();
    let requests = 2 * 64 * requests;
    assert!(syncs * 10 < requests, "{syncs} syncs for {requests} requests");
    exporter.kill();
    let lost = home.check(&Exporter::start(&home.config), &report);
    assert!(lost.is_empty(), "lost {lost:?}");
    format!(
        "200 ms a sync: {requests} requests in {syncs} syncs, memory {after_first} KiB after the first \
         half and {after_second} KiB after the second; lost: nothing"
    )
}

/// Resident memory of a process.
fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}
