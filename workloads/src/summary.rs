//! What a workload amounts to: counts, ranges and reductions, without any machine.

use std::fmt;

use serde::Serialize;

use crate::{Phase, Request, Workload, WorkloadError};

/// Smallest and largest value of a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// Smallest.
    pub least: u32,
    /// Largest.
    pub most: u32,
}

impl Range {
    fn of(values: impl Iterator<Item = u32>) -> Range {
        let mut range = Range { least: u32::MAX, most: 0 };
        for value in values {
            range = Range { least: range.least.min(value), most: range.most.max(value) };
        }
        range
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.least == self.most {
            return write!(f, "{}", self.least);
        }
        write!(f, "{} to {}", self.least, self.most)
    }
}

/// Totals of a workload. Reductions are ratios dense : executed, 1.0 where nothing is pruned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Name of the workload.
    pub name: String,
    /// Its model.
    pub model: String,
    /// One line.
    pub description: String,
    /// Its sources.
    pub provenance: String,
    /// What is assumed, with reasons.
    pub assumptions: Vec<String>,
    /// Requests in prefill.
    pub prefill_requests: u64,
    /// Requests in decode.
    pub decode_requests: u64,
    /// Distinct iterations.
    pub iterations: u64,
    /// Distinct layers.
    pub layers: u64,
    /// Heads of a layer.
    pub heads: Range,
    /// Head dimension.
    pub head_dim: u32,
    /// Tokens of the unpruned context.
    pub sentence_length: Range,
    /// Queries of a request.
    pub queries: Range,
    /// Keys of a request.
    pub keys: Range,
    /// Values of a request.
    pub values: Range,
    /// Multiply-accumulates, one pass per request: `sum queries * head_dim * (keys + values)`.
    pub macs: u64,
    /// The same with every token and every head of the widest layer.
    pub dense_macs: u64,
    /// Requests that need their key LSBs.
    pub lsb_requests: u64,
    /// Those over all requests.
    pub lsb_rate: f64,
    /// Context tokens over keys, over the requests that remain.
    pub token_reduction: f64,
    /// Context tokens over values, over the requests that remain.
    pub value_reduction: f64,
    /// Heads of the widest layer over heads of each layer.
    pub head_reduction: f64,
    /// BLAKE3 of the content, see [`Workload::content_hash`].
    pub content_hash: String,
}

/// Summarises a workload.
///
/// # Errors
/// A workload that does not pass [`Workload::check`].
pub fn summarise(workload: &Workload) -> Result<Summary, WorkloadError> {
    workload.check()?;
    let requests = &workload.requests;
    let total = |part: fn(&Request) -> u32| requests.iter().map(|r| u64::from(part(r))).sum();
    let (tokens, keys, values): (u64, u64, u64) =
        (total(|r| r.sentence_length), total(|r| r.keys), total(|r| r.values));
    let layers = layers_of(requests);
    let widest = layers.iter().map(|layer| layer.len() as u64).max().unwrap_or(0);
    let dense: u64 = layers
        .iter()
        .map(|layer| {
            let one = layer.first().and_then(Request::dense_macs).unwrap_or(0);
            one.saturating_mul(widest)
        })
        .fold(0, u64::saturating_add);
    let mut layer_ids: Vec<u32> = requests.iter().map(|r| r.layer).collect();
    layer_ids.sort_unstable();
    layer_ids.dedup();
    let count = requests.len() as u64;
    let lsb = requests.iter().filter(|r| r.requant).count() as u64;
    let decode = requests.iter().filter(|r| r.phase == Phase::Decode).count() as u64;
    let range = |part: fn(&Request) -> u32| Range::of(requests.iter().map(part));
    let iterations = requests.chunk_by(|a, b| a.iteration == b.iteration).count() as u64;
    Ok(Summary {
        name: workload.name.clone(),
        model: workload.model.clone(),
        description: workload.description.clone(),
        provenance: workload.provenance.clone(),
        assumptions: workload.assumptions.clone(),
        prefill_requests: count - decode,
        decode_requests: decode,
        iterations,
        layers: layer_ids.len() as u64,
        heads: Range::of(layers.iter().map(|layer| layer.len() as u32)),
        head_dim: requests.first().map_or(0, |r| r.head_dim),
        sentence_length: range(|r| r.sentence_length),
        queries: range(|r| r.queries),
        keys: range(|r| r.keys),
        values: range(|r| r.values),
        macs: requests.iter().filter_map(Request::macs).fold(0, u64::saturating_add),
        dense_macs: dense,
        lsb_requests: lsb,
        lsb_rate: ratio(lsb, count),
        token_reduction: ratio(tokens, keys),
        value_reduction: ratio(tokens, values),
        head_reduction: ratio(widest * layers.len() as u64, count),
        content_hash: workload.content_hash().to_hex().to_string(),
    })
}

