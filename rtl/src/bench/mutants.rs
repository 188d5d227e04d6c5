//! Mutants: modules with one mistake, which a comparison must catch.

use std::sync::Arc;

use crate::ir::{BinaryOp, Module, Op, ReadTiming};

/// A module with one mistake.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// What is wrong.
    pub mistake: String,
    /// The module; its ports are those of the original.
    pub module: Arc<Module>,
}

/// All mutants with one changed operator, one swapped choice, one register without its enable, or one
/// memory port that is missing or always on.
///
/// Some of them behave as the original, for instance where a swapped comparison is never decisive;
/// a comparison that catches none at all is worthless.
pub fn mutants(module: &Arc<Module>) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    let mut add = |mistake: String, change: &dyn Fn(&mut Module)| {
        let mut changed = Module::clone(module);
        change(&mut changed);
        mutants.push(Mutant { mistake, module: Arc::new(changed) });
    };
    for (at, node) in module.nodes.iter().enumerate() {
        let what = node.name.clone().unwrap_or_else(|| format!("node {at}"));
        let op = match &node.op {
            Op::Binary(op, a, b) => match op {
                BinaryOp::Add => Op::Binary(BinaryOp::Subtract, *a, *b),
                BinaryOp::Subtract => Op::Binary(BinaryOp::Add, *a, *b),
                BinaryOp::And => Op::Binary(BinaryOp::Or, *a, *b),
                BinaryOp::Or => Op::Binary(BinaryOp::And, *a, *b),
                BinaryOp::Less => Op::Binary(BinaryOp::Less, *b, *a),
                _ => continue,
            },
            Op::Mux { select, when_one, when_zero } => {
                Op::Mux { select: *select, when_one: *when_zero, when_zero: *when_one }
            }
            _ => continue,
        };
        add(format!("{what}: {:?} became {op:?}", node.op), &|module: &mut Module| {
            module.nodes[at].op = op.clone();
        });
    }
    for (at, register) in module.registers.iter().enumerate() {
        if register.enable.is_some() {
            let what = module.describe(register.output);
            add(format!("{what} without its enable"), &|module: &mut Module| {
                module.registers[at].enable = None;
            });
        }
    }
    for (at, memory) in module.memories.iter().enumerate() {
        if !memory.writes.is_empty() {
            add(format!("{} is never written", memory.name), &|module: &mut Module| {
                module.memories[at].writes.clear();
            });
        }
        for (port, read) in memory.reads.iter().enumerate() {
            if let ReadTiming::Synchronous { enable: Some(_) } = read.timing {
                let what = module.describe(read.output);
                add(format!("{what} is read in every cycle"), &|module: &mut Module| {
                    let timing = ReadTiming::Synchronous { enable: None };
                    module.memories[at].reads[port].timing = timing;
                });
            }
        }
    }
    mutants
}
