//! Combinational loops, inside a module and through its instances.

use petgraph::{
    algo::tarjan_scc,
    graph::{DiGraph, NodeIndex},
};

use crate::{
    error::Fault,
    ir::{Module, Op, ReadTiming, SignalId},
};

/// The signals that reach `id` within the cycle, one step back.
pub fn sources(module: &Module, id: SignalId) -> Vec<SignalId> {
    match &module.node(id).op {
        Op::MemoryRead(memory, port) => {
            let port = &module.memories[memory.index()].reads[*port];
            match port.timing {
                ReadTiming::Asynchronous => vec![port.address],
                ReadTiming::Synchronous { .. } => Vec::new(),
            }
        }
        Op::InstanceOutput(instance, output) => {
            let instance = &module.instances[instance.index()];
            let inputs = &instance.module.paths[*output];
            inputs.iter().map(|input| instance.inputs[*input]).collect()
        }
        op => op.operands(),
    }
}

/// Refuses loops; returns the inputs that reach each output within the cycle.
pub fn check(module: &Module) -> Result<Vec<Vec<usize>>, Fault> {
    let count = module.nodes.len();
    let all_sources: Vec<Vec<SignalId>> =
        (0..count).map(|at| sources(module, SignalId(at as u32))).collect();
    let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(count, count * 2);
    for _ in 0..count {
        graph.add_node(());
    }
    for (to, sources) in all_sources.iter().enumerate() {
        for from in sources {
            graph.add_edge(NodeIndex::new(from.index()), NodeIndex::new(to), ());
        }
    }
    for component in tarjan_scc(&graph) {
        let first = component[0];
        if component.len() > 1 || graph.contains_edge(first, first) {
            return Err(Fault::Loop { through: named(module, &component) });
        }
    }

    let mut visited = vec![usize::MAX; count];
    let mut paths = Vec::new();
    for (at, output) in module.outputs.iter().enumerate() {
        let mut work = vec![output.source];
        while let Some(id) = work.pop() {
            if visited[id.index()] != at {
                visited[id.index()] = at;
                work.extend(&all_sources[id.index()]);
            }
        }
        let inputs = module.inputs.iter().enumerate();
        let reaching = inputs.filter(|(_, id)| visited[id.index()] == at).map(|(input, _)| input);
        paths.push(reaching.collect());
    }
    Ok(paths)
}

/// Names of the signals of a loop, in the order of the description.
fn named(module: &Module, component: &[NodeIndex]) -> Vec<String> {
    let mut ids: Vec<usize> = component.iter().map(|index| index.index()).collect();
    ids.sort_unstable();
    ids.into_iter().filter_map(|id| module.nodes[id].name.clone()).collect()
}
