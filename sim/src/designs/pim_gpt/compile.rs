//! From the operator graph and the placement to a program.
//!
//! A program is a list of [`Step`]s per operation. A step is one instruction, or a [`Stream`], which
//! stands for the instructions of its rows; [`expand`] writes them out.

use attelier_hw::pim_gpt::PimGpt;
use attelier_workloads::decoding::{DecoderShape, Kind, Operation};

use super::graph;
use super::isa::{Event, Function, Instruction};
use super::placement::{Layer, Placement, Tile, span};
use super::stream::Stream;

/// One instruction, or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Itself.
    One(Instruction),
    /// The instructions of its rows.
    Stream(Stream),
}

/// Steps of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Name of the operation.
    pub name: &'static str,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// Steps of a layer, or of what follows the last.
pub type Program = Vec<Section>;

/// Events of softmax rounds come after those of the operations.
const ROUND_EVENTS: u32 = 64;

/// Compiles for one machine and one model.
#[derive(Debug, Clone)]
pub struct Compiler<'a> {
    machine: &'a PimGpt,
    shape: &'a DecoderShape,
    placement: &'a Placement,
}

impl<'a> Compiler<'a> {
    /// A compiler for a model that has been placed.
    pub fn new(machine: &'a PimGpt, shape: &'a DecoderShape, placement: &'a Placement) -> Self {
        Self { machine, shape, placement }
    }

    /// The program of one layer for a token that attends to `context` tokens, with rows counted from
    /// the first of the layer.
    pub fn layer(&self, context: u32) -> Program {
        let operations = self.shape.layer(context);
        let graph = graph::build(&operations, &self.machine.overlap);
        let mut products = self.placement.layer.products.iter();
        graph::order(&graph)
            .into_iter()
            .map(|node| {
                let index = node.index();
                let tiles = match graph[node].kind {
                    Kind::Product { .. } => products.next(),
                    _ => None,
                };
                let tiles = tiles.map_or(&[][..], Vec::as_slice);
                self.section(&operations, index, tiles, context)
            })
            .collect()
    }

    /// The program of what follows the last layer, with rows counted from the first of all.
    pub fn tail(&self) -> Program {
        let head = &self.placement.head;
        let operations = self.shape.tail(!head.is_empty());
        (0..operations.len()).map(|index| self.section(&operations, index, head, 0)).collect()
    }

    /// Rows that [`Compiler::layer`] counts from, for a layer.
    pub fn first_row(&self, layer: u32) -> u32 {
        layer * self.placement.layer.rows
    }

    fn section(
        &self,
        operations: &[Operation],
        index: usize,
        tiles: &[Tile],
        context: u32,
    ) -> Section {
        let operation = &operations[index];
        let event = event(index);
        // Of several results that are needed, the last one computed says when.
        let after = operation.after.iter().copied().max().and_then(self::event);
        let layer = &self.placement.layer;
        let mut out = Out { steps: Vec::new() };
        match operation.kind {
            Kind::Norm { width } => {
                out.asic(Function::Norm, width, event);
            }
            Kind::Product { .. } => {
                let beat = beat_of(operations.get(index + 1).map(|next| next.kind));
                self.product(&mut out, tiles, after, beat);
                // The last beat still has to come out of the units.
                out.asic(beat, 0, event);
            }
            // Both are done beat by beat while the product before them is read.
            Kind::Residual { .. } | Kind::Activation { .. } => {
                out.asic(Function::Drain, 0, event);
            }
            Kind::KeyWrite { .. } => self.key_write(&mut out, layer, context, after),
            Kind::ValueWrite { .. } => {
                let after = match self.machine.overlap.write_values_during_softmax {
                    true => after,
                    false => self::event(index + 2),
                };
                self.value_write(&mut out, layer, context, after);
            }
            Kind::Scores { .. } => {
                // The queries come with the same product as the keys.
                let queries = operation.after.iter().copied().min().and_then(self::event);
                self.scores(&mut out, layer, context, queries);
            }
            Kind::Softmax { heads, .. } => self.softmax(&mut out, heads, context, event),
            Kind::Mix { heads, .. } => {
                self.mix(&mut out, layer, (heads, context), after);
                out.asic(Function::Divide, 0, event);
            }
        }
        Section { name: operation.name, steps: out.steps }
    }

