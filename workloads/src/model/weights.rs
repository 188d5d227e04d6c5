//! Reads the tensors of a model into its layers.

use ndarray::{Array1, Array2};

use super::config::Config;
use super::layers::{Linear, Norm};
use super::{ModelError, Tensors};

/// Tensors under a common prefix.
pub(super) struct Weights<'a> {
    tensors: &'a mut Tensors,
    prefix: String,
}

impl<'a> Weights<'a> {
    /// The first of `prefixes` under which there is a tensor `anchor`; the first one if none is,
    /// so that the error names it.
    pub fn new(tensors: &'a mut Tensors, prefixes: &[&str], anchor: &str) -> Weights<'a> {
        let found = prefixes.iter().find(|prefix| tensors.has(&format!("{prefix}{anchor}")));
        let prefix = found.or(prefixes.first()).copied().unwrap_or_default().to_owned();
        Weights { tensors, prefix }
    }

    /// The same tensors under a longer prefix.
    pub fn under(&mut self, prefix: &str) -> Weights<'_> {
        let prefix = format!("{}{prefix}", self.prefix);
        Weights { tensors: self.tensors, prefix }
    }

    /// The same tensors with no prefix.
    pub fn root(&mut self) -> Weights<'_> {
        Weights { tensors: self.tensors, prefix: String::new() }
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.has(&self.full(name))
    }

    /// Rows of a tensor that has two dimensions.
    pub fn rows(&self, name: &str) -> Option<usize> {
        match self.tensors.shape(&self.full(name)) {
            Some([rows, _]) => Some(*rows),
            _ => None,
        }
    }

    /// Values of a tensor of any rank.
    pub fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        self.tensors.read(&self.full(name), shape)
    }

    pub fn vector(&mut self, name: &str, length: usize) -> Result<Array1<f32>, ModelError> {
        Ok(Array1::from_vec(self.values(name, &[length])?))
    }

    pub fn matrix(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Array2<f32>, ModelError> {
        let values = self.values(name, &[rows, columns])?;
        Ok(matrix(values, rows, columns))
    }

    /// `NAME.weight` [outputs, inputs] and, if wanted, `NAME.bias`.
    pub fn linear(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Linear, ModelError> {
        let weight = self.matrix(&format!("{name}.weight"), outputs, inputs)?.reversed_axes();
        let bias = bias.then(|| self.vector(&format!("{name}.bias"), outputs)).transpose()?;
        Ok(Linear { weight, bias })
    }

    /// `NAME.weight` and `NAME.bias` of a layer normalization; checkpoints converted from
    /// TensorFlow call them `NAME.gamma` and `NAME.beta`.
    pub fn layer_norm(
        &mut self,
        name: &str,
        size: usize,
        epsilon: f32,
    ) -> Result<Norm, ModelError> {
        let old = self.has(&format!("{name}.gamma"));
        let (weight, bias) = if old { ("gamma", "beta") } else { ("weight", "bias") };
        let weight = self.vector(&format!("{name}.{weight}"), size)?;
        let bias = self.vector(&format!("{name}.{bias}"), size)?;
        Ok(Norm::Layer { weight, bias, epsilon })
    }

    /// The map from states to scores of tokens; none where it is that of the embedding (`tied`
    /// where the configuration is silent).
    pub fn language(
        &mut self,
        config: &Config,
        vocabulary: usize,
        hidden: usize,
        tied: bool,
    ) -> Result<Option<Linear>, ModelError> {
        if config.flag_or("tie_word_embeddings", tied)? {
            return Ok(None);
        }
        self.linear("lm_head", hidden, vocabulary, false).map(Some)
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// A matrix from as many values as it has elements.
pub(super) fn matrix(values: Vec<f32>, rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_vec((rows, columns), values)
        .expect("a tensor holds as many values as its shape says")
}
