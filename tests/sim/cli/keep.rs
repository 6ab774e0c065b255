//! Runs that ended are kept in files, so that a report of hours need not be made in one go: what is there for this code
//! already is not run again. A run with a broken invariant is never kept.

use super::batch::{Done, Job};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;
use swarmlet_tests::stories::Outcome;

/// What a run depends on, which how it is told of is not.
pub(crate) const CODE: [&str; 5] = ["--", "core", "tests/sim", ":!tests/sim/cli", "Cargo.lock"];

/// Where runs are kept; nowhere by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keep {
    folder: Option<PathBuf>,
    /// What is not there is not run.
    pub(crate) only: bool,
}

impl Keep {
    /// A folder within `path` for the code of this commit. Where the code differs from it, or there is no commit, nothing is
    /// kept, since nobody could say what it was.
    pub(crate) fn within(path: Option<&str>, only: bool) -> Result<Self, String> {
        let Some(path) = path else { return Ok(Self::default()) };
        let of = |words: &[&str]| git(&[words, &CODE].concat());
        if of(&["status", "--porcelain"]).is_none_or(|changes| !changes.is_empty()) {
            return Err("only runs of committed code are kept".to_owned());
        }
        let code = of(&["ls-files", "--stage", "--full-name"]).ok_or("git does not name this code")?;
        let folder = PathBuf::from(path).join(&hex(code.as_bytes())[..16]);
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self { folder: Some(folder), only })
    }

    fn file(&self, (story, setup): &Job) -> Option<PathBuf> {
        let key = hex(format!("{} {setup:?}", story.name).as_bytes());
        self.folder.as_ref().map(|folder| folder.join(format!("{}-{}", story.name, &key[..24])))
    }

    /// A run that ended before.
    pub(crate) fn find(&self, job: &Job) -> Option<Done> {
        read(&std::fs::read_to_string(self.file(job)?).ok()?)
    }

    /// Keeps a run. That it cannot be kept is no failure of the run.
    pub(crate) fn put(&self, job: &Job, done: &Done) {
        if let Some(file) = self.file(job)
            && done.outcome.violation.is_none()
        {
            // Named when it is whole.
            let part = file.with_extension("part");
            if std::fs::write(&part, written(done)).is_ok() {
                let _ = std::fs::rename(&part, &file);
            }
        }
    }
}

/// What git says, if it does.
pub(crate) fn git(words: &[&str]) -> Option<String> {
    let said = Command::new("git").args(words).output().ok().filter(|said| said.status.success())?;
    Some(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A run as lines; numbers as Rust writes them, which are the same when they are read.
fn written(done: &Done) -> String {
    let outcome = &done.outcome;
    let mut out = format!("{} {} {} {}\n", done.wall_s, done.cpu_s, outcome.events, outcome.givers);
    outcome.trace.iter().for_each(|byte| out += &format!("{byte:02x}"));
    for time in &outcome.curve {
        let _ = write!(out, " {time}");
    }
    for (name, value) in &outcome.figures {
        let _ = write!(out, "\n{name} {value}");
    }
    out
}

/// `None`: it is not what was written.
fn read(text: &str) -> Option<Done> {
    let mut lines = text.lines();
    let mut head = lines.next()?.split(' ');
    let (wall_s, cpu_s) = (head.next()?.parse().ok()?, head.next()?.parse().ok()?);
    let (events, givers) = (head.next()?.parse().ok()?, head.next()?.parse().ok()?);
    let mut times = lines.next()?.split(' ');
    let digits = times.next()?;
    let mut trace = [0; 32];
    for (at, byte) in trace.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    let curve = times.map(|time| time.parse().ok()).collect::<Option<_>>()?;
    let mut figures = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(' ')?;
        figures.push((name.to_owned(), value.parse().ok()?));
    }
    let outcome = Outcome { figures, curve, givers, events, trace, strandings: Vec::new(), violation: None };
    Some(Done { outcome, wall_s, cpu_s })
}

#[cfg(test)]
mod tests {
    use super::super::batch::{jobs, run_one};
    use super::*;
    use indicatif::ProgressBar;
    use swarmlet_tests::stories;

    #[test]
    fn what_is_kept_is_what_was_run_and_of_that_seed_alone() {
        let folder = std::env::temp_dir().join(format!("swarmlet-keep-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let story = stories::find("mixed").unwrap();
        let mut setup = story.setup();
        (setup.peers, setup.mib) = (6, 0.5);
        let jobs = jobs(story, &setup, 2);
        let keep = Keep { folder: Some(folder.clone()), only: false };
        assert!(keep.find(&jobs[0]).is_none());
        let run = run_one(story, &jobs[0].1, &ProgressBar::hidden()).unwrap();
        keep.put(&jobs[0], &run);
        let kept = keep.find(&jobs[0]).unwrap();
        assert_eq!((kept.wall_s, kept.cpu_s), (run.wall_s, run.cpu_s));
        let (a, b) = (kept.outcome, run.outcome);
        assert_eq!((a.curve, a.givers, a.events, a.trace), (b.curve, b.givers, b.events, b.trace));
        assert_eq!(format!("{:?}", a.figures), format!("{:?}", b.figures), "not a number is not itself");
        assert!(keep.find(&jobs[1]).is_none());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
