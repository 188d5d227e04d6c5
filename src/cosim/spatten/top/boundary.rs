//! What crosses the boundary of the machine as values of ports.

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    bits::Bits,
    units::spatten::{Format, formats},
    witness::{Frame, Pin, Pins},
};
use attelier_sim::designs::spatten::{Decision, Job};

use super::{Finished, Recording, Step, Workload};

/// Fields of a job.
const FIELDS: usize = 16;

/// Jobs as the hardware gets them.
pub struct Jobs {
    formats: Vec<Format>,
    params: Spatten,
}

impl Jobs {
    /// Jobs of a machine.
    pub fn new(params: &Spatten) -> Self {
        Self { formats: formats(params), params: params.clone() }
    }

    /// The fields of job `number`, in the order of `job_fields`.
    pub fn fields(&self, workload: &Workload, number: usize) -> [u64; FIELDS] {
        let (params, job) = (&self.params, &workload.jobs[number]);
        let operands = &workload.operands[number];
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
            number as u64 & 0xffff,
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

/// Ports of queries, results and memory.
pub struct Boundary {
    query_valid: Pin,
    query_ready: Pin,
    query: Pin,
    result_valid: Pin,
    result_ready: Pin,
    result: Pin,
    result_id: Pin,
    channels: Vec<Channel>,
}

struct Channel {
    asked: Pin,
    ready: Pin,
    address: Pin,
    answered: Pin,
    accepted: Pin,
    data: Pin,
}

impl Boundary {
    /// The ports of a module; `name` gives the name of a port of a channel.
    pub fn new(params: &Spatten, pins: &Pins, name: &dyn Fn(u32, &str) -> String) -> Self {
        let channel = |at: u32| Channel {
            asked: pins.output(&name(at, "arvalid")),
            ready: pins.input(&name(at, "arready")),
            address: pins.output(&name(at, "araddr")),
            answered: pins.input(&name(at, "rvalid")),
            accepted: pins.output(&name(at, "rready")),
            data: pins.input(&name(at, "rdata")),
        };
        Self {
            query_valid: pins.input("s_axis_query_tvalid"),
            query_ready: pins.output("s_axis_query_tready"),
            query: pins.input("s_axis_query_tdata"),
            result_valid: pins.output("m_axis_result_tvalid"),
            result_ready: pins.input("m_axis_result_tready"),
            result: pins.output("m_axis_result_tdata"),
            result_id: pins.output("m_axis_result_tid"),
            channels: (0..params.memory.channels).map(channel).collect(),
        }
    }

    /// Drives the inputs of a cycle and says what the outputs show.
    pub fn step(&self, frame: &mut Frame, workload: &Workload, recording: &Recording, step: &Step) {
        frame.drive(self.query_valid, step.query.is_some().into());
        if let Some(number) = step.query {
            frame.drive_bits(self.query, &elements(&workload.operands[number].query));
        }
        frame.expect(self.query_ready, step.query_ready.into());
        frame.drive(self.result_ready, step.result_ready.into());
        frame.expect(self.result_valid, step.result.is_some().into());
        if let Some(Finished { job, words }) = step.result.map(|at| &recording.finished[at]) {
            frame.expect_bits(self.result, &elements(words));
            frame.expect(self.result_id, u64::from(*job) & 0xffff);
        }
        for (at, channel) in self.channels.iter().enumerate() {
            let asked = step.asked.get(at).copied().flatten();
            frame.drive(channel.ready, 1);
            frame.expect(channel.asked, asked.is_some().into());
            if let Some(address) = asked {
                frame.expect(channel.address, address);
            }
            let answered = step.answered.get(at).copied().flatten();
            frame.drive(channel.answered, answered.is_some().into());
            if let Some(address) = answered {
                frame.drive_bits(channel.data, &bytes(&workload.transaction(address)));
                frame.expect(channel.accepted, 1);
                frame.count_beat();
            }
        }
    }
}

/// Bytes side by side, the first one lowest.
pub fn bytes(bytes: &[u8]) -> Bits {
    let word = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let words: Vec<u64> = bytes.chunks(8).map(word).collect();
    Bits::from_words(&words, 8 * bytes.len() as u32)
}

/// A vector on a stream: 16 bits per element.
pub fn elements(words: &[i32]) -> Bits {
    let mut all = Bits::zero(words.len() as u32 * 16);
    for (at, word) in (0..).zip(words) {
        all.place(at * 16, &Bits::from_signed(i64::from(*word), 16));
    }
    all
}
