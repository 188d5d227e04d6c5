//! The whole machine: jobs, queries and ideal memory on one side, results on the other.
//!
//! The simulator's machine runs first and everything that crosses its boundary is noted, cycle by
//! cycle. The hardware sees the same inputs and must show the same: which channel is asked for which
//! address in which cycle, when jobs and queries are taken, when which result shows, and when all is
//! done. A beat is a memory transaction.

mod boundary;
mod bus;
mod real;
mod recording;
mod workload;

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Error,
    mutate::{Change, Mutation},
    units::{
        self,
        spatten::{Sizes, job_fields},
    },
    witness::{Frame, Pin, Pins, Vectors},
};

use self::boundary::Boundary;
pub use self::{
    boundary::{Jobs, bytes, elements},
    bus::unit as with_bus,
    recording::{Finished, Paces, Recording, Step},
    workload::{Operands, Workload},
};
use crate::cosim::{Plan, Unit, spatten::requests::Requests};

/// Fewest requests of a comparison.
const LEAST_REQUESTS: usize = 24;

/// A random workload and what the simulator does with it while both ends refuse at random.
///
/// # Panics
/// A machine for which there is no hardware, or which holds fewer keys than a random request has.
pub fn record(
    params: &Spatten,
    seed: u64,
    transactions: u64,
    requests: usize,
) -> (Workload, Recording) {
    let sizes = Sizes::of(params).expect("the design was built");
    let workload = Workload::random(params, seed, transactions, requests);
    let workload = workload.expect("requests are drawn to fit the machine");
    let recording = Recording::of(params, &workload, Paces::random(seed), sizes.jobs as usize);
    (workload, recording)
}

struct Top(Spatten);

/// The machine.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    Box::new(Top(with_query_stream(params)))
}

/// The machine that gets its queries on a stream, as the hardware always does.
fn with_query_stream(params: &Spatten) -> Spatten {
    let mut params = params.clone();
    params.controller.query_from_dram = false;
    params
}

impl Unit for Top {
    fn name(&self) -> &'static str {
        "spatten_core"
    }

    fn parameters(&self) -> String {
        let Spatten { qk_array, head_dim, memory, .. } = &self.0;
        let (keys, channels) = (qk_array.keys_per_line, memory.channels);
        format!("heads of {head_dim}, {keys} keys a line, {channels} channels, query stream")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::spatten::spatten_core(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (workload, recording) = record(&self.0, plan.seed, plan.beats, LEAST_REQUESTS);
        Box::new(Driver::new(&self.0, pins, workload, recording))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let workload = Workload::real(&self.0, requests, plan.beats)?;
        let places = Sizes::of(&self.0).map_err(|error| error.to_string())?.jobs as usize;
        let recording = Recording::of(&self.0, &workload, Paces::random(plan.seed), places);
        Ok(Box::new(Driver::new(&self.0, pins, workload, recording)))
    }

    fn stimulus(&self, plan: Plan) -> Option<String> {
        Some(record(&self.0, plan.seed, plan.beats, LEAST_REQUESTS).1.summary())
    }

    fn left_out(&self) -> Option<String> {
        super::too_large(&self.0)
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
            of("value_slots", "fill_position", Change::Inverted),
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
    jobs: Jobs,
    boundary: Boundary,
    job_valid: Pin,
    job_ready: Pin,
    job_fields: Vec<Pin>,
    idle: Pin,
    at: usize,
}

impl Driver {
    fn new(params: &Spatten, pins: &Pins, workload: Workload, recording: Recording) -> Self {
        let fields = job_fields(params).expect("the design was built");
        Self {
            workload,
            recording,
            jobs: Jobs::new(params),
            boundary: Boundary::new(params, pins, &|channel, port| format!("{port}_{channel}")),
            job_valid: pins.input("s_job_tvalid"),
            job_ready: pins.output("s_job_tready"),
            job_fields: fields
                .iter()
                .map(|field| pins.input(&format!("s_job_{}", field.name)))
                .collect(),
            idle: pins.output("idle"),
            at: 0,
        }
    }
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        let Some(step) = self.recording.steps.get(self.at) else { return false };
        self.at += 1;
        frame.drive(self.job_valid, step.job.is_some().into());
        if let Some((number, taken)) = step.job {
            let fields = self.jobs.fields(&self.workload, number);
            for (pin, value) in self.job_fields.iter().zip(fields) {
                frame.drive(*pin, value);
            }
            frame.expect(self.job_ready, taken.into());
        }
        self.boundary.step(frame, &self.workload, &self.recording, step);
        frame.expect(self.idle, step.idle.into());
        true
    }
}