    /// Chunk after chunk of the vector; a chunk is written while the one before it is multiplied.
    fn chunks(&self, out: &mut Out, chunks: &[(u32, Stream, Function)], after: Event) {
        let shadow = self.machine.memory.double_buffer;
        let burst = self.machine.memory.burst_elements();
        let write = |index: usize, shadow| {
            let (inputs, stream, _) = chunks[index];
            let bursts = inputs.div_ceil(burst);
            Instruction::WriteVector { half: stream.half, bursts, after, shadow }
        };
        for (index, (_, stream, function)) in chunks.iter().enumerate() {
            if index == 0 || !shadow {
                out.one(write(index, false));
            }
            if shadow && index + 1 < chunks.len() {
                out.one(write(index + 1, true));
            }
            out.one(Instruction::Beat { function: *function });
            out.steps.push(Step::Stream(*stream));
        }
    }

    /// Half of the buffer for the `index`-th chunk.
    fn half(&self, index: usize) -> u32 {
        if self.machine.memory.double_buffer { (index % 2) as u32 } else { 0 }
    }

    fn product(&self, out: &mut Out, tiles: &[Tile], after: Event, last: Function) {
        out.one(Instruction::Channels { count: self.machine.memory.channels });
        let chunks: Vec<_> = tiles
            .iter()
            .enumerate()
            .map(|(index, &Tile { row, results, macs, inputs, .. })| {
                let function = if index + 1 < tiles.len() { Function::PartialSum } else { last };
                (inputs, Stream { row, results, macs, half: self.half(index) }, function)
            })
            .collect();
        self.chunks(out, &chunks, after);
    }

    /// The keys of the token: their columns in one bank, from its slot on.
    fn key_write(&self, out: &mut Out, layer: &Layer, context: u32, after: Event) {
        let memory = &self.machine.memory;
        let (columns, multipliers) = (self.machine.mac.columns, self.machine.mac.multipliers);
        let token = context - 1;
        // Neighbouring tokens go to neighbouring channels.
        let (channel, bank) = (token % memory.channels, token / memory.channels % memory.banks);
        let slot = token / self.machine.banks();
        for keys in &layer.keys {
            let width = keys.heads * keys.macs;
            let (mut at, end) = (slot * width, (slot + 1) * width);
            while at < end {
                let stop = end.min((at / columns + 1) * columns);
                let numbers = |macs: u32| macs * multipliers;
                out.one(Instruction::WriteRow {
                    channel,
                    bank,
                    row: keys.row + at / columns,
                    column: numbers(at % columns) / memory.burst_elements(),
                    bursts: numbers(stop - at).div_ceil(memory.burst_elements()),
                    after,
                });
                at = stop;
            }
        }
    }

    /// The values of the token: one number in a row of its own for each column of a bank.
    fn value_write(&self, out: &mut Out, layer: &Layer, context: u32, after: Event) {
        let token = context - 1;
        let span = span(self.machine);
        let (inside, index) = (token % span, token / span);
        let column = inside / self.machine.memory.burst_elements();
        for round in 0..layer.rounds {
            out.one(Instruction::Channels { count: self.channels(round, self.shape.kv_heads) });
            for group in 0..layer.groups {
                let row = self.value_row(layer, round, group, index);
                out.one(Instruction::WriteElement { row, column, after });
            }
        }
    }

    fn value_row(&self, layer: &Layer, round: u32, group: u32, span: u32) -> u32 {
        layer.values + (round * layer.groups + group) * layer.spans + span
    }

    /// Channels that have a head in a round.
    fn channels(&self, round: u32, heads: u32) -> u32 {
        let channels = self.machine.memory.channels;
        heads.saturating_sub(round * channels).min(channels)
    }

    /// Query heads that share keys and values.
    fn sharing(&self) -> u32 {
        self.shape.heads / self.shape.kv_heads
    }

    fn scores(&self, out: &mut Out, layer: &Layer, context: u32, after: Event) {
        out.one(Instruction::Channels { count: self.machine.memory.channels });
        let slots = context.div_ceil(self.machine.banks());
        let chunk = |(index, keys): (usize, &super::placement::Keys)| {
            let results = slots * keys.heads;
            let half = self.half(index);
            let stream = Stream { row: keys.row, results, macs: keys.macs, half };
            (keys.heads * self.shape.head_dim, stream, Function::Maximum)
        };
        for _ in 0..self.sharing() {
            let chunks: Vec<_> = layer.keys.iter().enumerate().map(chunk).collect();
            self.chunks(out, &chunks, after);
        }
    }

