//! The rules every request obeys, whatever it was read from.
//!
//! One [`Checker`] walks a stream of requests in order and holds only the previous one, so a
//! reader can check as it goes. It reports the offending field; the caller adds where that was.

use crate::{Phase, Request};

/// Upper bounds of the counts. They keep every product of counts inside `u64` and every buffer a
/// reader allocates small; none is near a machine that exists.
pub mod limits {
    /// Requests of one workload. At about 120 bytes each this bounds memory to a quarter gibibyte;
    /// GPT-2-XL generating 1,024 tokens has 1.2 million.
    pub const REQUESTS: u64 = 1 << 21;
    /// Tokens: sentence length, queries, keys, values, iterations.
    pub const TOKENS: u32 = 1 << 20;
    /// Layers of a model and heads of a layer.
    pub const INDEX: u32 = 1 << 12;
    /// Head dimension.
    pub const HEAD_DIM: u32 = 1 << 12;
    /// Storage width \[bits\].
    pub const BITS: u32 = 32;
}

/// One broken rule: which field, what it held, what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Field of the request, as the trace format spells it.
    pub field: &'static str,
    /// What it held.
    pub found: String,
    /// What it should hold.
    pub expected: String,
}

/// Checks requests one after another.
#[derive(Debug, Clone, Default)]
pub struct Checker {
    count: u64,
    previous: Option<(u32, u32, u32)>,
    head_dim: Option<u32>,
}

impl Checker {
    /// Requests accepted so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Checks one request by itself and against the ones before it.
    ///
    /// # Errors
    /// The first rule that is broken: a count that is zero, above its bound or above the count it
    /// is a part of; an LSB request without an LSB plane; an order that is not ascending in
    /// iteration, layer, head; a head dimension that changes.
    pub fn accept(&mut self, request: &Request) -> Result<(), Fault> {
        counts(request)?;
        widths(request)?;
        let here = (request.iteration, request.layer, request.head);
        if let Some(previous) = self.previous
            && here <= previous
        {
            let (iteration, layer, head) = previous;
            return Err(Fault {
                field: out_of_order(previous, here),
                found: format!("iteration {}, layer {}, head {}", here.0, here.1, here.2),
                expected: format!(
                    "ascending order: something after iteration {iteration}, layer {layer}, head {head}"
                ),
            });
        }
        let head_dim = *self.head_dim.get_or_insert(request.head_dim);
        if request.head_dim != head_dim {
            return Err(fault(
                "head_dim",
                request.head_dim,
                format!("{head_dim}, as in every request before"),
            ));
        }
        if self.count >= limits::REQUESTS {
            return Err(Fault {
                field: "iteration",
                found: "one request more".to_owned(),
                expected: format!("at most {} requests in a workload", limits::REQUESTS),
            });
        }
        self.previous = Some(here);
        self.count += 1;
        Ok(())
    }
}

fn out_of_order(previous: (u32, u32, u32), here: (u32, u32, u32)) -> &'static str {
    if here.0 != previous.0 {
        "iteration"
    } else if here.1 != previous.1 {
        "layer"
    } else {
        "head"
    }
}

fn counts(r: &Request) -> Result<(), Fault> {
    below("iteration", r.iteration, limits::TOKENS)?;
    below("layer", r.layer, limits::INDEX)?;
    below("head", r.head, limits::INDEX)?;
    within("head_dim", r.head_dim, limits::HEAD_DIM, "the largest head dimension")?;
    within("sentence_length", r.sentence_length, limits::TOKENS, "the longest context")?;
    within("queries", r.queries, r.sentence_length, "sentence_length")?;
    within("keys", r.keys, r.sentence_length, "sentence_length")?;
    within("values", r.values, r.keys, "keys")?;
    if r.phase == Phase::Decode && r.queries != 1 {
        return Err(fault("queries", r.queries, "1: a decode step has one query per head"));
    }
    if let Some(kept) = r.token_topk {
        within("token_topk", kept, r.sentence_length, "sentence_length")?;
    }
    Ok(())
}

fn widths(r: &Request) -> Result<(), Fault> {
    let planes = [
        ("query_bits", r.widths.query),
        ("key_bits", r.widths.key),
        ("value_bits", r.widths.value),
    ];
    for (field, bits) in planes {
        if let Some(bits) = bits {
            within(field, bits, limits::BITS, "the widest storage")?;
        }
    }
    let lsb = r.widths.key_lsb;
    if lsb > limits::BITS {
        return Err(fault("key_lsb_bits", lsb, format!("0 to {}", limits::BITS)));
    }
    if lsb > 0 && r.widths.key.is_none() {
        return Err(fault("key_lsb_bits", lsb, "0, because the key is unquantised"));
    }
    if r.requant && lsb == 0 {
        return Err(fault("requant", "true", "false, because the key has no LSB plane"));
    }
    if let Some(threshold) = r.requant_threshold
        && !(0.0..=1.0).contains(&threshold)
    {
        return Err(fault("requant_threshold", threshold, "a probability from 0 to 1"));
    }
    Ok(())
}

fn below(field: &'static str, value: u32, bound: u32) -> Result<(), Fault> {
    if value < bound {
        return Ok(());
    }
    Err(fault(field, value, format!("a whole number from 0 to {}", bound - 1)))
}

fn within(field: &'static str, value: u32, most: u32, of: &str) -> Result<(), Fault> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(fault(field, value, format!("a whole number from 1 to {most} ({of})")))
}

fn fault(field: &'static str, found: impl ToString, expected: impl Into<String>) -> Fault {
    Fault { field, found: found.to_string(), expected: expected.into() }
}
