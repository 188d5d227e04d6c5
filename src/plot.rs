//! Charts as SVG, the one place that knows the plotting library: lines here, [`scatter`] and
//! [`tornado`] beside.
//!
//! Lines are labelled at their right end instead of by a legend, and told apart by marker as well as
//! by colour; the colours are those of Okabe and Ito, which colour-blind readers can tell apart.

pub mod scatter;
pub mod tornado;

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::table::significant;

const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// Size of one chart [pixels].
const CHART: (u32, u32) = (420, 280);

/// Part of the width that is left for labels at the end of the lines.
const LABELS: f64 = 0.32;

/// A chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What it says.
    pub title: String,
    /// Name and unit of the horizontal axis.
    pub x_label: String,
    /// Names of the points, from left to right.
    pub x: Vec<String>,
    /// Name and unit of the vertical axis.
    pub y_label: String,
    /// Lines.
    pub lines: Vec<Line>,
}

/// A line through the points of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// A number for each point.
    pub y: Vec<f64>,
}

/// A number at an axis: short, without zeros at its end.
fn readable(number: f64) -> String {
    let text = match number.abs() {
        0.0 => return "0".to_owned(),
        size if (1e-2..1e5).contains(&size) => significant(number),
        _ => return format!("{number:.1e}"),
    };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Charts in rows, as the text of an SVG file.
///
/// # Errors
/// Numbers that are not finite.
pub fn svg(rows: &[Vec<Chart>]) -> Result<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let size = (CHART.0 * columns.max(1), CHART.1 * (rows.len() as u32).max(1));
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&WHITE)?;
        for (row, charts) in rows.iter().enumerate() {
            for (column, chart) in charts.iter().enumerate() {
                let (x, y) = (CHART.0 * column as u32, CHART.1 * row as u32);
                let area = root.clone().shrink((x, y), CHART);
                draw(chart, &area)?;
            }
        }
        root.present()?;
    }
    Ok(text)
}

/// Lowest and highest number on the vertical axis.
fn range(chart: &Chart) -> Result<(f64, f64)> {
    let all = chart.lines.iter().flat_map(|line| &line.y).copied();
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for y in all {
        if !y.is_finite() {
            return Err(anyhow!("`{}` has a point at {y}", chart.title));
        }
        (low, high) = (low.min(y), high.max(y));
    }
    if low > high {
        (low, high) = (0.0, 1.0);
    }
    let margin = if high > low { (high - low) * 0.08 } else { 0.5 };
    Ok((low - margin, high + margin))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw(chart: &Chart, area: &Area<'_>) -> Result<()> {
    let (low, high) = range(chart)?;
    let last = chart.x.len().saturating_sub(1).max(1) as f64;
    let mut context = ChartBuilder::on(area)
        .caption(&chart.title, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(38)
        .y_label_area_size(56)
        .build_cartesian_2d(-0.1..last * (1.0 + LABELS), low..high)?;
    let name = |x: &f64| {
        let at = x.round();
        let named = (x - at).abs() < 1e-6 && at >= 0.0;
        named.then(|| chart.x.get(at as usize)).flatten().cloned().unwrap_or_default()
    };
    context
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(chart.x.len() * 2 + 2)
        .x_label_formatter(&name)
        .x_desc(&chart.x_label)
        .y_desc(&chart.y_label)
        .axis_desc_style(("sans-serif", 12))
        .label_style(("sans-serif", 11))
        .draw()?;
    for (number, line) in chart.lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let points: Vec<(f64, f64)> =
            line.y.iter().enumerate().map(|(x, &y)| (x as f64, y)).collect();
        context.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?;
        match number % 3 {
            0 => {
                context.draw_series(points.iter().map(|&at| Circle::new(at, 3, colour.filled())))?
            }
            1 => context
                .draw_series(points.iter().map(|&at| Cross::new(at, 4, colour.stroke_width(2))))?,
            _ => context.draw_series(
                points.iter().map(|&at| TriangleMarker::new(at, 5, colour.filled())),
            )?,
        };
        if let Some(&(x, y)) = points.last() {
            let style = ("sans-serif", 11).into_font().color(&colour);
            let style = style.pos(Pos::new(HPos::Left, VPos::Center));
            let label = EmptyElement::at((x, y)) + Text::new(line.name.clone(), (8, 0), style);
            context.draw_series(std::iter::once(label))?;
        }
    }
    Ok(())
}

/// Published and reproduced numbers of one unit, for [`pairs_svg`].
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    /// What it says.
    pub title: String,
    /// Unit of all numbers.
    pub unit: String,
    /// Name, published number and ours, where there are.
    pub points: Vec<(String, Option<f64>, Option<f64>)>,
}

/// Height of a row, and of title and axis together [pixels].
const ROW: u32 = 17;
const FRAME: u32 = 84;

/// Ratio of largest to smallest number beyond which an axis is logarithmic.
const DECADES: f64 = 100.0;

