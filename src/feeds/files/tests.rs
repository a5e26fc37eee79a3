//! Files that grow, are rotated and truncated, while the follower crashes and starts again, against the
//! lines that were written.

use std::fs::OpenOptions;
use std::io::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Something that happens to a file or to its follower.
#[derive(Clone, Debug)]
enum Step {
    /// The program writes.
    Append(&'static str),
    /// The file is renamed, and a new one begins.
    Rotate,
    /// All is taken, and the file is cut to nothing.
    Truncate,
    /// The next messages are taken.
    Take,
    /// The next messages are read, and the follower crashes before they are taken.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let text =
        prop_oneof![Just("a"), Just("b\n"), Just("\n"), Just("cc\nd\n"), Just("long-line\n")];
    let step = prop_oneof![
        6 => text.prop_map(Step::Append),
        1 => Just(Step::Rotate),
        1 => Just(Step::Truncate),
        3 => Just(Step::Take),
        1 => Just(Step::Crash),
    ];
    vec(step, 0..40)
}

/// The longest line that is taken.
const BYTES_MAX: usize = 4;

/// A file with its follower, and what was written to it.
struct Scene {
    directory: tempfile::TempDir,
    follower: FileFollower,
    taken: Vec<(String, String)>,
    /// The text of each file, oldest first.
    written: Vec<String>,
}

impl Scene {
    fn new(start: FeedStart, before: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("log"), before).unwrap();
        let source = FileSource::new(directory.path().join("log"), FileContent::Lines, start);
        let follower = FileFollower::new(source, None);
        Self { directory, follower, taken: Vec::new(), written: vec![before.to_owned()] }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Returns whether there was anything.
    fn take(&mut self) -> bool {
        let Some(batch) = self.follower.look(BYTES_MAX).batch else { return false };
        let text = |m: &FeedMessage| String::from_utf8(m.text.to_vec()).unwrap();
        self.taken.extend(batch.messages.iter().map(|m| (text(m), m.origin.clone())));
        self.follower.advance(batch);
        true
    }

    fn take_all(&mut self) {
        while self.take() {}
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Append(text) => {
                let mut file = OpenOptions::new().append(true).open(self.path()).unwrap();
                file.write_all(text.as_bytes()).unwrap();
                self.written.last_mut().unwrap().push_str(text);
            }
            Step::Rotate => {
                let number = self.written.len();
                // A file that nobody looked at before it was renamed is not known.
                self.follower.look(BYTES_MAX);
                let moved = self.directory.path().join(format!("old-{number}"));
                fs::rename(self.path(), moved).unwrap();
                fs::write(self.path(), "").unwrap();
                self.written.push(String::new());
            }
            Step::Truncate => {
                self.take_all();
                fs::write(self.path(), "").unwrap();
                self.take_all();
                self.written.push(String::new());
            }
            Step::Take => drop(self.take()),
            Step::Crash => {
                self.follower.look(BYTES_MAX);
                let places = serde_json::to_vec(&self.follower.places()).unwrap();
                let places = serde_json::from_slice(&places).unwrap();
                self.follower = FileFollower::new(self.follower.source.clone(), Some(places));
            }
        }
    }

    /// The lines that were written and are short enough.
    fn expect(&self) -> Vec<String> {
        let complete = |text: &str| text.rsplit_once('\n').map(|(lines, _)| lines.to_owned());
        let all = self.written.iter().filter_map(|text| complete(text));
        let lines: Vec<String> =
            all.flat_map(|t| t.split('\n').map(str::to_owned).collect::<Vec<_>>()).collect();
        lines.into_iter().filter(|line| !line.is_empty() && line.len() <= BYTES_MAX).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_line_is_taken_once_and_in_order(steps in steps()) {
        let mut scene = Scene::new(FeedStart::All, "");
        for step in &steps {
            scene.run(step);
        }
        scene.take_all();
        let taken: Vec<String> = scene.taken.iter().map(|(text, _)| text.clone()).collect();
        prop_assert_eq!(taken, scene.expect(), "{:?}", steps);
        // Each line has an origin of its own.
        let origins: BTreeSet<&str> = scene.taken.iter().map(|(_, origin)| &**origin).collect();
        prop_assert_eq!(origins.len(), scene.taken.len());
    }
}

#[test]
fn a_line_that_is_read_again_has_the_same_origin() {
    let mut scene = Scene::new(FeedStart::All, "a\n");
    let origin = |scene: &mut Scene| {
        scene.follower.look(BYTES_MAX).batch.unwrap().messages[0].origin.clone()
    };
    let before = origin(&mut scene);
    scene.run(&Step::Crash);
    assert_eq!(origin(&mut scene), before);
}

#[test]
fn a_feed_may_begin_with_new_lines() {
    let mut scene = Scene::new(FeedStart::New, "a\nb");
    assert!(!scene.take());
    scene.run(&Step::Append("b\nc\n"));
    scene.take_all();
    let taken: Vec<&str> = scene.taken.iter().map(|(text, _)| &**text).collect();
    assert_eq!(taken, ["c"], "the rest of a line that was there is no message");
}

#[test]
fn the_last_line_of_a_quiet_file_is_read_under_its_new_name() {
    let mut scene = Scene::new(FeedStart::All, "a\n");
    scene.take_all();
    for _ in 0..=IDLE_LOOKS {
        scene.take();
    }
    // Written and renamed between two looks.
    let mut file = OpenOptions::new().append(true).open(scene.path()).unwrap();
    file.write_all(b"b\n").unwrap();
    fs::rename(scene.path(), scene.directory.path().join("old")).unwrap();
    // While there is no file, what is known stays known.
    for _ in 0..=IDLE_LOOKS {
        scene.take();
    }
    fs::write(scene.path(), "c\n").unwrap();
    scene.take_all();
    let taken: BTreeSet<&str> = scene.taken.iter().map(|(text, _)| &**text).collect();
    assert_eq!((taken, scene.taken.len()), (BTreeSet::from(["a", "b", "c"]), 3));
}

#[test]
fn a_link_is_another_name_of_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let here = |name: &str| directory.path().join(name);
    fs::write(here("one.log"), "a\n").unwrap();
    std::os::unix::fs::symlink(here("one.log"), here("two.log")).unwrap();
    fs::hard_link(here("one.log"), here("three.log")).unwrap();
    let source = FileSource::new(here("*.log"), FileContent::Lines, FeedStart::All);
    let mut follower = FileFollower::new(source, None);
    let mut taken = 0;
    while let Some(batch) = follower.look(BYTES_MAX).batch {
        taken += batch.messages.len();
        follower.advance(batch);
        assert!(taken <= 1, "it is read again");
    }
    assert_eq!(taken, 1);
}
