//! The command line: what can be said, and what is answered.

mod batch;
mod goals;
mod keep;
mod measured;
mod plot;
mod report;
mod save;
mod table;

use batch::run_seeds;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use keep::Keep;
use std::process::ExitCode;
use swarmlet_tests::stories::{self, COMMON, Knob, Setup, Story, Value};

/// What can be said.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "sim",
    about = "Runs stories in the simulated world and prints what they came to as figures."
)]
pub(crate) struct Args {
    /// A story, or `report` for all of them (see --list)
    pub(crate) story: Option<String>,
    /// Peers that want the content
    #[arg(long)]
    pub(crate) peers: Option<usize>,
    /// Size of the content in MiB
    #[arg(long)]
    pub(crate) mib: Option<f64>,
    /// The origin's upload as a multiple of a peer's
    #[arg(long)]
    pub(crate) origin_ratio: Option<f64>,
    /// The seed, or the first of several
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Runs, each with the next seed
    #[arg(long, default_value_t = 1)]
    pub(crate) seeds: u64,
    /// A value by its name (see --list)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
    /// Explain stories, values and figures
    #[arg(long)]
    list: bool,
    /// Runs at the same time [default: one for each core]
    #[arg(long)]
    threads: Option<usize>,
    /// Keep what a node was told as a tape that the tests play again: of the first run that went wrong, else of the first
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<String>,
    /// Whose [default: the one that a broken invariant names, or who was told something last; where nothing went wrong, 1]
    #[arg(long, value_name = "PEER")]
    pub(crate) save_peer: Option<usize>,
    /// report: small sizes, to see that it works
    #[arg(long)]
    quick: bool,
    /// report: this story alone
    #[arg(long)]
    only: Option<String>,
    /// Keep each run that ends in this folder, and do not run again what is there for this code
    #[arg(long, value_name = "FOLDER")]
    keep: Option<String>,
    /// With --keep: run nothing, and tell of what is there
    #[arg(long)]
    kept: bool,
    /// report: run nothing; only put what real peers came to (`measured/`) at the end of RESULTS.md
    #[arg(long)]
    measured: bool,
    /// report: the folder for RESULTS.md, plots and measured
    #[arg(long, default_value = "docs")]
    out: String,
}

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        print!("{}", list());
        return ExitCode::SUCCESS;
    }
    let done = match args.story.as_deref() {
        Some("report") if args.measured => measured::renew(&args.out).map(|()| true),
        Some("report") => report::write(&args),
        Some(name) => run_story(name, &args),
        None => Err("say which story (sim --list)".to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(what) => {
            eprintln!("sim: {what}");
            ExitCode::from(2)
        }
    }
}

/// Runs one story; `false` when an invariant was broken.
fn run_story(name: &str, args: &Args) -> Result<bool, String> {
    let (story, setup) = prepare(name, args)?;
    let bar = progress_bar(name, args.seeds);
    // What is to be saved is recorded, and so is what goes wrong: that needs a run.
    let keep = args.keep.as_deref().filter(|_| args.save.is_none());
    let keep = Keep::within(keep, args.kept)?;
    let batch = run_seeds(story, &setup, args.seeds, args.threads(), &keep, &bar);
    bar.finish_and_clear();
    let strandings = batch.runs.iter().flat_map(|run| &run.outcome.strandings).take(20);
    for line in strandings.chain(&batch.violations) {
        eprintln!("sim: {line}");
    }
    if let Some(file) = &args.save {
        eprintln!("sim: {}", save::save(&batch, args.save_peer, file)?);
    } else if let Some(seed) = batch.failed {
        eprintln!("sim: to keep this run: {}", save::command(name, args, seed));
    }
    if args.json {
        println!("{}", table::json(&batch));
    } else {
        print!("{}", table::text(&batch));
    }
    Ok(batch.violations.is_empty())
}

