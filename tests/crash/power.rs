//! Power cuts: the exporter restarts with the data that was on the disk at one moment, without the data
//! that was only in memory.
//!
//! The journal is on an ext4 file system in a file. Under load the exporter is stopped and the file is
//! copied. The copy has the data written to the disk so far, and not the page cache of the file system,
//! as after a power cut. The exporter then starts on the copy.

use crate::Rounds;
use crate::exporter::Exporter;
use crate::load::{ClientReport, Home, Load, Orders, Plan, Random};
use crate::mount::{Mounted, copy_image, make_image};

pub(crate) fn cut(rounds: &Rounds) -> String {
    let rounds = rounds.of(5);
    let (mut acknowledged, mut unsure) = (0, 0);
    for round in 0..rounds {
        let (report, lost) = cut_once(round, "  segment_bytes: 256KiB\n");
        assert!(lost.is_empty(), "round {round}: lost {lost:?}");
        acknowledged += report.acknowledged.len();
        unsure += report.unsure.len();
    }
    assert!(acknowledged > 0);
    format!(
        "power cuts on ext4: {rounds} rounds, {acknowledged} orders acknowledged, {unsure} on their \
         way; lost: nothing"
    )
}

/// Without a sync for each batch, power cuts must lose data. Otherwise the test above proves nothing.
pub(crate) fn control_without_sync(rounds: &Rounds) -> String {
    let rounds = rounds.of(5);
    let (mut acknowledged, mut gone) = (0, 0);
    let storage = "  segment_bytes: 4MiB\n  sync: interval\n  sync_interval: 1m\n";
    for round in 0..rounds {
        let (report, lost) = cut_once(round, storage);
        assert!(!lost.is_empty(), "round {round}: nothing was lost without a sync");
        acknowledged += report.acknowledged.len();
        gone += lost.len();
    }
    format!(
        "the control, sync: interval: {rounds} rounds, {acknowledged} orders acknowledged, lost as it \
         must: {gone}"
    )
}

/// One power cut. Returns the recorded orders, and those of them that were lost.
fn cut_once(round: u64, storage: &str) -> (ClientReport, Orders) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    make_image(&path("disk"), 48);
    let disk = Mounted::image(&path("disk"), &path("mounted"));
    let home = Home::in_directory(directory.path(), &disk.path, storage);
    let exporter = Exporter::start(&home.config);
    let plan =
        Plan { name: "p".into(), clients: 4, orders_per_request: 5, requests_max: usize::MAX };
    let load = Load::start(exporter.address, &plan);
    load.wait_for(50 + Random(1 << (round + 30)).below(300));
    exporter.signal("STOP");
    copy_image(&path("disk"), &path("copy"));
    exporter.kill();
    let report = load.ended();
    drop(disk);

    let disk = Mounted::image(&path("copy"), &path("mounted-copy"));
    let home = Home::in_directory(directory.path(), &disk.path, storage);
    let exporter = Exporter::start(&home.config);
    let lost = home.check(&exporter, &report);
    drop(exporter);
    (report, lost)
}
