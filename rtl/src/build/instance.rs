//! Modules inside modules.

use std::sync::Arc;

use super::{ModuleBuilder, Operand, Signal};
use crate::{
    error::Fault,
    ir::{Instance, InstanceId, Item, Module, Op, SignalId, Type},
};

/// An instance under construction: gets its connections.
pub struct InstanceBuilder<'a> {
    module: &'a ModuleBuilder,
    id: InstanceId,
    name: String,
    of: Arc<Module>,
    outputs: Vec<Signal>,
}

impl ModuleBuilder {
    /// An instance of a finished module. Its outputs become wires `name_port`; its clock and reset
    /// are connected where it has them.
    pub fn instance(&self, name: impl Into<String>, of: &Arc<Module>) -> InstanceBuilder<'_> {
        let name = name.into();
        let id = self.draft.with(|contents| InstanceId(contents.module.instances.len() as u32));
        let outputs: Vec<Signal> = of
            .outputs()
            .enumerate()
            .map(|(at, (port, ty))| {
                self.draft.node(ty, Op::InstanceOutput(id, at), Some(format!("{name}_{port}")))
            })
            .collect();
        let instance = Instance {
            name: name.clone(),
            module: Arc::clone(of),
            inputs: vec![SignalId(0); of.inputs.len()],
            outputs: outputs.iter().map(|output| output.id).collect(),
            comment: None,
        };
        self.draft.with(|contents| {
            contents.module.instances.push(instance);
        });
        self.draft.item(Item::Instance(id));
        InstanceBuilder { module: self, id, name, of: Arc::clone(of), outputs }
    }
}

impl InstanceBuilder<'_> {
    /// Explains the instance to the reader of the Verilog.
    #[must_use]
    pub fn comment(self, text: impl Into<String>) -> Self {
        self.module.draft.with(|contents| {
            contents.module.instances[self.id.index()].comment = Some(text.into());
        });
        self
    }

    /// Connects an input port.
    pub fn input(&self, port: &str, value: impl Operand) -> &Self {
        let draft = &self.module.draft;
        let ports: Vec<(&str, Type)> = self.of.inputs().collect();
        let Some(at) = ports.iter().position(|(name, _)| *name == port) else {
            self.unknown("input", port, ports.iter().map(|(name, _)| (*name).to_owned()).collect());
            return self;
        };
        let label = format!("{}.{port}", self.name);
        let like = draft.node(ports[at].1, Op::Input, Some(label.clone()));
        let value = value.signal_like(&like);
        draft.same("input of an instance", &like, &value);
        draft.with(|contents| {
            // Only here to give a literal its type and messages their name.
            if like.id.index() + 1 == contents.module.nodes.len() {
                contents.module.nodes.pop();
            } else if let Some(node) = contents.module.nodes.get_mut(like.id.index()) {
                node.name = None;
            }
        });
        let first = draft.with(|contents| contents.connected.insert((self.id.index(), at)));
        if !first {
            draft.fault(Fault::DrivenTwice { signal: label });
        }
        draft.with(|contents| {
            contents.module.instances[self.id.index()].inputs[at] = value.id;
        });
        draft.extend_item(&Item::Instance(self.id));
        self
    }

    /// An output port.
    #[must_use]
    pub fn output(&self, port: &str) -> Signal {
        let known: Vec<String> = self.of.outputs().map(|(name, _)| name.to_owned()).collect();
        if let Some(at) = known.iter().position(|name| name == port) {
            return self.outputs[at].clone();
        }
        self.unknown("output", port, known);
        self.module.constant(0, 1)
    }

    /// Lets an output port stay unread.
    pub fn discard(&self, port: &str) -> &Self {
        self.module.discard(&self.output(port));
        self
    }

    fn unknown(&self, direction: &'static str, port: &str, known: Vec<String>) {
        self.module.draft.fault(Fault::Port {
            instance: self.name.clone(),
            of: self.of.name().to_owned(),
            direction,
            port: port.to_owned(),
            known,
        });
    }
}
