//! A timeline on the page: spans where there are few, shares of equal parts of the time where not.

use super::block::{self, Block, Part, TimelineRow, rounded};
use crate::{
    documents::timeline::{Timeline, Track},
    table::{grouped, percent, with_prefix},
};

/// Most spans that are drawn one by one.
const MOST_SPANS: usize = 2_000;

/// Parts of the time.
const BINS: usize = 240;

/// What a span means, which is more than its busy cycles.
const OCCUPIED: &str = "A unit is occupied from the first to the last cycle of what it does, with the cycles \
    in which it waits; a unit without a share reports no spans.";

/// Texts below the axis.
const TICKS: u64 = 4;

/// The timeline.
pub fn block(timeline: &Timeline) -> Block {
    let (rows, caption) = if timeline.spans() <= MOST_SPANS {
        let rows = timeline.tracks.iter().map(|track| spans(timeline, track)).collect();
        let text = format!(
            "Each block is something that the unit did, neighbours light and dark in turn; point at it to \
             see what. {OCCUPIED}"
        );
        (rows, text)
    } else {
        let rows = timeline.shares(BINS).into_iter().map(|(name, shares)| outline(name, &shares));
        let text = format!(
            "{} spans: the height is the share of each {BINS}th part of the time in which the unit was \
             occupied. {OCCUPIED}",
            grouped(timeline.spans() as u64)
        );
        (rows.collect(), text)
    };
    let tick = |step: u64| {
        let share = step as f64 / TICKS as f64;
        with_prefix(timeline.cycles as f64 * share / timeline.clock_hz as f64, "s")
    };
    Block::Timeline(block::Timeline {
        title: "Timeline".to_owned(),
        caption,
        rows,
        ticks: (0..=TICKS).map(tick).collect(),
        cycles: timeline.cycles,
        clock_hz: timeline.clock_hz,
    })
}

fn spans(timeline: &Timeline, track: &Track) -> TimelineRow {
    let all = timeline.cycles as f64;
    let part = |span: &crate::documents::timeline::Span| {
        let text = format!(
            "{}: {}, cycles {} to {}",
            track.name,
            span.what,
            grouped(span.start),
            grouped(span.end)
        );
        let (start, end) = (span.start as f64 / all * 1e3, span.end as f64 / all * 1e3);
        Part::span(start, end - start, text)
    };
    let cycles = track.spans.iter().map(|span| span.end - span.start);
    let occupied = cycles.fold(0, u64::saturating_add);
    TimelineRow {
        name: track.name.clone(),
        spans: track.spans.iter().map(part).collect(),
        path: String::new(),
        shares: String::new(),
        occupied: percent((occupied > 0).then(|| occupied as f64 / all)),
    }
}

fn outline(name: &str, shares: &[f64]) -> TimelineRow {
    let width = 1e3 / shares.len() as f64;
    let mut path = String::from("M0 100");
    let mut per_mille = Vec::with_capacity(shares.len());
    for (bin, share) in (1..).zip(shares) {
        let height = rounded(100.0 - share * 100.0);
        path += &format!("V{height}H{}", rounded(f64::from(bin) * width));
        per_mille.push(format!("{:.0}", share * 1e3));
    }
    path += "V100Z";
    let occupied = shares.iter().sum::<f64>() / shares.len() as f64;
    TimelineRow {
        name: name.to_owned(),
        spans: Vec::new(),
        path,
        shares: per_mille.join(" "),
        occupied: percent((occupied > 0.0).then_some(occupied)),
    }
}