/// The story and its parameters.
fn prepare(name: &str, args: &Args) -> Result<(&'static Story, Setup), String> {
    let names = || {
        stories::ALL
            .iter()
            .chain(swarmlet_tests::overlay::ALL)
            .map(|story| story.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let story = stories::find(name).ok_or_else(|| format!("no story `{name}`; there are {}", names()))?;
    let mut setup = story.setup();
    setup.seed = args.seed;
    setup.peers = args.peers.unwrap_or(setup.peers);
    setup.mib = args.mib.unwrap_or(setup.mib);
    setup.origin_ratio = args.origin_ratio.unwrap_or(setup.origin_ratio);
    if args.seeds == 0 || setup.peers == 0 || !(setup.mib > 0.0 && setup.origin_ratio > 0.0) {
        return Err("seeds, peers, mib and origin-ratio are above 0".to_owned());
    }
    for assignment in &args.set {
        setup.set(assignment)?;
    }
    Ok((story, setup))
}

impl Args {
    /// What a line says, the program's name left away.
    fn said(line: &str) -> Result<Self, String> {
        let words = std::iter::once("sim").chain(line.split_whitespace());
        Self::try_parse_from(words).map_err(|error| format!("`{line}`: {error}"))
    }

    fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or(cores).max(1)
    }
}

/// Drawn on a terminal only.
fn progress_bar(name: &str, seeds: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} [{bar:40}] {percent} % {elapsed} {msg}");
    let bar = ProgressBar::new(seeds * batch::STEPS).with_prefix(name.to_owned());
    style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style.progress_chars("=> ")))
}

/// What there is to run and to set, and what the figures mean.
fn list() -> String {
    let mut out =
        String::from("Stories (default size: peers, MiB, origin's upload as a multiple of a peer's):\n");
    for story in stories::ALL.iter().chain(swarmlet_tests::overlay::ALL) {
        let (peers, mib, ratio) = story.size;
        out += &format!("\n{} ({peers}, {mib}, {ratio})\n{}", story.name, wrapped(story.about, "    "));
        for knob in story.knobs {
            out += &knob_line(knob);
        }
    }
    out += "\nEvery story also knows:\n";
    for knob in COMMON {
        out += &knob_line(knob);
    }
    out += "\nFigures of one run:\n";
    for (name, about) in table::FIGURES {
        let mut lines = wrapped(about, &" ".repeat(32));
        lines.replace_range(..32, &format!("  {name:<30}"));
        out += &lines;
    }
    out
}

fn knob_line(knob: &Knob) -> String {
    let default = match knob.default {
        Value::Number(value) => value.to_string(),
        Value::Word(word, _) => word.to_owned(),
    };
    let mut lines = wrapped(knob.about, &" ".repeat(34));
    lines.replace_range(..34, &format!("    --set {:<24}", format!("{}={default}", knob.name)));
    lines
}

/// Words in lines of at most 110 characters.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = vec![indent.to_owned()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a last line");
        if line.len() + word.len() + 1 > 110 && line.len() > indent.len() {
            lines.push(format!("{indent}{word}"));
        } else {
            if line.len() > indent.len() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_reaches_the_story() {
        let args = Args::said(
            "free-riders --peers 7 --mib 0.5 --origin-ratio 2 --seed 9 --set free_rider_share=0.7 --set up=1",
        )
        .unwrap();
        let (story, setup) = prepare("free-riders", &args).unwrap();
        assert_eq!((story.name, setup.peers, setup.bytes(), setup.seed), ("free-riders", 7, 1 << 19, 9));
        assert_eq!((setup.number("free_rider_share"), setup.origin_up()), (0.7, 250_000.0));
    }

    #[test]
    fn what_is_unknown_is_refused_with_what_is_known() {
        let refused = |words: &str| {
            prepare(words.split(' ').next().unwrap(), &Args::said(words).unwrap()).map(|_| ()).unwrap_err()
        };
        assert!(refused("flash-mob").contains("flash-crowd"));
        assert!(refused("flash-crowd --set free_rider_share=1").contains("rtt_max"));
        assert!(refused("flash-crowd --peers 0").contains("above 0"));
    }

    #[test]
    fn the_list_names_everything() {
        let list = list();
        for story in stories::ALL {
            assert!(list.contains(story.name));
            for knob in story.knobs.iter().chain(COMMON) {
                assert!(list.contains(knob.name), "{}", knob.name);
            }
        }
        assert!(list.lines().all(|line| line.chars().count() <= 120), "{list}");
    }
}
