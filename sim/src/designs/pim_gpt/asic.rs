//! Time of the ASIC.
//!
//! A beat is one number from every bank of the channels that are read. Element-wise work takes the
//! multipliers and adders it needs, whichever are scarcer; a function unit takes its interval. What
//! an instruction adds to that is latency, here counted as time in which nothing else starts: an upper
//! bound. Counts of operations per number:
//!
//! | function | multiplications | additions |
//! |---|---|---|
//! | `PSUM` | | 1 |
//! | `BIAS` | | 2: partial result, bias |
//! | `RESIDUAL` | 1: square | 5: partial result, bias, residual, two sums |
//! | `MAX` | | 1 |
//! | `DIVIDE` | 1 | 1 |
//! | `GELU` | | 2, and its interval |
//! | `NORM` | 2 | 2 |
//! | `SOFTMAX` | 1 if the division is early | 2: maximum, sum; and the interval of the exponential |

use attelier_hw::pim_gpt::PimGpt;

use super::isa::Function;

/// Operations of one number: multiplications, additions, interval of a function unit.
struct Cost {
    multiplications: u64,
    additions: u64,
    interval: u64,
    /// Latency \[ASIC cycles\].
    latency: u64,
}

/// When the results of an instruction are there, after its start \[command cycles\].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first results.
    pub first: u64,
    /// All of them.
    pub last: u64,
}

/// Time of the ASIC in cycles of the command clock.
#[derive(Debug, Clone)]
pub struct AsicTime<'a> {
    machine: &'a PimGpt,
}

impl<'a> AsicTime<'a> {
    /// The ASIC of a machine.
    pub fn new(machine: &'a PimGpt) -> Self {
        Self { machine }
    }

    fn cost(&self, function: Function) -> Cost {
        let asic = &self.machine.asic;
        let early = !self.machine.overlap.divide_late;
        let operation = u64::from(asic.operation_cycles);
        let tree = u64::from(asic.adders.ilog2()) * operation;
        let (multiplications, additions, interval, latency) = match function {
            Function::PartialSum | Function::Maximum => (0, 1, 0, operation),
            Function::Bias => (0, 2, 0, 2 * operation),
            Function::Residual => (1, 5, 0, 3 * operation),
            Function::Divide => (1, 1, 0, 2 * operation),
            Function::Activation => {
                (0, 2, u64::from(asic.gelu_interval), u64::from(asic.gelu_cycles))
            }
            Function::Drain => (0, 0, 0, 0),
            Function::Norm => (2, 2, 0, tree + u64::from(asic.rsqrt_cycles) + 2 * operation),
            Function::Softmax => {
                let divide = if early { u64::from(asic.reciprocal_cycles) + operation } else { 0 };
                let latency = u64::from(asic.exp_cycles) + divide;
                (u64::from(early), 2, u64::from(asic.exp_interval), latency)
            }
        };
        Cost { multiplications, additions, interval, latency }
    }

    /// Command cycles that `numbers` numbers occupy the ASIC, without latency.
    pub fn busy(&self, function: Function, numbers: u64) -> u64 {
        let asic = &self.machine.asic;
        let cost = self.cost(function);
        let (lanes, adders) = (u64::from(asic.multipliers), u64::from(asic.adders));
        // In units of 1 / (lanes * adders) ASIC cycles per number, so that nothing is rounded early.
        let on_lanes = (cost.multiplications + cost.interval) * adders;
        let on_adders = cost.additions * lanes;
        self.command_cycles(numbers * on_lanes.max(on_adders), lanes * adders)
    }

    /// Times of an instruction on `numbers` numbers.
    pub fn span(&self, function: Function, numbers: u64) -> Span {
        let latency = self.command_cycles(self.cost(function).latency, 1);
        let last = latency + self.busy(function, numbers);
        let early_beat = numbers.min(u64::from(self.machine.banks()));
        let first = latency + self.busy(function, early_beat);
        // The division of an early softmax needs the whole sum.
        let whole = function == Function::Softmax && !self.machine.overlap.divide_late;
        Span { first: if whole { last } else { first }, last }
    }

    /// `amount / per` ASIC cycles in command cycles, rounded up.
    fn command_cycles(&self, amount: u64, per: u64) -> u64 {
        let picoseconds = u128::from(amount) * 1_000_000_000_000;
        let one = u128::from(self.machine.asic.clock_hz)
            * u128::from(self.machine.timing.tck_ps)
            * u128::from(per);
        u64::try_from(picoseconds.div_ceil(one)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(set: &[&str]) -> PimGpt {
        let sets: Vec<String> = set.iter().map(ToString::to_string).collect();
        PimGpt::check(&attelier_hw::config::load("pim-gpt", None, &sets).unwrap()).unwrap()
    }

    /// By hand, at 2 command cycles per ASIC cycle: 128 lanes, 256 adders.
    #[test]
    fn a_beat_takes_what_its_scarcest_resource_takes() {
        let machine = machine(&[]);
        let time = AsicTime::new(&machine);
        let beats = [
            (Function::PartialSum, 1),
            (Function::Bias, 2),
            (Function::Residual, 5),
            (Function::Maximum, 1),
            (Function::Divide, 2),
            (Function::Activation, 2),
        ];
        for (function, cycles) in beats {
            assert_eq!(time.busy(function, 128), cycles, "{function:?}");
        }
        assert_eq!(time.busy(Function::Norm, 768), 24);
        assert_eq!(time.busy(Function::Softmax, 12 * 512), 96);
        // Tree of 8 levels, 5 of the root, 2 operations, then 24 command cycles of numbers.
        assert_eq!(time.span(Function::Norm, 768), Span { first: 34, last: 54 });
    }

    #[test]
    fn a_slower_clock_stretches_everything() {
        let slow = machine(&["asic.clock_hz=100_000_000"]);
        let time = AsicTime::new(&slow);
        assert_eq!(time.busy(Function::PartialSum, 128), 10);
        assert_eq!(time.span(Function::Norm, 768).last, 540);
    }

    #[test]
    fn an_early_division_needs_all_exponentials() {
        let early = machine(&["overlap.divide_late=false"]);
        let span = AsicTime::new(&early).span(Function::Softmax, 1280);
        assert_eq!(span.first, span.last);
        let late = machine(&[]);
        let span = AsicTime::new(&late).span(Function::Softmax, 1280);
        assert_eq!(span, Span { first: 18, last: 36 });
    }
}
