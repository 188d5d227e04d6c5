//! Sizes of a decoder.

use serde::Serialize;

use super::operation::{Kind, Operation};

/// Sizes of a decoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecoderShape {
    /// Layers.
    pub layers: u32,
    /// Elements of one state, d.
    pub hidden: u32,
    /// Query heads of a layer.
    pub heads: u32,
    /// Key and value heads of a layer; fewer than `heads` where queries share them.
    pub kv_heads: u32,
    /// Elements of one query, key or value vector.
    pub head_dim: u32,
    /// Width of the feed-forward network.
    pub feed_forward: u32,
    /// Whether the feed-forward network has a gate beside its first product.
    pub gated: bool,
    /// Tokens of the vocabulary.
    pub vocabulary: u32,
    /// Longest text that the model was trained for \[tokens\].
    pub positions: u32,
}

/// Sizes that do not make a decoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {found}: expected {expected}")]
pub struct ShapeError {
    /// The size.
    pub field: &'static str,
    /// Its value.
    pub found: u64,
    /// What it should be.
    pub expected: String,
}

/// Largest width of anything; above that of any released model, and such that no product of two
/// sizes and a number of layers leaves 64 bits.
const MAX_WIDTH: u32 = 1 << 20;
const MAX_COUNT: u32 = 4096;

impl DecoderShape {
    /// A decoder whose heads share out its state, and whose feed-forward network is four times as
    /// wide: GPT-2 and GPT-3.
    pub fn gpt(layers: u32, hidden: u32, heads: u32) -> Result<Self, ShapeError> {
        if heads == 0 || !hidden.is_multiple_of(heads) {
            return Err(ShapeError {
                field: "hidden",
                found: hidden.into(),
                expected: format!(
                    "a multiple of the {heads} heads, of which there is at least one"
                ),
            });
        }
        let shape = Self {
            layers,
            hidden,
            heads,
            kv_heads: heads,
            head_dim: hidden / heads,
            feed_forward: hidden.saturating_mul(4),
            gated: false,
            vocabulary: 50_257,
            positions: 1024,
        };
        shape.check()?;
        Ok(shape)
    }

