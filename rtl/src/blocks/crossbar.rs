//! Crossbar: beats of several inputs to the outputs that they name.

use std::sync::Arc;

use super::{RoundRobinArbiter, StreamIn, StreamOut, width, within};
use crate::{ModuleBuilder, Signal, bits::index_width, error::Error, ir::Module};

/// Every output takes a beat per cycle, from its inputs in turn.
///
/// Ports: streams `s_0` ... with `s_I_tdest`, streams `m_0` ... with `m_O_source`. Same cycle; put a
/// [`SkidBuffer`](super::SkidBuffer) where paths get long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crossbar {
    /// Inputs, 2 to 64.
    pub inputs: u32,
    /// Outputs, 2 to 64.
    pub outputs: u32,
    /// Width of a beat \[bits\].
    pub width: u32,
}

impl Crossbar {
    /// The module `crossbar_iINPUTS_oOUTPUTS_wWIDTH`.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let name = format!("crossbar_i{}_o{}_w{}", self.inputs, self.outputs, self.width);
        width(&name, self.width)?;
        within(&name, "inputs", self.inputs, (2, 64), "2 to 64 inputs")?;
        within(&name, "outputs", self.outputs, (2, 64), "2 to 64 outputs")?;
        let arbiter = RoundRobinArbiter { requests: self.inputs }.build()?;
        let m = ModuleBuilder::new(name);
        m.doc("Crossbar. Every output has an arbiter that takes its inputs in turn.");
        m.doc("A beat for an output that does not exist waits for ever.");
        m.parameter("INPUTS", self.inputs);
        m.parameter("OUTPUTS", self.outputs);
        m.parameter("WIDTH", self.width);
        m.latency("same cycle; 1 beat per cycle and output");
        let select = index_width(self.outputs.into());
        let sources: Vec<(StreamIn, Signal)> = (0..self.inputs)
            .map(|input| {
                let stream = StreamIn::new(&m, &format!("s_{input}"), self.width);
                let dest = m.input(format!("s_{input}_tdest"), select).comment("Output.");
                (stream, dest)
            })
            .collect();
        // taken[input][output]
        let mut taken: Vec<Vec<Signal>> = vec![Vec::new(); sources.len()];
        for output in 0..self.outputs {
            m.section(format!("output {output}"));
            let stream = StreamOut::new(&m, &format!("m_{output}"));
            let wants: Vec<Signal> = sources
                .iter()
                .map(|(input, dest)| &input.valid & dest.eq(u64::from(output)))
                .collect();
            let wants = m.wires(&format!("wants_{output}"), &wants);
            let turn = m.instance(format!("turn_{output}"), &arbiter);
            turn.input("request", m.pack(&wants)).input("advance", &stream.ready);
            let (grant, any) = (turn.output("grant"), turn.output("any"));
            let offered: Vec<Signal> = sources
                .iter()
                .zip(grant.lanes(self.inputs))
                .map(|((input, _), granted)| granted.gate(&input.data))
                .collect();
            let data = m.wire(format!("data_{output}"), &merged(&offered));
            for (taken, granted) in taken.iter_mut().zip(grant.lanes(self.inputs)) {
                taken.push(&granted & &stream.ready);
            }
            stream.offer(&m, &any, &data);
            m.output_for(format!("m_{output}_source"), &grant, "One-hot: input of the beat.");
        }
        for ((input, _), taken) in sources.iter().zip(&taken) {
            input.ready(&m, &m.any_of(taken));
        }
        m.finish()
    }
}

/// All values or-ed in a balanced tree; at most one is not zero.
fn merged(values: &[Signal]) -> Signal {
    match values {
        [only] => only.clone(),
        _ => {
            let (left, right) = values.split_at(values.len() / 2);
            merged(left) | merged(right)
        }
    }
}
