//! Attention in a graph: a softmax between two products of activations.
//!
//! What lies between the first product and the softmax (scale, mask, a change of type) and between the softmax and
//! the second product may be anything that works element by element. Products with weights are not attention.

use std::collections::{BTreeMap, BTreeSet};

use super::OnnxError;
use super::message::{Graph, Node};
use super::sizes::Tensors;

/// Operators that may stand between a product and the softmax; all work element by element.
const BETWEEN: &[&str] =
    &["Add", "Cast", "Clip", "Div", "Dropout", "Identity", "Max", "Min", "Mul", "Sub", "Where"];

/// Attention of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Heads, sentences of the batch included.
    pub heads: i64,
    /// Elements of a query and of a key.
    pub head_dim: i64,
    /// Elements of a value.
    pub value_dim: i64,
    /// Queries of a head.
    pub queries: i64,
    /// Keys of a head.
    pub keys: i64,
    /// Whether a mask hides later keys.
    pub causal: bool,
}

/// All attention of a graph, in the order in which it is computed.
pub fn find(graph: &Graph, tensors: &Tensors<'_>) -> Result<Vec<Found>, OnnxError> {
    let edges = Edges::of(graph);
    let mut found = Vec::new();
    for (at, softmax) in graph.node.iter().enumerate() {
        if softmax.op_type != "Softmax" {
            continue;
        }
        let Some((scores, causal)) = edges.product_before(at, tensors) else { continue };
        let Some(outputs) = edges.product_after(at) else { continue };
        found.push(measured(softmax, scores, outputs, tensors, causal)?);
    }
    Ok(found)
}

/// Sizes of the attention around a softmax.
fn measured(
    softmax: &Node,
    scores: &Node,
    outputs: &Node,
    tensors: &Tensors<'_>,
    causal: bool,
) -> Result<Found, OnnxError> {
    let shape = |name: Option<&String>| name.and_then(|name| tensors.get(name).shape);
    let lost = || OnnxError::Lost {
        context: tensors.context,
        softmax: softmax.shown(),
        operator: tensors.lost.clone().unwrap_or_else(|| scores.shown()),
    };
    let queries = shape(scores.input.first()).ok_or_else(lost)?;
    let keys = shape(scores.input.get(1)).ok_or_else(lost)?;
    let values = shape(outputs.input.get(1)).ok_or_else(lost)?;
    match (queries.as_slice(), keys.as_slice(), values.as_slice()) {
        ([outer @ .., rows, inner], [.., also_inner, columns], [.., also_columns, width])
            if inner == also_inner && columns == also_columns =>
        {
            let heads = super::sizes::product(outer).ok_or_else(lost)?;
            Ok(Found {
                heads,
                head_dim: *inner,
                value_dim: *width,
                queries: *rows,
                keys: *columns,
                causal,
            })
        }
        _ => Err(lost()),
    }
}

/// A graph with what makes and what reads each tensor; nodes by their place.
struct Edges<'g> {
    nodes: &'g [Node],
    maker: BTreeMap<&'g str, usize>,
    readers: BTreeMap<&'g str, Vec<usize>>,
    /// Weights, and what follows from weights alone.
    constants: BTreeSet<&'g str>,
}

impl<'g> Edges<'g> {
    fn of(graph: &'g Graph) -> Self {
        let mut maker = BTreeMap::new();
        let mut readers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut constants: BTreeSet<&str> =
            graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        for (at, node) in graph.node.iter().enumerate() {
            maker.extend(node.output.iter().map(|output| (output.as_str(), at)));
            for input in &node.input {
                readers.entry(input).or_default().push(at);
            }
            if node.input.iter().all(|input| constants.contains(input.as_str())) {
                constants.extend(node.output.iter().map(String::as_str));
            }
        }
        Self { nodes: &graph.node, maker, readers, constants }
    }

    fn is_product_of_activations(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        node.op_type == "MatMul"
            && node.input.len() == 2
            && node.input.iter().all(|input| !self.constants.contains(input.as_str()))
    }

    fn is_between(&self, at: usize) -> bool {
        BETWEEN.contains(&self.nodes[at].op_type.as_str())
    }

    /// Makers of the inputs of a node.
    fn makers(&self, at: usize) -> impl Iterator<Item = usize> {
        self.nodes[at].input.iter().filter_map(|input| self.maker.get(input.as_str()).copied())
    }

    /// The product of two activations that a softmax is made of, and whether a causal mask lies between.
    fn product_before(&self, softmax: usize, tensors: &Tensors<'_>) -> Option<(&'g Node, bool)> {
        let mut found = None;
        let mut causal = false;
        let mut seen = BTreeSet::from([softmax]);
        let mut open = vec![softmax];
        while let Some(at) = open.pop() {
            causal |= self.nodes[at].input.iter().any(|input| tensors.get(input).causal);
            for maker in self.makers(at).filter(|maker| seen.insert(*maker)) {
                if self.is_product_of_activations(maker) {
                    found = found.or(Some(maker));
                } else if self.is_between(maker) {
                    open.push(maker);
                }
            }
        }
        found.map(|at| (&self.nodes[at], causal))
    }

    /// The product that reads the probabilities of a softmax.
    fn product_after(&self, softmax: usize) -> Option<&'g Node> {
        let mut seen = BTreeSet::from([softmax]);
        let mut open = vec![softmax];
        while let Some(at) = open.pop() {
            for output in &self.nodes[at].output {
                let readers = self.readers.get(output.as_str()).into_iter().flatten().copied();
                for reader in readers.filter(|reader| seen.insert(*reader)) {
                    let is_first = self.nodes[reader].input.first() == Some(output);
                    if is_first && self.is_product_of_activations(reader) {
                        return Some(&self.nodes[reader]);
                    }
                    if self.is_between(reader) {
                        open.push(reader);
                    }
                }
            }
        }
        None
    }
}
