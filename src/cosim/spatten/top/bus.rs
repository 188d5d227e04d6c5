//! The machine with its bus interfaces: jobs are written to registers and submitted, then let go at
//! once; from that cycle on the machine must do what the simulator does, and count what it did.

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Error,
    mutate::{Change, Mutation},
    units::{
        self,
        spatten::{ENABLE, FIRST_FIELD, QUEUED_JOBS, submit_register},
    },
    witness::{Frame, Pin, Pins, Vectors},
};

use super::{
    Recording, Step, Workload,
    boundary::{Boundary, Jobs},
    record, with_query_stream,
};
use crate::cosim::{Plan, Unit, spatten::requests::Requests};

/// Requests of a comparison: as many as can be queued.
const REQUESTS: usize = QUEUED_JOBS as usize;

/// AXI4 response of a failed read.
const SLAVE_ERROR: u64 = 2;

/// Idle, and nothing else.
const IDLE: u64 = 1;

struct Bus(Spatten);

/// The machine with its bus interfaces.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    Box::new(Bus(with_query_stream(params)))
}

impl Unit for Bus {
    fn name(&self) -> &'static str {
        "spatten"
    }

    fn parameters(&self) -> String {
        format!("{REQUESTS} jobs through registers")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::spatten::spatten(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (workload, recording) = record(&self.0, plan.seed, 0, REQUESTS);
        Box::new(Driver::new(&self.0, pins, workload, recording))
    }

    fn real(&self, _: &Pins, _: Plan, _: &Requests) -> Result<Box<dyn Vectors>, String> {
        Err(format!(
            "it gets {REQUESTS} jobs, all before its first cycle; `spatten_core`, which is all of it but \
             the registers, gets all of them"
        ))
    }

    fn stimulus(&self, plan: Plan) -> Option<String> {
        Some(record(&self.0, plan.seed, 0, REQUESTS).1.summary())
    }

    fn left_out(&self) -> Option<String> {
        super::super::too_large(&self.0)
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "spatten", signal, change };
        vec![
            of("submits", Change::Delayed),
            of("enabled", Change::Inverted),
            of("admits", Change::Delayed),
            of("results_taken", Change::Zero),
            of("is_idle", Change::Inverted),
            of("answered_1", Change::Inverted),
        ]
    }
}

struct Ports {
    write_valid: Pin,
    write_address: Pin,
    write_ready: Pin,
    data_valid: Pin,
    data: Pin,
    strobe: Pin,
    data_ready: Pin,
    response_ready: Pin,
    response_valid: Pin,
    response: Pin,
    read_valid: Pin,
    read_address: Pin,
    read_ready: Pin,
    answer_ready: Pin,
    answer_valid: Pin,
    answer: Pin,
    answer_response: Pin,
    idle: Pin,
    last: Pin,
    /// Identifier, length, size and burst of every channel, and what they must be.
    constants: Vec<(Pin, u64)>,
    /// Responses of every channel, which count beside a valid answer only.
    responses: Vec<Pin>,
}

impl Ports {
    fn of(params: &Spatten, pins: &Pins) -> Self {
        let (input, output) = (|name: &str| pins.input(name), |name: &str| pins.output(name));
        let size = u64::from(params.memory.transaction_bytes.trailing_zeros());
        let constants = (0..params.memory.channels).flat_map(|channel| {
            let constant = [("arid", 0), ("arlen", 0), ("arsize", size), ("arburst", 1)];
            constant.map(|(port, value)| (pins.output(&format!("m_axi_{channel}_{port}")), value))
        });
        Self {
            write_valid: input("s_axi_awvalid"),
            write_address: input("s_axi_awaddr"),
            write_ready: output("s_axi_awready"),
            data_valid: input("s_axi_wvalid"),
            data: input("s_axi_wdata"),
            strobe: input("s_axi_wstrb"),
            data_ready: output("s_axi_wready"),
            response_ready: input("s_axi_bready"),
            response_valid: output("s_axi_bvalid"),
            response: output("s_axi_bresp"),
            read_valid: input("s_axi_arvalid"),
            read_address: input("s_axi_araddr"),
            read_ready: output("s_axi_arready"),
            answer_ready: input("s_axi_rready"),
            answer_valid: output("s_axi_rvalid"),
            answer: output("s_axi_rdata"),
            answer_response: output("s_axi_rresp"),
            idle: output("idle"),
            last: output("m_axis_result_tlast"),
            constants: constants.collect(),
            responses: (0..params.memory.channels)
                .map(|channel| pins.input(&format!("m_axi_{channel}_rresp")))
                .collect(),
        }
    }
}

