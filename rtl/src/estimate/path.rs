//! The longest combinational path, by petgraph.

use petgraph::{algo::toposort, graph::DiGraph, visit::EdgeRef};

use crate::{
    bits::index_width,
    netlist::{Netlist, Node, NodeId, Op},
};

/// Delays of UltraScale+ fabric, speed grade -2, with typical nets: assumed, for ranking designs
/// against each other and not for sign-off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delays {
    /// A look-up table with the net behind it \[ns\].
    pub lut_ns: f64,
    /// A carry chain, per bit \[ns\].
    pub carry_ns: f64,
    /// A DSP multiplication without inner registers \[ns\].
    pub dsp_ns: f64,
    /// Clock to output and set-up of registers together \[ns\].
    pub register_ns: f64,
}

impl Default for Delays {
    fn default() -> Self {
        Self { lut_ns: 0.4, carry_ns: 0.015, dsp_ns: 2.5, register_ns: 0.15 }
    }
}

/// A path between registers or ports.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Look-up tables one after the other.
    pub levels: f64,
    /// Delay with the registers at both ends \[ns\].
    pub ns: f64,
    /// Named signals on it, from its beginning.
    pub through: Vec<String>,
}

/// Levels of tables and further delay \[ns\] of a node.
fn delay(netlist: &Netlist, node: &Node, delays: &Delays) -> (f64, f64) {
    let operand = node.operands.first().map_or(1, |id| netlist.width(*id));
    let tree =
        |inputs: u32, per_table: f64| (f64::from(inputs).ln() / per_table.ln()).ceil().max(1.0);
    match &node.op {
        Op::Source | Op::Constant(_) | Op::Concat | Op::Slice(_) => (0.0, 0.0),
        Op::ZeroExtend | Op::SignExtend | Op::Not => (0.0, 0.0),
        // Two operators of two inputs share a table more often than not.
        Op::And | Op::Or | Op::Xor => (0.5, 0.0),
        Op::Mux => (0.5, 0.0),
        Op::Equal => (tree(2 * operand, 6.0), 0.0),
        Op::All | Op::Any | Op::Parity => (tree(operand, 6.0), 0.0),
        Op::Add | Op::Subtract => (1.0, f64::from(node.width) * delays.carry_ns),
        Op::Less | Op::LessSigned => (1.0, f64::from(operand) * delays.carry_ns),
        Op::ShiftLeft | Op::ShiftRight | Op::ShiftRightSigned => {
            ((f64::from(index_width(node.width.into())) / 2.0).ceil(), 0.0)
        }
        Op::Multiply | Op::MultiplySigned => (0.0, delays.dsp_ns),
        Op::Read(_) => (1.0, 0.0),
    }
}

/// The path with the largest delay.
pub fn longest(netlist: &Netlist, delays: &Delays) -> Path {
    let mut graph: DiGraph<NodeId, ()> = DiGraph::new();
    let indices: Vec<_> =
        (0..netlist.nodes.len()).map(|at| graph.add_node(netlist.id(at))).collect();
    for (at, node) in netlist.nodes.iter().enumerate() {
        for operand in &node.operands {
            graph.add_edge(indices[operand.index()], indices[at], ());
        }
    }
    // Latest arrival of every node, and the operand that it comes from.
    let mut arrival = vec![(0.0f64, 0.0f64, None); netlist.nodes.len()];
    for index in toposort(&graph, None).unwrap_or_default() {
        let node = netlist.node(graph[index]);
        let (levels, extra) = delay(netlist, node, delays);
        let mut latest = (0.0, 0.0, None);
        for edge in graph.edges_directed(index, petgraph::Direction::Incoming) {
            let from = edge.source().index();
            if latest.2.is_none() || arrival[from].1 > latest.1 {
                latest = (arrival[from].0, arrival[from].1, Some(from));
            }
        }
        arrival[index.index()] =
            (latest.0 + levels, latest.1 + levels * delays.lut_ns + extra, latest.2);
    }
    let end = (0..arrival.len()).max_by(|a, b| arrival[*a].1.total_cmp(&arrival[*b].1));
    let mut through = Vec::new();
    let mut at = end;
    while let Some(node) = at {
        through.extend(netlist.nodes[node].name.clone());
        at = arrival[node].2;
    }
    through.reverse();
    let (levels, ns, _) = end.map_or((0.0, 0.0, None), |end| arrival[end]);
    Path { levels, ns: ns + delays.register_ns, through }
}
