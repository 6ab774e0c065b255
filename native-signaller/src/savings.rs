//! What sites save, for the operator to look at: sums by group, and a plot of the last day.

use crate::State;
use crate::publish::tally::{Group, Sums};
use core::fmt::Write as _;
use std::time::Instant;

/// The plot, in its own units.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;

/// A page's part. Only numbers and words of ours: nothing here needs escaping.
pub(crate) fn page(state: &State) -> String {
    let (groups, dropped) = state.tally.sums();
    let mut out = String::from("<section><h2>What visitors' pages said</h2><table><tr><th>");
    for (_, name) in Group::ALL {
        let _ = write!(out, "<th scope=col>{name}");
    }
    type Cell = fn(&Sums) -> String;
    let rows: [(&str, Cell); 11] = [
        ("Visits", |sums| sums.visits.to_string()),
        ("Page loaded after, mean", |sums| per(sums.load_ms, sums.visits, "ms")),
        ("From visitors", |sums| gigabytes(sums.bytes[0])),
        ("From the site's server", |sums| gigabytes(sums.bytes[1])),
        ("From earlier visits", |sums| gigabytes(sums.bytes[2])),
        ("Offload", |sums| sums.offload().map_or("–".to_owned(), |percent| format!("{percent:.1} %"))),
        ("Given to visitors", |sums| gigabytes(sums.sent)),
        ("Stalls for 1,000 visits", |sums| per(sums.stalls * 1000, sums.visits, "")),
        ("Stood still, for a visit", |sums| per(sums.stall_ms, sums.visits, "ms")),
        ("Links made", |sums| sums.links[0].to_string()),
        ("Links not made", |sums| sums.links[1].to_string()),
    ];
    for (name, cell) in rows {
        let _ = write!(out, "<tr><th scope=row>{name}");
        for sums in &groups {
            let _ = write!(out, "<td>{}", cell(sums));
        }
    }
    let _ = write!(out, "</table><p class=note>{dropped} reports were not counted.</p></section>");
    plot(&mut out, &state.tally.day(Instant::now()));
    out
}

/// Bytes from visitors and from the server, one line each, five minutes a point.
fn plot(out: &mut String, points: &[[u64; 2]]) {
    let most = points.iter().flatten().copied().max().unwrap_or(0).max(1);
    out.push_str("<section><h2>The last day, in five minutes each</h2>");
    let _ =
        write!(out, "<svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img aria-label='Bytes by source over a day'>");
    for (which, class) in ["peers", "origin"].into_iter().enumerate() {
        let _ = write!(out, "<polyline class={class} points='");
        for (at, point) in points.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a picture")]
            let (x, part) =
                (WIDTH * at as f64 / points.len().max(2) as f64, point[which] as f64 / most as f64);
            let _ = write!(out, "{x:.1},{:.1} ", HEIGHT - 5.0 - part * (HEIGHT - 10.0));
        }
        out.push_str("'/>");
    }
    let _ = write!(
        out,
        "</svg><p class=note>Green: from visitors. Orange: from the site's server. The top is {}.</p></section>",
        gigabytes(most)
    );
}

fn gigabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let bytes = bytes as f64;
    if bytes < 1e9 { format!("{:.1} MB", bytes / 1e6) } else { format!("{:.2} GB", bytes / 1e9) }
}

fn per(sum: u64, count: u64, unit: &str) -> String {
    sum.checked_div(count).map_or("–".to_owned(), |mean| format!("{mean} {unit}"))
}
