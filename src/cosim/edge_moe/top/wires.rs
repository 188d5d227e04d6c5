//! Ports of the machine by name, in the simulator that runs it and in the frame that is recorded.

use std::collections::BTreeMap;

use attelier_rtl::{
    Port, Simulator,
    bits::Bits,
    witness::{Frame, Pin, Pins},
};

/// Where each port is.
pub struct Places {
    inputs: BTreeMap<String, (Pin, Port)>,
    outputs: BTreeMap<String, (Pin, Port)>,
}

impl Places {
    /// The ports of a machine that runs in `simulator`.
    pub fn new(pins: &Pins, simulator: &Simulator) -> Self {
        let named = |name: &str, pin, port: Option<Port>| Some((name.to_owned(), (pin, port?)));
        Self {
            inputs: pins
                .inputs()
                .filter_map(|(name, pin)| named(name, pin, simulator.input(name).ok()))
                .collect(),
            outputs: pins
                .outputs()
                .filter_map(|(name, pin)| named(name, pin, simulator.output(name).ok()))
                .collect(),
        }
    }
}

/// The ports in one cycle.
pub struct Wires<'a> {
    /// Where they are.
    pub places: &'a Places,
    /// Who computes the outputs.
    pub simulator: &'a mut Simulator,
    /// What is recorded.
    pub frame: &'a mut Frame,
}

impl Wires<'_> {
    fn input(&self, name: &str) -> (Pin, Port) {
        *self.places.inputs.get(name).unwrap_or_else(|| panic!("the machine has no input `{name}`"))
    }

    fn output(&self, name: &str) -> (Pin, Port) {
        *self
            .places
            .outputs
            .get(name)
            .unwrap_or_else(|| panic!("the machine has no output `{name}`"))
    }

    /// Drives an input.
    pub fn drive(&mut self, name: &str, value: u64) {
        let (pin, port) = self.input(name);
        self.frame.drive(pin, value);
        self.simulator.write(port, value);
    }

    /// Drives an input of any width.
    pub fn drive_bits(&mut self, name: &str, value: &Bits) {
        let (pin, port) = self.input(name);
        self.frame.drive_bits(pin, value);
        self.simulator.write_bits(port, value);
    }

    /// What an output shows.
    pub fn value(&mut self, name: &str) -> u64 {
        let (_, port) = self.output(name);
        self.simulator.read(port)
    }

    /// What an output of any width shows.
    pub fn bits(&mut self, name: &str) -> Bits {
        let (_, port) = self.output(name);
        self.simulator.read_bits(port)
    }

    /// Whether an output is 1.
    pub fn shows(&mut self, name: &str) -> bool {
        self.value(name) == 1
    }

    /// Whether something moves from an output that is valid to an input that is ready.
    pub fn moves(&mut self, valid: &str, ready: &str) -> bool {
        let (pin, _) = self.input(ready);
        self.shows(valid) && self.frame.driven(pin)[0] == 1
    }

    /// Expects of all outputs what they show now.
    pub fn expect_all(&mut self) {
        for (pin, port) in self.places.outputs.values() {
            self.frame.expect_bits(*pin, &self.simulator.read_bits(*port));
        }
    }

    /// Expects something else of an output.
    pub fn expect_bits(&mut self, name: &str, value: &Bits) {
        let (pin, _) = self.output(name);
        self.frame.expect_bits(pin, value);
    }
}
