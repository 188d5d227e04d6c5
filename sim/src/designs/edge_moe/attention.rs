//! Products of attention and the softmax between them (sections IV-A and IV-B of the paper).
//!
//! With reordering, `p` queries stay while all keys pass; query slot `i` takes its next query when key
//! `i` passes, so that one token per step keeps all slots busy. Without, each query reads all keys.
//!
//! The softmax of one pass keeps maximum and sum of each row up to date and leaves the exponentials of
//! the scores to the product with the values. Without it, scores are read three times, for the maximum,
//! for exponentials and their sum, and for the division, one score after the other.

use attelier_hw::edge_moe::EdgeMoe;
use attelier_workloads::vision::ImageShape;

use super::dataflow::{Call, Process, nest};
use super::units::{Port, Unit};

/// Token steps of a product with `queries` query slots over `tokens` tokens: whole passes over all
/// keys, and the steps that the last slots still need.
pub fn token_steps(tokens: u32, queries: u32) -> u64 {
    let [tokens, queries] = [tokens, queries.max(1)].map(u64::from);
    let staggered = tokens + queries - 1;
    staggered / queries * tokens + staggered % queries
}

/// Loops of a product.
struct Loops {
    /// Tokens of which keys or values are read.
    loads: u64,
    /// Token steps of the array.
    steps: u64,
    /// Groups of scores, one for all heads of a query and a key; with the padding of the slots.
    scores: u64,
}

fn loops(machine: &EdgeMoe, shape: &ImageShape, reordered: bool) -> Loops {
    let (tokens, queries) = (shape.tokens(), machine.attention.queries);
    if reordered {
        let steps = token_steps(tokens, queries);
        Loops { loads: steps, steps, scores: steps.saturating_mul(queries.into()) }
    } else {
        let pairs = nest(&[tokens, tokens]);
        Loops { loads: pairs, steps: nest(&[tokens.div_ceil(queries), tokens]), scores: pairs }
    }
}

/// Bytes of the scores of all heads of one query and key, padded to a power of two.
fn score_bytes(shape: &ImageShape) -> u32 {
    4 * shape.heads.next_power_of_two()
}

/// Words of a token.
fn words(machine: &EdgeMoe, shape: &ImageShape) -> u32 {
    shape.width / machine.lanes()
}

/// Queries times keys, with the softmax of one pass if there is one.
pub fn qk_product(machine: &EdgeMoe, shape: &ImageShape) -> Call {
    let reordered = machine.techniques.qk_reordering;
    let Loops { loads, steps, scores } = loops(machine, shape, reordered);
    let words = words(machine, shape);
    let word = machine.port.word_bytes;
    let o = &machine.operators;
    let tree = u64::from(machine.lanes().ilog2() * o.add_cycles);
    let depth = u64::from(2 * o.multiply_cycles) + tree;
    let mut processes = vec![
        Process::read(Port::Inout2, nest(&[shape.tokens(), words]), word),
        Process::read(Port::Inout3, loads.saturating_mul(words.into()), word),
        Process::compute(Unit::QkProduct, steps.saturating_mul(words.into()))
            .taking(depth)
            .after(&[0, 1]),
    ];
    if machine.techniques.single_pass_softmax {
        // Scores of one query come as far apart as there are queries in turn.
        let apart = if reordered { machine.attention.queries } else { 1 };
        let interval = machine.softmax.recurrence_cycles.div_ceil(apart);
        let depth = o.exp_cycles + o.multiply_cycles + 2 * o.add_cycles;
        let softmax = Process::compute(Unit::Softmax, scores).every(interval.into());
        processes.push(softmax.taking(depth.into()).after(&[2]));
        let sums = Process::write(Port::Inout4, shape.tokens().into(), word);
        processes.push(sums.taking(o.divide_cycles.into()).after(&[3]));
    }
    let scores = Process::write(Port::Inout1, scores, score_bytes(shape));
    processes.push(scores.after(&[2]));
    Call::new(Unit::QkProduct, processes)
}

/// Probabilities times values.
pub fn pv_product(machine: &EdgeMoe, shape: &ImageShape) -> Call {
    let Loops { loads, steps, scores } = loops(machine, shape, machine.techniques.pv_reordering);
    let words = words(machine, shape);
    let word = machine.port.word_bytes;
    let o = &machine.operators;
    let single = machine.techniques.single_pass_softmax;
    let weigh = if single { o.add_cycles + o.exp_cycles + o.multiply_cycles } else { 0 };
    let depth = weigh + o.multiply_cycles + o.add_cycles;
    let infos = if single { shape.tokens() } else { 0 };
    let processes = vec![
        Process::read(Port::Inout1, scores, score_bytes(shape)),
        Process::read(Port::Inout4, infos.into(), word),
        Process::read(Port::Inout2, loads.saturating_mul(words.into()), word),
        Process::compute(Unit::PvProduct, steps.saturating_mul(words.into()))
            .taking(depth.into())
            .after(&[0, 1, 2]),
        Process::write(Port::Inout1, nest(&[shape.tokens(), words]), word).after(&[3]),
    ];
    Call::new(Unit::PvProduct, processes)
}

/// The softmax of three passes over scores in memory, where it is not done in one.
pub fn three_pass_softmax(machine: &EdgeMoe, shape: &ImageShape) -> Vec<Call> {
    if machine.techniques.single_pass_softmax {
        return Vec::new();
    }
    let scores = nest(&[shape.heads, shape.tokens(), shape.tokens()]);
    let o = &machine.operators;
    let pass = |cycles: u32, write: bool| {
        let read = Process::read(Port::Inout1, scores, 4);
        let work = Process::compute(Unit::Softmax, scores).every(cycles.into());
        let work = work.taking(cycles.into()).after(&[0]);
        let mut processes = vec![read, work];
        if write {
            processes.push(Process::write(Port::Inout1, scores, 4).after(&[1]));
        }
        Call::new(Unit::Softmax, processes)
    };
    let exponential = 2 * o.add_cycles + o.exp_cycles;
    vec![pass(o.add_cycles, false), pass(exponential, true), pass(o.multiply_cycles, true)]
}
