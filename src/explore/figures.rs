//! Pictures of an exploration: where the front lies, and which parameter matters.

use anyhow::Result;

use super::{
    Outcome, Status,
    axis::Axis,
    pareto,
    report::Explored,
    spec::{Objective, Sited},
};
use crate::plot::{
    scatter::{self, Scatter},
    tornado::{self, Bar, Tornado},
};

/// The first objective against each of the others, as SVG; `None` with fewer than two objectives or
/// without points.
///
/// # Errors
/// None in practice: the text is written to memory.
pub fn front(explored: &Explored<'_>, chosen: usize) -> Result<Option<String>> {
    let charts: Vec<Scatter> = (1..explored.spec.objectives.len())
        .filter_map(|other| scatter(explored, [0, other], chosen))
        .collect();
    (!charts.is_empty()).then(|| scatter::svg(&charts)).transpose()
}

/// By how much each axis alone changes each objective around the chosen point, as SVG; `None` when no
/// point was visited that differs from it on one axis only.
///
/// # Errors
/// None in practice: the text is written to memory.
pub fn sensitivity(explored: &Explored<'_>, chosen: usize) -> Result<Option<String>> {
    let charts: Vec<Tornado> = (0..explored.spec.objectives.len())
        .filter_map(|objective| tornado(explored, objective, chosen))
        .collect();
    (!charts.is_empty()).then(|| tornado::svg(&charts)).transpose()
}

fn scatter(explored: &Explored<'_>, places: [usize; 2], chosen: usize) -> Option<Scatter> {
    let Explored { spec, sweep, .. } = explored;
    let objectives = places.map(|place| &spec.objectives[place]);
    let at = |outcome: &Outcome| -> Option<[f64; 2]> {
        (outcome.status == Status::Ok).then_some(())?;
        let [x, y] = places.map(|place| outcome.objectives.get(place).and_then(|v| v.as_f64()));
        Some([x?, y?])
    };
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for (point, outcome) in sweep.outcomes.iter().enumerate() {
        let list = if sweep.front.binary_search(&point).is_ok() { &mut on } else { &mut off };
        list.extend(at(outcome));
    }
    // Thousands of points often share a place; one of them is enough to be seen.
    for points in [&mut on, &mut off] {
        points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
        points.dedup();
    }
    let signs = objectives.map(|objective| if objective.part.maximise { -1.0 } else { 1.0 });
    let costs: Vec<Vec<f64>> =
        on.iter().map(|point| vec![point[0] * signs[0], point[1] * signs[1]]).collect();
    let border = pareto::front(&costs).into_iter().map(|place| on[place]).collect();
    Some(Scatter {
        title: format!("{} on {}", spec.design, explored.space.workload),
        labels: objectives.map(label),
        chosen: Some((at(&sweep.outcomes[chosen])?, format!("point {chosen}"))),
        others: off,
        front: on,
        border,
    })
}

fn tornado(explored: &Explored<'_>, objective: usize, chosen: usize) -> Option<Tornado> {
    let Explored { spec, sweep, .. } = explored;
    let center = &sweep.outcomes[chosen];
    let value = |outcome: &Outcome| outcome.objectives.get(objective)?.as_f64();
    let ground = value(center).filter(|ground| *ground != 0.0)?;
    let mut seen: Vec<Vec<(f64, usize)>> = vec![Vec::new(); spec.axes.len()];
    for outcome in sweep.outcomes.iter().filter(|outcome| outcome.status == Status::Ok) {
        let genes = outcome.genes.iter().zip(&center.genes).enumerate();
        let mut moved = genes.filter(|(_, (own, center))| own != center);
        if let (Some((axis, (&step, _))), None) = (moved.next(), moved.next()) {
            seen[axis].extend(value(outcome).map(|value| (value / ground, step)));
        }
    }
    let bar = |(axis, mut seen): (usize, Vec<(f64, usize)>)| {
        let Axis { values, .. } = &spec.axes[axis];
        let end = |(ratio, step): &(f64, usize)| {
            (*ratio, values[*step].first().map(|value| short(value)).unwrap_or_default())
        };
        if !seen.is_empty() {
            seen.push((1.0, center.genes[axis]));
        }
        seen.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let name = spec.axes[axis].name().to_owned();
        Some(Bar { name, low: end(seen.first()?), high: end(seen.last()?) })
    };
    let mut bars: Vec<Bar> = seen.into_iter().enumerate().filter_map(bar).collect();
    let width = |bar: &Bar| bar.high.0 - bar.low.0;
    bars.sort_by(|a, b| width(b).total_cmp(&width(a)));
    let title = format!("{} around point {chosen}", label(&spec.objectives[objective]));
    (!bars.is_empty()).then_some(Tornado { title, bars })
}

fn label(objective: &Sited<Objective>) -> String {
    let Objective { name, maximise, .. } = &objective.part;
    format!("{name} ({})", if *maximise { "max" } else { "min" })
}

/// A value of an axis; large numbers as powers of ten.
fn short(value: &str) -> String {
    match value.parse::<f64>() {
        Ok(number) if number.abs() >= 1e6 => format!("{number:e}"),
        _ => value.to_owned(),
    }
}
