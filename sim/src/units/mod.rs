//! Hardware units, one per file, named as in `attelier_hw` and in the generated Verilog.

use crate::kernel::snapshot::Snapshot;

pub mod bitwidth_converter;
pub mod dram_memory;
pub mod edge_gate;
pub mod edge_gelu;
pub mod edge_layer_norm;
pub mod edge_linear;
pub mod edge_moe;
pub mod edge_patch_embedding;
pub mod edge_pv_product;
pub mod edge_qk_product;
pub mod edge_queues;
pub mod edge_softmax;
pub mod elsa;
pub mod importance;
pub mod lfsr;
pub mod line_sram;
pub mod memory;
pub mod pim_decoder;
pub mod pim_layer_norm;
pub mod pim_mac;
pub mod pim_rows;
pub mod pim_sequencer;
pub mod pim_softmax;
pub mod pv_array;
pub mod qk_array;
pub mod qkv_fetcher;
pub mod quant_decision;
pub mod quick_select;
pub mod result_queue;
pub mod softmax;
pub mod topk_token;
pub mod topk_value;
pub mod zero_eliminator;

/// One query of one head on its way through the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// Index of the job (one head, or two fused heads, of one layer).
    pub job: u32,
    /// Head inside the job, 0 or 1.
    pub head: u8,
    /// 1 for the recomputation after an LSB refetch, else 0.
    pub attempt: u8,
    /// Query inside the head.
    pub query: u32,
}

impl Pass {
    /// Writes the pass.
    pub fn snapshot(&self, to: &mut Snapshot) {
        let Self { job, head, attempt, query } = *self;
        to.job(job);
        to.put(u64::from(head) << 40 | u64::from(attempt) << 32 | u64::from(query));
    }

    /// The job as observers count it.
    pub fn job_id(&self) -> Option<u64> {
        Some(u64::from(self.job))
    }
}
