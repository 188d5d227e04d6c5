//! Native execution as a witness.

use std::time::{Duration, Instant};

use super::{
    RESET_CYCLES,
    frame::{Pins, Vectors},
    outcome::{Mismatch, Outcome, hexadecimal},
};
use crate::{Design, Error, Port, Simulator, bits::words_for, ir::RESET};

/// Cycles that are timed together by [`native_speed`]: long beside reading the clock, short beside the
/// time that an operating system gives to one program before the next.
const PART: usize = 512;

/// A design that has just been reset, with its ports.
struct Running {
    simulator: Simulator,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    pins: Pins,
}

impl Running {
    fn new(design: &Design, top: &str) -> Result<Self, Error> {
        let module = design.module(top)?;
        let pins = Pins::of(module);
        let mut simulator = Simulator::new(design, top)?;
        let inputs = pins.inputs().map(|(name, _)| simulator.input(name));
        let inputs = inputs.collect::<Result<_, _>>()?;
        let outputs = pins.outputs().map(|(name, _)| simulator.output(name));
        let outputs = outputs.collect::<Result<_, _>>()?;
        if module.has_reset() {
            simulator.set(RESET, 1)?;
        }
        for _ in 0..RESET_CYCLES {
            simulator.step();
        }
        if module.has_reset() {
            simulator.set(RESET, 0)?;
        }
        Ok(Self { simulator, inputs, outputs, pins })
    }
}

/// Compares native execution with `vectors`; stops after `most` mismatches.
///
/// # Errors
/// The design has no module `top`.
pub fn native(
    design: &Design,
    top: &str,
    vectors: &mut dyn Vectors,
    most: u64,
) -> Result<Outcome, Error> {
    let Running { mut simulator, inputs, outputs, pins } = Running::new(design, top)?;
    let mut frame = pins.frame();
    let mut outcome = Outcome { compared: vec![0; outputs.len()], ..Outcome::default() };
    while outcome.mismatches < most {
        frame.begin();
        if !vectors.next(&mut frame) {
            break;
        }
        for ((_, pin), port) in pins.inputs().zip(&inputs) {
            match frame.driven(pin) {
                [word] => simulator.write(*port, *word),
                words => {
                    simulator.write_bits(*port, &crate::bits::Bits::from_words(words, pin.width))
                }
            }
        }
        for ((name, pin), port) in pins.outputs().zip(&outputs) {
            let Some(expected) = frame.expected(pin) else { continue };
            outcome.compared[pin.index] += 1;
            let same = match expected {
                [word] => simulator.read(*port) == *word,
                words => simulator.read_bits(*port).words() == words,
            };
            if !same {
                let found = simulator.read_bits(*port);
                let cycle = outcome.cycles;
                outcome.mismatch(|| Mismatch {
                    cycle,
                    output: name.to_owned(),
                    expected: hexadecimal(expected, pin.width),
                    found: hexadecimal(found.words(), pin.width),
                });
            }
        }
        simulator.step();
        outcome.cycles += 1;
    }
    outcome.beats = frame.beats();
    Ok(outcome)
}

/// Speed of native execution \[cycles/s\]: the first cycles of `vectors` again and again, every
/// input driven and every output read, at least `cycles` in all. It is the speed of the fastest
/// 512 cycles, so that other programs on the machine do not count. `None` where there are fewer
/// cycles than that, and for inputs above 64 bits.
///
/// # Errors
/// The design has no module `top`.
pub fn native_speed(
    design: &Design,
    top: &str,
    vectors: &mut dyn Vectors,
    cycles: u64,
) -> Result<Option<f64>, Error> {
    const RECORDED: usize = 4096;
    let Running { mut simulator, inputs, outputs, pins } = Running::new(design, top)?;
    let mut frame = pins.frame();
    let mut recorded: Vec<Vec<u64>> = Vec::new();
    while recorded.len() < RECORDED && vectors.next(&mut frame) {
        recorded.push(pins.inputs().map(|(_, pin)| frame.driven(pin)[0]).collect());
    }
    let narrow = pins.inputs().all(|(_, pin)| words_for(pin.width) == 1);
    let mut sum = 0u64;
    let mut done = 0;
    let mut shortest = Duration::MAX;
    while done < cycles && recorded.len() >= PART && narrow {
        for part in recorded.chunks_exact(PART) {
            let start = Instant::now();
            for words in part {
                for (port, word) in inputs.iter().zip(words) {
                    simulator.write(*port, *word);
                }
                for port in &outputs {
                    sum = sum.wrapping_add(simulator.read(*port));
                }
                simulator.step();
            }
            shortest = shortest.min(start.elapsed());
            done += PART as u64;
        }
    }
    std::hint::black_box(sum);
    Ok((shortest < Duration::MAX).then(|| PART as f64 / shortest.as_secs_f64()))
}
