//! A feed of files: looks at them again and again, and saves how far it was.
//!
//! Invariants: a place is saved after its messages are on disk; while the files cannot be read, or the
//! place not saved, the feed says so and tries again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::files::{FileFollower, FilePlaces, FileSource};
use super::position::PositionFile;
use super::sink::{Committed, commit};
use super::{FeedContext, FeedEvent};

/// Batches between two saved positions, while there are always more.
const BATCHES_UNSAVED_MAX: u32 = 16;

/// Follows files until `stop` is cancelled, with a pause of `poll` while there is nothing to read.
pub(super) async fn run(
    name: &str,
    (source, poll): (FileSource, Duration),
    context: FeedContext,
    stop: CancellationToken,
) {
    let describe = source.describe();
    let mut saver = PositionSaver::new(&context, name, describe);
    let Some(places) = saver.load::<FilePlaces>().await else { return };
    let mut follower = FileFollower::new(source, places);
    loop {
        if stop.is_cancelled() {
            saver.save(follower.places()).await;
            return;
        }
        let bytes_max = (context.message_bytes_max)();
        let look = context.run(move || {
            let look = follower.look(bytes_max);
            (follower, look)
        });
        // The file system may hang.
        let Some(Some((same, look))) = stop.run_until_cancelled(look).await else { return };
        follower = same;
        for event in look.events {
            let is_hidden = matches!(event, FeedEvent::Reading(_)) && saver.is_failing;
            if !is_hidden {
                context.observe(event);
            }
        }
        if look.has_new_file {
            saver.note();
            saver.save(follower.places()).await;
        }
        let Some(batch) = look.batch else {
            saver.save(follower.places()).await;
            stop.run_until_cancelled(tokio::time::sleep(poll)).await;
            continue;
        };
        if commit(&context, batch.messages.clone(), &stop).await == Committed::All {
            follower.advance(batch);
            if saver.note() {
                saver.save(follower.places()).await;
            }
        }
    }
}

/// Saves positions of a feed.
pub(super) struct PositionSaver<'c> {
    context: &'c FeedContext,
    /// `None`: positions are not kept.
    file: Option<PositionFile>,
    unsaved: u32,
    is_failing: bool,
}

impl<'c> PositionSaver<'c> {
    /// `source` is what the position is of.
    pub(super) fn new(context: &'c FeedContext, name: &str, source: String) -> Self {
        let of = |directory: &std::path::PathBuf| {
            PositionFile::new(directory, name, source, &context.journal.0)
        };
        let file = context.directory.as_ref().map(of);
        Self { context, file, unsaved: 0, is_failing: false }
    }

    /// The saved places. The outer `None`: the process is ending.
    pub(super) async fn load<P>(&self) -> Option<Option<P>>
    where
        P: serde::de::DeserializeOwned + Send + 'static,
    {
        let Some(file) = self.file.clone() else { return Some(None) };
        let sequence = self.context.journal.1;
        self.context.run(move || file.load(sequence)).await
    }

    /// Whether the last position could not be saved.
    pub(super) const fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// Notes that the places changed. Returns whether to save them now.
    pub(super) const fn note(&mut self) -> bool {
        self.unsaved += 1;
        self.unsaved >= BATCHES_UNSAVED_MAX
    }

    /// Saves the places if they changed, after the messages before them are on disk.
    pub(super) async fn save<P: serde::Serialize + Send + 'static>(&mut self, places: P) {
        if self.unsaved == 0 {
            return;
        }
        let Some(file) = self.file.clone() else { return self.unsaved = 0 };
        let Some(sequence) = (self.context.settle)().await else { return };
        match self.context.run(move || file.save(&places, sequence)).await {
            Some(Ok(())) => {
                self.unsaved = 0;
                self.is_failing = false;
            }
            Some(Err(error)) => {
                self.is_failing = true;
                let why = format!("its position cannot be saved: {error}");
                self.context.observe(FeedEvent::Failing(why));
            }
            None => {}
        }
    }
}