/// Panels below each other: a row per number, published and ours as two markers joined by a line.
///
/// # Errors
/// Numbers that are not finite.
pub fn pairs_svg(panels: &[Pairs]) -> Result<String> {
    let height = |panel: &Pairs| FRAME + ROW * panel.points.len() as u32;
    let total: u32 = panels.iter().map(height).sum();
    let width = 2 * CHART.0;
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (width, total.max(1))).into_drawing_area();
        root.fill(&WHITE)?;
        let mut top = 0;
        for panel in panels {
            let area = root.clone().shrink((0, top), (width, height(panel)));
            draw_pairs(panel, &area)?;
            top += height(panel);
        }
        root.present()?;
    }
    Ok(text)
}

fn draw_pairs(panel: &Pairs, area: &Area<'_>) -> Result<()> {
    let numbers = || panel.points.iter().flat_map(|(_, theirs, ours)| ours.iter().chain(theirs));
    if let Some(number) = numbers().find(|number| !number.is_finite()) {
        return Err(anyhow!("`{}` has a point at {number}", panel.title));
    }
    let low = numbers().copied().fold(f64::INFINITY, f64::min);
    let high = numbers().copied().fold(f64::NEG_INFINITY, f64::max);
    let logarithmic = low > 0.0 && high / low > DECADES;
    let at = |number: f64| if logarithmic { number.log10() } else { number };
    // A linear axis begins at zero.
    let (low, high) = if logarithmic { (at(low), at(high)) } else { (low.min(0.0), high.max(0.0)) };
    let margin = if high > low { 0.04 * (high - low) } else { 1.0 };
    let rows = panel.points.len() as f64;
    let mut context = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(36)
        .y_label_area_size(330)
        .build_cartesian_2d(low - margin..high + margin, rows - 0.4..-0.6)?;
    let name = |y: &f64| {
        let row = y.round();
        let named = (y - row).abs() < 1e-6 && row >= 0.0;
        named
            .then(|| panel.points.get(row as usize))
            .flatten()
            .map_or(String::new(), |p| p.0.clone())
    };
    let label = |x: &f64| {
        if logarithmic { format!("{:.3e}", 10f64.powf(*x)) } else { format!("{x:.4}") }
    };
    context
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(6)
        .y_labels(panel.points.len() * 2 + 1)
        .x_label_formatter(&label)
        .y_label_formatter(&name)
        .x_desc(format!(
            "[{}]{}; circle: published, cross: ours",
            panel.unit,
            if logarithmic { ", logarithmic" } else { "" }
        ))
        .axis_desc_style(("sans-serif", 12))
        .label_style(("sans-serif", 10))
        .draw()?;
    for (row, (_, theirs, ours)) in panel.points.iter().enumerate() {
        let y = row as f64;
        if let Some((theirs, ours)) = theirs.zip(*ours) {
            let line = [(at(theirs), y), (at(ours), y)];
            context.draw_series(LineSeries::new(line, COLOURS[5].mix(0.3)))?;
        }
        if let Some(ours) = ours {
            let cross = Cross::new((at(*ours), y), 4, COLOURS[1].stroke_width(2));
            context.draw_series(std::iter::once(cross))?;
        }
        if let Some(theirs) = theirs {
            let circle = Circle::new((at(*theirs), y), 4, COLOURS[0].filled());
            context.draw_series(std::iter::once(circle))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(y: Vec<f64>) -> Chart {
        Chart {
            title: "Speed".into(),
            x_label: "width".into(),
            x: vec!["1".into(), "2".into(), "4".into()],
            y_label: "GOP/s".into(),
            lines: vec![Line { name: "ours".into(), y }],
        }
    }

    #[test]
    fn text_stays_text_and_every_point_has_a_marker() {
        let svg = svg(&[vec![chart(vec![1.0, 2.0, 3.0])]]).unwrap();
        for text in ["Speed", "width", "GOP/s", "ours"] {
            assert!(svg.contains(text), "{text} is missing");
        }
        assert_eq!(svg.matches("<circle").count(), 3);
    }

    #[test]
    fn a_point_that_is_no_number_is_refused() {
        assert!(svg(&[vec![chart(vec![1.0, f64::NAN, 3.0])]]).is_err());
    }

    #[test]
    fn a_pair_is_a_circle_and_a_cross_and_a_lone_number_a_circle() {
        let panel = |points: &[(&str, f64, Option<f64>)]| Pairs {
            title: "Speedup".into(),
            unit: "x".into(),
            points: points.iter().map(|&(name, a, b)| (name.to_owned(), Some(a), b)).collect(),
        };
        let svg = pairs_svg(&[panel(&[("one", 1.0, Some(2.0)), ("two", 500.0, None)])]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 2);
        for text in ["Speedup", "[x], logarithmic; circle: published, cross: ours", "one", "two"] {
            assert!(svg.contains(text), "{text} is missing");
        }
        assert!(pairs_svg(&[panel(&[("one", 1.0, Some(f64::NAN))])]).is_err());
        assert!(pairs_svg(&[panel(&[("zero", 0.0, None)])]).is_ok());
    }
}
