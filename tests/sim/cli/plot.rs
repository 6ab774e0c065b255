//! Completion curves as SVG: the share of peers that have everything, over time in multiples of the bound.

use core::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 40.0;
/// Points of one line: more than there are pixels is of no use.
const POINTS_MAX: usize = 240;
/// Told apart by people who see colours differently, too (Okabe and Ito 2008).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// One command's runs.
pub(crate) struct Series {
    pub(crate) title: String,
    /// For each run: when peers were done, as multiples of the bound, and how many peers there were.
    pub(crate) runs: Vec<(Vec<f64>, usize)>,
}

/// Draws series in one frame.
pub(crate) fn draw(title: &str, series: &[Series]) -> String {
    let last = series.iter().flat_map(|one| &one.runs).filter_map(|(times, _)| times.last());
    let end = nice_end(last.copied().fold(1.2, f64::max));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<title>{}</title>\n\
         <style>text{{fill:#333}}.axis{{stroke:#999}}@media(prefers-color-scheme:dark){{text{{fill:#ddd}}}}</style>\n",
        escaped(title)
    );
    axes(&mut out, end);
    for (index, one) in series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        for (times, count) in &one.runs {
            let path = steps(times, *count, |time| across(time, end), up);
            let _ = writeln!(
                out,
                "<path fill=\"none\" stroke=\"{colour}\" stroke-opacity=\"0.7\" d=\"{path}\"/>"
            );
        }
        let row = f64::from(u32::try_from(index).unwrap_or(0)).mul_add(16.0, TOP + 14.0);
        let (left, text) = (LEFT + 8.0, LEFT + 32.0);
        let _ =
            writeln!(out, "<path stroke=\"{colour}\" stroke-width=\"3\" d=\"M{left} {:.1}h18\"/>", row - 4.0);
        let _ = writeln!(out, "<text x=\"{text}\" y=\"{row:.1}\">{}</text>", escaped(&one.title));
    }
    out + "</svg>\n"
}

/// Where a time is on the page.
fn across(time: f64, end: f64) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * time / end
}

/// Where a share is.
fn up(share: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
}

fn axes(out: &mut String, end: f64) {
    let label = |x: f64, y: f64, anchor: &str, text: &str| {
        format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n")
    };
    // A label for each tenth, half or whole bound, or as many as there is room for.
    let step = [0.1, 0.5, 1.0, 5.0].into_iter().find(|step| end / step <= 16.0).unwrap_or(end);
    for number in 0..=(end / step) as u32 {
        let time = (f64::from(number) * step * 10.0).round() / 10.0;
        out.push_str(&label(across(time, end), HEIGHT - 24.0, "middle", &time.to_string()));
    }
    for percent in [0, 25, 50, 75, 100] {
        let (y, right) = (up(f64::from(percent) / 100.0), WIDTH - RIGHT);
        out.push_str(&label(LEFT - 6.0, y + 4.0, "end", &format!("{percent} %")));
        let _ = writeln!(out, "<path class=\"axis\" stroke-opacity=\"0.3\" d=\"M{LEFT} {y:.1}H{right}\"/>");
    }
    let (one, bottom) = (across(1.0, end), HEIGHT - BOTTOM);
    let _ = writeln!(out, "<path class=\"axis\" stroke-dasharray=\"4 3\" d=\"M{one:.1} {TOP}V{bottom}\"/>");
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    out.push_str(&label(middle, HEIGHT - 6.0, "middle", "time ÷ bound (dashed: no swarm is faster)"));
}

/// A staircase from the bottom left.
fn steps(times: &[f64], count: usize, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut path = format!("M{:.1} {:.1}", x(0.0), y(0.0));
    let stride = times.len().div_ceil(POINTS_MAX).max(1);
    for (index, time) in times.iter().enumerate() {
        if (index + 1) % stride == 0 || index + 1 == times.len() {
            let _ = write!(path, "H{:.1}V{:.1}", x(*time), y((index + 1) as f64 / count.max(1) as f64));
        }
    }
    path
}

/// The next of 1.2, 1.5, 2, 3, 4, 5, 6, 8, 10 and so on.
fn nice_end(last: f64) -> f64 {
    let steps = [1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0];
    steps.into_iter().find(|step| *step >= last).unwrap_or(last)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_ends_at_the_share_that_is_done() {
        let identity = |value: f64| value;
        assert_eq!(steps(&[1.0, 2.0], 4, identity, identity), "M0.0 0.0H1.0V0.2H2.0V0.5");
        let many: Vec<_> = (1..=10_000).map(f64::from).collect();
        let path = steps(&many, 10_000, identity, identity);
        assert!(path.matches('H').count() <= POINTS_MAX + 1 && path.ends_with("H10000.0V1.0"), "{path}");
    }

    #[test]
    fn a_drawing_is_one_svg_element_with_its_words_escaped() {
        let series =
            Series { title: "a < b & c".to_owned(), runs: vec![(vec![1.0, 1.1], 2), (Vec::new(), 2)] };
        let svg = draw("t", &[series]);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains("a &lt; b &amp; c"));
        assert_eq!((nice_end(1.07), nice_end(7.0), nice_end(1e6)), (1.2, 8.0, 1e6));
    }
}
