//! The unified linear unit: layers of random shapes, or those of an image; while one is computed, the other
//! buffer gets the weights of the next. A beat is a block of weights times a block of inputs.

use std::{collections::VecDeque, iter};

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::units::edge_moe::{BIAS_BITS, FEATURE_BITS, WEIGHT_BITS};
use attelier_rtl::witness::{Frame, Pin, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::linear::{Job, Linear as Model};
use attelier_sim::units::edge_moe::weight_loader::Written;

use super::image::{Image, Traffic};
use super::operands::{Results, features, number, packed};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

/// A layer.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its shape; the driver chooses the buffer.
    pub job: Job,
    /// Weights and bias.
    pub written: Vec<Written>,
    /// Blocks of inputs, row after row.
    pub inputs: Vec<Vec<i32>>,
}

struct Linear(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(Linear(sizes.clone()))
}

impl Unit for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn parameters(&self) -> String {
        let Sizes { block_inputs, block_outputs, buffer_blocks, .. } = &self.0;
        format!("{block_inputs} x {block_outputs} products, two buffers of {buffer_blocks} blocks")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::linear(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (sizes, mut random) = (self.0.clone(), Random::new(plan.seed, 5));
        let layers = iter::repeat_with(move || drawn(&sizes, &mut random));
        Box::new(Driver::new(&self.0, pins, plan, Box::new(layers), Results::unknown()))
    }

    fn image(&self, pins: &Pins, plan: Plan, image: &Image) -> Result<Box<dyn Vectors>, String> {
        let Traffic { given, results } = image.linear.needed()?.clone();
        let (given, results) = (Box::new(given.into_iter()), Results::known(results));
        Ok(Box::new(Driver::new(&self.0, pins, plan, given, results)))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let top = |signal, change| Mutation { module: "linear", signal, change };
        let output = |signal, change| Mutation { module: "linear_output", signal, change };
        vec![
            top("last_column", Change::Delayed),
            top("has_place", Change::Inverted),
            top("operand", Change::Exchanged),
            top("address", Change::Zero),
            top("held_second", Change::Inverted),
            output("sum_before", Change::Exchanged),
            output("product_0", Change::Undelayed),
            output("weights", Change::Exchanged),
            output("begins", Change::Zero),
        ]
    }
}

struct Ports {
    start: Pin,
    job: [Pin; 5],
    input: [Pin; 2],
    block: [Pin; 3],
    rows: Vec<Pin>,
    bias: [Pin; 3],
    biases: Vec<Pin>,
    taken: Pin,
    ready: Pin,
    busy: Pin,
    done: Pin,
    offered: Pin,
    results: Vec<Pin>,
}

struct Driver {
    sizes: Sizes,
    ports: Ports,
    plan: Plan,
    random: Random,
    paces: [Pace; 3],
    model: Model,
    source: Source<Layer>,
    results: Results<Vec<i32>>,
    /// The layer that starts next, its buffer, and what is still to be written there.
    next: Option<Layer>,
    second: bool,
    writes: VecDeque<Written>,
    /// Blocks of inputs that the layer at hand still takes.
    inputs: VecDeque<Vec<i32>>,
    waiting: Option<Vec<i32>>,
}

impl Driver {
    fn new(
        sizes: &Sizes,
        pins: &Pins,
        plan: Plan,
        source: Source<Layer>,
        results: Results<Vec<i32>>,
    ) -> Self {
        let input = |name: &str| pins.input(name);
        let mut driver = Self {
            sizes: sizes.clone(),
            ports: Ports {
                start: input("start"),
                job: ["tokens", "in_blocks", "out_blocks", "second", "with_gelu"].map(input),
                input: ["s_axis_tvalid", "s_axis_tdata"].map(input),
                block: ["block_write", "block_second", "block_address"].map(input),
                rows: pins.input_lanes("block_row", sizes.block_outputs),
                bias: ["bias_write", "bias_second", "bias_address"].map(input),
                biases: pins.input_lanes("bias", sizes.block_outputs),
                taken: input("m_axis_tready"),
                ready: pins.output("s_axis_tready"),
                busy: pins.output("busy"),
                done: pins.output("done"),
                offered: pins.output("m_axis_tvalid"),
                results: pins.output_lanes("m_axis_tdata", sizes.block_outputs),
            },
            plan,
            random: Random::new(plan.seed, 1),
            paces: [2, 3, 4].map(|purpose| Pace::new(plan.seed, purpose)),
            model: Model::new(sizes),
            source,
            results,
            next: None,
            second: false,
            writes: VecDeque::new(),
            inputs: VecDeque::new(),
            waiting: None,
        };
        driver.advance();
        driver
    }

    /// The next layer is written to the other buffer.
    fn advance(&mut self) {
        self.next = self.source.next();
        self.second = !self.second;
        if let Some(layer) = &mut self.next {
            self.writes = std::mem::take(&mut layer.written).into();
        }
    }

