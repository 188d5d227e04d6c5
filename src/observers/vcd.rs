//! Waveform of a run as a value change dump (IEEE 1364, section 18), for GTKWave and Surfer.
//!
//! One scope per design holds one scope per unit, named as the unit. Each unit has `state`
//! (0 idle, 1 busy, 2 starved, 3 blocked), the same as one wire per state, and `job`, the number of
//! the job it works on (its low 32 bits), undriven (`z`) when it has none.

use std::io::{self, Write};

use ::vcd::{IdCode, SimulationCommand, TimescaleUnit, Value, VarType, Writer};
use attelier_sim::observe::{Observer, UnitState};

/// Time units that a value change dump can name, with how many make a second, largest first.
const TIMESCALES: [(u32, TimescaleUnit, u64); 15] = [
    (100, TimescaleUnit::MS, 10),
    (10, TimescaleUnit::MS, 100),
    (1, TimescaleUnit::MS, 1_000),
    (100, TimescaleUnit::US, 10_000),
    (10, TimescaleUnit::US, 100_000),
    (1, TimescaleUnit::US, 1_000_000),
    (100, TimescaleUnit::NS, 10_000_000),
    (10, TimescaleUnit::NS, 100_000_000),
    (1, TimescaleUnit::NS, 1_000_000_000),
    (100, TimescaleUnit::PS, 10_000_000_000),
    (10, TimescaleUnit::PS, 100_000_000_000),
    (1, TimescaleUnit::PS, 1_000_000_000_000),
    (100, TimescaleUnit::FS, 10_000_000_000_000),
    (10, TimescaleUnit::FS, 100_000_000_000_000),
    (1, TimescaleUnit::FS, 1_000_000_000_000_000),
];

/// Width of `job`.
const JOB_BITS: u32 = 32;

/// Streams a run into a value change dump.
///
/// The first write error is kept, ends the writing, and comes out of [`VcdWriter::finish`].
pub struct VcdWriter<W: Write> {
    writer: Writer<W>,
    design: String,
    units: Vec<Signals>,
    /// Time units per second.
    time_units: u64,
    clock_hz: u64,
    /// Cycle of the last time stamp.
    stamped: Option<u64>,
    outcome: io::Result<()>,
}

/// Signals of one unit and what was last written to them.
struct Signals {
    state: IdCode,
    /// One wire per state other than idle, in the order of [`WIRES`].
    wires: [IdCode; 3],
    job: IdCode,
    /// Nothing before the first dump.
    last_state: Option<UnitState>,
    last_job: Option<Option<u64>>,
}

/// States that have a wire of their own.
const WIRES: [(UnitState, &str); 3] =
    [(UnitState::Busy, "busy"), (UnitState::Starved, "starved"), (UnitState::Blocked, "blocked")];

impl<W: Write> VcdWriter<W> {
    /// A dump of one run of `design`; `output` should be buffered.
    pub fn new(output: W, design: &str) -> Self {
        Self {
            writer: Writer::new(output),
            design: identifier(design),
            units: Vec::new(),
            time_units: 1,
            clock_hz: 1,
            stamped: None,
            outcome: Ok(()),
        }
    }

    /// Flushes, and returns the first error.
    pub fn finish(mut self) -> io::Result<()> {
        self.outcome?;
        self.writer.flush()
    }

    /// Runs `write` unless an earlier write failed.
    fn attempt(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.outcome.is_ok() {
            self.outcome = write(self);
        }
    }

    fn header(&mut self, units: &[&str]) -> io::Result<()> {
        let writer = &mut self.writer;
        writer.version(concat!("attelier ", env!("CARGO_PKG_VERSION")))?;
        writer.comment("state: 0 idle, 1 busy, 2 starved, 3 blocked")?;
        let (count, unit, time_units) = timescale(self.clock_hz);
        writer.timescale(count, unit)?;
        self.time_units = time_units;
        writer.add_module(&self.design)?;
        for unit in units {
            writer.add_module(&identifier(unit))?;
            let state = writer.add_var(VarType::Reg, 2, "state", None)?;
            let mut wires = [state; 3];
            for (wire, (_, name)) in wires.iter_mut().zip(WIRES) {
                *wire = writer.add_wire(1, name)?;
            }
            let job = writer.add_var(VarType::Reg, JOB_BITS, "job", None)?;
            writer.upscope()?;
            let (last_state, last_job) = (None, None);
            self.units.push(Signals { state, wires, job, last_state, last_job });
        }
        writer.upscope()?;
        writer.enddefinitions()?;
        self.stamp(0)?;
        self.writer.begin(SimulationCommand::Dumpvars)?;
        for signals in &mut self.units {
            signals.write(&mut self.writer, UnitState::Idle, None)?;
        }
        self.writer.end()
    }

