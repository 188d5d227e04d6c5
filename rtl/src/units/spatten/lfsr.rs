//! Pivot generator: a 16-bit Fibonacci linear-feedback shift register, taps 16, 15, 13 and 4.

use std::sync::Arc;

use crate::{Error, ModuleBuilder, bits::Bits, ir::Module};

/// Width of the state \[bits\].
pub const WIDTH: u32 = 16;

/// A pivot generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lfsr {
    /// State after the reset, not 0.
    pub seed: u16,
}

impl Lfsr {
    /// The module: input `step`; output `next`, the state that a step leads to.
    ///
    /// # Errors
    /// Seed 0, which the register would never leave.
    pub fn module(&self) -> Result<Arc<Module>, Error> {
        if self.seed == 0 {
            return Err(Error::parameter("lfsr", "seed", 0u64, "a state other than 0"));
        }
        let m = ModuleBuilder::new("lfsr");
        m.doc(
            "Pivot generator: 16-bit Fibonacci linear-feedback shift register with taps 16, 15, 13",
        );
        m.doc("and 4, a maximal-length polynomial. Bit 0 leaves, the feedback enters at bit 15.");
        m.parameter("seed", self.seed);
        m.latency("0 cycles from state to next; one step per cycle");
        let step = m.input("step", 1).comment("go to the next state");
        let state = m.register_from("state", Bits::new(self.seed.into(), WIDTH));
        let taps = state.bit(0) ^ state.bit(1) ^ state.bit(3) ^ state.bit(12);
        let feedback = m.wire("feedback", &taps);
        let next = m.wire("following", &feedback.concat(&state.bits(1..WIDTH)));
        m.update_when(&state, &step, &next);
        m.output_for("next", &next, "state after the next step");
        m.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Design, Simulator};

    #[test]
    fn all_states_but_zero_occur_once() {
        let design = Design::new([&Lfsr { seed: 1 }.module().unwrap()]).unwrap();
        let mut simulator = Simulator::new(&design, "lfsr").unwrap();
        simulator.reset();
        simulator.set("step", 1).unwrap();
        let mut seen = vec![false; 1 << 16];
        for _ in 0..65_535 {
            let state = simulator.get("next").unwrap() as usize;
            assert!(state != 0 && !seen[state]);
            seen[state] = true;
            simulator.step();
        }
    }

    #[test]
    fn seed_zero_is_refused() {
        assert!(Lfsr { seed: 0 }.module().unwrap_err().to_string().contains("seed = 0"));
    }
}
