//! What one parameter at a time does to a result: bars from the lowest to the highest, the longest on
//! top, as wide as the trunk of a tornado is high.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{COLOURS, readable};

/// Width of one chart, height of a bar, and height of all that is not bars [pixels].
const CHART: (u32, u32, u32) = (520, 26, 84);

/// Part of the width that is left for names on the left.
const NAMES: f64 = 0.62;

/// A chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Tornado {
    /// Name of the result.
    pub title: String,
    /// Bars, the longest first.
    pub bars: Vec<Bar>,
}

/// What a parameter does.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// Lowest result as a ratio to that of the chosen point, and the value that gives it.
    pub low: (f64, String),
    /// Highest result, in the same way.
    pub high: (f64, String),
}

/// Charts below each other, as the text of an SVG file.
///
/// # Errors
/// None in practice: the text is written to memory.
pub fn svg(charts: &[Tornado]) -> Result<String> {
    let height = |chart: &Tornado| CHART.2 + CHART.1 * chart.bars.len() as u32;
    let size = (CHART.0, charts.iter().map(height).sum::<u32>().max(1));
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&WHITE)?;
        let mut top = 0;
        for chart in charts {
            draw(chart, &root.clone().shrink((0, top), (CHART.0, height(chart))))?;
            top += height(chart);
        }
        root.present()?;
    }
    Ok(text)
}

fn draw(chart: &Tornado, area: &super::Area<'_>) -> Result<()> {
    let low = chart.bars.iter().map(|bar| bar.low.0).fold(1.0, f64::min);
    let high = chart.bars.iter().map(|bar| bar.high.0).fold(1.0, f64::max);
    let span = (high - low).max(0.01);
    let names = low - NAMES * span;
    let rows = chart.bars.len().max(1) as f64;
    let mut context = ChartBuilder::on(area)
        .caption(&chart.title, ("sans-serif", 14))
        .margin(6)
        .x_label_area_size(36)
        .build_cartesian_2d(names - 0.02 * span..high + 0.2 * span, rows..0.0)?;
    context
        .configure_mesh()
        .disable_mesh()
        .disable_y_axis()
        .x_labels(8)
        .x_label_formatter(&|at| {
            if *at < low - 0.05 * span { String::new() } else { readable(*at) }
        })
        .x_desc("ratio to the chosen point")
        .axis_desc_style(("sans-serif", 11))
        .label_style(("sans-serif", 11))
        .draw()?;
    let colour = COLOURS[0].mix(0.7).filled();
    for (row, bar) in chart.bars.iter().enumerate() {
        let (top, middle, bottom) = (row as f64 + 0.18, row as f64 + 0.5, row as f64 + 0.82);
        context.draw_series([Rectangle::new([(bar.low.0, top), (bar.high.0, bottom)], colour)])?;
        let text = |at: f64, side: HPos, text: &str| {
            let style = ("sans-serif", 11).into_font().color(&BLACK);
            Text::new(text.to_owned(), (at, middle), style.pos(Pos::new(side, VPos::Center)))
        };
        context.draw_series([
            text(names, HPos::Left, &bar.name),
            text(bar.low.0 - 0.01 * span, HPos::Right, &bar.low.1),
            text(bar.high.0 + 0.01 * span, HPos::Left, &bar.high.1),
        ])?;
    }
    context.draw_series(LineSeries::new([(1.0, 0.0), (1.0, rows)], COLOURS[1].stroke_width(2)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_names_its_parameter_and_both_ends() {
        let bar = |name: &str, low: f64, high: f64| Bar {
            name: name.into(),
            low: (low, format!("{name} low")),
            high: (high, format!("{name} high")),
        };
        let bars = vec![bar("channels", 0.5, 2.0), bar("width", 1.0, 1.0)];
        let svg = svg(&[Tornado { title: "cycles".into(), bars }]).unwrap();
        for text in ["cycles", "channels", "channels low", "channels high", "width high"] {
            assert!(svg.contains(text), "{text} is missing");
        }
        // The ground, two bars.
        assert_eq!(svg.matches("<rect").count(), 3);
    }
}