/// The requests of each layer of each iteration.
fn layers_of(requests: &[Request]) -> Vec<&[Request]> {
    requests.chunk_by(|a, b| (a.iteration, a.layer) == (b.iteration, b.layer)).collect()
}

fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}

impl fmt::Display for Summary {
    /// Plain text, one fact per line, for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, text: String| writeln!(f, "{name:<16} {text}");
        line("workload", self.name.clone())?;
        if !self.description.is_empty() {
            line("", self.description.clone())?;
        }
        line("model", self.model.clone())?;
        let requests = match (self.prefill_requests, self.decode_requests) {
            (0, decode) => format!("{decode} (decode)"),
            (prefill, 0) => format!("{prefill} (prefill)"),
            (prefill, decode) => format!("{prefill} (prefill) + {decode} (decode)"),
        };
        line("requests", requests)?;
        line("iterations", self.iterations.to_string())?;
        line("layers", self.layers.to_string())?;
        line("heads", format!("{} of {} dimensions", self.heads, self.head_dim))?;
        line("context", format!("{} tokens", self.sentence_length))?;
        line("queries", self.queries.to_string())?;
        line("keys", self.keys.to_string())?;
        line("values", self.values.to_string())?;
        let reduction = self.dense_macs as f64 / self.macs.max(1) as f64;
        let macs = format!("{}; dense {}, {reduction:.2} times that", self.macs, self.dense_macs);
        line("MACs", macs)?;
        line("keys kept", format!("1 in {:.2}", self.token_reduction))?;
        line("values kept", format!("1 in {:.2}", self.value_reduction))?;
        line("heads kept", format!("1 in {:.2}", self.head_reduction))?;
        let lsb = format!("{} requests ({:.1} %)", self.lsb_requests, 100.0 * self.lsb_rate);
        line("LSB refetches", lsb)?;
        line("content hash", self.content_hash.clone())?;
        if !self.provenance.is_empty() {
            line("source", self.provenance.clone())?;
        }
        for assumption in &self.assumptions {
            line("assumed", assumption.clone())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    fn of(name: &str) -> Summary {
        summarise(&load(name).unwrap()).unwrap()
    }

    fn near(value: f64, published: f64, digits: i32) -> bool {
        (value - published).abs() <= 0.5 * 10f64.powi(-digits) + 1e-9
    }

    // Reference values: counted in the released traces with an independent script.
    #[test]
    fn gpt2_small_has_the_totals_of_its_trace() {
        let summary = of("gpt2-small/wikitext2");
        assert_eq!((summary.iterations, summary.layers, summary.decode_requests), (32, 12, 4608));
        assert!(near(summary.macs as f64 / 1e7, 9.85, 2), "{}", summary.macs);
        assert!(near(summary.token_reduction, 3.62, 2), "{}", summary.token_reduction);
        assert!(near(summary.value_reduction, 18.2, 1), "{}", summary.value_reduction);
        assert_eq!(summary.head_reduction, 1.0);
        assert_eq!(summary.dense_macs, of("gpt2-small/wikitext2/dense").macs);
        assert!(near(summary.dense_macs as f64 / 1e8, 5.95, 2));
    }

    #[test]
    fn gpt2_medium_has_the_totals_of_its_trace() {
        let summary = of("gpt2-medium/wikitext2");
        assert_eq!((summary.layers, summary.decode_requests), (24, 11_328));
        assert_eq!(summary.heads, Range { least: 10, most: 16 });
        assert!(near(summary.macs as f64 / 1e8, 5.11, 2), "{}", summary.macs);
        let keys = summary.token_reduction * summary.head_reduction;
        assert!(near(keys, 2.02, 2), "{keys}");
        assert_eq!(summary.lsb_requests, 0);
        assert!(near(of("gpt2-medium/ptb/dense").macs as f64 / 1e9, 1.586, 3));
    }

    #[test]
    fn the_text_shows_counts_and_assumptions() {
        let text = of("bert-base/cola").to_string();
        for part in ["(prefill)", "content hash", "assumed          sentence length 11"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