/// What the processor does in one cycle.
#[derive(Clone, Copy)]
enum Access {
    Nothing,
    Write(u32, u64),
    /// Address and what the word must hold.
    Read(u32, u64),
}

struct Driver {
    workload: Workload,
    recording: Recording,
    ports: Ports,
    boundary: Boundary,
    /// Writes before the first cycle of the recording.
    before: Vec<Access>,
    /// Reads after the last one.
    after: Vec<Access>,
    last: Access,
    at: usize,
    nothing: Step,
}

impl Driver {
    fn new(params: &Spatten, pins: &Pins, workload: Workload, recording: Recording) -> Self {
        let jobs = Jobs::new(params);
        let submit = submit_register(params).expect("the design was built");
        let mut before = Vec::new();
        for number in 0..workload.jobs.len() {
            let fields = (FIRST_FIELD..).zip(jobs.fields(&workload, number));
            before.extend(fields.map(|(register, value)| Access::Write(register, value)));
            before.push(Access::Write(submit, 0));
        }
        before.push(Access::Write(ENABLE, 1));
        let results = recording.finished.len() as u64;
        let after = vec![
            Access::Read(submit + 1, results),
            Access::Read(submit + 2, IDLE),
            Access::Read(ENABLE, 1),
            Access::Nothing,
        ];
        Self {
            workload,
            recording,
            ports: Ports::of(params, pins),
            boundary: Boundary::new(params, pins, &|channel, port| {
                format!("m_axi_{channel}_{port}")
            }),
            before,
            after,
            last: Access::Nothing,
            at: 0,
            nothing: Step { query_ready: true, result_ready: true, ..Step::default() },
        }
    }

    /// Drives an access and says what answers the last one.
    fn access(&mut self, frame: &mut Frame, access: Access) {
        let ports = &self.ports;
        let (writes, reads) =
            (matches!(access, Access::Write(..)), matches!(access, Access::Read(..)));
        frame.drive(ports.write_valid, writes.into());
        frame.drive(ports.data_valid, writes.into());
        frame.drive(ports.strobe, 0xf);
        frame.drive(ports.response_ready, 1);
        frame.drive(ports.read_valid, reads.into());
        frame.drive(ports.answer_ready, 1);
        match access {
            Access::Write(register, value) => {
                frame.drive(ports.write_address, u64::from(register) * 4);
                frame.drive(ports.data, value);
            }
            Access::Read(register, _) => frame.drive(ports.read_address, u64::from(register) * 4),
            Access::Nothing => {}
        }
        frame.expect(ports.write_ready, writes.into());
        frame.expect(ports.data_ready, writes.into());
        frame.expect(ports.read_ready, 1);
        frame.expect(ports.response_valid, matches!(self.last, Access::Write(..)).into());
        frame.expect(ports.answer_valid, matches!(self.last, Access::Read(..)).into());
        match self.last {
            Access::Write(..) => frame.expect(ports.response, 0),
            Access::Read(_, value) => {
                frame.expect(ports.answer, value);
                frame.expect(ports.answer_response, 0);
            }
            Access::Nothing => {}
        }
        self.last = access;
        for (pin, value) in &ports.constants {
            frame.expect(*pin, *value);
        }
        frame.expect(ports.last, 1);
    }
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        let at = self.at;
        self.at += 1;
        let (first, steps) = (self.before.len(), self.recording.steps.len());
        let (access, step) = if at < first {
            (self.before[at], None)
        } else if at < first + steps {
            (Access::Nothing, Some(at - first))
        } else {
            let Some(access) = self.after.get(at - first - steps) else { return false };
            (*access, None)
        };
        self.access(frame, access);
        let shown = step.map_or(&self.nothing, |step| &self.recording.steps[step]);
        self.boundary.step(frame, &self.workload, &self.recording, shown);
        for (at, pin) in self.ports.responses.iter().enumerate() {
            let answers = shown.answered.get(at).is_some_and(Option::is_some);
            frame.drive(*pin, if answers { 0 } else { SLAVE_ERROR });
        }
        match step {
            // The queue holds all jobs when they are let go.
            Some(number) => frame.expect(self.ports.idle, (shown.idle && number > 0).into()),
            None if at == 0 || at >= first => frame.expect(self.ports.idle, 1),
            None => {}
        }
        true
    }
}