    /// Round by round, so that the first heads are ready before the last.
    fn softmax(&self, out: &mut Out, heads: u32, context: u32, event: Event) {
        if !self.machine.overlap.softmax_by_head {
            out.asic(Function::Softmax, heads * context, event);
            return;
        }
        let rounds = self.placement.layer.rounds;
        for round in 0..rounds {
            let heads = self.channels(round, self.shape.kv_heads) * self.sharing();
            out.asic(Function::Softmax, heads * context, Some(ROUND_EVENTS + round));
        }
        out.asic(Function::Drain, 0, event);
    }

    fn mix(&self, out: &mut Out, layer: &Layer, (heads, context): (u32, u32), softmax: Event) {
        let span = span(self.machine);
        debug_assert_eq!(heads, self.shape.heads);
        for round in 0..layer.rounds {
            let after = match self.machine.overlap.softmax_by_head {
                true => Some(ROUND_EVENTS + round),
                false => softmax,
            };
            out.one(Instruction::Channels { count: self.channels(round, self.shape.kv_heads) });
            for _ in 0..self.sharing() {
                self.mix_head(out, layer, round, (context, span), after);
            }
        }
    }

    /// One head of each channel: its columns for one span of tokens after the other.
    fn mix_head(
        &self,
        out: &mut Out,
        layer: &Layer,
        round: u32,
        (context, span): (u32, u32),
        after: Event,
    ) {
        let burst = self.machine.memory.burst_elements();
        let spans = context.div_ceil(span);
        let tokens = |index: u32| span.min(context - index * span);
        let write = |index: u32, shadow: bool| {
            let half = self.half(index as usize);
            let bursts = tokens(index).div_ceil(burst);
            Instruction::WriteVector { half, bursts, after, shadow }
        };
        let shadow = self.machine.memory.double_buffer;
        for index in 0..spans {
            if index == 0 || !shadow {
                out.one(write(index, false));
            }
            if shadow && index + 1 < spans {
                out.one(write(index + 1, true));
            }
            let last = index + 1 == spans;
            let function = if last { Function::Divide } else { Function::PartialSum };
            out.one(Instruction::Beat { function });
            let macs = tokens(index).div_ceil(self.machine.mac.multipliers);
            for group in 0..layer.groups {
                let row = self.value_row(layer, round, group, index);
                let half = self.half(index as usize);
                out.steps.push(Step::Stream(Stream { row, results: 1, macs, half }));
            }
        }
    }
}

/// What is done with the results of a product that `next` follows.
fn beat_of(next: Option<Kind>) -> Function {
    match next {
        Some(Kind::Residual { .. }) => Function::Residual,
        Some(Kind::Activation { .. }) => Function::Activation,
        _ => Function::Bias,
    }
}

fn event(operation: usize) -> Event {
    u32::try_from(operation).ok()
}

struct Out {
    steps: Vec<Step>,
}

impl Out {
    fn one(&mut self, instruction: Instruction) {
        self.steps.push(Step::One(instruction));
    }

    fn asic(&mut self, function: Function, numbers: u32, event: Event) {
        self.one(Instruction::Asic { function, numbers, event });
    }
}

/// The instructions of a program, with `first` added to every row.
pub fn expand(
    program: &Program,
    columns: u32,
    first: u32,
) -> impl Iterator<Item = Instruction> + '_ {
    let steps = program.iter().flat_map(|section| &section.steps);
    let instructions = steps.flat_map(move |step| {
        let (one, stream) = match step {
            Step::One(instruction) => (Some(*instruction), None),
            Step::Stream(stream) => (None, Some(*stream)),
        };
        let rows = stream.into_iter().flat_map(move |stream| {
            (0..stream.rows(columns)).flat_map(move |row| stream.row(row, columns))
        });
        one.into_iter().chain(rows)
    });
    instructions.map(move |instruction| moved(instruction, first))
}

