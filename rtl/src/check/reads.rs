//! Who reads what, down to single bits.
//!
//! What nothing reads is a mistake more often than not, and linters report it. A description says
//! with `discard` where it is meant.

use crate::{
    bits::Bits,
    error::Fault,
    ir::{Module, Op, SignalId},
};

/// Whether each node is read, directly or through others, by something that the Verilog shows.
pub fn reached(module: &Module) -> Vec<bool> {
    let mut reached = vec![false; module.nodes.len()];
    let mut work = module.roots();
    work.extend(&module.discarded);
    // A named wire is shown, so what drives it is read; whether it is read itself is checked apart.
    work.extend(module.nodes.iter().filter_map(|node| match (&node.name, &node.op) {
        (Some(_), Op::Wire(driver)) => Some(*driver),
        _ => None,
    }));
    while let Some(id) = work.pop() {
        if !std::mem::replace(&mut reached[id.index()], true) {
            work.extend(module.node(id).op.operands());
        }
    }
    reached
}

/// Refuses named signals that nothing reads.
pub fn refuse_unread_signals(module: &Module, reached: &[bool]) -> Result<(), Fault> {
    for (node, reached) in module.nodes.iter().zip(reached) {
        if let (Some(name), false) = (&node.name, reached) {
            return Err(Fault::Unused { signal: name.clone() });
        }
    }
    Ok(())
}

/// Bits of named signals that nothing reads; refused where the description does not discard them.
pub fn unread_bits(module: &Module, reached: &[bool]) -> Result<Vec<(SignalId, Bits)>, Fault> {
    let mut read: Vec<Option<Bits>> = vec![None; module.nodes.len()];
    let mut mark = |id: SignalId, low: u32, width: u32| {
        let all = module.width(id);
        let bits = read[id.index()].get_or_insert_with(|| Bits::zero(all));
        bits.place(low, &Bits::ones(width));
    };
    for (node, reached) in module.nodes.iter().zip(reached) {
        if !reached && node.name.is_none() {
            continue;
        }
        match &node.op {
            Op::Slice { of, low } => mark(*of, *low, node.ty.width),
            op => op.operands().into_iter().for_each(|id| mark(id, 0, module.width(id))),
        }
    }
    for id in module.roots() {
        mark(id, 0, module.width(id));
    }

    let mut unread = Vec::new();
    for (at, node) in module.nodes.iter().enumerate() {
        let Some(name) = &node.name else { continue };
        let id = SignalId(at as u32);
        let missing = match &read[at] {
            Some(bits) if bits.is_ones() => continue,
            Some(bits) => complement(bits),
            None => Bits::ones(node.ty.width),
        };
        if module.discarded.contains(&id) {
            unread.push((id, missing));
        } else if missing.is_ones() {
            return Err(Fault::Unused { signal: name.clone() });
        } else {
            return Err(Fault::UnusedBits { signal: name.clone(), bits: ranges_text(&missing) });
        }
    }
    Ok(unread)
}

fn complement(bits: &Bits) -> Bits {
    let words: Vec<u64> = bits.words().iter().map(|word| !word).collect();
    Bits::from_words(&words, bits.width())
}

/// Runs of set bits: lowest and highest of each, from the top down.
pub fn ranges(bits: &Bits) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for at in (0..bits.width()).filter(|at| bits.bit(*at)) {
        match ranges.last_mut() {
            Some((_, high)) if *high + 1 == at => *high = at,
            _ => ranges.push((at, at)),
        }
    }
    ranges.reverse();
    ranges
}

fn ranges_text(bits: &Bits) -> String {
    let one = |(low, high): &(u32, u32)| {
        if low == high { low.to_string() } else { format!("{low}..{}", high + 1) }
    };
    ranges(bits).iter().map(one).collect::<Vec<_>>().join(", ")
}
