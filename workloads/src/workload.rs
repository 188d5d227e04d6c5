//! A workload: requests in the order a model issues them, and where they come from.

use crate::{Checker, Fault, Request};

/// Requests in execution order with their provenance.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Name a user gives on the command line, or the stem of the file it was read from.
    pub name: String,
    /// Model whose attention this is, e.g. `gpt2-small`; `unknown` where the source is silent.
    pub model: String,
    /// One line for listings.
    pub description: String,
    /// Where the counts come from: paper section, released trace, training configuration.
    pub provenance: String,
    /// What no source states, each with its reason. Empty where everything is published.
    pub assumptions: Vec<String>,
    /// Requests, ascending in iteration, layer, head.
    pub requests: Vec<Request>,
}

/// A workload that breaks a rule of [`Checker`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// No request at all.
    #[error("workload `{name}` has no requests: expected at least one")]
    Empty {
        /// The workload.
        name: String,
    },
    /// One request breaks a rule.
    #[error(
        "workload `{name}`, request {index} (iteration {iteration}, layer {layer}, head {head}): \
         `{}` is {}: expected {}", fault.field, fault.found, fault.expected
    )]
    Request {
        /// The workload.
        name: String,
        /// Position, from 0.
        index: usize,
        /// Its iteration.
        iteration: u32,
        /// Its layer.
        layer: u32,
        /// Its head.
        head: u32,
        /// The rule.
        fault: Fault,
    },
}

impl Workload {
    /// Checks every request; sources of this crate return only workloads that pass.
    ///
    /// # Errors
    /// The first request that breaks a rule of [`Checker::accept`], or an empty workload.
    pub fn check(&self) -> Result<(), WorkloadError> {
        if self.requests.is_empty() {
            return Err(WorkloadError::Empty { name: self.name.clone() });
        }
        let mut checker = Checker::default();
        for (index, request) in self.requests.iter().enumerate() {
            checker.accept(request).map_err(|fault| WorkloadError::Request {
                name: self.name.clone(),
                index,
                iteration: request.iteration,
                layer: request.layer,
                head: request.head,
                fault,
            })?;
        }
        Ok(())
    }

    /// BLAKE3 of what must be computed: the model and every field of every request, in order.
    /// Name, description and provenance do not enter, so a renamed file keeps its hash.
    pub fn content_hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"attelier-workload 1\n");
        hasher.update(&(self.model.len() as u64).to_le_bytes());
        hasher.update(self.model.as_bytes());
        for request in &self.requests {
            hash_request(&mut hasher, request);
        }
        hasher.finalize()
    }
}

/// Fixed-size little-endian fields, so that no two requests share an encoding. `None` is written
/// as a tag of its own rather than as a value that could also occur.
fn hash_request(hasher: &mut blake3::Hasher, r: &Request) {
    let optional = |value: Option<u32>| [u32::from(value.is_some()), value.unwrap_or(0)];
    let mut words = vec![r.iteration, r.layer, r.head, r.phase as u32, r.head_dim];
    words.extend([r.sentence_length, r.queries, r.keys, r.values, r.widths.key_lsb]);
    for value in [r.widths.query, r.widths.key, r.widths.value, r.token_topk] {
        words.extend(optional(value));
    }
    words.extend([r.requant, r.accumulate_importance, r.rescale_importance].map(u32::from));
    words.push(u32::from(r.causal));
    words.push(u32::from(r.requant_threshold.is_some()));
    for word in words {
        hasher.update(&word.to_le_bytes());
    }
    hasher.update(&r.requant_threshold.unwrap_or(0.0).to_bits().to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    fn small() -> Workload {
        load("gpt2-small/wikitext2").unwrap()
    }

    fn broken(change: impl FnOnce(&mut Request)) -> String {
        let mut workload = small();
        change(&mut workload.requests[13]);
        workload.check().unwrap_err().to_string()
    }

    #[test]
    fn each_rule_names_request_field_and_expectation() {
        let at = "request 13 (iteration 0, layer 1, head 1)";
        for (text, field, expected) in [
            (broken(|r| r.keys = 0), "`keys` is 0", "from 1 to 993 (sentence_length)"),
            (broken(|r| r.keys = 994), "`keys` is 994", "from 1 to 993"),
            (broken(|r| r.values = 994), "`values` is 994", "from 1 to 993 (keys)"),
            (broken(|r| r.token_topk = Some(994)), "`token_topk` is 994", "sentence_length"),
            (broken(|r| r.queries = 2), "`queries` is 2", "one query per head"),
            (broken(|r| r.head_dim = 32), "`head_dim` is 32", "64, as in every request before"),
            (broken(|r| r.widths.key = Some(33)), "`key_bits` is 33", "from 1 to 32"),
            (broken(|r| r.widths.key_lsb = 0), "`requant` is true", "no LSB plane"),
            (broken(|r| r.requant_threshold = Some(f64::NAN)), "is NaN", "a probability"),
        ] {
            assert!(text.contains(at) && text.contains(field) && text.contains(expected), "{text}");
        }
        let text = broken(|r| r.head = 0);
        assert!(text.contains("ascending order"), "{text}");
        let text = broken(|r| r.layer = 5000);
        assert!(text.contains("from 0 to 4095"), "{text}");
    }

    #[test]
    fn an_empty_workload_is_refused() {
        let workload = Workload { requests: Vec::new(), ..small() };
        assert!(matches!(workload.check(), Err(WorkloadError::Empty { .. })));
    }

    #[test]
    fn the_hash_sees_every_field_and_ignores_the_name() {
        let original = small().content_hash();
        assert_eq!(Workload { name: "other".into(), ..small() }.content_hash(), original);
        assert_ne!(Workload { model: "other".into(), ..small() }.content_hash(), original);
        let changes: [fn(&mut Request); 15] = [
            |r| r.iteration += 1,
            |r| r.layer += 1,
            |r| r.head += 1,
            |r| r.phase = crate::Phase::Prefill,
            |r| r.causal = true,
            |r| r.sentence_length += 1,
            |r| r.keys -= 1,
            |r| r.values -= 1,
            |r| r.widths.query = None,
            |r| r.widths.key_lsb += 1,
            |r| r.requant_threshold = None,
            |r| r.requant = !r.requant,
            |r| r.accumulate_importance = false,
            |r| r.rescale_importance = true,
            |r| r.token_topk = Some(1),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut workload = small();
            change(&mut workload.requests[0]);
            assert_ne!(workload.content_hash(), original, "change {number} went unseen");
        }
    }
}
