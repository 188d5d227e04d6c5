//! Queues of tokens, one per expert, and the metaqueue of Edge-MoE (section IV-E of the paper).
//!
//! A token waits in the queue of each of its experts with the score of that gate. The metaqueue lists the
//! experts whose queue is not empty, ascending; the others are neither loaded nor computed.

/// A token that waits for an expert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The token.
    pub token: usize,
    /// By what the result is weighted.
    pub score: i32,
}

/// Queues of all experts of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeQueues {
    queues: Vec<Vec<Waiting>>,
}

impl EdgeQueues {
    /// Empty queues of `experts` experts.
    pub fn new(experts: usize) -> Self {
        Self { queues: vec![Vec::new(); experts] }
    }

    /// Appends a token to the queues of its experts, which come with their scores.
    pub fn push(&mut self, token: usize, choices: &[(usize, i32)]) {
        for &(expert, score) in choices {
            if let Some(queue) = self.queues.get_mut(expert) {
                queue.push(Waiting { token, score });
            }
        }
    }

    /// Tokens that wait for an expert, in the order in which they came.
    pub fn queue(&self, expert: usize) -> &[Waiting] {
        self.queues.get(expert).map_or(&[], Vec::as_slice)
    }

    /// Tokens of each expert.
    pub fn lengths(&self) -> Vec<u32> {
        self.queues.iter().map(|queue| queue.len() as u32).collect()
    }

    /// Experts for which a token waits, ascending.
    pub fn metaqueue(&self) -> impl Iterator<Item = usize> {
        let experts = self.queues.iter().enumerate();
        experts.filter(|(_, queue)| !queue.is_empty()).map(|(expert, _)| expert)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_wait_in_order_and_idle_experts_are_left_out() {
        let mut queues = EdgeQueues::new(4);
        queues.push(0, &[(3, 30), (1, 10)]);
        queues.push(1, &[(1, 11), (3, 31)]);
        queues.push(2, &[(1, 12), (0, 2)]);
        let waiting = |token, score| Waiting { token, score };
        assert_eq!(queues.queue(1), [waiting(0, 10), waiting(1, 11), waiting(2, 12)]);
        assert_eq!(queues.lengths(), [1, 3, 0, 2]);
        assert_eq!(queues.metaqueue().collect::<Vec<_>>(), [0, 1, 3]);
    }
}
