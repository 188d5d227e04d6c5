//! A module from `module` to `endmodule`.

use super::{
    expression::{computed, literal, part, range, read},
    layout::{code, comment},
};
use crate::{
    bits::Bits,
    check::{counter, ranges},
    ir::{
        CLOCK, Instance, Item, Memory, MemoryStyle, Module, Op, RESET, ReadTiming, Register,
        RegisterId, SignalId, UNUSED,
    },
};

/// Prints the module.
pub fn print(text: &mut String, module: &Module) {
    ports(text, module);
    state(text, module);
    let mut items = module.items.as_slice();
    while let [first, rest @ ..] = items {
        items = rest;
        match first {
            Item::Section(heading) => {
                text.push('\n');
                comment(text, 2, &format!("---- {heading} ----"));
            }
            Item::Wire(id) => wire(text, module, *id),
            Item::Register(id) => {
                let group = group(module, *id, rest);
                items = &rest[group.len() - 1..];
                registers(text, module, &group);
            }
            Item::Memory(id) => memory(text, module, &module.memories[id.index()]),
            Item::Instance(id) => instance(text, module, &module.instances[id.index()]),
        }
    }
    text.push('\n');
    comment(text, 2, "---- outputs ----");
    for output in &module.outputs {
        code(text, 2, &format!("assign {} = {};", output.name, read(module, output.source)));
    }
    unread(text, module);
    text.push_str("endmodule\n");
}

fn ports(text: &mut String, module: &Module) {
    let mut lines = Vec::new();
    if module.clocked {
        lines.push(format!("input wire {CLOCK}"));
    }
    if module.resets {
        lines.push(format!("input wire {RESET}"));
    }
    for (name, ty) in module.inputs() {
        lines.push(format!("input wire{} {name}", range(ty.width)));
    }
    for (name, ty) in module.outputs() {
        lines.push(format!("output wire{} {name}", range(ty.width)));
    }
    code(text, 0, &format!("module {} (", module.name));
    for (at, line) in lines.iter().enumerate() {
        code(text, 4, &format!("{line}{}", if at + 1 < lines.len() { "," } else { "" }));
    }
    text.push_str(");\n");
}

/// Everything that may be read above the line that drives it.
fn state(text: &mut String, module: &Module) {
    let name = |id: SignalId| module.node(id).name.as_deref().unwrap_or_default();
    let mut first = true;
    let mut declare = |text: &mut String, line: &str, note: &Option<String>| {
        if std::mem::take(&mut first) {
            text.push('\n');
            comment(text, 2, "---- declarations ----");
        }
        if let Some(note) = note {
            comment(text, 2, note);
        }
        code(text, 2, line);
    };
    let mut initial = Vec::new();
    for register in &module.registers {
        let node = module.node(register.output);
        let line = format!("reg{} {};", range(node.ty.width), name(register.output));
        declare(text, &line, &node.comment);
        if register.reset.is_none() {
            let zero = literal(&Bits::zero(node.ty.width));
            initial.push(format!("{} = {zero};", name(register.output)));
        }
    }
    for memory in &module.memories {
        let style = match memory.style {
            MemoryStyle::Auto => "",
            MemoryStyle::Distributed => "(* ram_style = \"distributed\" *) ",
            MemoryStyle::Block => "(* ram_style = \"block\" *) ",
            MemoryStyle::Ultra => "(* ram_style = \"ultra\" *) ",
        };
        let (own, top) = (&memory.name, memory.depth - 1);
        let line = format!("{style}reg{} {own} [0:{top}];", range(memory.width));
        declare(text, &line, &memory.comment);
        let at = counter(own);
        declare(text, &format!("integer {at};"), &None);
        let zero = literal(&Bits::zero(memory.width));
        initial
            .push(format!("for ({at} = 0; {at} <= {top}; {at} = {at} + 1) {own}[{at}] = {zero};"));
        for port in &memory.reads {
            let kind = match port.timing {
                ReadTiming::Asynchronous => "wire",
                ReadTiming::Synchronous { .. } => "reg",
            };
            let line = format!("{kind}{} {};", range(memory.width), name(port.output));
            declare(text, &line, &module.node(port.output).comment);
            if kind == "reg" {
                let zero = literal(&Bits::zero(memory.width));
                initial.push(format!("{} = {zero};", name(port.output)));
            }
        }
    }
    for instance in &module.instances {
        for id in &instance.outputs {
            let line = format!("wire{} {};", range(module.width(*id)), name(*id));
            declare(text, &line, &module.node(*id).comment);
        }
    }
    for id in &module.forwards {
        let line = format!("{}{} {};", kind(module, *id), range(module.width(*id)), name(*id));
        declare(text, &line, &module.node(*id).comment);
    }
    if !initial.is_empty() {
        code(text, 2, "initial begin");
        for line in &initial {
            code(text, 4, line);
        }
        code(text, 2, "end");
    }
}

/// The case that drives a wire, if one does.
fn case(module: &Module, id: SignalId) -> Option<&Op> {
    match &module.node(id).op {
        op @ Op::Case { .. } => Some(op),
        Op::Wire(driver) if module.node(*driver).name.is_none() => case(module, *driver),
        _ => None,
    }
}

fn kind(module: &Module, id: SignalId) -> &'static str {
    if case(module, id).is_some() { "reg" } else { "wire" }
}

