//! Mixture of experts: the gate that routes tokens, and the sum over the experts it chose.

use ndarray::{Array2, ArrayView2, Axis};

use super::error::{OperandError, expect_shape, expect_value};
use super::{FeedForward, linear, softmax, top_k_ranked};

/// Which experts each token goes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Routing {
    /// Output of the gate network, (tokens, experts).
    pub logits: Array2<f64>,
    /// Chosen experts, (tokens, k), the best first; equal ones by index.
    pub experts: Array2<usize>,
    /// Their weights, (tokens, k): the softmax over all experts, not renormalised over the chosen.
    pub scores: Array2<f64>,
}

/// Routes each token to the `k` experts of largest softmax(x W^T), as M3ViT (arXiv 2210.14793) and
/// Edge-MoE (arXiv 2305.18691) do without noise.
///
/// Shapes: `x` (tokens, features), `weight` (experts, features).
///
/// # Errors
/// Shapes that do not fit together, or a `k` that is 0 or above the number of experts.
pub fn gate(
    x: ArrayView2<'_, f64>,
    weight: ArrayView2<'_, f64>,
    k: usize,
) -> Result<Routing, OperandError> {
    let experts = weight.nrows();
    expect_value((1..=experts).contains(&k), "k", k, format!("1 to {experts} experts"))?;
    let logits = linear(x, weight, None)?;
    let mut routing = Routing {
        experts: Array2::zeros((x.nrows(), k)),
        scores: Array2::zeros((x.nrows(), k)),
        logits,
    };
    for (token, logits) in routing.logits.rows().into_iter().enumerate() {
        let probabilities = softmax(&logits.to_vec());
        for (rank, expert) in top_k_ranked(&probabilities, k).into_iter().enumerate() {
            routing.experts[[token, rank]] = expert;
            routing.scores[[token, rank]] = probabilities[expert];
        }
    }
    Ok(routing)
}

/// Tokens that wait for each expert, ascending: what expert-by-expert computation works through.
///
/// Shapes: `chosen` (tokens, k), indices below `experts`; one queue per expert comes back.
///
/// # Errors
/// An index that is no expert.
pub fn expert_queues(
    chosen: ArrayView2<'_, usize>,
    experts: usize,
) -> Result<Vec<Vec<usize>>, OperandError> {
    let mut queues = vec![Vec::new(); experts];
    for ((token, _), &expert) in chosen.indexed_iter() {
        let expected = format_args!("indices below {experts}, the number of experts");
        expect_value(expert < experts, "chosen", expert, expected)?;
        queues[expert].push(token);
    }
    Ok(queues)
}

/// Sum of score * expert(x) over the experts chosen for each token.
///
/// Shapes: `x` and the result (tokens, features).
///
/// # Errors
/// Shapes that do not fit together, or a routing to an expert that does not exist.
pub fn mixture_of_experts(
    x: ArrayView2<'_, f64>,
    routing: &Routing,
    experts: &[FeedForward],
) -> Result<Array2<f64>, OperandError> {
    let chosen = &routing.experts;
    expect_shape("routing.experts", chosen.shape(), &[x.nrows(), chosen.ncols()])?;
    expect_shape("routing.scores", routing.scores.shape(), chosen.shape())?;
    let mut y = Array2::zeros(x.raw_dim());
    let count = experts.len();
    for ((token, rank), &expert) in chosen.indexed_iter() {
        let expected = format_args!("indices below {count}, the number of experts");
        expect_value(expert < count, "routing.experts", expert, expected)?;
        let output = experts[expert].apply(x.row(token).insert_axis(Axis(0)))?;
        y.row_mut(token).scaled_add(routing.scores[[token, rank]], &output.row(0));
    }
    Ok(y)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn routing() -> Routing {
        // Logits are logarithms, so that the softmax gives 1/8, 1/2, 3/8 and thirds.
        let weight = array![[1f64.ln(), 0.0], [4f64.ln(), 0.0], [3f64.ln(), 0.0]];
        gate(array![[1.0, 0.0], [0.0, 1.0]].view(), weight.view(), 2).unwrap()
    }

    #[test]
    fn the_best_come_first_with_their_share_of_all_experts() {
        let routing = routing();
        // Equal logits in the second row: the lower index wins.
        assert_eq!(routing.experts, array![[1, 2], [0, 1]]);
        let expected = array![[0.5, 0.375], [1.0 / 3.0, 1.0 / 3.0]];
        assert!((&routing.scores - expected).iter().all(|error| error.abs() < 1e-15));
    }

    #[test]
    fn queues_hold_tokens_in_order() {
        let queues = expert_queues(routing().experts.view(), 3).unwrap();
        assert_eq!(queues, [vec![1], vec![0, 1], vec![0]]);
        assert_eq!(expert_queues(routing().experts.view(), 2).unwrap_err().operand, "chosen");
    }

    #[test]
    fn outputs_are_weighted_by_the_scores_as_they_are() {
        let expert = |factor: f64| FeedForward {
            up: array![[1.0, 0.0], [0.0, 1.0]],
            up_bias: array![0.0, 0.0],
            down: array![[factor, 0.0], [0.0, factor]],
            down_bias: array![0.0, 0.0],
            activation: |x| x,
        };
        let x = array![[8.0, -8.0], [3.0, 6.0]];
        let experts = [expert(1.0), expert(10.0), expert(100.0)];
        let y = mixture_of_experts(x.view(), &routing(), &experts).unwrap();
        // Token 0: 0.5 * 10 + 0.375 * 100 = 42.5; token 1: (1 + 10) / 3.
        let expected = array![[340.0, -340.0], [11.0, 22.0]];
        assert!((y - expected).iter().all(|error: &f64| error.abs() < 1e-12));
        let error = mixture_of_experts(x.view(), &routing(), &experts[..2]).unwrap_err();
        assert_eq!(error.operand, "routing.experts");
    }

    #[test]
    fn more_experts_than_exist_cannot_be_chosen() {
        let x = array![[1.0]];
        for k in [0, 3] {
            let error = gate(x.view(), array![[1.0], [2.0]].view(), k).unwrap_err();
            assert_eq!(error.to_string(), format!("`k` is {k}: expected 1 to 2 experts"));
        }
    }
}
