//! The result of one run: everything that is printed or written as JSON.
//!
//! Keys are stable: adding one is fine, renaming is not. What the models do not know is `null`, and
//! a note says why.

mod checks;
mod identity;
mod text;

use attelier_sim::{
    energy,
    result::{Admission, Phase, RunResult, Stream, UnitReport},
};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::values::{ComputedImage, Fidelity, Generated, ValueResult};

pub use checks::{Checks, ImageLayerRow, LayerRow, ModelLayerRow, Progressive};
pub use identity::Identity;

/// A unit (or the bandwidth) that is used for more than this share of the cycles bounds the run.
const FULL_SHARE: f64 = 0.9;

/// Otherwise a buffer bounds it for whose space the next job waits for more than this share; a run
/// that is bound by nothing with more than this share is bound by latency.
const BOUND_SHARE: f64 = 0.5;

/// Name of the memory, as a unit and as a bound.
const MEMORY: &str = "memory";

/// The result of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What ran.
    #[serde(flatten)]
    pub identity: Identity,
    /// Core-clock cycles.
    pub cycles: u64,
    /// Core clock [Hz].
    pub clock_hz: u64,
    /// Simulated time [s].
    pub seconds: f64,
    /// Operations the arrays performed for kept keys and values.
    pub ops_executed: u64,
    /// Operations of the same attention without pruning.
    pub ops_dense: u64,
    /// Operations per second.
    pub throughput: Throughput,
    /// Bytes between machine and memory, per stream.
    pub traffic: TrafficReport,
    /// What the memory did.
    pub dram: Dram,
    /// Energy by term [J].
    pub energy_j: Energy,
    /// Mean power [W].
    pub power_w: Option<f64>,
    /// Area [mm2].
    pub area_mm2: Option<f64>,
    /// Area of its units [mm2]; empty where it is not known.
    #[serde(serialize_with = "pairs")]
    pub area_by_unit_mm2: Vec<(&'static str, f64)>,
    /// Activity per unit, in design order.
    #[serde(serialize_with = "by_name")]
    pub units: Vec<UnitRow>,
    /// What the next head waited for before it entered the machine; `None` without such waits.
    pub admission: Option<AdmissionReport>,
    /// Cycles by operation, of a design that does one after the other.
    #[serde(serialize_with = "phases_by_name")]
    pub phases: Vec<Phase>,
    /// What limits the run; `None` for a run of no cycles.
    pub bound: Option<Bound>,
    /// Comparison with the reference kernels.
    pub checks: Checks,
    /// Passes that needed their key LSBs, of a run with real values.
    pub progressive: Option<Progressive>,
    /// What the machine did to the result of the model; `None` without a model.
    pub fidelity: Option<Fidelity>,
    /// Published numbers beside ours.
    pub published: Vec<Published>,
    /// Things the reader must know.
    pub notes: Vec<String>,
}

/// Operations per second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Throughput {
    /// Of the operations performed.
    pub executed_ops_per_s: Option<f64>,
    /// Of the operations that pruning saved or the machine performed.
    pub dense_ops_per_s: Option<f64>,
}

/// Bytes between machine and memory, per stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrafficReport {
    /// Queries [B].
    pub query_bytes: u64,
    /// Keys, first pass [B].
    pub key_bytes: u64,
    /// Key LSBs, read on a refetch [B].
    pub key_lsb_bytes: u64,
    /// Values [B].
    pub value_bytes: u64,
    /// Streams of a design that has others; empty where those above are all.
    #[serde(serialize_with = "streams_by_name")]
    pub streams: Vec<Stream>,
    /// All streams [B].
    pub total_bytes: u64,
    /// Mean bandwidth [B/s].
    pub bytes_per_s: Option<f64>,
    /// Bandwidth that the memory offers [B/s].
    pub peak_bytes_per_s: f64,
    /// Share of the offered bandwidth.
    pub utilisation: Option<f64>,
}

/// What the memory did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dram {
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Read transactions.
    pub reads: u64,
    /// Write transactions.
    pub writes: u64,
    /// Rows opened.
    pub activates: Option<u64>,
    /// Rows closed.
    pub precharges: Option<u64>,
    /// Refreshes.
    pub refreshes: Option<u64>,
    /// Share of transactions that found their row open.
    pub row_hit_rate: Option<f64>,
}

/// Energy by term [J].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Energy {
    /// Sum of the terms; `None` where energy is not modelled.
    pub total: Option<f64>,
    /// One entry per physical cause, in the order of the data.
    pub terms: Vec<(&'static str, f64)>,
}

impl Serialize for Energy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.terms.len() + 1))?;
        map.serialize_entry("total", &self.total)?;
        for (name, joules) in &self.terms {
            map.serialize_entry(name, joules)?;
        }
        map.end()
    }
}

/// Activity of one unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnitRow {
    /// Name.
    #[serde(skip)]
    pub name: &'static str,
    /// Cycles in which it moved or computed a beat.
    pub busy_cycles: u64,
    /// Share of all cycles in which it was busy.
    pub utilisation: Option<f64>,
    /// Cycles in which it waited for its input.
    pub starved_cycles: u64,
    /// Cycles in which it waited for room at its output.
    pub blocked_cycles: u64,
    /// Beats it handled.
    pub beats: u64,
}

