//! Cycles per second of native execution: `cargo bench -p attelier-rtl`.
//!
//! Criterion prints the throughput in elements per second; an element is a clock cycle in which every
//! input gets random bits and every output is read.

use std::sync::Arc;

use attelier_rtl::{
    Design, Error, Port, Simulator,
    ir::{Module, RESET},
    units::spatten::{
        comparator_array::ComparatorArray, quick_select::QuickSelect, row_buffer::with_buffer,
        topk_step::TopKStep, zero_eliminator::ZeroEliminator,
    },
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const LANES: u32 = 16;
const WIDTH: u32 = 12;
const CAPACITY: u32 = 1024;
const CYCLES: u64 = 1024;

/// The top-k engine of the preset, from its smallest part to the whole.
fn modules() -> Result<[Arc<Module>; 4], Error> {
    let (lanes, width, capacity) = (LANES, WIDTH, CAPACITY);
    let engine = QuickSelect { lanes, width, capacity, round_overhead: 3, seed: 1 };
    Ok([
        ComparatorArray { lanes, width }.module()?,
        ZeroEliminator { name: "zero_eliminator".into(), lanes, width }.module()?,
        TopKStep { lanes, width }.module()?,
        with_buffer(&engine.module()?, lanes, width, capacity)?,
    ])
}

struct Running {
    simulator: Simulator,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Running {
    fn new(module: &Arc<Module>) -> Result<Self, Error> {
        let mut simulator = Simulator::new(&Design::new([module])?, module.name())?;
        if module.has_reset() {
            simulator.reset();
        }
        let inputs = module.inputs().map(|(name, _)| name).filter(|name| *name != RESET);
        let inputs = inputs.map(|name| simulator.input(name)).collect::<Result<_, _>>()?;
        let outputs = module.outputs().map(|(name, _)| simulator.output(name));
        let outputs = outputs.collect::<Result<_, _>>()?;
        Ok(Self { simulator, inputs, outputs })
    }

    /// Runs `CYCLES` cycles; returns something that depends on all outputs.
    fn run(&mut self, random: &mut u64) -> u64 {
        let Self { simulator, inputs, outputs } = self;
        let mut sum = 0u64;
        for _ in 0..CYCLES {
            for port in inputs.iter() {
                // Marsaglia's xorshift64: a few operations, so that they do not count.
                *random ^= *random << 13;
                *random ^= *random >> 7;
                *random ^= *random << 17;
                simulator.write(*port, *random >> 20);
            }
            for port in outputs.iter() {
                sum = sum.wrapping_add(simulator.read(*port));
            }
            simulator.step();
        }
        sum
    }
}

fn rates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("native");
    group.throughput(Throughput::Elements(CYCLES));
    for module in modules().expect("legal parameters") {
        let mut running = Running::new(&module).expect("it has these ports");
        let mut random = 1;
        group.bench_function(module.name(), |bencher| bencher.iter(|| running.run(&mut random)));
    }
    group.finish();
}

criterion_group!(benches, rates);
criterion_main!(benches);
