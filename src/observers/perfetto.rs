//! Timeline of a run in the Chrome trace event format, for ui.perfetto.dev.
//!
//! The process is the design and each unit is a thread with its name. Times are simulated time in
//! microseconds, exact to the picosecond. The format wants the spans of a thread to nest, so a
//! pipelined unit whose spans overlap gets further threads named `unit (2)`, `unit (3)` and so on.

use std::io::{self, Write};

use attelier_sim::observe::Observer;
use serde_json::json;

/// The process of all tracks.
const PROCESS: u32 = 1;

/// Streams the spans of a run into a trace.
///
/// The first write error is kept, ends the writing, and comes out of [`PerfettoWriter::finish`].
pub struct PerfettoWriter<W: Write> {
    output: W,
    design: String,
    units: Vec<Unit>,
    clock_hz: u64,
    threads: u32,
    events: u64,
    outcome: io::Result<()>,
}

/// A unit and its threads.
struct Unit {
    name: String,
    lanes: Vec<Lane>,
}

/// One thread of a unit.
#[derive(Clone, Copy)]
struct Lane {
    thread: u32,
    /// End of its last span [cycles].
    free_from: u64,
}

impl<W: Write> PerfettoWriter<W> {
    /// A trace of one run of `design`; `output` should be buffered.
    pub fn new(output: W, design: &str) -> Self {
        Self {
            output,
            design: design.to_owned(),
            units: Vec::new(),
            clock_hz: 1,
            threads: 0,
            events: 0,
            outcome: Ok(()),
        }
    }

    /// Closes the trace, flushes, and returns the first error.
    pub fn finish(mut self) -> io::Result<()> {
        self.attempt(|trace| {
            let opening = if trace.events == 0 { "{\"traceEvents\":[" } else { "" };
            let clock_hz = trace.clock_hz;
            writeln!(
                trace.output,
                "{opening}\n],\"displayTimeUnit\":\"ns\",\"otherData\":{{\"clock_hz\":{clock_hz}}}}}"
            )?;
            trace.output.flush()
        });
        self.outcome
    }

    /// Runs `write` unless an earlier write failed.
    fn attempt(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.outcome.is_ok() {
            self.outcome = write(self);
        }
    }

    fn event(&mut self, text: &str) -> io::Result<()> {
        let separator = if self.events == 0 { "{\"traceEvents\":[\n" } else { ",\n" };
        self.events += 1;
        write!(self.output, "{separator}{text}")
    }

    fn metadata(&mut self, kind: &str, thread: u32, args: &serde_json::Value) -> io::Result<()> {
        let event = json!({"name": kind, "ph": "M", "pid": PROCESS, "tid": thread, "args": args});
        self.event(&event.to_string())
    }

    /// Adds a thread to `unit`, named and placed beside the others of the unit.
    fn add_lane(&mut self, unit: usize) -> io::Result<()> {
        self.threads += 1;
        let thread = self.threads;
        let lanes = &mut self.units[unit].lanes;
        lanes.push(Lane { thread, free_from: 0 });
        let lane = lanes.len();
        let mut name = self.units[unit].name.clone();
        if lane > 1 {
            name = format!("{name} ({lane})");
        }
        self.metadata("thread_name", thread, &json!({ "name": name }))?;
        let index = unit * 1000 + lane.min(999);
        self.metadata("thread_sort_index", thread, &json!({ "sort_index": index }))
    }

    fn write_span(&mut self, unit: usize, what: &str, start: u64, end: u64) -> io::Result<()> {
        let Some(lanes) = self.units.get(unit).map(|unit| &unit.lanes) else {
            return Err(io::Error::other(format!("unit {unit} was not announced")));
        };
        if end < start {
            return Err(io::Error::other(format!("span `{what}` ends before it starts")));
        }
        let free = lanes.iter().position(|lane| lane.free_from <= start);
        let lane = free.unwrap_or(lanes.len());
        if free.is_none() {
            self.add_lane(unit)?;
        }
        let Unit { name, lanes } = &mut self.units[unit];
        lanes[lane].free_from = end;
        let event = format!(
            "{{\"name\":{},\"cat\":{},\"ph\":\"X\",\"pid\":{PROCESS},\"tid\":{},\
             \"ts\":{},\"dur\":{},\"args\":{{\"start_cycle\":{start},\"end_cycle\":{end}}}}}",
            json!(what),
            json!(name),
            lanes[lane].thread,
            microseconds(start, self.clock_hz),
            microseconds(end - start, self.clock_hz),
        );
        self.event(&event)
    }
}