    fn change(
        &mut self,
        cycle: u64,
        unit: usize,
        state: UnitState,
        job: Option<u64>,
    ) -> io::Result<()> {
        let Some(signals) = self.units.get(unit) else {
            return Err(io::Error::other(format!("unit {unit} was not announced")));
        };
        if signals.last_state == Some(state) && signals.last_job == Some(job) {
            return Ok(());
        }
        self.stamp(cycle)?;
        self.units[unit].write(&mut self.writer, state, job)
    }

    /// Writes the time of `cycle` unless it is the current time.
    fn stamp(&mut self, cycle: u64) -> io::Result<()> {
        if let Some(last) = self.stamped {
            if cycle == last {
                return Ok(());
            }
            if cycle < last {
                return Err(io::Error::other(format!("cycle {cycle} comes after cycle {last}")));
            }
        }
        self.stamped = Some(cycle);
        // Rounding never accumulates: every stamp is computed from the cycle number.
        let time = u128::from(cycle) * u128::from(self.time_units) / u128::from(self.clock_hz);
        let time = u64::try_from(time)
            .map_err(|_| io::Error::other(format!("cycle {cycle} is beyond 64 bits of time")))?;
        self.writer.timestamp(time)
    }
}

impl<W: Write> Observer for VcdWriter<W> {
    fn begin(&mut self, units: &[&str], clock_hz: u64) {
        self.clock_hz = clock_hz.max(1);
        self.attempt(|dump| dump.header(units));
    }

    fn state(&mut self, cycle: u64, unit: usize, state: UnitState, job: Option<u64>) {
        self.attempt(|dump| dump.change(cycle, unit, state, job));
    }

    fn end(&mut self, cycle: u64) {
        self.attempt(|dump| dump.stamp(cycle));
    }
}

/// The largest time unit of which one clock period is a whole number; else the smallest.
fn timescale(clock_hz: u64) -> (u32, TimescaleUnit, u64) {
    let whole =
        TIMESCALES.into_iter().find(|(_, _, per_second)| per_second.is_multiple_of(clock_hz));
    whole.unwrap_or(TIMESCALES[TIMESCALES.len() - 1])
}

/// A name without the white space that would end it.
fn identifier(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join("_")
}

impl Signals {
    /// Writes what differs from the last values.
    fn write<W: Write>(
        &mut self,
        writer: &mut Writer<W>,
        state: UnitState,
        job: Option<u64>,
    ) -> io::Result<()> {
        if self.last_state != Some(state) {
            let code = match state {
                UnitState::Idle => 0,
                UnitState::Busy => 1,
                UnitState::Starved => 2,
                UnitState::Blocked => 3,
            };
            writer.change_vector(self.state, bits(code))?;
            for (id, (of, _)) in self.wires.iter().zip(WIRES) {
                if self.last_state.is_none_or(|last| (of == last) != (of == state)) {
                    writer.change_scalar(*id, of == state)?;
                }
            }
            self.last_state = Some(state);
        }
        if self.last_job != Some(job) {
            match job {
                Some(job) => writer.change_vector(self.job, bits(job % (1 << JOB_BITS)))?,
                // Readers extend a single z over the whole width.
                None => writer.change_vector(self.job, [Value::Z])?,
            }
            self.last_job = Some(job);
        }
        Ok(())
    }
}