/// What limits a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bound {
    /// Which kind of limit.
    pub kind: BoundKind,
    /// The busiest unit, the space that is waited for, or `memory` when bandwidth is the limit.
    pub unit: String,
    /// Its share of busy cycles, of cycles waited, or the share of the bandwidth in use.
    pub utilisation: f64,
}

/// Cycles in which the next head waited, by what it waited for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AdmissionReport {
    /// Token or head top-k, and what it depends on.
    pub selection_cycles: u64,
    /// A place among the undecided heads.
    pub in_flight_cycles: u64,
    /// Lines of the key buffer.
    pub key_sram_cycles: u64,
    /// Lines of the value buffer.
    pub value_sram_cycles: u64,
}

impl From<Admission> for AdmissionReport {
    fn from(admission: Admission) -> Self {
        let Admission { selection_cycles, in_flight_cycles, key_sram_cycles, value_sram_cycles } =
            admission;
        Self { selection_cycles, in_flight_cycles, key_sram_cycles, value_sram_cycles }
    }
}

/// Kinds of limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BoundKind {
    /// A unit of the machine.
    Unit,
    /// Space: heads wait for lines of a buffer, or for a place among the undecided ones.
    Capacity,
    /// The bandwidth of the memory.
    Bandwidth,
    /// No unit and no bandwidth: waiting between dependent steps.
    Latency,
}

/// One published number beside ours.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Published {
    /// What is compared.
    pub item: String,
    /// The published number.
    pub published: f64,
    /// Ours.
    pub ours: f64,
    /// Unit of both.
    pub unit: String,
    /// Relative deviation of ours.
    pub deviation: f64,
    /// Where it was published.
    pub source: String,
}

impl Published {
    /// Compares; both numbers in `unit`.
    pub fn new(item: &str, published: f64, ours: f64, unit: &str, source: &str) -> Self {
        let deviation = ours / published - 1.0;
        let [item, unit, source] = [item, unit, source].map(str::to_owned);
        Self { item, published, ours, unit, deviation, source }
    }
}

impl Report {
    /// A run on a memory that offers `peak_bytes_per_s`.
    pub fn new(identity: Identity, result: &RunResult, peak_bytes_per_s: f64) -> Self {
        let RunResult { cycles, clock_hz, ops_executed, ops_dense, .. } = *result;
        let seconds = cycles as f64 / clock_hz as f64;
        let per_second = |amount: u64| (cycles > 0).then(|| amount as f64 / seconds);
        let units: Vec<_> = result.units.iter().map(|unit| UnitRow::new(unit, cycles)).collect();
        let t = &result.traffic;
        let bytes = |write| {
            let streams = result.streams.iter().filter(|stream| stream.write == write);
            streams.map(|stream| stream.bytes).sum::<u64>()
        };
        let write_bytes = bytes(true);
        let attention = t.query_bytes + t.key_bytes + t.key_lsb_bytes + t.value_bytes;
        let total_bytes = attention + bytes(false) + write_bytes;
        let bytes_per_s = per_second(total_bytes);
        let traffic = TrafficReport {
            query_bytes: t.query_bytes,
            key_bytes: t.key_bytes,
            key_lsb_bytes: t.key_lsb_bytes,
            value_bytes: t.value_bytes,
            streams: result.streams.clone(),
            total_bytes,
            bytes_per_s,
            peak_bytes_per_s,
            utilisation: bytes_per_s.map(|rate| rate / peak_bytes_per_s),
        };
        let dram = Dram {
            read_bytes: total_bytes - write_bytes,
            write_bytes,
            reads: t.reads,
            writes: result.writes,
            activates: result.dram.map(|dram| dram.activates),
            precharges: result.dram.map(|dram| dram.precharges),
            refreshes: result.dram.map(|dram| dram.refreshes),
            row_hit_rate: result.dram.and_then(|dram| share(dram.row_hits, dram.requests)),
        };
        let mut notes = result.notes.clone();
        if result.dram.is_none() {
            notes.push(
                "the ideal memory has no rows: activates, precharges, refreshes and row hits are \
                 unknown"
                    .to_owned(),
            );
        }
        Self {
            identity,
            cycles,
            clock_hz,
            seconds,
            ops_executed,
            ops_dense,
            throughput: Throughput {
                executed_ops_per_s: per_second(ops_executed),
                dense_ops_per_s: per_second(ops_dense),
            },
            bound: Bound::of(
                &units,
                traffic.utilisation,
                &result.admission.unwrap_or_default(),
                cycles,
            ),
            admission: result.admission.map(Into::into),
            phases: result.phases.clone(),
            traffic,
            dram,
            energy_j: Energy::default(),
            power_w: None,
            area_mm2: None,
            area_by_unit_mm2: Vec::new(),
            units,
            checks: Checks::default(),
            progressive: None,
            fidelity: None,
            published: Vec::new(),
            notes,
        }
    }
}