impl<W: Write> Observer for PerfettoWriter<W> {
    fn begin(&mut self, units: &[&str], clock_hz: u64) {
        self.clock_hz = clock_hz.max(1);
        self.attempt(|trace| {
            let design = json!({ "name": trace.design });
            trace.metadata("process_name", 0, &design)?;
            for (index, name) in units.iter().enumerate() {
                trace.units.push(Unit { name: (*name).to_owned(), lanes: Vec::new() });
                trace.add_lane(index)?;
            }
            Ok(())
        });
    }

    fn span(&mut self, unit: usize, what: &str, start: u64, end: u64) {
        self.attempt(|trace| trace.write_span(unit, what, start, end));
    }
}

/// A number of cycles as decimal microseconds, to the picosecond.
fn microseconds(cycles: u64, clock_hz: u64) -> String {
    let picoseconds = u128::from(cycles) * 1_000_000_000_000 / u128::from(clock_hz);
    let (whole, rest) = (picoseconds / 1_000_000, picoseconds % 1_000_000);
    let text = format!("{whole}.{rest:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn trace(clock_hz: u64, spans: &[(usize, &str, u64, u64)]) -> Value {
        let mut bytes = Vec::new();
        let mut trace = PerfettoWriter::new(&mut bytes, "spatten");
        trace.begin(&["qkv_fetcher", "qk_array"], clock_hz);
        for &(unit, what, start, end) in spans {
            trace.span(unit, what, start, end);
        }
        trace.end(100);
        trace.finish().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn events<'a>(trace: &'a Value, kind: &str) -> Vec<&'a Value> {
        let all = trace["traceEvents"].as_array().unwrap().iter();
        all.filter(|event| event["name"] == kind || event["ph"] == kind).collect()
    }

    #[test]
    fn tracks_carry_the_names_of_design_and_units() {
        let trace = trace(1_000_000_000, &[]);
        assert_eq!(events(&trace, "process_name")[0]["args"]["name"], "spatten");
        let tracks: Vec<_> = events(&trace, "thread_name")
            .into_iter()
            .map(|event| (event["tid"].as_u64().unwrap(), event["args"]["name"].as_str().unwrap()))
            .collect();
        assert_eq!(tracks, [(1, "qkv_fetcher"), (2, "qk_array")]);
        assert_eq!(trace["displayTimeUnit"], "ns");
        assert_eq!(trace["otherData"]["clock_hz"], 1_000_000_000);
    }

    #[test]
    fn spans_are_in_microseconds_of_simulated_time() {
        let trace = trace(500_000_000, &[(1, "L3 H5 \"keys\"", 11, 4000)]);
        let span = events(&trace, "X")[0];
        assert_eq!(span["name"], "L3 H5 \"keys\"");
        assert_eq!(span["cat"], "qk_array");
        assert_eq!((&span["pid"], &span["tid"]), (&json!(1), &json!(2)));
        assert_eq!((&span["ts"], &span["dur"]), (&json!(0.022), &json!(7.978)));
        assert_eq!(span["args"], json!({"start_cycle": 11, "end_cycle": 4000}));
    }

    #[test]
    fn overlapping_spans_of_a_unit_never_share_a_track() {
        let spans = [
            (0, "a", 0, 10),
            (0, "b", 5, 12),
            (0, "c", 10, 20),
            (0, "d", 11, 21),
            (0, "e", 12, 22),
        ];
        let trace = trace(1_000_000_000, &spans);
        let tracks: Vec<_> = events(&trace, "X").iter().map(|span| span["tid"].as_u64()).collect();
        assert_eq!(tracks, [1, 3, 1, 4, 3].map(Some));
        let names: Vec<_> =
            events(&trace, "thread_name").iter().map(|event| &event["args"]["name"]).collect();
        assert_eq!(names[2..], [&json!("qkv_fetcher (2)"), &json!("qkv_fetcher (3)")]);
    }

    #[test]
    fn a_run_that_never_began_is_still_valid() {
        let mut bytes = Vec::new();
        PerfettoWriter::new(&mut bytes, "spatten").finish().unwrap();
        let trace: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(trace["traceEvents"], json!([]));
    }

    #[test]
    fn microseconds_are_exact_decimals() {
        assert_eq!(microseconds(0, 1_000_000_000), "0");
        assert_eq!(microseconds(1_234_567, 1_000_000_000), "1234.567");
        assert_eq!(microseconds(1, 3), "333333.333333");
        assert_eq!(microseconds(10, 1_000_000), "10");
    }

    #[test]
    fn the_first_write_error_comes_out_at_the_end() {
        let mut small = [0; 40];
        let mut trace = PerfettoWriter::new(&mut small[..], "spatten");
        trace.begin(&["qk_array"], 1);
        trace.span(0, "keys", 0, 1);
        assert_eq!(trace.finish().unwrap_err().kind(), io::ErrorKind::WriteZero);
    }
}
