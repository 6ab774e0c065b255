//! The goals, each with the command that measures it: `sim report` runs them all.

/// What a figure is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
    /// Told, not judged.
    Seen,
}

/// One figure of a row.
pub(crate) struct Check {
    pub(crate) goal: &'static str,
    pub(crate) figure: &'static str,
    pub(crate) limit: Limit,
}

/// One command.
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) command: &'static str,
    pub(crate) checks: &'static [Check],
}

const fn at_most(goal: &'static str, figure: &'static str, limit: f64) -> Check {
    Check { goal, figure, limit: Limit::AtMost(limit) }
}

const fn at_least(goal: &'static str, figure: &'static str, limit: f64) -> Check {
    Check { goal, figure, limit: Limit::AtLeast(limit) }
}

const fn seen(goal: &'static str, figure: &'static str) -> Check {
    Check { goal, figure, limit: Limit::Seen }
}

/// All rows. The largest come first, so that they are not what is waited for at the end.
pub(crate) const ROWS: &[Row] = &[
    Row {
        title: "10,000 peers, 16 MiB, C = 4",
        command: "flash-crowd --peers 10000 --mib 16 --origin-ratio 4 --seeds 1",
        checks: &[at_most("A1", "ratio_last", 1.15), seen("A1", "ratio_median"), seen("E2", "run_wall_s")],
    },
    Row {
        title: "1,000 peers, 64 MiB, C = 4",
        command: "flash-crowd --peers 1000 --mib 64 --origin-ratio 4 --seeds 2",
        checks: &[
            at_most("A1", "ratio_last", 1.10),
            at_most("A1", "ratio_median", 1.06),
            seen("A1", "last_over_rounds"),
            at_most("A7", "overhead", 0.02),
            at_most("A7", "duplicates", 0.01),
            at_most("E2", "run_wall_s", 120.0),
            at_least("E2", "events_per_s", 300_000.0),
        ],
    },
    Row {
        title: "1,000 peers, 64 MiB, C = 1",
        command: "flash-crowd --peers 1000 --mib 64 --origin-ratio 1 --seeds 2",
        checks: &[
            at_most("A1", "ratio_last", 1.10),
            at_most("A2", "origin_until_out", 1.15),
            at_least("A2", "uplink_use", 0.92),
        ],
    },
    Row {
        title: "1,000 viewers",
        command: "streaming --peers 1000 --mib 16 --seeds 1",
        checks: &[at_least("B1", "offload", 0.90), at_most("B1", "stalls_over_http", 0.001)],
    },
    Row {
        title: "1,000 viewers of a film of nine minutes",
        command: "streaming --peers 1000 --mib 64 --seeds 1",
        checks: &[at_least("B1", "offload", 0.90), at_most("B1", "stalls_over_http", 0.001)],
    },
    Row {
        title: "100 peers, C = 4",
        command: "flash-crowd --peers 100 --mib 16 --origin-ratio 4 --seeds 30",
        checks: &[
            at_most("A1", "ratio_last", 1.10),
            at_most("A1", "ratio_median", 1.06),
            seen("A1", "last_over_rounds"),
            at_most("A7", "overhead", 0.02),
            at_most("A7", "duplicates", 0.01),
        ],
    },
    Row {
        title: "100 peers, C = 1",
        command: "flash-crowd --peers 100 --mib 16 --origin-ratio 1 --seeds 30",
        checks: &[
            at_most("A1", "ratio_last", 1.10),
            at_most("A2", "origin_until_out", 1.15),
            at_least("A2", "uplink_use", 0.92),
        ],
    },
    Row {
        title: "mixed lines",
        command: "mixed --peers 200 --mib 16 --seeds 10",
        checks: &[
            at_most("A3", "ratio_last", 1.12),
            at_most("A3", "strong_mean_ratio", 0.5),
            at_most("A3", "weak_mean_ratio", 1.10),
        ],
    },
    Row {
        title: "30 % free riders",
        command: "free-riders --peers 100 --mib 16 --seeds 10 --set free_rider_share=0.3",
        checks: &[
            at_most("A4", "contributors_mean_ratio", 1.08),
            at_most("A4", "contributors_p99_ratio", 1.35),
            seen("A4", "free_riders_over_contributors"),
        ],
    },
    Row {
        title: "50 % free riders",
        command: "free-riders --peers 200 --mib 16 --seeds 10 --set free_rider_share=0.5",
        checks: &[
            at_most("A4", "contributors_mean_ratio", 1.15),
            at_most("A4", "contributors_p99_ratio", 1.35),
            at_least("A4", "free_riders_over_contributors", 1.5),
        ],
    },
    Row {
        title: "70 % free riders",
        command: "free-riders --peers 100 --mib 16 --seeds 10 --set free_rider_share=0.7",
        checks: &[
            at_most("A4", "contributors_mean_ratio", 1.30),
            seen("A4", "contributors_p99_ratio"),
            seen("A4", "free_riders_over_contributors"),
        ],
    },
    Row {
        title: "50 % free riders, to no incentive",
        command: "free-riders --peers 100 --mib 16 --seeds 10 --set free_rider_share=0.5 --set baseline=none",
        checks: &[seen("A4", "contributors_mean_ratio"), seen("A4", "free_riders_mean_ratio")],
    },
    Row {
        title: "50 % free riders, to classic BitTorrent",
        command: "free-riders --peers 100 --mib 16 --seeds 10 --set free_rider_share=0.5 --set baseline=classic",
        checks: &[at_most("A4", "contributors_mean_ratio", 0.70), seen("A4", "free_riders_mean_ratio")],
    },
    Row {
        title: "50 % free riders, to classic BitTorrent with 8 slots",
        command: "free-riders --peers 100 --mib 16 --seeds 10 --set free_rider_share=0.5 --set baseline=classic --set classic_slots=8",
        checks: &[at_most("A4", "contributors_mean_ratio", 0.70), seen("A4", "free_riders_mean_ratio")],
    },
    Row {
        title: "classic BitTorrent, 50 % free riders",
        command: "free-riders --peers 100 --mib 16 --seeds 10 --set free_rider_share=0.5 --set incentive=classic",
        checks: &[seen("A4", "contributors_mean_ratio"), seen("A4", "free_riders_over_contributors")],
    },
    Row {
        title: "classic BitTorrent, 100 peers, C = 4",
        command: "flash-crowd --peers 100 --mib 16 --origin-ratio 4 --seeds 10 --set incentive=classic",
        checks: &[
            seen("A1", "ratio_last"),
            seen("A1", "ratio_median"),
            seen("A2", "uplink_use"),
            at_most("A4", "stranded", 0.0),
        ],
    },
    Row {
        title: "40 % free riders with five times the links",
        command: "large-view --peers 100 --mib 16 --seeds 10",
        checks: &[
            at_least("A5", "riders_median_over_median", 1.0),
            seen("A5", "first_rider_over_median"),
            seen("A5", "contributors_mean_ratio"),
        ],
    },
    Row {
        title: "peers leave when done, 30 % per hour go and come",
        command: "churn --peers 100 --mib 16 --seeds 10",
        checks: &[at_most("A6", "stranded", 0.0), at_most("A6", "ratio_last", 1.15)],
    },
    Row {
        title: "the origin dies once one copy is out",
        command: "churn --peers 100 --mib 16 --origin-ratio 1 --seeds 10 --set churn=0 --set leave=0 --set origin_leaves=1",
        checks: &[at_most("A6", "stranded", 0.0), seen("A6", "ratio_last")],
    },
    Row {
        title: "half are free riders, and all leave when done",
        command: "churn --peers 100 --mib 16 --seeds 10 --set churn=0 --set free_rider_share=0.5",
        checks: &[at_most("A6", "stranded", 0.0), seen("A6", "ratio_last")],
    },
    Row {
        title: "30 % poisoners",
        command: "poisoners --peers 100 --mib 16 --seeds 10",
        checks: &[
            at_most("D1", "corrupt_delivered", 0.0),
            at_most("D1", "wasted", 0.01),
            at_most("D1", "last_over_calm_scaled", 1.15),
            at_most("D2", "honest_banned", 0.0),
        ],
    },
    Row {
        title: "10 % poisoners",
        command: "poisoners --peers 100 --mib 16 --seeds 10 --set poisoner_share=0.1",
        checks: &[
            at_most("D1", "corrupt_delivered", 0.0),
            at_most("D1", "wasted", 0.004),
            at_most("D1", "last_over_calm_scaled", 1.05),
        ],
    },
    Row {
        title: "small swarms with poisoners",
        command: "poisoners --peers 8 --mib 1 --seeds 10000 --set compare=0",
        checks: &[
            at_most("D2", "honest_banned", 0.0),
            at_most("D1", "corrupt_delivered", 0.0),
            at_most("D1", "stranded", 0.0),
        ],
    },
    Row {
        title: "50 % idle Sybils",
        command: "sybil-idle --peers 100 --mib 16 --seeds 10",
        checks: &[at_most("D3", "last_over_calm", 1.25), at_most("D3", "stranded", 0.0)],
    },
    Row {
        title: "50 % Sybils that promise and withhold",
        command: "sybil-idle --peers 100 --mib 16 --seeds 10 --set conduct=withhold",
        checks: &[seen("D3", "last_over_calm"), at_most("D3", "stranded", 0.0)],
    },
    Row {
        title: "the signaller dies after 5 s",
        command: "tracker-down --peers 100 --mib 16 --seeds 10",
        checks: &[at_most("C4", "last_over_calm", 1.05), at_most("C4", "stranded", 0.0)],
    },
    Row {
        title: "ten come after the signaller died, each knows one",
        command: "newcomers --peers 100 --mib 32 --seeds 5",
        checks: &[
            at_least("C4", "guest_links", 12.0),
            at_least("C5", "relayed_success", 0.99),
            at_most("C5", "carried_kib", 2.5),
            seen("C5", "carried_all_kib"),
            at_most("C5", "set_up_excess_s", 0.6),
            at_most("C4", "stranded", 0.0),
        ],
    },
    Row {
        title: "the signaller is dead from the start, everybody remembers ten anchors of twenty",
        command: "anchors --peers 100 --mib 16 --seeds 5",
        checks: &[
            seen("anchors", "last_over_calm"),
            seen("anchors", "linked_s"),
            seen("anchors", "used"),
            at_most("C6", "stranded", 0.0),
        ],
    },
    Row {
        title: "the same with three anchors of five",
        command: "anchors --peers 100 --mib 16 --seeds 5 --set anchors=5 --set known=3 --set dead=1",
        checks: &[seen("anchors", "last_over_calm"), at_most("C6", "stranded", 0.0)],
    },
    Row {
        title: "half of the peers cut off for 20 s",
        command: "partition --peers 100 --mib 8 --seeds 10",
        checks: &[at_most("C8", "stranded", 0.0), seen("C8", "last_over_calm")],
    },
    Row {
        title: "half of the tabs in the background",
        command: "tab-hidden --peers 100 --mib 16 --seeds 10",
        checks: &[at_most("F", "stranded", 0.0), seen("F", "last_over_calm")],
    },
    Row {
        title: "a slow web server is the only source",
        command: "slow-origin --peers 50 --mib 8 --seeds 10",
        checks: &[at_most("F", "stranded", 0.0), seen("F", "ratio_last"), seen("F", "offload")],
    },
    Row {
        title: "100 viewers",
        command: "streaming --peers 100 --mib 16 --seeds 10",
        checks: &[
            at_least("B1", "offload", 0.90),
            at_most("B1", "stalls_over_http", 0.001),
            at_most("B2", "startup_over_http_s", 0.1),
        ],
    },
    Row {
        title: "50 viewers of a film of nine minutes",
        command: "streaming --peers 50 --mib 64 --seeds 4",
        checks: &[at_least("B1", "offload", 0.90), at_most("B1", "stalls_over_http", 0.001)],
    },
    Row {
        title: "four peers, one source with line to spare",
        command: "flash-crowd --peers 4 --mib 8 --origin-ratio 40 --seeds 10",
        checks: &[seen("other mixes", "ratio_last"), seen("other mixes", "duplicates")],
    },
    Row {
        title: "peers with hardly any upload",
        command: "flash-crowd --peers 20 --mib 4 --origin-ratio 50 --seeds 10 --set up=0.1 --set down=10",
        checks: &[seen("other mixes", "ratio_last"), seen("other mixes", "duplicates")],
    },
    Row {
        title: "a tenth symmetric, half restricted NATs, 0.1 % loss",
        command: "flash-crowd --peers 100 --mib 8 --seeds 10 --set nat_symmetric=0.1 --set nat_restricted=0.5 --set loss=0.1",
        checks: &[seen("other mixes", "ratio_last"), at_most("other mixes", "stranded", 0.0)],
    },
    Row {
        title: "peers come over 60 s",
        command: "flash-crowd --peers 100 --mib 8 --origin-ratio 1 --seeds 10 --set arrive=60",
        checks: &[seen("other mixes", "median_s"), at_most("other mixes", "stranded", 0.0)],
    },
];
