//! The whole machine: jobs, queries and ideal memory on one side, results on the other.
//!
//! The simulator's machine runs first and everything that crosses its boundary is noted, cycle by
//! cycle. The hardware sees the same inputs and must show the same: which channel is asked for which
//! address in which cycle, when jobs and queries are taken, when which result shows, and when all is
//! done. A beat is a memory transaction.

mod recording;
mod workload;

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Error,
    bits::Bits,
    mutate::{Change, Mutation},
    units::{
        self,
        spatten::{Format, Sizes, formats, job_fields},
    },
    witness::{Frame, Pin, Pins, Vectors},
};
use attelier_sim::designs::spatten::{Decision, Job};

pub use self::{
    recording::{Finished, Paces, Recording, Step},
    workload::{Operands, Workload},
};
use crate::cosim::{Plan, Unit};

/// Fewest requests of a comparison.
const LEAST_REQUESTS: usize = 24;

struct Top(Spatten);

/// The machine.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    Box::new(Top(params.clone()))
}

impl Unit for Top {
    fn name(&self) -> &'static str {
        "spatten_core"
    }

    fn parameters(&self) -> String {
        let Spatten { qk_array, head_dim, memory, .. } = &self.0;
        let (keys, channels) = (qk_array.keys_per_line, memory.channels);
        format!("heads of {head_dim}, {keys} keys a line, {channels} channels")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::spatten::spatten_core(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let params = &self.0;
        let sizes = Sizes::of(params).expect("the design was built");
        let workload = Workload::random(params, plan.seed, plan.beats, LEAST_REQUESTS);
        let workload = workload.expect("requests are drawn to fit the machine");
        let paces = Paces::random(plan.seed);
        let recording = Recording::of(params, &workload, paces, sizes.jobs as usize);
        Box::new(Driver::new(params, pins, workload, recording))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |module, signal, change| Mutation { module, signal, change };
        vec![
            of("spatten_core", "lower_is_behind", Change::Zero),
            of("spatten_core", "result_has_place", Change::Inverted),
            of("spatten_core", "value_row", Change::Zero),
            of("controller", "undecided", Change::Delayed),
            of("controller", "issues_retry", Change::Zero),
            of("controller", "retry_job", Change::Exchanged),
            of("key_slots", "used", Change::Zero),
            of("value_slots_slot", "released", Change::Inverted),
            of("address_generator", "chosen", Change::Zero),
            of("address_generator", "list_begin", Change::Zero),
            of("address_crossbar", "blocks_0", Change::Inverted),
            of("data_crossbar", "is_there_1", Change::Inverted),
            of("query_buffer", "set", Change::Zero),
        ]
    }
}

/// Drives what was recorded.
struct Driver {
    workload: Workload,
    recording: Recording,
    formats: Vec<Format>,
    params: Spatten,
    ports: Ports,
    at: usize,
}

struct Ports {
    job_valid: Pin,
    job_ready: Pin,
    job_fields: Vec<Pin>,
    query_valid: Pin,
    query_ready: Pin,
    query: Pin,
    result_valid: Pin,
    result_ready: Pin,
    result: Pin,
    result_id: Pin,
    channels: Vec<Channel>,
    idle: Pin,
}

struct Channel {
    asked: Pin,
    ready: Pin,
    address: Pin,
    answered: Pin,
    accepted: Pin,
    data: Pin,
}

impl Ports {
    fn of(params: &Spatten, pins: &Pins) -> Self {
        let fields = job_fields(params).expect("the design was built");
        let channel = |at: u32| Channel {
            asked: pins.output(&format!("arvalid_{at}")),
            ready: pins.input(&format!("arready_{at}")),
            address: pins.output(&format!("araddr_{at}")),
            answered: pins.input(&format!("rvalid_{at}")),
            accepted: pins.output(&format!("rready_{at}")),
            data: pins.input(&format!("rdata_{at}")),
        };
        Self {
            job_valid: pins.input("s_job_tvalid"),
            job_ready: pins.output("s_job_tready"),
            job_fields: fields
                .iter()
                .map(|field| pins.input(&format!("s_job_{}", field.name)))
                .collect(),
            query_valid: pins.input("s_axis_query_tvalid"),
            query_ready: pins.output("s_axis_query_tready"),
            query: pins.input("s_axis_query_tdata"),
            result_valid: pins.output("m_axis_result_tvalid"),
            result_ready: pins.input("m_axis_result_tready"),
            result: pins.output("m_axis_result_tdata"),
            result_id: pins.output("m_axis_result_tid"),
            channels: (0..params.memory.channels).map(channel).collect(),
            idle: pins.output("idle"),
        }
    }
}

