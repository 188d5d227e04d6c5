//! The operator graph of a layer, and the order in which its operations are given.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use attelier_hw::pim_gpt::Overlap;
use attelier_workloads::decoding::{Kind, Operation};
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

/// Operations of one layer; an edge leads from a result to who needs it.
pub type Graph = DiGraph<Operation, ()>;

/// The graph of `operations`, with the edges by which `overlap` orders what data leave open.
pub fn build(operations: &[Operation], overlap: &Overlap) -> Graph {
    let mut graph = Graph::new();
    let nodes: Vec<NodeIndex> =
        operations.iter().map(|operation| graph.add_node(operation.clone())).collect();
    for (operation, &node) in operations.iter().zip(&nodes) {
        for &earlier in &operation.after {
            graph.add_edge(nodes[earlier], node, ());
        }
    }
    let find =
        |wanted: fn(&Kind) -> bool| nodes.iter().copied().find(|&node| wanted(&graph[node].kind));
    let write = find(|kind| matches!(kind, Kind::ValueWrite { .. }));
    // The banks are free during the softmax, so values wait for the scores to have been read.
    let before = match overlap.write_values_during_softmax {
        true => find(|kind| matches!(kind, Kind::Scores { .. })),
        false => find(|kind| matches!(kind, Kind::Softmax { .. })),
    };
    if let (Some(write), Some(before)) = (write, before) {
        graph.add_edge(before, write, ());
    }
    graph
}

/// Every operation after those it needs; among free ones, the first of the layer goes first.
///
/// What lies on a cycle is left out; graphs of layers have none.
pub fn order(graph: &Graph) -> Vec<NodeIndex> {
    let incoming = |node| graph.neighbors_directed(node, Direction::Incoming).count();
    let mut waiting: Vec<usize> = graph.node_indices().map(incoming).collect();
    let free = graph.node_indices().filter(|node| waiting[node.index()] == 0);
    let mut free: BinaryHeap<Reverse<NodeIndex>> = free.map(Reverse).collect();
    let mut order = Vec::with_capacity(graph.node_count());
    while let Some(Reverse(node)) = free.pop() {
        order.push(node);
        for next in graph.neighbors(node) {
            waiting[next.index()] -= 1;
            if waiting[next.index()] == 0 {
                free.push(Reverse(next));
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use attelier_hw::pim_gpt::PimGpt;
    use attelier_workloads::decoding::DecoderShape;
    use petgraph::algo::is_cyclic_directed;

    use super::*;

    fn names(during_softmax: bool) -> Vec<&'static str> {
        let mut overlap = PimGpt::preset("pim-gpt").unwrap().overlap;
        overlap.write_values_during_softmax = during_softmax;
        let graph = build(&DecoderShape::gpt(1, 768, 12).unwrap().layer(10), &overlap);
        assert!(!is_cyclic_directed(&graph));
        order(&graph).into_iter().map(|node| graph[node].name).collect()
    }

    #[test]
    fn values_are_written_while_or_after_the_softmax() {
        let hidden = names(true);
        assert_eq!(hidden.len(), 14);
        assert_eq!(hidden[..6], ["norm_1", "qkv", "key_write", "scores", "value_write", "softmax"]);
        assert_eq!(names(false)[3..6], ["scores", "softmax", "value_write"]);
    }
}