    /// Checks every size.
    ///
    /// # Errors
    /// A size of 0 or out of all proportion, or key and value heads that do not serve all queries.
    pub fn check(&self) -> Result<(), ShapeError> {
        let sizes = [
            ("layers", self.layers, MAX_COUNT),
            ("hidden", self.hidden, MAX_WIDTH),
            ("heads", self.heads, MAX_COUNT),
            ("kv_heads", self.kv_heads, MAX_COUNT),
            ("head_dim", self.head_dim, MAX_WIDTH),
            ("feed_forward", self.feed_forward, MAX_WIDTH),
            ("vocabulary", self.vocabulary, MAX_WIDTH),
            ("positions", self.positions, u32::MAX),
        ];
        for (field, found, most) in sizes {
            if !(1..=most).contains(&found) {
                let expected = format!("a whole number from 1 to {most}");
                return Err(ShapeError { field, found: found.into(), expected });
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let expected = format!("a divisor of the {} query heads", self.heads);
            let found = self.kv_heads.into();
            return Err(ShapeError { field: "kv_heads", found, expected });
        }
        Ok(())
    }

    /// Elements of the queries of one token.
    pub fn query_width(&self) -> u32 {
        self.heads * self.head_dim
    }

    /// Elements of the keys, or of the values, of one token.
    pub fn kv_width(&self) -> u32 {
        self.kv_heads * self.head_dim
    }

    /// Weights of all layers, biases and embeddings left out: what the PIM-GPT paper counts.
    pub fn block_weights(&self) -> u64 {
        let per_layer: u64 = self.layer(1).iter().map(Operation::weights).sum();
        u64::from(self.layers) * per_layer
    }

    /// Multiply-accumulates of the product with the vocabulary.
    pub fn lm_head_macs(&self) -> u64 {
        u64::from(self.hidden) * u64::from(self.vocabulary)
    }

    /// What one layer computes for one token that attends to `context` tokens, itself included.
    pub fn layer(&self, context: u32) -> Vec<Operation> {
        let (hidden, ffn) = (self.hidden, self.feed_forward);
        let (query, kv) = (self.query_width(), self.kv_width());
        let first = if self.gated { 2 * ffn } else { ffn };
        let heads = Kind::Scores { heads: self.heads, head_dim: self.head_dim, context };
        let mix = Kind::Mix { heads: self.heads, head_dim: self.head_dim, context };
        let operation =
            |name, kind, after: &[usize]| Operation { name, kind, after: after.to_vec() };
        vec![
            operation("norm_1", Kind::Norm { width: hidden }, &[]),
            operation("qkv", Kind::Product { inputs: hidden, outputs: query + 2 * kv }, &[0]),
            operation("key_write", Kind::KeyWrite { width: kv }, &[1]),
            operation("value_write", Kind::ValueWrite { width: kv }, &[1]),
            operation("scores", heads, &[1, 2]),
            operation("softmax", Kind::Softmax { heads: self.heads, context }, &[4]),
            operation("mix", mix, &[3, 5]),
            operation("projection", Kind::Product { inputs: query, outputs: hidden }, &[6]),
            operation("residual_1", Kind::Residual { width: hidden }, &[7]),
            operation("norm_2", Kind::Norm { width: hidden }, &[8]),
            operation("ffn_1", Kind::Product { inputs: hidden, outputs: first }, &[9]),
            operation("activation", Kind::Activation { width: ffn, gated: self.gated }, &[10]),
            operation("ffn_2", Kind::Product { inputs: ffn, outputs: hidden }, &[11]),
            operation("residual_2", Kind::Residual { width: hidden }, &[8, 12]),
        ]
    }

    /// What follows the last layer: its normalization and, with `lm_head`, the vocabulary.
    pub fn tail(&self, lm_head: bool) -> Vec<Operation> {
        let norm = Kind::Norm { width: self.hidden };
        let mut all = vec![Operation { name: "final_norm", kind: norm, after: Vec::new() }];
        if lm_head {
            let kind = Kind::Product { inputs: self.hidden, outputs: self.vocabulary };
            all.push(Operation { name: "lm_head", kind, after: vec![0] });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table of the model sizes: 12 L d^2 in millions, and in units of 2^20 as the paper prints it.
    #[test]
    fn block_weights_are_those_of_the_paper() {
        for (layers, hidden, heads, binary_millions) in [
            (12, 768, 12, 81.0),
            (24, 1024, 16, 288.0),
            (36, 1280, 20, 675.0),
            (48, 1600, 25, 1406.25),
            (24, 1536, 16, 648.0),
            (24, 2048, 16, 1152.0),
        ] {
            let shape = DecoderShape::gpt(layers, hidden, heads).unwrap();
            assert_eq!(shape.block_weights() as f64 / f64::from(1 << 20), binary_millions);
        }
    }

    /// Op list of one layer: 3 d^2, T d, T d, d^2, 4 d^2, 4 d^2 multiply-accumulates in this order.
    #[test]
    fn a_layer_computes_the_known_list() {
        let layer = DecoderShape::gpt(24, 2048, 16).unwrap().layer(512);
        let macs: Vec<u64> = layer.iter().map(Operation::macs).filter(|&macs| macs > 0).collect();
        let (d, t) = (2048u64, 512);
        assert_eq!(macs, [3 * d * d, t * d, t * d, d * d, 4 * d * d, 4 * d * d]);
        let names: Vec<_> = layer.iter().map(|operation| operation.name).collect();
        assert_eq!(names[..6], ["norm_1", "qkv", "key_write", "value_write", "scores", "softmax"]);
        let elements = |name| layer.iter().find(|o| o.name == name).unwrap().elements();
        assert_eq!([elements("softmax"), elements("activation")], [16 * t, 4 * d]);
        assert_eq!([elements("norm_1"), elements("residual_2")], [d, d]);
        for (index, operation) in layer.iter().enumerate() {
            assert!(operation.after.iter().all(|&earlier| earlier < index), "{}", operation.name);
        }
    }

    #[test]
    fn shared_heads_shrink_keys_and_values_only() {
        let shape = DecoderShape {
            kv_heads: 8,
            gated: true,
            feed_forward: 8192,
            ..DecoderShape::gpt(16, 2048, 32).unwrap()
        };
        let layer = shape.layer(100);
        assert_eq!(layer[1].kind, Kind::Product { inputs: 2048, outputs: 2048 + 2 * 512 });
        assert_eq!(layer[2].elements(), 512);
        assert_eq!(layer[4].macs(), 2048 * 100);
        assert_eq!(layer[10].macs(), 2048 * 2 * 8192);
    }

    #[test]
    fn sizes_that_make_no_decoder_are_named() {
        let text = DecoderShape::gpt(12, 768, 11).unwrap_err().to_string();
        assert!(text.contains("`hidden` is 768: expected a multiple of the 11 heads"), "{text}");
        assert!(DecoderShape::gpt(12, 768, 0).is_err());
        assert!(DecoderShape::gpt(0, 768, 12).unwrap_err().to_string().contains("`layers` is 0"));
        let odd = DecoderShape { kv_heads: 5, ..DecoderShape::gpt(12, 768, 12).unwrap() };
        assert!(odd.check().unwrap_err().to_string().contains("a divisor of the 12 query heads"));
    }
}
