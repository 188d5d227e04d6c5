//! The SpAtten core on a memory that is not ideal: channels refuse and answer when they like, in
//! order. There is no model of that time, but every job must give its result, once.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use std::collections::VecDeque;

use attelier::cosim::{
    Random,
    spatten::top::{Jobs, Paces, Recording, Workload, bytes, elements},
};
use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Port, Simulator,
    bits::Bits,
    units::spatten::{Sizes, job_fields, spatten_core},
};

/// Cycles after which a machine that still has jobs is stuck.
const LIMIT: u64 = 200_000;

/// One channel: transactions under way with the cycle from which they can be answered.
struct Channel {
    valid: Port,
    address: Port,
    ready: Port,
    answer_valid: Port,
    answer_ready: Port,
    data: Port,
    under_way: VecDeque<(u64, u64)>,
    /// Address that was offered and not taken: it must stay.
    refused: Option<u64>,
}

impl Channel {
    fn new(simulator: &Simulator, at: u32) -> Self {
        let input = |name: &str| simulator.input(&format!("{name}_{at}")).unwrap();
        let output = |name: &str| simulator.output(&format!("{name}_{at}")).unwrap();
        Self {
            valid: output("arvalid"),
            address: output("araddr"),
            ready: input("arready"),
            answer_valid: input("rvalid"),
            answer_ready: output("rready"),
            data: input("rdata"),
            under_way: VecDeque::new(),
            refused: None,
        }
    }

    fn drive(&self, simulator: &mut Simulator, workload: &Workload, now: u64, ready: bool) {
        simulator.write(self.ready, ready.into());
        let answer = self.under_way.front().filter(|(due, _)| *due <= now);
        simulator.write(self.answer_valid, answer.is_some().into());
        if let Some((_, address)) = answer {
            simulator.write_bits(self.data, &bytes(&workload.transaction(*address)));
        }
    }

    fn step(&mut self, simulator: &mut Simulator, random: &mut Random, now: u64, ready: bool) {
        let due = self.under_way.front().is_some_and(|(due, _)| *due <= now);
        if due && simulator.read(self.answer_ready) == 1 {
            self.under_way.pop_front();
        }
        let asked = simulator.read(self.valid) == 1;
        let address = simulator.read(self.address);
        if let Some(refused) = self.refused {
            assert!(asked && address == refused, "an offered address must stay until it is taken");
        }
        self.refused = (asked && !ready).then_some(address);
        if asked && ready {
            let latency = if random.chance(1, 10) { 200 } else { 2 + random.below(30) };
            self.under_way.push_back((now + latency, address));
        }
    }
}

fn run(seed: u64) {
    let params = Spatten::preset("spatten-small").unwrap();
    let workload = Workload::random(&params, seed, 0, 60).unwrap();
    let places = Sizes::of(&params).unwrap().jobs as usize;
    let expected = Recording::of(&params, &workload, Paces::full(), places).finished;
    let design = Design::new([&spatten_core(&params).unwrap()]).unwrap();
    let mut simulator = Simulator::new(&design, "spatten_core").unwrap();
    simulator.reset();
    let mut channels: Vec<Channel> =
        (0..params.memory.channels).map(|at| Channel::new(&simulator, at)).collect();
    let fields: Vec<Port> = job_fields(&params)
        .unwrap()
        .iter()
        .map(|field| simulator.input(&format!("s_job_{}", field.name)).unwrap())
        .collect();
    let jobs = Jobs::new(&params);
    let query = simulator.input("s_axis_query_tdata").unwrap();
    let result = simulator.output("m_axis_result_tdata").unwrap();
    let mut random = Random::new(seed, 21);
    let (mut job, mut queried, mut results) = (0, 0, vec![0u32; workload.jobs.len()]);
    for now in 0..LIMIT {
        if results.iter().sum::<u32>() as usize == workload.jobs.len() {
            break;
        }
        let readies: Vec<bool> = channels.iter().map(|_| random.chance(1, 2)).collect();
        for (channel, ready) in channels.iter().zip(&readies) {
            channel.drive(&mut simulator, &workload, now, *ready);
        }
        simulator.set("s_job_tvalid", (job < workload.jobs.len()).into()).unwrap();
        if job < workload.jobs.len() {
            for (port, value) in fields.iter().zip(jobs.fields(&workload, job)) {
                simulator.write(*port, value);
            }
        }
        let offers = queried < workload.jobs.len() && random.chance(1, 3);
        simulator.set("s_axis_query_tvalid", offers.into()).unwrap();
        if offers {
            simulator.write_bits(query, &elements(&workload.operands[queried].query));
        }
        let takes = random.chance(1, 2);
        simulator.set("m_axis_result_tready", takes.into()).unwrap();

        let taken = simulator.get("s_job_tready").unwrap() == 1;
        job += usize::from(job < workload.jobs.len() && taken);
        let taken = simulator.get("s_axis_query_tready").unwrap() == 1;
        queried += usize::from(offers && taken);
        if takes && simulator.get("m_axis_result_tvalid").unwrap() == 1 {
            let number = simulator.get("m_axis_result_tid").unwrap() as usize;
            let found: Bits = simulator.read_bits(result);
            let words = &expected.iter().find(|one| one.job as usize == number).unwrap().words;
            assert_eq!(found.words(), elements(words).words(), "result of job {number}");
            results[number] += 1;
        }
        for (channel, ready) in channels.iter_mut().zip(readies) {
            channel.step(&mut simulator, &mut random, now, ready);
        }
        simulator.step();
    }
    assert!(results.iter().all(|count| *count == 1), "every job gives one result: {results:?}");
}

#[test]
fn every_job_gives_its_result_whatever_the_memory_does() {
    for seed in 1..4 {
        run(seed);
    }
}
