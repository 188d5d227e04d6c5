//! Numbers that others published, each with its source.
//!
//! They are printed beside ours and read by nothing that simulates.

use attelier_sim::designs::edge_moe::schedule::phase;
use attelier_workloads::{Phase, Workload};

use crate::report::{Published, Report};

/// The SpAtten paper, as rows of a table of results call it.
pub const SPATTEN: &str = "SpAtten, HPCA 2021";

/// Mean executed throughput of the full machine over eight GPT-2 tasks [OP/s].
pub const SPATTEN_GPT2_OPS_PER_S: f64 = 0.43e12;

/// Mean executed throughput of the full machine over 22 BERT tasks [OP/s].
pub const SPATTEN_BERT_OPS_PER_S: f64 = 1.61e12;

/// Power of the full machine: everything, without DRAM, DRAM alone [W]. The paper does not say over
/// which tasks; the parts are rounded and add up to 8.31.
pub const SPATTEN_POWER_W: [f64; 3] = [8.30, 2.60, 5.71];

/// Share of inputs that need their LSBs, mean over the tasks with progressive quantization.
pub const SPATTEN_LSB_SHARE: f64 = 0.059;

/// Figure 19: parallelism of the top-k engines and throughput [GFLOPS].
pub const SPATTEN_FIG19_TOPK: [(u32, f64); 6] =
    [(1, 168.0), (2, 299.0), (4, 485.0), (8, 653.0), (16, 776.0), (32, 771.0)];

/// Figure 19: size of each of the two buffers [KB] and throughput [GFLOPS].
pub const SPATTEN_FIG19_SRAM: [(u32, f64); 3] = [(196, 776.0), (392, 785.0), (784, 775.0)];

/// The PIM-GPT paper, as rows of a table of results call it.
pub const PIM_GPT: &str = "PIM-GPT, npj Unconv. Comput. 2024";

/// Longer latency with an ASIC at 100 MHz instead of 1 GHz, at most [%]; from a review of the paper.
pub const PIM_GPT_SLOW_ASIC: f64 = 20.0;

/// The Edge-MoE paper, as rows of a table of results call it.
pub const EDGE_MOE: &str = "Edge-MoE, ICCAD 2023";

/// Time of an image [ms], measured on the board; confirmed by two later papers.
pub const EDGE_MOE_MS: f64 = 34.64;

/// Table V: techniques added one after the other, and time of an image [ms]; from a reader of the paper,
/// who gives no row with one product reordered.
pub const EDGE_MOE_ABLATION: [(&str, f64); 6] = [
    ("none of the techniques", 650.3),
    ("+ expert-by-expert reordering", 433.4),
    ("+ single-pass softmax", 353.4),
    ("+ GELU from a table", 212.9),
    ("+ unified linear unit", 104.3),
    ("+ both attention reorderings", EDGE_MOE_MS),
];

/// Share of that time in both products of attention [%]: "half".
pub const EDGE_MOE_PRODUCTS_SHARE: f64 = 50.0;

/// Share of that time in all linear layers, dense MLPs and experts together [%].
pub const EDGE_MOE_LINEAR_SHARE: f64 = 35.0;

/// The M3ViT paper, as rows of a table of results call it.
pub const M3VIT: &str = "M3ViT, NeurIPS 2022";

/// Table 4, FPGA rows: time of an image of PASCAL-Context and of NYUD-v2 [ms], for the dense model, experts
/// from a cache, and experts one after the other.
pub const M3VIT_MS: [(&str, [f64; 2]); 3] = [
    ("dense ViT-small", [68.931, 84.418]),
    ("M3ViT-small, cache of experts", [637.478, 750.557]),
    ("M3ViT-small, reordered", [69.033, 84.538]),
];

/// Table 4: energy of the same images [W s]; time times 10 W.
pub const M3VIT_JOULES: [[f64; 2]; 3] = [[0.689, 0.844], [6.375, 7.506], [0.690, 0.845]];