fn moved(instruction: Instruction, by: u32) -> Instruction {
    match instruction {
        Instruction::Activate { row } => Instruction::Activate { row: row + by },
        Instruction::WriteElement { row, column, after } => {
            Instruction::WriteElement { row: row + by, column, after }
        }
        Instruction::WriteRow { channel, bank, row, column, bursts, after } => {
            Instruction::WriteRow { channel, bank, row: row + by, column, bursts, after }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::designs::pim_gpt::isa::parse;

    fn machine(set: &[&str]) -> PimGpt {
        let sets: Vec<String> = set.iter().map(ToString::to_string).collect();
        PimGpt::check(&attelier_hw::config::load("pim-gpt", None, &sets).unwrap()).unwrap()
    }

    fn program(set: &[&str], shape: &DecoderShape, context: u32) -> Vec<Instruction> {
        let machine = machine(set);
        let placement = Placement::new(&machine, shape, 2048, false).unwrap();
        let layer = Compiler::new(&machine, shape, &placement).layer(context);
        expand(&layer, machine.mac.columns, 0).collect()
    }

    #[test]
    fn a_program_is_read_as_it_was_written() {
        let shape = DecoderShape::gpt(1, 1600, 25).unwrap();
        let program = program(&[], &shape, 1500);
        let text: String = program.iter().map(|instruction| format!("{instruction}\n")).collect();
        assert_eq!(parse(&text).unwrap(), program);
        assert!(text.lines().count() > 1000);
    }

    /// Multiply-accumulates of all banks, from the instructions, against those of the model: equal
    /// where sizes divide, a little more where the last column or token leaves banks idle.
    #[test]
    fn all_work_of_the_model_is_in_the_program() {
        for (hidden, heads, context, idle) in [(2048, 16, 1024, 0.0), (768, 12, 512, 0.02)] {
            let shape = DecoderShape::gpt(1, hidden, heads).unwrap();
            let (mut channels, mut macs) = (0u64, 0u64);
            for instruction in program(&[], &shape, context) {
                match instruction {
                    Instruction::Channels { count } => channels = count.into(),
                    Instruction::Mac { count, .. } => macs += channels * 16 * 16 * u64::from(count),
                    _ => {}
                }
            }
            let needed: u64 = shape.layer(context).iter().map(Operation::macs).sum();
            let extra = macs as f64 / needed as f64 - 1.0;
            assert!((0.0..=idle).contains(&extra), "{extra} for {hidden}");
        }
    }

    /// Each token writes every number of its keys once, and each value once; no row is written by
    /// both, and none of the rows of the weights.
    #[test]
    fn keys_and_values_of_all_tokens_have_places_of_their_own() {
        let shape = DecoderShape::gpt(1, 1536, 16).unwrap();
        let machine = machine(&[]);
        let placement = Placement::new(&machine, &shape, 2048, false).unwrap();
        let first_key = placement.layer.keys[0].row;
        let (mut keys, mut values) = (BTreeSet::new(), BTreeSet::new());
        for context in [1, 2, 8, 9, 129, 1024, 1025, 2048] {
            let (mut key_bursts, mut elements, mut channels) = (0, 0, 0);
            for instruction in program(&[], &shape, context) {
                match instruction {
                    Instruction::Channels { count } => channels = count,
                    Instruction::WriteRow { channel, bank, row, column, bursts, .. } => {
                        key_bursts += bursts;
                        assert!((first_key..placement.layer.values).contains(&row));
                        for burst in column..column + bursts {
                            assert!(burst < 64, "the row ends");
                            assert!(keys.insert((channel, bank, row, burst)), "written twice");
                        }
                    }
                    Instruction::WriteElement { row, .. } => {
                        elements += channels * 16;
                        assert!((placement.layer.values..placement.layer.rows).contains(&row));
                        assert!(values.insert((context, row)), "written twice");
                    }
                    _ => {}
                }
            }
            assert_eq!((key_bursts, elements), (1536 / 16, 1536), "token {context}");
        }
    }

    #[test]
    fn without_a_second_half_no_vector_is_written_in_the_shadow() {
        let shape = DecoderShape::gpt(1, 2048, 16).unwrap();
        let shadows = |set: &[&str]| {
            let is = |i: &Instruction| matches!(i, Instruction::WriteVector { shadow: true, .. });
            program(set, &shape, 100).iter().filter(|i| is(i)).count()
        };
        // One further chunk of 1,024 in QKV, scores, projection and FFN1, seven in FFN2.
        assert_eq!(shadows(&[]), 4 + 7);
        assert_eq!(shadows(&["memory.double_buffer=false"]), 0);
    }
}