    /// Drives what is written to the buffer of the next layer, and noise beside it.
    fn write(&mut self, frame: &mut Frame) -> Option<Written> {
        let Self { ports, random, sizes, .. } = self;
        let written = if self.paces[0].willing() { self.writes.pop_front() } else { None };
        let (mut rows, mut biases) = (None, None);
        match &written {
            Some(Written::Block { address, rows: block }) => rows = Some((*address, block)),
            Some(Written::Bias { address, bias }) => biases = Some((*address, bias)),
            None => {}
        }
        let second = u64::from(self.second);
        frame.drive(ports.block[0], u64::from(rows.is_some()));
        frame.drive(ports.block[1], second);
        frame.drive(ports.block[2], rows.map_or(0, |(address, _)| address.into()));
        frame.drive(ports.bias[0], u64::from(biases.is_some()));
        frame.drive(ports.bias[1], second);
        frame.drive(ports.bias[2], biases.map_or(0, |(address, _)| address.into()));
        for output in 0..sizes.block_outputs as usize {
            if let Some((_, block)) = rows {
                let row = block[output].iter().map(|weight| i64::from(*weight));
                frame.drive_bits(ports.rows[output], &packed(row, WEIGHT_BITS));
            }
            let bias = biases.map_or(random.bits(8) as i64, |(_, bias)| bias[output].into());
            frame.drive_bits(ports.biases[output], &packed([bias], BIAS_BITS));
        }
        written
    }

    /// Drives a block of inputs.
    fn offer(&mut self, frame: &mut Frame) {
        if self.waiting.is_none() && self.paces[1].willing() {
            self.waiting = self.inputs.pop_front();
        }
        frame.drive(self.ports.input[0], u64::from(self.waiting.is_some()));
        if let Some(inputs) = &self.waiting {
            let inputs = inputs.iter().map(|input| i64::from(*input));
            frame.drive_bits(self.ports.input[1], &packed(inputs, FEATURE_BITS));
        }
    }
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        let is_busy = self.model.is_busy();
        let is_through = self.next.is_none() && !is_busy;
        if frame.beats() >= self.plan.beats || is_through {
            return false;
        }
        let job = self.next.as_ref().map(|layer| Job { second: self.second, ..layer.job });
        let starts = job.filter(|_| !is_busy && self.writes.is_empty() && self.random.chance(1, 4));
        let (written, second) = (self.write(frame), self.second);
        self.offer(frame);
        let disturbs = is_busy && self.random.chance(1, 8);
        frame.drive(self.ports.start, u64::from(starts.is_some() || disturbs));
        let values = starts.map(|Job { tokens, in_blocks, out_blocks, second, with_gelu }| {
            [tokens, in_blocks, out_blocks, u32::from(second), u32::from(with_gelu)]
        });
        for (at, pin) in self.ports.job.iter().enumerate() {
            let noise = self.random.bits(pin.width);
            frame.drive(*pin, values.map_or(noise, |values| values[at].into()));
        }
        let taken = self.paces[2].willing();
        frame.drive(self.ports.taken, u64::from(taken));

        let is_open = self.model.is_ready();
        frame.expect(self.ports.ready, u64::from(is_open));
        frame.expect(self.ports.busy, u64::from(is_busy));
        frame.expect(self.ports.done, u64::from(self.model.is_done()));
        let shown = self.model.offered();
        let offered = shown.is_some_and(|block| self.results.allow(block));
        frame.expect(self.ports.offered, u64::from(offered));
        for (pin, result) in self.ports.results.iter().zip(shown.into_iter().flatten()) {
            frame.expect_bits(*pin, &packed([i64::from(*result)], FEATURE_BITS));
        }
        if taken && shown.is_some() {
            self.results.leave();
        }
        let inputs = if is_open { self.waiting.take() } else { None };
        let steps = self.model.steps();
        self.model.tick(starts, inputs, taken);
        if self.model.steps() > steps {
            frame.count_beat();
        }
        if let Some(written) = written {
            self.model.write(second, written);
        }
        if starts.is_some() {
            self.inputs = self.next.take().map(|layer| layer.inputs).unwrap_or_default().into();
            self.advance();
        }
        true
    }
}

/// A layer that fits into a buffer.
fn drawn(sizes: &Sizes, random: &mut Random) -> Layer {
    let most = |blocks: u32, random: &mut Random| {
        let most = if random.chance(1, 8) { blocks } else { blocks.min(4) };
        1 + random.below(most.into()) as u32
    };
    let in_blocks = most((sizes.hidden / sizes.block_inputs).min(sizes.buffer_blocks), random);
    let out_blocks =
        most((sizes.hidden / sizes.block_outputs).min(sizes.buffer_blocks / in_blocks), random);
    let tokens = 1 + random.below(u64::from(sizes.tokens.min(9))) as u32;
    let mut written = Vec::new();
    for address in 0..in_blocks * out_blocks {
        let row = |random: &mut Random| {
            (0..sizes.block_inputs).map(|_| number(random, WEIGHT_BITS) as i16).collect()
        };
        let rows = (0..sizes.block_outputs).map(|_| row(random)).collect();
        written.push(Written::Block { address, rows });
    }
    for address in 0..out_blocks {
        let bias = (0..sizes.block_outputs).map(|_| number(random, BIAS_BITS) as i32).collect();
        written.push(Written::Bias { address, bias });
    }
    let inputs = (0..tokens * in_blocks)
        .map(|_| features(random, sizes.block_inputs, FEATURE_BITS))
        .collect();
    let with_gelu = random.chance(1, 2);
    let job = Job { tokens, in_blocks, out_blocks, second: false, with_gelu };
    Layer { job, written, inputs }
}
