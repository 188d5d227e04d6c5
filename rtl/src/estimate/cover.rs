//! Covering gates with look-up tables, as a mapper does it: shortest depth first, then less area
//! wherever a path has time.
//!
//! Every gate keeps a few *cuts*: sets of at most eight signals that determine it. Tables of seven
//! and eight inputs are two and four tables of six behind the multiplexers of a slice. The costs are
//! those that Yosys gives its mapper for UltraScale+ (`abc -luts 2:2,3,6:5,10,20`), so that small
//! tables are worth having.

use super::{
    blast::Blasted,
    gates::{Bit, Gate},
};

/// Inputs of the largest table.
const INPUTS: usize = 8;
/// Cuts kept per gate.
const CUTS: usize = 10;
/// Cost of a table by inputs.
const COST: [f32; INPUTS + 1] = [0.0, 2.0, 2.0, 3.0, 5.0, 5.0, 5.0, 10.0, 20.0];
/// Tables of six inputs that it takes.
const TABLES: [u64; INPUTS + 1] = [0, 1, 1, 1, 1, 1, 1, 2, 4];

/// Signals that determine a gate.
#[derive(Debug, Clone, PartialEq)]
struct Cut {
    leaves: Vec<u32>,
    depth: u32,
    flow: f32,
}

impl Cut {
    fn cost(&self) -> f32 {
        COST[self.leaves.len()]
    }
}

/// Tables that the mapper of Yosys 0.23 takes, in hundredths of those found here: its cover is not as
/// small. One value for everything, the middle of what the units of SpAtten and the blocks show.
const LOSS: u64 = 108;

/// Tables and levels of a cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cover {
    /// Tables of six inputs.
    pub tables: u64,
    /// Tables on the longest way.
    pub levels: u32,
}

/// Covers what the roots need.
pub fn cover(blasted: &Blasted) -> Cover {
    let mut mapper = Mapper::new(blasted.gates.all(), &blasted.roots);
    mapper.depth_first();
    for _ in 0..3 {
        mapper.recover_area();
    }
    for _ in 0..2 {
        mapper.recover_exactly();
    }
    mapper.result(&blasted.roots)
}

struct Mapper<'a> {
    gates: &'a [Gate],
    /// Gates behind the roots.
    roots: Vec<u32>,
    cuts: Vec<Vec<Cut>>,
    /// The cut that each gate uses.
    best: Vec<usize>,
    depth: Vec<u32>,
    flow: Vec<f32>,
    required: Vec<u32>,
    /// Readers of each gate in the cover.
    readers: Vec<u32>,
    /// Readers of each gate in the graph.
    fanout: Vec<f32>,
}

impl<'a> Mapper<'a> {
    fn new(gates: &'a [Gate], roots: &[Bit]) -> Self {
        let roots: Vec<u32> = roots.iter().map(|bit| bit.gate() as u32).collect();
        let mut fanout = vec![0f32; gates.len()];
        let operands = gates.iter().flatten().flatten().map(|bit| bit.gate());
        for gate in operands.chain(roots.iter().map(|gate| *gate as usize)) {
            fanout[gate] += 1.0;
        }
        Self {
            gates,
            roots,
            cuts: vec![Vec::new(); gates.len()],
            best: vec![0; gates.len()],
            depth: vec![0; gates.len()],
            flow: vec![0.0; gates.len()],
            required: vec![u32::MAX; gates.len()],
            readers: vec![0; gates.len()],
            fanout,
        }
    }

    fn itself(gate: usize) -> Cut {
        Cut { leaves: vec![gate as u32], depth: 0, flow: 0.0 }
    }

    /// Candidate cuts of a gate from those of its operands.
    fn candidates(&self, gate: usize, [a, b]: [Bit; 2]) -> Vec<Cut> {
        let of = |operand: usize| {
            let own = Self::itself(operand);
            let cuts = if self.gates[operand].is_some() { &self.cuts[operand][..] } else { &[] };
            cuts.iter().cloned().chain(std::iter::once(own)).collect::<Vec<_>>()
        };
        let (left, right) = (of(a.gate()), of(b.gate()));
        let mut found: Vec<Cut> = Vec::with_capacity(left.len() * right.len());
        for one in &left {
            for other in &right {
                let Some(leaves) = union(&one.leaves, &other.leaves) else { continue };
                if found.iter().any(|known| known.leaves == leaves) {
                    continue;
                }
                found.push(self.weigh(gate, leaves));
            }
        }
        found
    }

    fn weigh(&self, gate: usize, leaves: Vec<u32>) -> Cut {
        let depth = leaves.iter().map(|leaf| self.depth[*leaf as usize]).max().unwrap_or(0) + 1;
        let below: f32 = leaves.iter().map(|leaf| self.flow[*leaf as usize]).sum();
        let flow = (below + COST[leaves.len()]) / self.fanout[gate].max(1.0);
        Cut { leaves, depth, flow }
    }

    fn depth_first(&mut self) {
        for at in 0..self.gates.len() {
            let Some(gate) = self.gates[at] else { continue };
            let mut cuts = self.candidates(at, gate);
            cuts.sort_by(|a, b| {
                (a.depth, a.leaves.len())
                    .cmp(&(b.depth, b.leaves.len()))
                    .then(a.flow.total_cmp(&b.flow))
            });
            cuts.sort_by(|a, b| a.depth.cmp(&b.depth).then(a.flow.total_cmp(&b.flow)));
            cuts.truncate(CUTS);
            self.choose(at, cuts, 0);
        }
        self.require();
    }