/// A vector on a stream: 16 bits per element.
fn elements(words: &[i32]) -> Bits {
    let mut all = Bits::zero(words.len() as u32 * 16);
    for (at, word) in (0..).zip(words) {
        all.place(at * 16, &Bits::from_signed(i64::from(*word), 16));
    }
    all
}

impl Driver {
    fn new(params: &Spatten, pins: &Pins, workload: Workload, recording: Recording) -> Self {
        let (formats, ports) = (formats(params), Ports::of(params, pins));
        Self { workload, recording, formats, params: params.clone(), ports, at: 0 }
    }

    /// The fields of a job, in the order of the ports.
    fn fields(&self, number: usize) -> [u64; 16] {
        let (params, job) = (&self.params, &self.workload.jobs[number]);
        let operands = &self.workload.operands[number];
        let bytes = u64::from(params.memory.transaction_bytes);
        let format = |bits: u32, above: u32| {
            let vectors = params.qk_array.keys_per_line;
            let wanted = Format { bits, heads: 1, above, vectors };
            self.formats.iter().position(|format| *format == wanted).unwrap_or(0) as u64
        };
        let units = |vector_bytes: u32| u64::from(vector_bytes) / bytes;
        let (compares, threshold) = rule(job, operands.threshold, params.datapath_bits);
        let (lsb, scale) = (&job.key_lsb[0], operands.scale);
        [
            number as u64,
            job.keys.into(),
            job.values.into(),
            job.key.base / bytes,
            units(job.key.vector_bytes),
            format(job.key.bits, 0),
            lsb.base / bytes,
            units(lsb.vector_bytes),
            if lsb.bits == 0 { 0 } else { format(lsb.bits, job.key.bits) },
            job.value.base / bytes,
            units(job.value.vector_bytes),
            format(job.value.bits, 0),
            compares,
            threshold,
            scale.mantissa.cast_unsigned(),
            scale.shift.into(),
        ]
    }
}

/// Whether the passes of a job are compared, and with which threshold. A forced second computation
/// is a threshold that no probability reaches.
fn rule(job: &Job, threshold: u16, word_bits: u32) -> (u64, u64) {
    match job.decisions[0] {
        Decision::Compared => (1, threshold.into()),
        Decision::Told { is_flat: true } => (1, 1 << word_bits),
        Decision::Told { is_flat: false } | Decision::Accept => (0, 0),
    }
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        let Some(step) = self.recording.steps.get(self.at) else { return false };
        self.at += 1;
        let ports = &self.ports;
        frame.drive(ports.job_valid, step.job.is_some().into());
        if let Some((number, taken)) = step.job {
            for (pin, value) in ports.job_fields.iter().zip(self.fields(number)) {
                frame.drive(*pin, value);
            }
            frame.expect(ports.job_ready, taken.into());
        }
        frame.drive(ports.query_valid, step.query.is_some().into());
        if let Some(number) = step.query {
            frame.drive_bits(ports.query, &elements(&self.workload.operands[number].query));
        }
        frame.expect(ports.query_ready, step.query_ready.into());
        frame.drive(ports.result_ready, step.result_ready.into());
        frame.expect(ports.result_valid, step.result.is_some().into());
        if let Some(Finished { job, words }) = step.result.map(|at| &self.recording.finished[at]) {
            frame.expect_bits(ports.result, &elements(words));
            frame.expect(ports.result_id, u64::from(*job) & 0xffff);
        }
        for (channel, (asked, answered)) in
            ports.channels.iter().zip(step.asked.iter().zip(&step.answered))
        {
            frame.drive(channel.ready, 1);
            frame.expect(channel.asked, asked.is_some().into());
            if let Some(address) = asked {
                frame.expect(channel.address, *address);
            }
            frame.drive(channel.answered, answered.is_some().into());
            if let Some(address) = answered {
                let bytes = self.workload.transaction(*address);
                let words: Vec<u64> = bytes
                    .chunks(8)
                    .map(|chunk| chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
                    .collect();
                frame.drive_bits(channel.data, &Bits::from_words(&words, 8 * bytes.len() as u32));
                frame.expect(channel.accepted, 1);
                frame.count_beat();
            }
        }
        frame.expect(ports.idle, step.idle.into());
        true
    }
}
