//! A timeline: when each unit was busy, from the trace events of `attelier run --perfetto`.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Deserialize;

/// Trace events as they are read.
#[derive(Debug, Deserialize)]
pub struct Trace {
    #[serde(rename = "traceEvents")]
    events: Vec<Event>,
    #[serde(rename = "otherData")]
    other: Other,
}

#[derive(Debug, Deserialize)]
struct Other {
    clock_hz: u64,
}

#[derive(Debug, Deserialize)]
struct Event {
    name: String,
    ph: String,
    tid: u64,
    #[serde(default)]
    args: Arguments,
}

#[derive(Debug, Default, Deserialize)]
struct Arguments {
    name: Option<String>,
    start_cycle: Option<u64>,
    end_cycle: Option<u64>,
}

/// When each unit was busy.
#[derive(Debug, PartialEq)]
pub struct Timeline {
    /// Design.
    pub design: String,
    /// Core clock [Hz].
    pub clock_hz: u64,
    /// End of the last span \[cycles\].
    pub cycles: u64,
    /// Tracks in the order of the design; a unit whose spans overlap has several.
    pub tracks: Vec<Track>,
}

/// Spans of a unit that follow one another.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// Unit.
    pub name: String,
    /// By start.
    pub spans: Vec<Span>,
}

/// What a unit did for a while.
#[derive(Debug, PartialEq, Eq)]
pub struct Span {
    /// First cycle.
    pub start: u64,
    /// Cycle after the last.
    pub end: u64,
    /// What it did.
    pub what: String,
}

impl Timeline {
    /// Sorts the events of a trace by track.
    ///
    /// # Errors
    /// A span without cycles, or on a track that was not announced; no span at all.
    pub fn new(trace: Trace) -> Result<Self> {
        let clock_hz = trace.other.clock_hz;
        if clock_hz == 0 {
            bail!("`otherData.clock_hz` is 0: expected the clock of the machine in Hz");
        }
        let mut design = String::new();
        let mut tracks: BTreeMap<u64, Track> = BTreeMap::new();
        for event in trace.events {
            let Event { name, ph, tid, args } = event;
            match (ph.as_str(), name.as_str(), args) {
                ("M", "process_name", Arguments { name: Some(name), .. }) => design = name,
                ("M", "thread_name", Arguments { name: Some(name), .. }) => {
                    tracks.entry(tid).or_default().name = name;
                }
                ("X", _, Arguments { start_cycle: Some(start), end_cycle: Some(end), .. })
                    if start <= end =>
                {
                    let Some(track) = tracks.get_mut(&tid) else {
                        bail!(
                            "span `{name}` is on track {tid}: expected its `thread_name` before it"
                        );
                    };
                    track.spans.push(Span { start, end, what: name });
                }
                ("X", ..) => bail!(
                    "span `{name}` has no `start_cycle` before its `end_cycle`: expected a timeline of \
                     `attelier run --perfetto`"
                ),
                _ => {}
            }
        }
        let mut tracks: Vec<Track> = tracks.into_values().collect();
        for track in &mut tracks {
            track.spans.sort_by_key(|span| span.start);
        }
        // A further track of a unit was opened when its spans overlapped; it belongs beside the first.
        let order: Vec<String> =
            tracks.iter().filter(|track| lane(&track.name) == 1).map(|t| t.name.clone()).collect();
        let place = |track: &Track| order.iter().position(|name| name == unit(&track.name));
        tracks.sort_by_key(|track| (place(track).unwrap_or(usize::MAX), lane(&track.name)));
        let ends = tracks.iter().flat_map(|track| track.spans.iter().map(|span| span.end));
        let cycles = ends.max().unwrap_or(0);
        if cycles == 0 {
            bail!("there are no spans in it");
        }
        Ok(Self { design, clock_hz, cycles, tracks })
    }

    /// Spans of all tracks.
    pub fn spans(&self) -> usize {
        self.tracks.iter().map(|track| track.spans.len()).sum()
    }

    /// Units and, for each of `bins` equal parts of the time, the share in which the unit was busy.
    pub fn shares(&self, bins: usize) -> Vec<(&str, Vec<f64>)> {
        let mut units: Vec<(&str, Vec<&Span>)> = Vec::new();
        for track in &self.tracks {
            let name = unit(&track.name);
            match units.iter_mut().find(|(known, _)| *known == name) {
                Some((_, spans)) => spans.extend(&track.spans),
                None => units.push((name, track.spans.iter().collect())),
            }
        }
        units.into_iter().map(|(name, spans)| (name, self.share(spans, bins))).collect()
    }

