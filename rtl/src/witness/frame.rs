//! What one cycle drives and must show.

use crate::{
    bits::{Bits, mask, words_for},
    ir::Module,
};

/// A port of the module under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Position among the ports of its direction.
    pub index: usize,
    /// Width \[bits\].
    pub width: u32,
    /// First of its words in a frame.
    at: usize,
}

impl Pin {
    fn words(self) -> std::ops::Range<usize> {
        self.at..self.at + words_for(self.width)
    }
}

/// The ports of a module, without clock and reset.
#[derive(Debug, Clone)]
pub struct Pins {
    inputs: Vec<(String, Pin)>,
    outputs: Vec<(String, Pin)>,
}

impl Pins {
    /// The ports of a module.
    pub fn of(module: &Module) -> Self {
        let pins = |ports: &mut dyn Iterator<Item = (&str, crate::ir::Type)>| {
            let mut at = 0;
            let pin = |(index, (name, ty)): (usize, (&str, crate::ir::Type))| {
                let pin = Pin { index, width: ty.width, at };
                at += words_for(ty.width);
                (name.to_owned(), pin)
            };
            ports.enumerate().map(pin).collect()
        };
        Self { inputs: pins(&mut module.inputs()), outputs: pins(&mut module.outputs()) }
    }

    /// An input port.
    ///
    /// # Panics
    /// The module has no such port: the bench was not written for it.
    pub fn input(&self, name: &str) -> Pin {
        find(&self.inputs, "input", name)
    }

    /// An output port.
    ///
    /// # Panics
    /// The module has no such port: the bench was not written for it.
    pub fn output(&self, name: &str) -> Pin {
        find(&self.outputs, "output", name)
    }

    /// Input ports `name_0`, `name_1`, ...
    ///
    /// # Panics
    /// As [`input`](Self::input).
    pub fn input_lanes(&self, name: &str, count: u32) -> Vec<Pin> {
        (0..count).map(|lane| self.input(&format!("{name}_{lane}"))).collect()
    }

    /// Output ports `name_0`, `name_1`, ...
    ///
    /// # Panics
    /// As [`output`](Self::output).
    pub fn output_lanes(&self, name: &str, count: u32) -> Vec<Pin> {
        (0..count).map(|lane| self.output(&format!("{name}_{lane}"))).collect()
    }

    /// Names and pins of the inputs, in the order of the ports.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = (&str, Pin)> {
        self.inputs.iter().map(|(name, pin)| (name.as_str(), *pin))
    }

    /// Names and pins of the outputs, in the order of the ports.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = (&str, Pin)> {
        self.outputs.iter().map(|(name, pin)| (name.as_str(), *pin))
    }

    /// A frame in which all inputs are zero and nothing is expected.
    pub fn frame(&self) -> Frame {
        let words = |pins: &[(String, Pin)]| pins.iter().map(|(_, pin)| words_for(pin.width)).sum();
        Frame {
            inputs: vec![0; words(&self.inputs)],
            expected: vec![0; words(&self.outputs)],
            compared: vec![false; self.outputs.len()],
            beats: 0,
        }
    }
}

fn find(pins: &[(String, Pin)], direction: &str, name: &str) -> Pin {
    let known = pins.iter().find(|(known, _)| known == name);
    known.unwrap_or_else(|| panic!("the module has no {direction} `{name}`")).1
}

/// What one cycle drives and must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    inputs: Vec<u64>,
    expected: Vec<u64>,
    compared: Vec<bool>,
    beats: u64,
}

impl Frame {
    /// Begins a cycle: inputs keep their values, nothing is expected yet.
    pub fn begin(&mut self) {
        self.compared.fill(false);
    }

    /// Drives an input with the lowest bits of `value`.
    pub fn drive(&mut self, input: Pin, value: u64) {
        let words = &mut self.inputs[input.words()];
        words.fill(0);
        words[0] = value & mask(input.width.min(64));
    }

    /// Drives an input of any width.
    pub fn drive_bits(&mut self, input: Pin, value: &Bits) {
        let value = Bits::from_words(value.words(), input.width);
        self.inputs[input.words()].copy_from_slice(value.words());
    }

    /// Says what an output shows at the end of this cycle. An output of which nothing is said is not
    /// compared: data beside a valid bit that is 0.
    pub fn expect(&mut self, output: Pin, value: u64) {
        self.expect_bits(output, &Bits::new(value, output.width));
    }

    /// As [`expect`](Self::expect), for any width.
    pub fn expect_bits(&mut self, output: Pin, value: &Bits) {
        let value = Bits::from_words(value.words(), output.width);
        self.expected[output.words()].copy_from_slice(value.words());
        self.compared[output.index] = true;
    }

    /// Counts a beat: a handshake that took place, or whatever the unit calls a vector.
    pub fn count_beat(&mut self) {
        self.beats += 1;
    }

    /// Beats counted so far.
    pub fn beats(&self) -> u64 {
        self.beats
    }

    /// Words that an input is driven with, the lowest first.
    pub fn driven(&self, input: Pin) -> &[u64] {
        &self.inputs[input.words()]
    }

    /// Words that an output must show, if it is compared.
    pub fn expected(&self, output: Pin) -> Option<&[u64]> {
        self.compared[output.index].then(|| &self.expected[output.words()])
    }
}

/// Stimulus and expectation, cycle by cycle.
pub trait Vectors {
    /// Fills in the next cycle; `false` if there is none. [`Frame::begin`] has been called.
    fn next(&mut self, frame: &mut Frame) -> bool;
}

impl<F: FnMut(&mut Frame) -> bool> Vectors for F {
    fn next(&mut self, frame: &mut Frame) -> bool {
        self(frame)
    }
}
