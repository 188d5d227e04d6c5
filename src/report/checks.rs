//! Numbers of a run with real values against what they should be.

use attelier_sim::designs::pim_gpt::functional::check::OperationCheck;
use attelier_sim::designs::spatten::Comparison;
use attelier_sim::designs::spatten::functional::LayerCheck;
use attelier_sim::deviation::Deviation;
use serde::Serialize;

use super::share;
use crate::values::{ComputedImage, Generated, ValueResult};

/// Comparisons of a run; `None` where they were not asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Checks {
    /// Outputs of the machine that were compared with those computed without it.
    pub outputs: Option<u64>,
    /// Largest difference from exact attention under the same decisions.
    pub max_abs_error: Option<f64>,
    /// Outputs that are not the same bits, and jobs with other keys.
    pub mismatches: Option<u64>,
    /// Tokens and heads that survive here, but not by the reference kernels, or the reverse.
    pub other_survivors: Option<u64>,
    /// Passes that read LSBs, or keep values, where the reference kernels do not, or the reverse.
    pub other_decisions: Option<u64>,
    /// Passes whose probabilities were moved by missing LSBs farther than the paper's bound.
    pub beyond_half: Option<u64>,
    /// Passes for which that was looked at.
    pub halved: Option<u64>,
    /// Outputs farther from exact attention of the stored operands than the stated bound.
    pub beyond_bound: Option<u64>,
    /// Outputs of passes whose scores are too large for a bound.
    pub unbounded: Option<u64>,
    /// Layer by layer.
    pub layers: Vec<LayerRow>,
    /// Layer by layer, of a machine that computes whole models.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model_layers: Vec<ModelLayerRow>,
    /// Layer by layer, of an image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_layers: Vec<ImageLayerRow>,
}

/// One layer of an image beside the same network in floats, errors of earlier layers included.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageLayerRow {
    /// Layer.
    pub layer: usize,
    /// States after it.
    pub states: ErrorRow,
    /// Tokens with the same experts, in a layer that has some.
    pub same_experts: Option<u64>,
}

/// Errors of all that a machine computes of one layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelLayerRow {
    /// Layer.
    pub layer: usize,
    /// States after it against the exact decode, errors of earlier layers included.
    pub states: ErrorRow,
    /// Results of its operations that were compared with exact arithmetic on their operands.
    pub operations: Option<u64>,
    /// Those errors.
    pub operation_errors: Option<ErrorRow>,
    /// Largest share that one of them takes of its bound.
    pub bound_used: Option<f64>,
    /// Operations beyond their bound.
    pub beyond_bound: Option<u64>,
}

/// Errors of the attention outputs of one layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerRow {
    /// Layer.
    pub layer: usize,
    /// Outputs compared.
    pub outputs: u64,
    /// Against exact attention of the stored operands, same decisions: the data path.
    pub datapath: ErrorRow,
    /// Against exact attention of the original operands, same decisions: with quantisation.
    pub numerical: ErrorRow,
    /// Outputs of surviving tokens against the dense model: with pruning; pruned heads give 0.
    pub pruning: Option<ErrorRow>,
}

/// One comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ErrorRow {
    /// Largest absolute difference.
    pub max: f64,
    /// Root mean square of the differences.
    pub rms: f64,
    /// Cosine of the angle between both.
    pub cosine: f64,
}

impl From<&Deviation> for ErrorRow {
    fn from(deviation: &Deviation) -> Self {
        Self { max: deviation.max_abs, rms: deviation.rms(), cosine: deviation.cosine() }
    }
}

/// Passes that needed the LSBs of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Progressive {
    /// Passes: one query of one head.
    pub passes: u64,
    /// Those whose probabilities were all below the threshold.
    pub flat: u64,
    /// Their share; `None` without passes.
    pub share: Option<f64>,
}

impl Progressive {
    /// Of a comparison.
    pub fn of(comparison: &Comparison) -> Self {
        let Comparison { passes, flat, .. } = *comparison;
        Self { passes, flat, share: share(flat, passes) }
    }
}

impl Checks {
    /// Of a run with values.
    pub fn of(values: &ValueResult) -> Self {
        let checked = !values.layers.is_empty();
        let compared = values.comparison;
        let sum = |of: fn(&LayerCheck) -> u64| values.layers.iter().map(of).sum::<u64>();
        let row = |(layer, check): (usize, &LayerCheck)| LayerRow {
            layer,
            outputs: check.numerical.count,
            datapath: (&check.datapath).into(),
            numerical: (&check.numerical).into(),
            pruning: (check.pruning.count > 0).then(|| (&check.pruning).into()),
        };
        let largest = |most: f64, check: &LayerCheck| most.max(check.numerical.max_abs);
        Self {
            outputs: compared
                .map(|compared| compared.outputs)
                .or_else(|| checked.then(|| sum(|check| check.numerical.count))),
            max_abs_error: checked.then(|| values.layers.iter().fold(0.0, largest)),
            mismatches: compared.map(|compared| compared.mismatches + compared.other_keys),
            other_survivors: checked.then(|| sum(|check| check.other_survivors)),
            other_decisions: checked.then(|| sum(|check| check.other_decisions)),
            beyond_half: checked.then(|| sum(|check| check.beyond_half)),
            halved: checked.then(|| sum(|check| check.halved)),
            beyond_bound: checked.then(|| sum(|check| check.beyond_bound)),
            unbounded: checked.then(|| sum(|check| check.unbounded)),
            layers: values.layers.iter().enumerate().map(row).collect(),
            model_layers: Vec::new(),
            image_layers: Vec::new(),
        }
    }

    /// Of a model that a machine computed.
    pub fn of_model(generated: &Generated) -> Self {
        let operations = &generated.operations;
        let row = |(layer, states): (usize, &Deviation)| {
            let check = operations.get(layer);
            ModelLayerRow {
                layer,
                states: states.into(),
                operations: check.map(|check| check.results.count),
                operation_errors: check.map(|check| (&check.results).into()),
                bound_used: check.map(|check| check.fullest),
                beyond_bound: check.map(|check| check.beyond_bound),
            }
        };
        let checked = !operations.is_empty();
        let largest = |most: f64, check: &OperationCheck| most.max(check.results.max_abs);
        Self {
            outputs: checked.then(|| operations.iter().map(|check| check.results.count).sum()),
            max_abs_error: checked.then(|| operations.iter().fold(0.0, largest)),
            beyond_bound: checked.then(|| operations.iter().map(|check| check.beyond_bound).sum()),
            model_layers: generated.states.iter().enumerate().map(row).collect(),
            ..Self::default()
        }
    }

    /// Of an image.
    pub fn of_image(computed: &ComputedImage) -> Self {
        let layers = computed.layers.iter().enumerate();
        let rows = layers.map(|(layer, computed)| ImageLayerRow {
            layer,
            states: (&computed.states).into(),
            same_experts: computed.same_experts,
        });
        Self { image_layers: rows.collect(), ..Self::default() }
    }

    /// Whether nothing is wrong, as far as was looked.
    pub fn passed(&self) -> bool {
        let none = |count: Option<u64>| count.unwrap_or(0) == 0;
        [
            self.mismatches,
            self.beyond_bound,
            self.unbounded,
            self.other_survivors,
            self.other_decisions,
            self.beyond_half,
        ]
        .into_iter()
        .all(none)
    }
}