impl Report {
    /// The same run with its energy, if that is modelled, or with what is known of it.
    pub fn with_energy(
        mut self,
        energy: Option<energy::Energy>,
        known: Option<energy::Energy>,
    ) -> Self {
        let Some(energy) = energy else {
            let Some(known) = known else {
                self.notes.push("energy is not modelled yet".to_owned());
                return self;
            };
            self.energy_j = Energy { total: None, terms: known.terms };
            self.notes.extend(known.notes);
            return self;
        };
        let total = energy.total();
        self.power_w = (self.seconds > 0.0).then(|| total / self.seconds);
        self.energy_j = Energy { total: Some(total), terms: energy.terms };
        self.notes.extend(energy.notes);
        self
    }

    /// The same run with the area of its units [mm2], if that is known.
    pub fn with_areas(mut self, areas_mm2: Vec<(&'static str, f64)>) -> Self {
        if areas_mm2.is_empty() {
            self.notes.push("area is not modelled yet".to_owned());
            return self;
        }
        self.area_mm2 = Some(areas_mm2.iter().map(|(_, area)| area).sum());
        self.area_by_unit_mm2 = areas_mm2;
        self
    }

    /// The same run with what its values tell.
    pub fn with_values(mut self, values: &ValueResult, fidelity: Option<Fidelity>) -> Self {
        self.checks = Checks::of(values);
        self.progressive = values.comparison.as_ref().map(Progressive::of);
        self.fidelity = fidelity;
        self
    }

    /// The same run with what the machine made of a model.
    pub fn with_generated(mut self, generated: &Generated) -> Self {
        self.checks = Checks::of_model(generated);
        self.fidelity = Some(generated.fidelity.clone());
        self
    }

    /// The same run with what the machine made of an image.
    pub fn with_image(mut self, computed: &ComputedImage) -> Self {
        self.checks = Checks::of_image(computed);
        self.fidelity = Some(computed.fidelity.clone());
        self
    }

    /// The same run beside published numbers.
    pub fn beside(mut self, published: Vec<Published>) -> Self {
        self.published = published;
        self
    }

    /// The same run with more to know about it.
    pub fn noting(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }
}

impl UnitRow {
    fn new(unit: &UnitReport, cycles: u64) -> Self {
        Self {
            name: unit.name,
            busy_cycles: unit.busy_cycles,
            utilisation: share(unit.busy_cycles, cycles),
            starved_cycles: unit.starved_cycles,
            blocked_cycles: unit.blocked_cycles,
            beats: unit.beats,
        }
    }
}

impl Bound {
    /// The fullest of units and bandwidth, the first unit among equals, or else the scarcest space.
    ///
    /// A unit that stands for the memory is busy as soon as one channel is, so bandwidth speaks for
    /// it.
    fn of(
        units: &[UnitRow],
        bandwidth: Option<f64>,
        admission: &Admission,
        cycles: u64,
    ) -> Option<Self> {
        let mut fullest: Option<Self> = None;
        let units = units.iter().filter(|unit| unit.name != MEMORY);
        let units = units.map(|unit| (BoundKind::Unit, unit.name, unit.utilisation));
        for (kind, name, utilisation) in units.chain([(BoundKind::Bandwidth, MEMORY, bandwidth)]) {
            let utilisation = utilisation?;
            if fullest.as_ref().is_none_or(|fullest| utilisation > fullest.utilisation) {
                fullest = Some(Self { kind, unit: name.to_owned(), utilisation });
            }
        }
        let mut bound = fullest?;
        if bound.utilisation > FULL_SHARE {
            return Some(bound);
        }
        let spaces = [
            ("key_sram", admission.key_sram_cycles),
            ("value_sram", admission.value_sram_cycles),
            ("controller.jobs_in_flight", admission.in_flight_cycles),
        ];
        let scarce = spaces.into_iter().max_by_key(|&(_, waited)| waited);
        if let Some((name, waited)) = scarce
            && let Some(utilisation) = share(waited, cycles).filter(|&share| share > BOUND_SHARE)
        {
            return Some(Self { kind: BoundKind::Capacity, unit: name.to_owned(), utilisation });
        }
        if bound.utilisation <= BOUND_SHARE {
            bound.kind = BoundKind::Latency;
        }
        Some(bound)
    }
}

/// `part` of `whole`, unless there is no whole.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Units as an object with their names as keys, in design order.
fn by_name<S: Serializer>(units: &[UnitRow], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(units.len()))?;
    for unit in units {
        map.serialize_entry(unit.name, unit)?;
    }
    map.end()
}

/// Numbers as an object, by name.
fn pairs<S: Serializer>(pairs: &[(&'static str, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}

/// Streams as an object, `<name>_bytes`.
fn streams_by_name<S: Serializer>(streams: &[Stream], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(streams.iter().map(|one| (format!("{}_bytes", one.name), one.bytes)))
}

/// Operations as an object, cycles by name.
fn phases_by_name<S: Serializer>(phases: &[Phase], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(phases.iter().map(|phase| (phase.name, phase.cycles)))
}

#[cfg(test)]
mod tests;
