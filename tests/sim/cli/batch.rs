//! Many seeds of one story, on several threads: runs are independent, each is one thread's alone.

use super::keep::Keep;
use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use swarmlet_tests::stories::{Outcome, Setup, Story};

/// Steps of the progress bar for each run.
pub(crate) const STEPS: u64 = 1000;

/// One run and what it took.
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    pub(crate) wall_s: f64,
    /// Time that a processor worked on it, where the system tells; else the same as `wall_s`.
    pub(crate) cpu_s: f64,
}

/// All runs of a command, in the order of their seeds.
pub(crate) struct Batch {
    pub(crate) story: &'static Story,
    pub(crate) setup: Setup,
    pub(crate) runs: Vec<Done>,
    /// Time from the first run's beginning to the last one's end.
    pub(crate) wall_s: f64,
    pub(crate) violations: Vec<String>,
    /// The first seed with one.
    pub(crate) failed: Option<u64>,
}

impl Batch {
    /// Events of all runs.
    pub(crate) fn events(&self) -> u64 {
        self.runs.iter().map(|run| run.outcome.events).sum()
    }

    /// Events for each second of one core: what else the machine is doing does not count.
    pub(crate) fn events_per_s(&self) -> f64 {
        self.events() as f64 / self.runs.iter().map(|run| run.cpu_s).sum::<f64>()
    }

    /// The trace of the run, or the hash over those of all runs.
    pub(crate) fn trace(&self) -> String {
        let hash: [u8; 32] = match self.runs.as_slice() {
            [run] => run.outcome.trace,
            runs => {
                let mut hash = Sha256::new();
                runs.iter().for_each(|run| hash.update(run.outcome.trace));
                hash.finalize().into()
            }
        };
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A figure's value in each run.
    pub(crate) fn values(&self, name: &str) -> Vec<f64> {
        self.runs.iter().map(|run| run.outcome.figure(name)).collect()
    }
}

/// Runs a story with `seeds` seeds, from the setup's on.
pub(crate) fn run_seeds(
    story: &'static Story,
    setup: &Setup,
    seeds: u64,
    threads: usize,
    keep: &Keep,
    bar: &ProgressBar,
) -> Batch {
    let started = Instant::now();
    let jobs = jobs(story, setup, seeds);
    let runs = run_all(&jobs, threads, keep, bar);
    gather(story, setup, runs, started.elapsed().as_secs_f64())
}

/// What there is to run for some seeds of a story.
pub(crate) fn jobs(story: &'static Story, setup: &Setup, seeds: u64) -> Vec<Job> {
    let with_seed = |number| {
        let mut setup = setup.clone();
        setup.seed += number;
        (story, setup)
    };
    (0..seeds).map(with_seed).collect()
}

/// One run to be done.
pub(crate) type Job = (&'static Story, Setup);
/// What became of it: its figures, the words of a panic, or nothing, since it was not to be run.
pub(crate) type Ended = Option<Result<Done, String>>;

/// Runs jobs on several threads, but for those that are kept; the results are in the order of the jobs.
pub(crate) fn run_all(jobs: &[Job], threads: usize, keep: &Keep, bar: &ProgressBar) -> Vec<Ended> {
    let next = AtomicUsize::new(0);
    let ended = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(jobs.len()) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(number) else { return };
                    let run = run_or_find(job, keep, bar);
                    ended.lock().expect("no thread panics while it holds the list").push((number, run));
                }
            });
        }
    });
    let mut ended = ended.into_inner().expect("all threads have ended well");
    ended.sort_by_key(|(number, _)| *number);
    ended.into_iter().map(|(_, run)| run).collect()
}

fn run_or_find(job: &Job, keep: &Keep, bar: &ProgressBar) -> Ended {
    let kept = keep.find(job);
    if kept.is_some() || keep.only {
        bar.inc(STEPS);
        return kept.map(Ok);
    }
    let run = run_one(job.0, &job.1, bar);
    if let Ok(done) = &run {
        keep.put(job, done);
    }
    Some(run)
}

/// Puts the runs of one command together.
pub(crate) fn gather(story: &'static Story, setup: &Setup, ended: Vec<Ended>, wall_s: f64) -> Batch {
    let (mut runs, mut violations, mut failed) = (Vec::new(), Vec::new(), None);
    for (seed, run) in (setup.seed..).zip(ended) {
        match run {
            None => {}
            Some(Ok(run)) => {
                violations.extend(run.outcome.violation.clone());
                runs.push(run);
            }
            Some(Err(panic)) => violations.push(format!("seed {seed}: {panic}")),
        }
        if !violations.is_empty() {
            failed.get_or_insert(seed);
        }
    }
    Batch { story, setup: setup.clone(), runs, wall_s, violations, failed }
}

/// One run. A panic of the engine is a broken invariant like any other.
pub(crate) fn run_one(story: &Story, setup: &Setup, bar: &ProgressBar) -> Result<Done, String> {
    let (started, cpu_before) = (Instant::now(), thread_cpu_s());
    let mut shown = 0;
    let mut progress = |share: f64| {
        let now = (share.clamp(0.0, 1.0) * STEPS as f64) as u64;
        bar.inc(now.saturating_sub(shown));
        shown = shown.max(now);
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| (story.run)(setup, &mut progress)));
    bar.inc(STEPS.saturating_sub(shown));
    let wall_s = started.elapsed().as_secs_f64();
    let cpu_s = cpu_before.zip(thread_cpu_s()).map_or(wall_s, |(before, after)| after - before);
    outcome.map(|outcome| Done { outcome, wall_s, cpu_s }).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
    })
}

/// Seconds that this thread has run on a processor: Linux tells nanoseconds in the first field.
fn thread_cpu_s() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse::<f64>().ok().map(|nanoseconds| nanoseconds / 1e9)
}