/// Power of the board that the table takes [W].
pub const M3VIT_WATTS: f64 = 10.0;

/// Table 4: memory on the chip [MiB], of the dense model, with experts, and with all experts of a layer.
pub const M3VIT_MIB: [(&str, f64); 3] =
    [("dense ViT-small", 4.828), ("M3ViT-small", 4.840), ("all experts on the chip", 11.610)];

/// Published numbers that stand beside one image: time, and where it goes.
pub fn beside_image(design: &str, report: &Report) -> Vec<Published> {
    if design != "edge-moe" || report.cycles == 0 {
        return Vec::new();
    }
    let share = |names: &[&str]| {
        let phases = report.phases.iter().filter(|phase| names.contains(&phase.name));
        100.0 * phases.map(|phase| phase.cycles).sum::<u64>() as f64 / report.cycles as f64
    };
    let linear = [phase::LINEAR, phase::MLP, phase::GATING, phase::EXPERTS];
    let row = |item, published, ours, unit, place| {
        Published::new(item, published, ours, unit, &format!("{EDGE_MOE}, {place}"))
    };
    vec![
        row("time of an image", EDGE_MOE_MS, report.seconds * 1e3, "ms", "Table V"),
        row(
            "products of attention",
            EDGE_MOE_PRODUCTS_SHARE,
            share(&[phase::QK, phase::PV]),
            "%",
            "Figure 12: \"half\"",
        ),
        row("linear layers and experts", EDGE_MOE_LINEAR_SHARE, share(&linear), "%", "Figure 12"),
    ]
}

/// Published numbers that stand beside a run: for the full SpAtten on pruned workloads of the two
/// model families that it was measured on.
pub fn beside(design: &str, workload: &Workload, report: &Report) -> Vec<Published> {
    let pruned = report.ops_executed < report.ops_dense;
    let Some(ours) = report.throughput.executed_ops_per_s.filter(|_| pruned) else {
        return Vec::new();
    };
    if design != "spatten" {
        return Vec::new();
    }
    let is = |family: &str| workload.model.starts_with(family) || workload.name.contains(family);
    let decode = workload.requests.iter().all(|request| request.phase == Phase::Decode);
    let (item, published, source) = if decode && is("gpt2") {
        ("executed, mean of 8 GPT-2 tasks", SPATTEN_GPT2_OPS_PER_S, "SpAtten, HPCA 2021, V-B")
    } else if !decode && is("bert") {
        ("executed, mean of 22 BERT tasks", SPATTEN_BERT_OPS_PER_S, "SpAtten, HPCA 2021, V-B")
    } else {
        return Vec::new();
    };
    let mut rows = vec![Published::new(item, published / 1e9, ours / 1e9, "GOP/s", source)];
    if let (Some(total), Some(power)) = (report.energy_j.total, report.power_w) {
        let dram = report.energy_j.terms.iter().filter(|(name, _)| name.starts_with("dram"));
        let dram = dram.map(|(_, joules)| joules * power / total).sum::<f64>();
        let items = ["power", "power without DRAM", "power of DRAM"];
        for ((item, published), ours) in
            items.into_iter().zip(SPATTEN_POWER_W).zip([power, power - dram, dram])
        {
            rows.push(Published::new(item, published, ours, "W", "SpAtten, HPCA 2021, Table II"));
        }
    }
    rows
}

/// Published numbers that stand beside a run with real values: the share of passes that needed the
/// LSBs of their keys.
pub fn beside_values(design: &str, report: &Report) -> Vec<Published> {
    let share = report.progressive.filter(|progressive| progressive.flat > 0);
    let Some(ours) = share.and_then(|progressive| progressive.share) else { return Vec::new() };
    if design != "spatten" {
        return Vec::new();
    }
    let source = "SpAtten, HPCA 2021, III-D: GPT-2 decoding; depends on length";
    let item = "passes that read key LSBs";
    vec![Published::new(item, SPATTEN_LSB_SHARE * 100.0, ours * 100.0, "%", source)]
}
