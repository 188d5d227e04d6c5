//! Points of a design space by two objectives: all in grey, the front in colour, one of it ringed.

use std::collections::BTreeSet;

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{COLOURS, readable};

/// Size of one chart [pixels].
const CHART: (u32, u32) = (520, 380);

/// Places that are told apart along an axis.
const CELLS: f64 = 250.0;

/// Ratio of largest to smallest from which on an axis is logarithmic.
const DECADES: f64 = 100.0;

/// A chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Scatter {
    /// What it says.
    pub title: String,
    /// Name of the horizontal axis, and of the vertical one.
    pub labels: [String; 2],
    /// Points that are not on the front.
    pub others: Vec<[f64; 2]>,
    /// Points that are, in all objectives.
    pub front: Vec<[f64; 2]>,
    /// The border of what can be reached in these two objectives, from left to right.
    pub border: Vec<[f64; 2]>,
    /// The chosen point, with its name.
    pub chosen: Option<([f64; 2], String)>,
}

/// A way to place numbers along an axis.
#[derive(Debug, Clone, Copy)]
struct Scale {
    logarithmic: bool,
    low: f64,
    high: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return Self { logarithmic: false, low: 0.0, high: 1.0 };
        }
        let logarithmic = low > 0.0 && high / low > DECADES;
        let scale = Self { logarithmic, low: 0.0, high: 0.0 };
        let (low, high) = (scale.place(low), scale.place(high));
        let margin = if high > low { (high - low) * 0.06 } else { 0.5 * high.abs().max(1.0) };
        Self { logarithmic, low: low - margin, high: high + margin }
    }

    fn place(self, value: f64) -> f64 {
        if self.logarithmic { value.log10() } else { value }
    }

    fn name(self, place: f64) -> String {
        readable(if self.logarithmic { 10f64.powf(place) } else { place })
    }

    fn describe(self, label: &str) -> String {
        if self.logarithmic { format!("{label}, log") } else { label.to_owned() }
    }
}

/// Charts beside each other, as the text of an SVG file.
///
/// # Errors
/// None in practice: the text is written to memory.
pub fn svg(charts: &[Scatter]) -> Result<String> {
    let size = (CHART.0 * (charts.len() as u32).max(1), CHART.1);
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&WHITE)?;
        for (column, chart) in charts.iter().enumerate() {
            let area = root.clone().shrink((CHART.0 * column as u32, 0), CHART);
            draw(chart, &area)?;
        }
        root.present()?;
    }
    Ok(text)
}

fn draw(chart: &Scatter, area: &super::Area<'_>) -> Result<()> {
    let all = chart.others.iter().chain(&chart.front);
    let [x, y] = [0, 1].map(|axis| Scale::of(all.clone().map(move |point| point[axis])));
    let place = |point: &[f64; 2]| (x.place(point[0]), y.place(point[1]));
    let mut context = ChartBuilder::on(area)
        .caption(&chart.title, ("sans-serif", 15))
        .margin(8)
        .margin_right(20)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(x.low..x.high, y.low..y.high)?;
    context
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .x_labels(6)
        .y_labels(7)
        .x_label_formatter(&|at| x.name(*at))
        .y_label_formatter(&|at| y.name(*at))
        .x_desc(x.describe(&chart.labels[0]))
        .y_desc(y.describe(&chart.labels[1]))
        .axis_desc_style(("sans-serif", 12))
        .label_style(("sans-serif", 11))
        .draw()?;
    let grey = RGBColor(170, 170, 170);
    let others = thinned(chart.others.iter().map(place), [x, y]);
    context.draw_series(others.into_iter().map(|at| Circle::new(at, 2, grey.filled())))?;
    context
        .draw_series(LineSeries::new(steps(&chart.border, place), COLOURS[0].stroke_width(1)))?;
    let front = chart.front.iter();
    context.draw_series(front.map(|at| Circle::new(place(at), 3, COLOURS[0].filled())))?;
    if let Some((at, name)) = &chart.chosen {
        let ring = COLOURS[1].stroke_width(2);
        context.draw_series([Circle::new(place(at), 8, ring)])?;
        let left = place(at).0 < f64::midpoint(x.low, x.high);
        let (side, offset) = if left { (HPos::Left, 12) } else { (HPos::Right, -12) };
        let style =
            ("sans-serif", 12).into_font().color(&COLOURS[1]).pos(Pos::new(side, VPos::Bottom));
        let label = EmptyElement::at(place(at)) + Text::new(name.clone(), (offset, -6), style);
        context.draw_series([label])?;
    }
    Ok(())
}

/// Of places that the eye cannot tell apart, the first: ten thousand points make a large file.
fn thinned(places: impl Iterator<Item = (f64, f64)>, scales: [Scale; 2]) -> Vec<(f64, f64)> {
    let cell =
        |place: f64, scale: Scale| (CELLS * (place - scale.low) / (scale.high - scale.low)) as u32;
    let [x, y] = scales;
    let mut seen = BTreeSet::new();
    places.filter(|place| seen.insert((cell(place.0, x), cell(place.1, y)))).collect()
}

/// The corners of a staircase through points: between two of them nothing better is known than the
/// worse of both.
fn steps(border: &[[f64; 2]], place: impl Fn(&[f64; 2]) -> (f64, f64)) -> Vec<(f64, f64)> {
    let mut corners = Vec::new();
    for point in border.iter().map(place) {
        if let Some(&(_, y)) = corners.last() {
            corners.push((point.0, y));
        }
        corners.push(point);
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Scatter {
        Scatter {
            title: "Space".into(),
            labels: ["cycles".into(), "energy [J]".into()],
            others: vec![[500.0, 3.0], [40_000.0, 2.5]],
            front: vec![[100.0, 3.0], [300.0, 2.0], [900.0, 1.0]],
            border: vec![[100.0, 3.0], [300.0, 2.0], [900.0, 1.0]],
            chosen: Some(([300.0, 2.0], "point 4".into())),
        }
    }

    #[test]
    fn every_point_is_drawn_and_the_choice_is_named() {
        let svg = svg(&[chart()]).unwrap();
        // Two others, three on the front, one ring.
        assert_eq!(svg.matches("<circle").count(), 6);
        for text in ["Space", "cycles, log", "energy [J]", "point 4"] {
            assert!(svg.contains(text), "{text} is missing");
        }
    }

    #[test]
    fn places_that_look_the_same_are_drawn_once() {
        let mut crowd = chart();
        crowd.others = (0..10_000).map(|at| [200.0 + f64::from(at) * 1e-6, 2.5]).collect();
        assert_eq!(svg(&[crowd]).unwrap().matches("<circle").count(), 1 + 3 + 1);
    }

    #[test]
    fn a_staircase_goes_along_before_it_goes_down() {
        let corners = steps(&[[1.0, 3.0], [2.0, 1.0]], |point| (point[0], point[1]));
        assert_eq!(corners, [(1.0, 3.0), (2.0, 3.0), (2.0, 1.0)]);
    }

    #[test]
    fn a_scale_is_logarithmic_beyond_two_decades_of_positive_numbers() {
        assert!(Scale::of([1.0, 101.0].into_iter()).logarithmic);
        assert!(!Scale::of([1.0, 100.0].into_iter()).logarithmic);
        assert!(!Scale::of([-1.0, 1000.0].into_iter()).logarithmic);
        let single = Scale::of([5.0].into_iter());
        assert!(single.low < 5.0 && single.high > 5.0);
    }
}
