//! A channel with arrays of the driver: products of matrices and vectors.
//!
//! Cycles come from the simulator's decoder and multiply-accumulate unit, numbers from the dot product
//! of its functional model.

use std::collections::{BTreeMap, VecDeque};

use attelier_hw::pim_gpt::PimGpt;
use attelier_rtl::bits::Bits;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::datapath::bf16::Bf16;
use attelier_sim::datapath::bf16_mac::dot;
use attelier_sim::units::pim_decoder::{Command, PimDecoder};
use attelier_sim::units::pim_mac::{self, PimMac};

use super::command_decoder::CommandPins;
use super::operands::{moderate, noise as noise_of, packed};
use crate::cosim::{Pace, Plan, Random, Unit};

struct Channel(PimGpt);

/// A channel of a machine.
pub fn unit(params: &PimGpt) -> Box<dyn Unit> {
    Box::new(Channel(params.clone()))
}

impl Unit for Channel {
    fn name(&self) -> &'static str {
        "channel"
    }

    fn parameters(&self) -> String {
        format!("{} banks of {} multipliers", self.0.memory.banks, self.0.mac.multipliers)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::pim_gpt::channel(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let banks = self.0.memory.banks;
        let command_pins = CommandPins::of(pins);
        let (vector_pin, arrays) =
            (pins.input("vector_data"), pins.input_lanes("array_data", banks));
        let results = pins.output_lanes("result", banks);
        let [valid, illegal, activate, precharge, refresh, read] = [
            "result_valid",
            "illegal_command",
            "array_activate",
            "array_precharge",
            "array_refresh",
            "array_read",
        ]
        .map(|name| pins.output(name));
        let [row_pin, column_pin] = ["array_row", "array_column"].map(|name| pins.output(name));
        let mut decoder = PimDecoder::new(&self.0);
        // All banks work alike; one tells the cycles.
        let mut pace_maker = PimMac::new(&self.0.mac);
        let mut programs = Programs::new(&self.0, plan.seed);
        let (mut noise, mut gives) = (Random::new(plan.seed, 1), Pace::new(plan.seed, 2));
        let (mut open_row, mut fetched) = (0, None);
        let mut burst: Option<Bits> = None;
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats && programs.is_done() {
                return false;
            }
            let step = gives.willing().then(|| programs.next());
            let command = step.as_ref().map(|step| step.command);
            if command.is_some() {
                frame.count_beat();
            }
            command_pins.drive(frame, command, &mut noise);
            let shown = decoder.tick(command);
            frame.expect(illegal, 0);
            frame.expect(activate, u64::from(shown.activate.is_some()));
            frame.expect(precharge, u64::from(shown.precharge));
            frame.expect(refresh, u64::from(shown.refresh));
            frame.expect(read, u64::from(shown.access.is_some()));
            if let Some(row) = shown.activate {
                open_row = row;
                frame.expect(row_pin, row.into());
            }
            let access = shown.access.map(|(column, _)| (open_row, column));
            if let Some((_, column)) = access {
                frame.expect(column_pin, column.into());
            }
            // The arrays answer one cycle after they were asked, the vector follows its command.
            let place = std::mem::replace(&mut fetched, access);
            for (bank, pin) in arrays.iter().enumerate() {
                let stored = place.and_then(|place| programs.arrays.get(&place));
                let stored = stored.map(|banks| packed(&banks[bank]));
                frame.drive_bits(*pin, &stored.unwrap_or_else(|| noise_of(&mut noise, pin.width)));
            }
            let data = std::mem::replace(&mut burst, step.and_then(|step| step.data));
            let data = data.unwrap_or_else(|| noise_of(&mut noise, vector_pin.width));
            frame.drive_bits(vector_pin, &data);
            let mac = match (shown.mac, shown.read) {
                (_, true) => Some(pim_mac::Command::Read),
                (true, _) => Some(pim_mac::Command::Mac { weights: vec![], inputs: vec![] }),
                _ => None,
            };
            let shows = pace_maker.tick(mac).is_some();
            frame.expect(valid, u64::from(shows));
            if let Some(products) = shows.then(|| programs.products.pop_front()).flatten() {
                for (pin, product) in results.iter().zip(products) {
                    frame.expect(*pin, product.to_bits().into());
                }
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        vec![
            Mutation { module: "mac_unit", signal: "mac_0", change: Change::Delayed },
            Mutation { module: "mac_unit", signal: "next_accumulator", change: Change::Exchanged },
            Mutation { module: "command_decoder", signal: "position", change: Change::Zero },
            Mutation {
                module: "command_decoder",
                signal: "write_line_register",
                change: Change::Delayed,
            },
            Mutation { module: "global_buffer", signal: "line", change: Change::Delayed },
            Mutation { module: "fp32_add", signal: "swap", change: Change::Zero },
        ]
    }
}

/// A command, and the burst that a write brings one cycle later.
struct Step {
    command: Command,
    data: Option<Bits>,
}

/// Products of random matrices and vectors, as commands.
struct Programs {
    params: PimGpt,
    random: Random,
    steps: VecDeque<Step>,
    /// Bursts of each bank by row and column, of the product under way and the one before.
    arrays: BTreeMap<(u32, u32), Vec<Vec<Bf16>>>,
    /// What the read-outs to come show, a number per bank.
    products: VecDeque<Vec<Bf16>>,
    half: u32,
    /// Alternates, so that rows of the product before are still there when its reads arrive.
    base: u32,
}

impl Programs {
    fn new(params: &PimGpt, seed: u64) -> Self {
        Self {
            params: params.clone(),
            random: Random::new(seed, 3),
            steps: VecDeque::new(),
            arrays: BTreeMap::new(),
            products: VecDeque::new(),
            half: 0,
            base: 0,
        }
    }

    /// Whether all results of the commands given so far have come.
    fn is_done(&self) -> bool {
        self.steps.is_empty() && self.products.is_empty()
    }

    fn next(&mut self) -> Step {
        loop {
            match self.steps.pop_front() {
                Some(step) => return step,
                None => self.product(),
            }
        }
    }

    fn burst(&mut self) -> Vec<Bf16> {
        (0..self.params.mac.multipliers).map(|_| moderate(&mut self.random)).collect()
    }

    /// One vector times one to three columns per bank, which follow each other across rows.
    fn product(&mut self) {
        let memory = self.params.memory.clone();
        let (columns, multipliers) =
            (memory.row_bytes / memory.burst_bytes, self.params.mac.multipliers);
        let lines = memory.buffer_bytes / memory.burst_bytes;
        let bursts = 1 + self.random.below(lines.into()) as u32;
        let outputs = 1 + self.random.below(3) as u32;
        let mut place = self.random.below(columns.into()) as u32;
        self.half = if memory.double_buffer { 1 - self.half } else { 0 };
        self.base = (self.base + memory.rows / 2) % memory.rows;
        let (half, base) = (self.half, self.base);
        let push = |steps: &mut VecDeque<Step>, command| {
            steps.push_back(Step { command, data: None });
        };
        let vector: Vec<Vec<Bf16>> = (0..bursts).map(|_| self.burst()).collect();
        for (line, burst) in (0..).zip(&vector) {
            let command = Command::WriteVector { half, line };
            self.steps.push_back(Step { command, data: Some(packed(burst)) });
        }
        let mut open = None;
        for _ in 0..outputs {
            let mut weights = vec![Vec::new(); memory.banks as usize];
            for _ in 0..bursts {
                let (row, column) = ((base + place / columns) % memory.rows, place % columns);
                if open != Some(row) {
                    if open.is_some() {
                        push(&mut self.steps, Command::Precharge);
                    }
                    push(&mut self.steps, Command::Activate { row });
                    open = Some(row);
                }
                push(&mut self.steps, Command::Mac { half, column });
                let bank_bursts: Vec<Vec<Bf16>> = (0..memory.banks).map(|_| self.burst()).collect();
                for (weights, burst) in weights.iter_mut().zip(&bank_bursts) {
                    weights.extend(burst);
                }
                self.arrays.insert((row, column), bank_bursts);
                place += 1;
            }
            push(&mut self.steps, Command::Read);
            let inputs = vector.concat();
            let product = |weights: &Vec<Bf16>| dot(weights, &inputs, multipliers as usize);
            self.products.push_back(weights.iter().map(product).collect());
        }
        push(&mut self.steps, Command::Precharge);
        push(&mut self.steps, Command::Refresh);
    }
}
