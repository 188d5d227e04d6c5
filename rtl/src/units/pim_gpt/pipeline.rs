//! Pipelines of FP32 operations, a register behind each; operands that come early wait.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use super::{
    arithmetic::{fp32_add, fp32_multiply},
    float::FP32,
};
use crate::{Error, ModuleBuilder, Signal, ir::Module};

/// A value, and the stage from which on it is there.
#[derive(Clone)]
pub(super) struct Staged {
    name: String,
    first: u32,
    /// The value in each stage from the first on; constants are the same in all.
    versions: Rc<RefCell<Vec<Signal>>>,
    constant: bool,
}

impl Staged {
    /// The value in a stage not before its first one.
    pub fn at(&self, m: &ModuleBuilder, stage: u32) -> Signal {
        let mut versions = self.versions.borrow_mut();
        let mut value = versions[versions.len() - 1].clone();
        if self.constant {
            return value;
        }
        let ready = self.first + versions.len() as u32;
        for waits in ready..=stage {
            value = m.pipe(format!("{}_at{waits}", self.name), &value);
            versions.push(value.clone());
        }
        versions[stage.saturating_sub(self.first) as usize].clone()
    }

    fn new(name: &str, first: u32, value: Signal, constant: bool) -> Self {
        Self {
            name: name.to_owned(),
            first,
            versions: Rc::new(RefCell::new(vec![value])),
            constant,
        }
    }

    /// The stage from which on it is there.
    pub fn stage(&self) -> u32 {
        self.first
    }
}

/// A function, a result per cycle.
pub(super) struct Function {
    /// With the ports `x` and `y` where it is a function of one number.
    pub module: Arc<Module>,
    /// From a number to its result \[cycles\].
    pub latency: u32,
}

/// A function under construction.
pub(super) struct Pipeline {
    pub m: ModuleBuilder,
    add: Arc<Module>,
    multiply: Arc<Module>,
}

impl Pipeline {
    /// Starts the module of a function.
    pub fn new(name: &str, what: &str) -> Result<Self, Error> {
        let m = ModuleBuilder::new(name);
        m.doc(what);
        m.doc("FP32; a number per cycle, a register behind every multiplication and addition.");
        Ok(Self { m, add: fp32_add()?, multiply: fp32_multiply()? })
    }

    /// An argument: an input port, there in the first stage.
    pub fn argument(&self, name: &str) -> Staged {
        Staged::new(name, 0, self.m.input(name, FP32.width()), false)
    }

    /// The FP32 number nearest to `value`.
    pub fn number(&self, value: f64) -> Staged {
        self.bits((value as f32).to_bits())
    }

    /// The FP32 number with these bits.
    pub fn bits(&self, bits: u32) -> Staged {
        Staged::new("constant", 0, self.m.constant(bits.into(), FP32.width()), true)
    }

    /// The stage in which all operands are there.
    fn meet(operands: &[&Staged]) -> u32 {
        operands.iter().map(|operand| operand.first).max().unwrap_or(0)
    }

    /// A product, one stage later.
    pub fn times(&self, name: &str, a: &Staged, b: &Staged) -> Staged {
        self.operation(name, &self.multiply, a, b)
    }

    /// A sum, one stage later.
    pub fn plus(&self, name: &str, a: &Staged, b: &Staged) -> Staged {
        self.operation(name, &self.add, a, b)
    }

    fn operation(&self, name: &str, module: &Arc<Module>, a: &Staged, b: &Staged) -> Staged {
        let stage = Self::meet(&[a, b]);
        let (a, b) = (a.at(&self.m, stage), b.at(&self.m, stage));
        let instance = self.m.instance(format!("{name}_unit"), module);
        instance.input("a", a).input("b", b);
        let result = self.m.pipe(name, &instance.output("result"));
        Staged::new(name, stage + 1, result, false)
    }

    /// Coefficients from the lowest, by Horner: an addition and a multiplication for each but the
    /// last. The argument must be finite.
    pub fn polynomial(&self, name: &str, coefficients: &[f64], x: &Staged) -> Staged {
        let mut order = (0..coefficients.len()).zip(coefficients).rev();
        let highest = order.next().map_or(0.0, |(_, coefficient)| *coefficient);
        order.fold(self.number(highest), |sum, (at, &coefficient)| {
            let term = self.times(&format!("{name}_term_{at}"), &sum, x);
            self.plus(&format!("{name}_sum_{at}"), &term, &self.number(coefficient))
        })
    }

    /// `x` times two to the power of a signed exponent: two factors, each of which is a number.
    pub fn shifted(&self, name: &str, x: &Staged, exponent: &Staged) -> Staged {
        let half = self.join(&format!("{name}_half"), &[exponent], |of| &of[0] >> 1);
        let rest =
            self.join(&format!("{name}_other_half"), &[exponent, &half], |of| &of[0] - &of[1]);
        let power = |name: String, exponent: &Staged| {
            self.join(&name, &[exponent], |of| {
                let bias = self.m.literal(crate::bits::Bits::new(127, of[0].width()), true);
                let field = self.m.wire(format!("{name}_field"), &(&of[0] + bias));
                self.m.discard(&field);
                let field = field.bits(0..8);
                self.m.constant(0, 1).concat(&field).concat(&self.m.constant(0, FP32.fraction))
            })
        };
        let first = self.times(&format!("{name}_once"), x, &power(format!("{name}_power"), &half));
        let power = power(format!("{name}_other_power"), &rest);
        self.times(name, &first, &power)
    }

    /// What some logic computes in the stage in which all operands are there.
    pub fn join(
        &self,
        name: &str,
        operands: &[&Staged],
        logic: impl FnOnce(&[Signal]) -> Signal,
    ) -> Staged {
        let stage = Self::meet(operands);
        let values: Vec<Signal> =
            operands.iter().map(|operand| operand.at(&self.m, stage)).collect();
        Staged::new(name, stage, self.m.wire(name, &logic(&values)), false)
    }

    /// With the opposite sign.
    pub fn negated(&self, name: &str, x: &Staged) -> Staged {
        self.join(name, &[x], |of| (!of[0].msb()).concat(&of[0].bits(0..FP32.width() - 1)))
    }

    /// Without its sign.
    pub fn magnitude(&self, name: &str, x: &Staged) -> Staged {
        self.join(name, &[x], |of| self.m.constant(0, 1).concat(&of[0].bits(0..FP32.width() - 1)))
    }

    /// Another function of a value.
    pub fn call(&self, name: &str, function: &Function, x: &Staged) -> Staged {
        let instance = self.m.instance(format!("{name}_unit"), &function.module);
        instance.input("x", x.at(&self.m, x.stage()));
        Staged::new(name, x.stage() + function.latency, instance.output("y"), false)
    }

    /// The finished function of one number, with the port `y`.
    pub fn finish(self, y: &Staged) -> Result<Function, Error> {
        self.finish_with(&[("y", y)])
    }

    /// The finished function; all results show in the stage of the last one.
    pub fn finish_with(self, results: &[(&str, &Staged)]) -> Result<Function, Error> {
        let latency = results.iter().map(|(_, result)| result.stage()).max().unwrap_or(0);
        self.m.latency(format!("{latency} cycles; a number per cycle"));
        for (port, result) in results {
            self.m.output(*port, &result.at(&self.m, latency));
        }
        Ok(Function { module: self.m.finish()?, latency })
    }
}