fn wire(text: &mut String, module: &Module, id: SignalId) {
    let node = module.node(id);
    let name = node.name.as_deref().unwrap_or_default();
    let declared = module.forwards.contains(&id);
    if let (Some(note), false) = (&node.comment, declared) {
        comment(text, 2, note);
    }
    let Some(Op::Case { select, arms, default }) = case(module, id) else {
        let expression = computed(module, id);
        code(
            text,
            2,
            &if declared {
                format!("assign {name} = {expression};")
            } else {
                format!("wire{} {name} = {expression};", range(node.ty.width))
            },
        );
        return;
    };
    if !declared {
        code(text, 2, &format!("reg{} {name};", range(node.ty.width)));
    }
    code(text, 2, "always @* begin");
    code(text, 4, &format!("case ({})", read(module, *select)));
    for (label, value) in arms {
        code(text, 6, &format!("{}: {name} = {};", literal(label), read(module, *value)));
    }
    code(text, 6, &format!("default: {name} = {};", read(module, *default)));
    code(text, 4, "endcase");
    code(text, 2, "end");
}

/// The registers from `first` on that follow each other and share reset and enable.
fn group<'a>(module: &'a Module, first: RegisterId, rest: &[Item]) -> Vec<&'a Register> {
    let first = &module.registers[first.index()];
    let mut group = vec![first];
    for item in rest {
        let Item::Register(id) = item else { break };
        let next = &module.registers[id.index()];
        if next.enable != first.enable || next.reset.is_some() != first.reset.is_some() {
            break;
        }
        group.push(next);
    }
    group
}

fn registers(text: &mut String, module: &Module, group: &[&Register]) {
    let name = |id: SignalId| module.node(id).name.as_deref().unwrap_or_default();
    let enable = group[0].enable.map(|enable| read(module, enable));
    let mut indent = 4;
    code(text, 2, &format!("always @(posedge {CLOCK}) begin"));
    if group[0].reset.is_some() {
        code(text, 4, &format!("if ({RESET}) begin"));
        for register in group {
            let reset = register.reset.as_ref().map_or_else(String::new, literal);
            code(text, 6, &format!("{} <= {reset};", name(register.output)));
        }
        let then = enable.map_or(String::new(), |enable| format!(" if ({enable})"));
        code(text, 4, &format!("end else{then} begin"));
        indent = 6;
    } else if let Some(enable) = enable {
        code(text, 4, &format!("if ({enable}) begin"));
        indent = 6;
    }
    for register in group {
        let next = read(module, register.next);
        code(text, indent, &format!("{} <= {next};", name(register.output)));
    }
    if indent == 6 {
        code(text, 4, "end");
    }
    code(text, 2, "end");
}

fn memory(text: &mut String, module: &Module, memory: &Memory) {
    let name = &memory.name;
    let when = |enable: SignalId| match &module.node(enable).op {
        Op::Constant(bits) if bits.is_ones() => String::new(),
        _ => format!("if ({}) ", read(module, enable)),
    };
    for port in &memory.writes {
        let (address, data) = (read(module, port.address), read(module, port.data));
        code(text, 2, &format!("always @(posedge {CLOCK}) begin"));
        code(text, 4, &format!("{}{name}[{address}] <= {data};", when(port.enable)));
        code(text, 2, "end");
    }
    for port in &memory.reads {
        let (output, address) = (read(module, port.output), read(module, port.address));
        match port.timing {
            ReadTiming::Asynchronous => {
                code(text, 2, &format!("assign {output} = {name}[{address}];"));
            }
            ReadTiming::Synchronous { enable } => {
                let when = enable.map_or_else(String::new, when);
                code(text, 2, &format!("always @(posedge {CLOCK}) begin"));
                code(text, 4, &format!("{when}{output} <= {name}[{address}];"));
                code(text, 2, "end");
            }
        }
    }
}

fn instance(text: &mut String, module: &Module, instance: &Instance) {
    let of = &instance.module;
    if let Some(note) = &instance.comment {
        comment(text, 2, note);
    }
    let mut lines = Vec::new();
    if of.clocked {
        lines.push(format!(".{CLOCK}({CLOCK})"));
    }
    if of.resets {
        lines.push(format!(".{RESET}({RESET})"));
    }
    let ports = of.inputs().chain(of.outputs()).map(|(port, _)| port);
    for (port, id) in ports.zip(instance.inputs.iter().chain(&instance.outputs)) {
        lines.push(format!(".{port}({})", read(module, *id)));
    }
    code(text, 2, &format!("{} {} (", of.name, instance.name));
    for (at, line) in lines.iter().enumerate() {
        code(text, 4, &format!("{line}{}", if at + 1 < lines.len() { "," } else { "" }));
    }
    code(text, 2, ");");
}

/// Reads what is discarded, in a wire whose name says so: linters do not report it then.
fn unread(text: &mut String, module: &Module) {
    let mut parts = Vec::new();
    for (id, bits) in &module.unread {
        let node = module.node(*id);
        let name = node.name.as_deref().unwrap_or_default();
        for (low, high) in ranges(bits) {
            parts.push(part(name, node.ty.width, low, high));
        }
    }
    if parts.is_empty() {
        return;
    }
    text.push('\n');
    comment(text, 2, "---- bits that are not needed ----");
    code(text, 2, &format!("wire {UNUSED} = &{{1'b0, {}}};", parts.join(", ")));
}