/// The number in binary without leading zeros, which readers put back.
fn bits(number: u64) -> impl Iterator<Item = Value> {
    let width = u64::BITS - number.leading_zeros();
    (0..width.max(1)).rev().map(move |bit| Value::from(number >> bit & 1 == 1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ::vcd::{Command, Parser};

    use super::*;

    /// Changes as `time unit.signal=value`, with the header's scale.
    fn read_back(bytes: &[u8]) -> (String, Vec<String>) {
        let mut parser = Parser::new(bytes);
        let header = parser.parse_header().unwrap();
        let (count, unit) = header.timescale.unwrap();
        let mut names = BTreeMap::new();
        let design = header.find_scope(&["spatten-eighth"]).unwrap();
        for unit in design.items.iter().filter_map(|item| match item {
            ::vcd::ScopeItem::Scope(scope) => Some(scope),
            _ => None,
        }) {
            for var in unit.items.iter().filter_map(|item| match item {
                ::vcd::ScopeItem::Var(var) => Some(var),
                _ => None,
            }) {
                names.insert(var.code, format!("{}.{}", unit.identifier, var.reference));
            }
        }
        let mut time = 0;
        let mut changes = Vec::new();
        for command in parser {
            match command.unwrap() {
                Command::Timestamp(now) => {
                    time = now;
                    changes.push(format!("#{time}"));
                }
                Command::ChangeScalar(id, value) => {
                    changes.push(format!("{time} {}={value}", names[&id]));
                }
                Command::ChangeVector(id, value) => {
                    let value = value.iter().map(|value| value.to_string()).collect::<String>();
                    changes.push(format!("{time} {}={value}", names[&id]));
                }
                _ => {}
            }
        }
        (format!("{count} {unit}"), changes)
    }

    fn dump(clock_hz: u64, events: &[(u64, usize, UnitState, Option<u64>)], end: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut dump = VcdWriter::new(&mut bytes, "spatten-eighth");
        dump.begin(&["qkv_fetcher", "qk_array"], clock_hz);
        for &(cycle, unit, state, job) in events {
            dump.state(cycle, unit, state, job);
        }
        dump.end(end);
        dump.finish().unwrap();
        bytes
    }

    #[test]
    fn a_run_reads_back_as_it_happened() {
        let events = [
            (0, 0, UnitState::Busy, Some(5)),
            (7, 1, UnitState::Starved, Some(5)),
            (7, 0, UnitState::Busy, Some(5)),
            (9, 0, UnitState::Blocked, Some(u64::from(u32::MAX) + 3)),
            (12, 0, UnitState::Idle, None),
        ];
        let (scale, changes) = read_back(&dump(1_000_000_000, &events, 20));
        assert_eq!(scale, "1 ns");
        let expected = [
            "#0",
            "0 qkv_fetcher.state=0",
            "0 qkv_fetcher.busy=0",
            "0 qkv_fetcher.starved=0",
            "0 qkv_fetcher.blocked=0",
            "0 qkv_fetcher.job=z",
            "0 qk_array.state=0",
            "0 qk_array.busy=0",
            "0 qk_array.starved=0",
            "0 qk_array.blocked=0",
            "0 qk_array.job=z",
            "0 qkv_fetcher.state=1",
            "0 qkv_fetcher.busy=1",
            "0 qkv_fetcher.job=101",
            "#7",
            "7 qk_array.state=10",
            "7 qk_array.starved=1",
            "7 qk_array.job=101",
            "#9",
            "9 qkv_fetcher.state=11",
            "9 qkv_fetcher.busy=0",
            "9 qkv_fetcher.blocked=1",
            "9 qkv_fetcher.job=10",
            "#12",
            "12 qkv_fetcher.state=0",
            "12 qkv_fetcher.blocked=0",
            "12 qkv_fetcher.job=z",
            "#20",
        ];
        assert_eq!(changes, expected);
    }

    #[test]
    fn the_time_scale_follows_the_clock() {
        let scale = |hz| {
            let (count, unit, _) = timescale(hz);
            format!("{count} {unit}")
        };
        assert_eq!(scale(1_000_000_000), "1 ns");
        assert_eq!(scale(500_000_000), "1 ns");
        assert_eq!(scale(100_000_000), "10 ns");
        assert_eq!(scale(1_600_000_000), "1 ps", "625 ps is no multiple of 10 ps");
        assert_eq!(scale(300_000_000), "1 fs", "no unit divides a third");
    }

    #[test]
    fn an_odd_clock_does_not_drift() {
        let events = [(3_000_000_000, 0, UnitState::Busy, None)];
        let (scale, changes) = read_back(&dump(300_000_000, &events, 3_000_000_000));
        assert_eq!(scale, "1 fs");
        assert!(changes.contains(&"#10000000000000000".to_owned()), "10 s: {changes:?}");
    }

    #[test]
    fn events_out_of_order_are_an_error() {
        let mut dump = VcdWriter::new(Vec::new(), "spatten");
        dump.begin(&["qk_array"], 1);
        dump.state(4, 0, UnitState::Busy, None);
        dump.state(3, 0, UnitState::Idle, None);
        let error = dump.finish().unwrap_err().to_string();
        assert_eq!(error, "cycle 3 comes after cycle 4");
    }

    #[test]
    fn the_first_write_error_comes_out_at_the_end() {
        let mut small = [0; 40];
        let mut dump = VcdWriter::new(&mut small[..], "spatten");
        dump.begin(&["qk_array"], 1);
        dump.state(4, 0, UnitState::Busy, None);
        dump.end(5);
        let error = dump.finish().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }
}