    fn share(&self, mut spans: Vec<&Span>, bins: usize) -> Vec<f64> {
        spans.sort_by_key(|span| span.start);
        let width = self.cycles as f64 / bins as f64;
        let mut busy = vec![0.0; bins];
        let mut done = 0;
        for span in spans {
            // Overlapping spans of a pipelined unit keep it busy once.
            let start = span.start.max(done);
            done = done.max(span.end);
            let (mut from, to) = (start as f64 / width, span.end as f64 / width);
            while from < to {
                let bin = (from as usize).min(bins - 1);
                let next = if bin + 1 == bins { to } else { to.min((bin + 1) as f64) };
                busy[bin] += next - from;
                // A start that is rounded onto the end of its part must not stay there.
                from = if next > from { next } else { (bin + 1) as f64 };
            }
        }
        busy.into_iter().map(|share: f64| share.min(1.0)).collect()
    }
}

/// The unit of a track: its name without the number of a further track.
fn unit(track: &str) -> &str {
    match track.rsplit_once(" (") {
        Some((unit, _)) if lane(track) > 1 => unit,
        _ => track,
    }
}

/// Which track of its unit it is, from 1.
fn lane(track: &str) -> u64 {
    let number = track.rsplit_once(" (").and_then(|(_, rest)| rest.strip_suffix(')'));
    number.and_then(|number| number.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn timeline(tracks: &[&str], spans: &[(u64, u64, u64)]) -> Result<Timeline> {
        let names = (1..).zip(tracks).map(|(tid, name): (u64, _)| {
            json!({"name": "thread_name", "ph": "M", "tid": tid, "args": {"name": name}})
        });
        let spans = spans.iter().map(|(tid, start, end)| {
            json!({"name": "keys", "ph": "X", "tid": tid,
                   "args": {"start_cycle": start, "end_cycle": end}})
        });
        let events: Vec<_> = names.chain(spans).collect();
        let trace = json!({"traceEvents": events, "otherData": {"clock_hz": 1000}});
        Timeline::new(serde_json::from_value(trace).unwrap())
    }

    #[test]
    fn overlapping_spans_of_a_unit_count_once() {
        let spans = [(1, 0, 30), (3, 10, 40), (2, 60, 100)];
        let timeline = timeline(&["fetch", "multiply", "fetch (2)"], &spans).unwrap();
        assert_eq!(timeline.cycles, 100);
        let names: Vec<_> = timeline.tracks.iter().map(|track| track.name.as_str()).collect();
        assert_eq!(names, ["fetch", "fetch (2)", "multiply"]);
        let shares = timeline.shares(4);
        assert_eq!(shares[0].0, "fetch");
        for (share, expected) in shares[0].1.iter().zip([1.0, 0.6, 0.0, 0.0]) {
            assert!((share - expected).abs() < 1e-12, "{shares:?}");
        }
        for (share, expected) in shares[1].1.iter().zip([0.0, 0.0, 0.6, 1.0]) {
            assert!((share - expected).abs() < 1e-12, "{shares:?}");
        }
    }

    #[test]
    fn shares_add_up_to_the_busy_cycles_whatever_the_parts() {
        let spans: Vec<_> = (0..997).map(|n| (1, n * 7, n * 7 + 1 + n % 7)).collect();
        let busy: u64 = spans.iter().map(|(_, start, end)| end - start).sum();
        let timeline = timeline(&["fetch"], &spans).unwrap();
        for bins in [1, 3, 240, 1000] {
            let sum: f64 = timeline.shares(bins)[0].1.iter().sum();
            let cycles = sum * timeline.cycles as f64 / bins as f64;
            assert!((cycles - busy as f64).abs() < 1e-6, "{bins}: {cycles} of {busy}");
        }
    }

    #[test]
    fn what_is_no_timeline_of_ours_is_refused() {
        let message = |spans: &[_]| timeline(&["fetch"], spans).unwrap_err().to_string();
        assert!(message(&[]).contains("no spans"));
        assert!(message(&[(1, 5, 4)]).contains("`start_cycle` before"));
        assert!(message(&[(9, 1, 4)]).contains("track 9"));
    }
}
