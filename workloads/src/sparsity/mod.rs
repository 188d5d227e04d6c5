//! Sparsity policies: which keys a query attends to, as data that any design can follow.
//!
//! A [`Policy`] is the description, read from TOML (`kind = "sliding-window", window = 128`) and
//! checked; [`Policy::build`] makes the [`Sparsity`] that decides. One file per policy:
//!
//! | known from counts alone | sees scores or vectors, or remembers |
//! |---|---|
//! | [`Dense`], [`Causal`], [`SlidingWindow`], [`Strided`], [`Block`], [`Neighbourhood`] | [`Threshold`], [`StatisticalTopK`], [`A3`], [`HeavyHitters`], [`Spatten`] |
//!
//! The left ones implement [`Pattern`], one yes or no per pair. All are driven alike, head by head
//! in order of step, layer and head: [`begin`](Sparsity::begin), then for each query
//! [`select`](Sparsity::select), [`observe`](Sparsity::observe) and [`values`](Sparsity::values),
//! then [`end`](Sparsity::end). [`sparse_attention`] is that loop with the reference arithmetic.
//! One row of indices is held at a time; a policy that remembers holds one number per key and head.
//!
//! Whether a model is causal belongs to the [`Head`], not to the policy: every policy chooses among
//! the keys that are visible, and leaves each query that it does not skip at least one of them.

mod a3;
mod attention;
mod block;
mod causal;
mod dense;
mod head;
mod heavy_hitters;
mod neighbourhood;
mod policy;
mod sliding_window;
mod spatten;
mod statistical_top_k;
mod strided;
#[cfg(test)]
mod tests;
mod threshold;

use ndarray::ArrayView2;

use crate::reference::OperandError;

pub use a3::A3;
pub use attention::{SparseAttention, mask, sparse_attention};
pub use block::Block;
pub use causal::Causal;
pub use dense::Dense;
pub use head::{Evidence, Head, Needs};
pub use heavy_hitters::HeavyHitters;
pub use neighbourhood::Neighbourhood;
pub use policy::{Entry, KINDS, ModelShape, Policy, PolicyError};
pub use sliding_window::SlidingWindow;
pub use spatten::Spatten;
pub use statistical_top_k::StatisticalTopK;
pub use strided::Strided;
pub use threshold::Threshold;

/// Decides which keys each query attends to.
pub trait Sparsity {
    /// The least that it must see of a head.
    fn needs(&self) -> Needs;

    /// Starts a head. Called once per head, layer and step, in that order.
    ///
    /// # Errors
    /// A head that lacks what is needed or whose counts do not fit the policy.
    fn begin(&mut self, head: &Head<'_>) -> Result<(), OperandError>;

    /// Whether a query is not computed at all, because its token or its head has been dropped.
    fn skips(&self, _head: &Head<'_>, _query: usize) -> bool {
        false
    }

    /// Replaces `keys` by the indices of the keys that `query` attends to, ascending.
    ///
    /// # Errors
    /// A query outside the evidence of the head.
    fn select(
        &mut self,
        head: &Head<'_>,
        query: usize,
        keys: &mut Vec<usize>,
    ) -> Result<(), OperandError>;

    /// Learns the probability of each key that the query attended to.
    ///
    /// # Errors
    /// Keys that the head does not have.
    fn observe(
        &mut self,
        _head: &Head<'_>,
        _keys: &[usize],
        _probabilities: &[f64],
    ) -> Result<(), OperandError> {
        Ok(())
    }

    /// Replaces `kept` by the positions in `probabilities` whose values are read, ascending: all of
    /// them, unless the policy prunes values too.
    fn values(&self, probabilities: &[f64], kept: &mut Vec<usize>) {
        kept.clear();
        kept.extend(0..probabilities.len());
    }

    /// Ends a head and learns its `output` (queries, features).
    ///
    /// # Errors
    /// A head that the policy does not know.
    fn end(&mut self, _head: &Head<'_>, _output: ArrayView2<'_, f64>) -> Result<(), OperandError> {
        Ok(())
    }
}

/// A policy that is known from counts alone.
pub trait Pattern {
    /// Checks that the pattern can be laid over the head.
    ///
    /// # Errors
    /// Counts that do not fit, for instance a grid of another size.
    fn fits(&self, _head: &Head<'_>) -> Result<(), OperandError> {
        Ok(())
    }

    /// Whether the query that stands at key `position` attends to `key`, were it visible. It
    /// always attends to the key at its own position.
    fn allows(&self, position: usize, key: usize) -> bool;
}

impl<P: Pattern> Sparsity for P {
    fn needs(&self) -> Needs {
        Needs::Counts
    }

    fn begin(&mut self, head: &Head<'_>) -> Result<(), OperandError> {
        head.check(Needs::Counts)?;
        self.fits(head)
    }

    fn select(
        &mut self,
        head: &Head<'_>,
        query: usize,
        keys: &mut Vec<usize>,
    ) -> Result<(), OperandError> {
        let position = head.position(query);
        keys.clear();
        keys.extend((0..head.visible(query)).filter(|&key| self.allows(position, key)));
        Ok(())
    }
}
