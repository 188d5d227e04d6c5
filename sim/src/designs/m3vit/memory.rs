//! Memory on the chip, from sizes alone.
//!
//! Weights under way have two halves, each as large as the larger matrix of the dense
//! MLP. The gate of the task is kept beside them. Feature maps lie on the chip whole.

use attelier_hw::m3vit::M3vit;
use attelier_workloads::vision::ImageShape;

use super::steps::{expert_weights, gate_weights, half_buffer};

/// Bytes on the chip by what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnChip {
    /// Both halves of the buffer of weights \[B\].
    pub weights: u64,
    /// The gate of a layer \[B\].
    pub gate: u64,
    /// Feature maps \[B\].
    pub features: u64,
}

impl OnChip {
    /// What the machine needs for a model.
    pub fn of(machine: &M3vit, shape: &ImageShape) -> Self {
        let numbers = &machine.numbers;
        let map = u64::from(shape.tokens()).saturating_mul(shape.width.into());
        let map = map.saturating_mul(numbers.feature_bytes.into());
        let gate = if shape.expert_layers() > 0 { gate_weights(shape) } else { 0 };
        let bytes = |weights: u64| weights.saturating_mul(numbers.weight_bytes.into());
        Self {
            weights: bytes(half_buffer(shape).saturating_mul(2)),
            gate: bytes(gate),
            features: map.saturating_mul(machine.buffers.feature_maps.into()),
        }
    }

    /// What a machine would need that keeps all experts of a layer: the buffer holds as many as have
    /// its size, the others come on top.
    pub fn with_all_experts(machine: &M3vit, shape: &ImageShape) -> u64 {
        let all = expert_weights(shape).saturating_mul(shape.experts.into());
        let beyond = all.saturating_sub(half_buffer(shape).saturating_mul(2));
        let beyond = beyond.saturating_mul(machine.numbers.weight_bytes.into());
        Self::of(machine, shape).total().saturating_add(beyond)
    }

    /// All of it \[B\].
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.gate).saturating_add(self.features)
    }
}
