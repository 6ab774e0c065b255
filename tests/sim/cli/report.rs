//! `sim report`: runs every goal's command and writes what it came to, numbers and words, so that nobody edits either.

use super::Args;
use super::batch::{Batch, Done, Ended, gather, jobs, run_all};
use super::goals::{Check, Limit, ROWS, Row};
use super::keep::{CODE, Keep, git};
use super::plot::{Series, draw};
use super::table::{Summary, number};
use core::fmt::Write;
use std::path::Path;
use swarmlet_tests::stories::{Setup, Story};

/// Peers, MiB and seeds of a quick report, which shows that everything works and nothing else.
const QUICK: (usize, f64, u64) = (12, 1.0, 2);

/// Runs all rows and writes `RESULTS.md` and `plots/` into a folder; `false` when an invariant was broken.
pub(crate) fn write(args: &Args) -> Result<bool, String> {
    let rows = prepared(args)?;
    let all: Vec<_> = rows.iter().flat_map(|row| jobs(row.story, &row.setup, row.seeds)).collect();
    let keep = Keep::within(args.keep.as_deref(), args.kept)?;
    let bar = super::progress_bar("report", all.len() as u64);
    let mut ended = run_all(&all, args.threads(), &keep, &bar).into_iter();
    bar.finish_and_clear();
    let batches: Vec<_> = rows.iter().map(|row| row.gathered(&mut ended)).collect();
    let folder = Path::new(&args.out);
    let plots = folder.join("plots");
    std::fs::create_dir_all(&plots).map_err(|error| format!("{}: {error}", plots.display()))?;
    let save = |path: &Path, text: String| {
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let drawn = drawings(&rows, &batches);
    for (name, svg) in &drawn {
        save(&plots.join(format!("{name}.svg")), svg.clone())?;
    }
    let names: Vec<_> = drawn.iter().map(|(name, _)| *name).collect();
    let text = results(args, &rows, &batches, &names) + &super::measured::part(folder)?;
    save(&folder.join("RESULTS.md"), text)?;
    let violations: Vec<_> = batches.iter().flat_map(|batch| &batch.violations).collect();
    violations.iter().for_each(|violation| eprintln!("sim: {violation}"));
    println!("wrote {}", folder.join("RESULTS.md").display());
    Ok(violations.is_empty())
}

/// A row, ready to run.
struct Prepared {
    row: &'static Row,
    command: String,
    story: &'static Story,
    setup: Setup,
    seeds: u64,
}

impl Prepared {
    fn gathered(&self, ended: &mut impl Iterator<Item = Ended>) -> Batch {
        let runs: Vec<_> = ended.take(usize::try_from(self.seeds).unwrap_or(usize::MAX)).collect();
        let wall_s = runs.iter().flatten().flatten().map(|run: &Done| run.wall_s).sum();
        gather(self.story, &self.setup, runs, wall_s)
    }
}

fn prepared(args: &Args) -> Result<Vec<Prepared>, String> {
    let mut rows = Vec::new();
    for row in ROWS {
        let mut row_args = Args::said(row.command)?;
        let mut command = row.command.to_owned();
        if args.quick {
            let (peers, mib, seeds) = QUICK;
            (row_args.peers, row_args.mib) = (Some(peers), Some(mib));
            row_args.seeds = row_args.seeds.min(seeds);
            command += &format!(" (quick: {peers} peers, {mib} MiB, {} seeds)", row_args.seeds);
        }
        let name = row_args.story.clone().unwrap_or_default();
        if args.only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let (story, setup) = super::prepare(&name, &row_args)?;
        rows.push(Prepared { row, command, story, setup, seeds: row_args.seeds });
    }
    Ok(rows)
}

/// A drawing for each story, with a series for each of its rows.
fn drawings(rows: &[Prepared], batches: &[Batch]) -> Vec<(&'static str, String)> {
    let mut drawn: Vec<(&'static str, Vec<Series>)> = Vec::new();
    for (row, batch) in rows.iter().zip(batches) {
        // Thousands of lines would be a blot.
        if batch.runs.len() > 100 {
            continue;
        }
        let curve = |run: &Done| {
            let bound = run.outcome.figure("bound_s");
            let times = run.outcome.curve.iter().map(|time| time / bound).collect();
            (times, run.outcome.givers)
        };
        let series = Series { title: row.row.title.to_owned(), runs: batch.runs.iter().map(curve).collect() };
        match drawn.iter_mut().find(|(name, _)| *name == row.story.name) {
            Some((_, list)) => list.push(series),
            None => drawn.push((row.story.name, vec![series])),
        }
    }
    drawn.into_iter().map(|(name, series)| (name, draw(name, &series))).collect()
}

/// The whole file.
fn results(args: &Args, rows: &[Prepared], batches: &[Batch], plots: &[&str]) -> String {
    let mut out = String::from(
        "# Results\n\nThe mesh beyond the tracker has its own: [OVERLAY.md](OVERLAY.md); \
         real peers over bad lines: [NETWORK.md](NETWORK.md). What real peers came to is [at the end](#real-peers).\n\n",
    );
    let _ = writeln!(
        out,
        "Written by `sim report{}`, numbers and words; do not edit.",
        if args.quick { " --quick" } else { "" }
    );
    let runs = || batches.iter().flat_map(|batch| &batch.runs);
    let wall_s: f64 = runs().map(|run| run.wall_s).sum();
    let cpu_s: f64 = runs().map(|run| run.cpu_s).sum();
    let _ = writeln!(
        out,
        "Commit {}. {}; the runs took {} min one by one, and had a processor for {:.0} % of that: the rest of the time the machine \
         had something else to do.\n",
        commit(),
        machine(args),
        number((wall_s / 6.0).round() / 10.0),
        100.0 * cpu_s / wall_s
    );
    out += "Each row is a command of the simulator (`make sim STORY=\"…\"`), run with as many seeds as it says, from 1 on. A *ratio* is a time \
            over the bound that no swarm can beat (`tests/sim/bounds.rs`), or over the same seed's run in a calmer world: `sim --list` \
            explains stories and figures. *Mean* is over the seeds, with the 95 % interval of Student's t and the extremes; counts \
            are sums. A goal is met when the mean is on its side.\n\n";
    let asked: u64 = rows.iter().map(|row| row.seeds).sum();
    let ran: usize = batches.iter().map(|batch| batch.runs.len()).sum();
    if args.kept && (ran as u64) < asked {
        let _ = writeln!(
            out,
            "**{} of {asked} runs are not here yet**: they are left out, and *Seeds* says how many there are.\n",
            asked - ran as u64
        );
    }
    let judged: Vec<_> = rows.iter().zip(batches).flat_map(|(row, batch)| judgements(row, batch)).collect();
    let with_goal = judged.iter().filter(|line| line.met.is_some()).count();
    let met = judged.iter().filter(|line| line.met == Some(true)).count();
    let _ = writeln!(out, "**{met} of {with_goal} figures with a goal are on its side.**\n");
    out += "| Goal | What | Figure | Goal value | Mean ± 95 % | From … to | Bound | Seeds | Met |\n|---|---|---|---|---|---|---|---|---|\n";
    judged.iter().for_each(|line| out.push_str(&line.text));
    out += "\n## Commands\n\n| What | Command | Events/s and core | Seconds of a run |\n|---|---|---|---|\n";
    for (row, batch) in rows.iter().zip(batches).filter(|(_, batch)| !batch.runs.is_empty()) {
        let _ = writeln!(
            out,
            "| {} | `sim {}` | {:.0} | {} |",
            row.row.title,
            row.command,
            batch.events_per_s(),
            rounded(batch.wall_s / batch.runs.len().max(1) as f64)
        );
    }
    out += &broken(batches);
    out += "\n## Completion curves\n\nThe share of the peers that give and have everything; a line for each seed.\n";
    for name in plots {
        let _ = writeln!(out, "\n### {name}\n\n![Completion curves of {name}](plots/{name}.svg)");
    }
    out
}

/// Invariants that were broken, if any.
fn broken(batches: &[Batch]) -> String {
    let all: Vec<_> = batches
        .iter()
        .flat_map(|batch| batch.violations.iter().map(|what| (batch.story.name, what)))
        .collect();
    if all.is_empty() {
        return "\nNo invariant was broken in any run.\n".to_owned();
    }
    let mut out = String::from("\n## Broken invariants\n\n");
    for (name, what) in all {
        let _ = writeln!(out, "- `{name}`: {what}");
    }
    out
}

/// One line of the table.
struct Judgement {
    text: String,
    met: Option<bool>,
}

fn judgements(row: &Prepared, batch: &Batch) -> Vec<Judgement> {
    if batch.runs.is_empty() && batch.violations.is_empty() {
        let text = format!("| {} | {} | | | not run | | | 0 |  |\n", row.row.checks[0].goal, row.row.title);
        return vec![Judgement { text, met: None }];
    }
    row.row.checks.iter().map(|check| judge(check, row, batch)).collect()
}

fn judge(check: &Check, row: &Prepared, batch: &Batch) -> Judgement {
    let (value, spread) = measured(check.figure, batch);
    let met = match check.limit {
        Limit::AtMost(limit) => Some(value <= limit),
        Limit::AtLeast(limit) => Some(value >= limit),
        Limit::Seen => None,
    };
    let met = met.map(|met| met && batch.violations.is_empty());
    let goal = match check.limit {
        Limit::AtMost(limit) => format!("≤ {}", number(limit)),
        Limit::AtLeast(limit) => format!("≥ {}", number(limit)),
        Limit::Seen => "–".to_owned(),
    };
    let (mean, range) = spread.map_or_else(
        || (rounded(value), "–".to_owned()),
        |summary| {
            let mean = if batch.runs.len() > 1 {
                format!("{} ± {}", rounded(value), rounded(summary.ci95))
            } else {
                rounded(value)
            };
            (mean, format!("{} … {}", rounded(summary.min), rounded(summary.max)))
        },
    );
    let word = match met {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "",
    };
    let text = format!(
        "| {} | {} | `{}` | {goal} | {mean} | {range} | {} s | {} | {word} |\n",
        check.goal,
        row.row.title,
        check.figure,
        rounded(Summary::of(&batch.values("bound_s")).mean),
        batch.runs.len(),
    );
    Judgement { text, met }
}

/// A figure over all seeds, with its spread where it has one.
fn measured(figure: &str, batch: &Batch) -> (f64, Option<Summary>) {
    let summary = |values: &[f64]| (Summary::of(values).mean, Some(Summary::of(values)));
    match figure {
        "events_per_s" => (batch.events_per_s(), None),
        "run_wall_s" => summary(&batch.runs.iter().map(|run| run.wall_s).collect::<Vec<_>>()),
        "stranded" | "honest_banned" | "corrupt_delivered" => (super::table::told(batch, figure), None),
        other => summary(&batch.values(other)),
    }
}

/// Four digits are enough for people.
fn rounded(value: f64) -> String {
    if !value.is_finite() {
        return "none".to_owned();
    }
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else if value.abs() >= 0.1 {
        3
    } else {
        5
    };
    let factor = 10f64.powi(digits);
    number((value * factor).round() / factor)
}

/// The last commit of what runs, which is not all of the repository, and whether files differ from it.
fn commit() -> String {
    let of = |words: &[&str]| git(&[words, &CODE].concat());
    let named = of(&["log", "-1", "--format=%h of %cs"]).unwrap_or_default();
    let changed = of(&["status", "--porcelain"]).is_none_or(|files| !files.is_empty());
    match (named.is_empty(), changed) {
        (true, _) => "unknown".to_owned(),
        (false, true) => format!("{named}, with changes"),
        (false, false) => named,
    }
}

/// Processor and threads.
fn machine(args: &Args) -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map(|rest| rest.trim_start_matches([' ', '\t', ':']));
    format!("{}, {} threads", model.unwrap_or("A processor that does not tell its name"), args.threads())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_command_with_figures_that_its_story_tells() {
        let args = Args::said("report --quick").unwrap();
        let rows = prepared(&args).unwrap();
        assert_eq!(rows.len(), ROWS.len());
        for story in swarmlet_tests::stories::ALL {
            assert!(rows.iter().any(|row| row.story.name == story.name), "{} is in no row", story.name);
        }
    }

    #[test]
    fn a_small_report_has_every_part() {
        let folder = std::env::temp_dir().join(format!("swarmlet-report-{}", std::process::id()));
        let mut args = Args::said("report --quick --only mixed --threads 1").unwrap();
        args.out = folder.display().to_string();
        assert_eq!(write(&args), Ok(true));
        let text = std::fs::read_to_string(folder.join("RESULTS.md")).unwrap();
        let svg = std::fs::read_to_string(folder.join("plots/mixed.svg")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(text.contains("| A3 | mixed lines | `ratio_last` | ≤ 1.12 |"), "{text}");
        assert!(text.contains("No invariant was broken") && text.contains("plots/mixed.svg"), "{text}");
        assert!(svg.matches("<path fill=\"none\"").count() == 2);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [123.4, 12.34, 1.23456, 0.012_345_6, f64::NAN].map(rounded),
            ["123", "12.3", "1.235", "0.01235", "none"]
        );
    }
}
