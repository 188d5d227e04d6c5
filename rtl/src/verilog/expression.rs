//! Expressions. Every operator sees operands of its own width, so Verilog's rule that the
//! surroundings decide the width never changes a value.

use crate::{
    bits::Bits,
    ir::{BinaryOp, Module, Op, SignalId, UnaryOp},
};

/// A literal.
pub fn literal(bits: &Bits) -> String {
    // Longer ones are cut into words, so that lines can be broken between them.
    if bits.width() > 256 {
        let mut low = 0;
        let mut parts = Vec::new();
        while low < bits.width() {
            let width = (bits.width() - low).min(128);
            parts.push(literal(&bits.part(low, width)));
            low += width;
        }
        parts.reverse();
        return format!("{{{}}}", parts.join(", "));
    }
    if bits.width() <= 64 && bits.low() < 1024 {
        format!("{}'d{}", bits.width(), bits.low())
    } else {
        format!("{}'h{bits:x}", bits.width())
    }
}

/// The declared range of a net: ` [7:0]`, nothing for one bit.
pub fn range(width: u32) -> String {
    if width == 1 { String::new() } else { format!(" [{}:0]", width - 1) }
}

/// Bits `low` to `high` of a net.
pub fn part(name: &str, width: u32, low: u32, high: u32) -> String {
    if width == high - low + 1 {
        name.to_owned()
    } else if low == high {
        format!("{name}[{low}]")
    } else {
        format!("{name}[{high}:{low}]")
    }
}

/// What reads the signal: its name, or its expression.
pub fn read(module: &Module, id: SignalId) -> String {
    match &module.node(id).name {
        Some(name) => name.clone(),
        None => computed(module, id),
    }
}

/// As an operand of another operator.
fn operand(module: &Module, id: SignalId) -> String {
    let node = module.node(id);
    let simple = match &node.op {
        _ if node.name.is_some() => true,
        Op::Unary(UnaryOp::Cast, of) => return operand(module, *of),
        Op::Unary(UnaryOp::Extend, _) | Op::Constant(_) | Op::Slice { .. } | Op::Concat(_) => true,
        Op::Unary(UnaryOp::Not, of) => {
            !matches!(module.node(*of).op, Op::Binary(BinaryOp::Equal | BinaryOp::Less, ..))
                || module.node(*of).name.is_some()
        }
        _ => false,
    };
    let text = read(module, id);
    if simple { text } else { format!("({text})") }
}

/// The expression of a signal, whether it has a name or not.
pub fn computed(module: &Module, id: SignalId) -> String {
    let node = module.node(id);
    match &node.op {
        Op::Wire(driver) => read(module, *driver),
        Op::Constant(bits) => literal(bits),
        Op::Unary(op, of) => unary(module, *op, *of, node.ty.width),
        Op::Binary(op, a, b) => binary(module, *op, *a, *b),
        Op::Mux { select, when_one, when_zero } => format!(
            "{} ? {} : {}",
            operand(module, *select),
            operand(module, *when_one),
            operand(module, *when_zero)
        ),
        Op::Concat(parts) => concat(module, parts),
        Op::Slice { of, low } => {
            let ty = module.ty(*of);
            part(&read(module, *of), ty.width, *low, low + node.ty.width - 1)
        }
        // These always have a name, and are assigned elsewhere.
        Op::Input
        | Op::Register(_)
        | Op::MemoryRead(..)
        | Op::InstanceOutput(..)
        | Op::Case { .. } => node.name.clone().unwrap_or_default(),
    }
}

fn unary(module: &Module, op: UnaryOp, of: SignalId, width: u32) -> String {
    match op {
        UnaryOp::Not => not(module, of),
        UnaryOp::All => format!("&{}", operand(module, of)),
        UnaryOp::Any => format!("|{}", operand(module, of)),
        UnaryOp::Parity => format!("^{}", operand(module, of)),
        UnaryOp::Cast => read(module, of),
        UnaryOp::Extend => extended(module, of, width),
    }
}

fn not(module: &Module, of: SignalId) -> String {
    let node = module.node(of);
    match &node.op {
        Op::Binary(BinaryOp::Equal, a, b) if node.name.is_none() => {
            format!("{} != {}", operand(module, *a), operand(module, *b))
        }
        Op::Binary(BinaryOp::Less, a, b) if node.name.is_none() => compare(module, ">=", *a, *b),
        _ if node.ty.width == 1 => format!("!{}", operand(module, of)),
        _ => format!("~{}", operand(module, of)),
    }
}

fn compare(module: &Module, sign: &str, a: SignalId, b: SignalId) -> String {
    if module.ty(a).signed {
        format!("$signed({}) {sign} $signed({})", read(module, a), read(module, b))
    } else {
        format!("{} {sign} {}", operand(module, a), operand(module, b))
    }
}

fn binary(module: &Module, op: BinaryOp, a: SignalId, b: SignalId) -> String {
    let sign = match op {
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::And => "&",
        BinaryOp::Or => "|",
        BinaryOp::Xor => "^",
        BinaryOp::Equal => "==",
        BinaryOp::ShiftLeft => "<<",
        BinaryOp::Less => return compare(module, "<", a, b),
        BinaryOp::ShiftRight if module.ty(a).signed => {
            return format!("$signed({}) >>> {}", read(module, a), operand(module, b));
        }
        BinaryOp::ShiftRight => ">>",
        BinaryOp::Multiply => {
            let width = module.width(a) + module.width(b);
            let (x, y) = (extended(module, a, width), extended(module, b, width));
            return if module.ty(a).signed {
                format!("$signed({x}) * $signed({y})")
            } else {
                format!("{x} * {y}")
            };
        }
    };
    format!("{} {sign} {}", operand(module, a), operand(module, b))
}

/// The signal widened in its own signedness.
fn extended(module: &Module, of: SignalId, width: u32) -> String {
    let ty = module.ty(of);
    let more = width - ty.width;
    if let Some(bits) = constant(module, of) {
        let mut wide = Bits::zero(width);
        crate::words::sign_extend(
            wide.words_mut(),
            bits.words(),
            // The bit above an unsigned literal is its zero sign.
            if ty.signed { ty.width } else { ty.width + 1 },
        );
        return literal(&Bits::from_words(wide.words(), width));
    }
    let text = read(module, of);
    if !ty.signed {
        format!("{{{}, {text}}}", literal(&Bits::zero(more)))
    } else if ty.width == 1 {
        format!("{{{width}{{{text}}}}}")
    } else {
        let sign = format!("{text}[{}]", ty.width - 1);
        format!("{{{{{more}{{{sign}}}}}, {text}}}")
    }
}

/// The constant that a signal is printed as, through changes of its signedness.
fn constant(module: &Module, id: SignalId) -> Option<&Bits> {
    let node = module.node(id);
    match &node.op {
        Op::Constant(bits) => Some(bits),
        Op::Unary(UnaryOp::Cast, of) if node.name.is_none() => constant(module, *of),
        _ => None,
    }
}

/// Parts side by side; runs of one part are printed as a repetition.
fn concat(module: &Module, parts: &[SignalId]) -> String {
    let runs = parts.chunk_by(|a, b| a == b);
    let texts: Vec<String> = runs
        .map(|run| {
            let text = read(module, run[0]);
            if run.len() == 1 { text } else { format!("{{{}{{{text}}}}}", run.len()) }
        })
        .collect();
    match &texts[..] {
        [only] if parts.len() > 1 => only.clone(),
        _ => format!("{{{}}}", texts.join(", ")),
    }
}