    fn choose(&mut self, at: usize, cuts: Vec<Cut>, best: usize) {
        self.depth[at] = cuts[best].depth;
        self.flow[at] = cuts[best].flow;
        self.best[at] = best;
        self.cuts[at] = cuts;
    }

    /// Latest levels that keep the longest way, and readers in the cover.
    fn require(&mut self) {
        let longest = self.roots.iter().map(|root| self.depth[*root as usize]).max().unwrap_or(0);
        self.required.fill(u32::MAX);
        self.readers.fill(0);
        for root in &self.roots {
            self.required[*root as usize] = longest;
            self.readers[*root as usize] += 1;
        }
        for at in (0..self.gates.len()).rev() {
            if self.gates[at].is_none() || self.readers[at] == 0 {
                continue;
            }
            let required = self.required[at].saturating_sub(1);
            for leaf in &self.cuts[at][self.best[at]].leaves {
                let leaf = *leaf as usize;
                self.required[leaf] = self.required[leaf].min(required);
                self.readers[leaf] += 1;
            }
        }
    }

    /// Chooses cuts anew by area, among those that are in time.
    fn recover_area(&mut self) {
        for at in 0..self.gates.len() {
            let Some(gate) = self.gates[at] else { continue };
            // Readers of the last cover say better than the graph how often a table is shared.
            self.fanout[at] = (self.fanout[at] + 2.0 * self.readers[at] as f32) / 3.0;
            let mut cuts = self.candidates(at, gate);
            let kept = self.cuts[at][self.best[at]].leaves.clone();
            if !cuts.iter().any(|cut| cut.leaves == kept) {
                cuts.push(self.weigh(at, kept));
            }
            let required = self.required[at];
            cuts.sort_by(|a, b| {
                let late = |cut: &Cut| cut.depth > required;
                late(a).cmp(&late(b)).then(a.flow.total_cmp(&b.flow)).then(a.depth.cmp(&b.depth))
            });
            cuts.truncate(CUTS);
            self.choose(at, cuts, 0);
        }
        self.require();
    }

    /// Chooses the cut of each gate that adds the fewest tables to the present cover.
    fn recover_exactly(&mut self) {
        for at in 0..self.gates.len() {
            if self.gates[at].is_none() || self.readers[at] == 0 {
                continue;
            }
            self.release(at);
            let (mut best, mut least) = (self.best[at], f32::INFINITY);
            for candidate in 0..self.cuts[at].len() {
                let cut = &self.cuts[at][candidate];
                let depth = cut.leaves.iter().map(|leaf| self.depth[*leaf as usize]).max();
                if depth.unwrap_or(0) + 1 > self.required[at] {
                    continue;
                }
                self.best[at] = candidate;
                let added = self.take(at);
                self.release(at);
                if added < least {
                    (best, least) = (candidate, added);
                }
            }
            self.best[at] = best;
            self.take(at);
            let leaves = &self.cuts[at][best].leaves;
            let depth = leaves.iter().map(|leaf| self.depth[*leaf as usize]).max().unwrap_or(0);
            self.depth[at] = depth + 1;
        }
        self.require();
    }

    /// Adds the table of a gate and those that it alone needs; returns their cost.
    fn take(&mut self, gate: usize) -> f32 {
        let mut cost = 0.0;
        let mut open = vec![gate];
        while let Some(at) = open.pop() {
            let cut = &self.cuts[at][self.best[at]];
            cost += cut.cost();
            for leaf in cut.leaves.iter().map(|leaf| *leaf as usize) {
                self.readers[leaf] += 1;
                if self.readers[leaf] == 1 && self.gates[leaf].is_some() {
                    open.push(leaf);
                }
            }
        }
        cost
    }

    /// Takes back what [`Mapper::take`] added.
    fn release(&mut self, gate: usize) {
        let mut open = vec![gate];
        while let Some(at) = open.pop() {
            let cut = &self.cuts[at][self.best[at]];
            for leaf in cut.leaves.iter().map(|leaf| *leaf as usize) {
                self.readers[leaf] -= 1;
                if self.readers[leaf] == 0 && self.gates[leaf].is_some() {
                    open.push(leaf);
                }
            }
        }
    }

    fn result(&self, roots: &[Bit]) -> Cover {
        let used = |at: &usize| self.gates[*at].is_some() && self.readers[*at] > 0;
        let cuts = (0..self.gates.len()).filter(used).map(|at| &self.cuts[at][self.best[at]]);
        let tables: u64 = cuts.map(|cut| TABLES[cut.leaves.len()]).sum();
        // A table can show its gate either way, but not both; an input has no table.
        let mut needed = roots.to_vec();
        needed.sort_unstable();
        needed.dedup();
        let inverters = needed.iter().filter(|bit| {
            let is_input = self.gates[bit.gate()].is_none();
            bit.is_inverted() && (is_input || needed.binary_search(&!**bit).is_ok())
        });
        let levels = self.roots.iter().map(|root| self.depth[*root as usize]).max().unwrap_or(0);
        Cover { tables: tables * LOSS / 100 + inverters.count() as u64, levels }
    }
}

/// Both sets of signals together, in order; `None` if they do not fit a table.
fn union(a: &[u32], b: &[u32]) -> Option<Vec<u32>> {
    let mut all = Vec::with_capacity(INPUTS);
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x == y => {
                b.next();
                a.next()
            }
            (Some(x), Some(y)) if x < y => a.next(),
            (Some(_), None) => a.next(),
            (_, Some(_)) => b.next(),
            (None, None) => return Some(all),
        };
        if all.len() == INPUTS {
            return None;
        }
        all.extend(next);
    }
}
