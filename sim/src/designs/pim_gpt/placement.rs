//! Where weights, keys and values lie: rows of every bank.
//!
//! All banks of all channels have the same layout, so one number per row is enough.
//!
//! * A matrix is cut into chunks of as many inputs as the vector buffer holds. The columns of a chunk
//!   are dealt over all banks; in a bank they follow each other without gaps, across rows.
//! * Keys of one token lie in one bank, heads side by side, tokens dealt over all banks. Chunks hold
//!   whole heads.
//! * Values of one head lie in one channel, its columns dealt over the banks; a column runs along the
//!   tokens, one row for as many tokens as the buffer holds probabilities. The heads of a model go
//!   to the channels in rounds.

use attelier_hw::pim_gpt::PimGpt;
use attelier_workloads::decoding::DecoderShape;

use super::error::PimError;

/// Numbers that follow each other in every bank and are multiplied with one chunk of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// First row.
    pub row: u32,
    /// Rows.
    pub rows: u32,
    /// Dot products of every bank.
    pub results: u32,
    /// MAC commands of each.
    pub macs: u32,
    /// Numbers of the vector chunk.
    pub inputs: u32,
}

/// Keys of the heads of one vector chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// First row.
    pub row: u32,
    /// Heads side by side.
    pub heads: u32,
    /// MAC commands of one head.
    pub macs: u32,
}

/// Rows of one layer, counted from its first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Tiles of each product, in the order of the operations.
    pub products: Vec<Vec<Tile>>,
    /// Keys, by chunk.
    pub keys: Vec<Keys>,
    /// First row of the values.
    pub values: u32,
    /// Rounds in which the heads go to the channels.
    pub rounds: u32,
    /// Columns of a head in one bank.
    pub groups: u32,
    /// Rows of one column.
    pub spans: u32,
    /// Rows of the layer.
    pub rows: u32,
}

/// Rows of a whole model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The layers, one after the other.
    pub layer: Layer,
    /// The product with the vocabulary, if it is computed.
    pub head: Vec<Tile>,
}

/// Gives out rows.
struct Rows {
    next: u64,
}

impl Rows {
    fn take(&mut self, rows: u64) -> Result<u32, PimError> {
        let first = u32::try_from(self.next).map_err(|_| PimError::TooLarge)?;
        self.next = self.next.checked_add(rows).ok_or(PimError::TooLarge)?;
        Ok(first)
    }
}

impl Placement {
    /// Places a model whose text grows to `tokens` tokens.
    ///
    /// # Errors
    /// A model that does not fit, or heads that the vector buffer does not hold.
    pub fn new(
        machine: &PimGpt,
        shape: &DecoderShape,
        tokens: u32,
        lm_head: bool,
    ) -> Result<Placement, PimError> {
        let chunk = machine.memory.chunk_elements();
        if shape.head_dim > chunk {
            let bytes = shape.head_dim.next_power_of_two().saturating_mul(2);
            return Err(PimError::HeadTooWide { head_dim: shape.head_dim, chunk, bytes });
        }
        let mut rows = Rows { next: 0 };
        let (hidden, ffn) = (shape.hidden, shape.feed_forward);
        let (query, kv) = (shape.query_width(), shape.kv_width());
        let first = if shape.gated { 2 * ffn } else { ffn };
        let products = [(hidden, query + 2 * kv), (query, hidden), (hidden, first), (ffn, hidden)];
        let products = products.map(|(inputs, outputs)| tiles(machine, &mut rows, inputs, outputs));
        let products = products.into_iter().collect::<Result<Vec<_>, _>>()?;
        let weights = rows.next;
        let slots = tokens.div_ceil(machine.banks());
        let mut keys = Vec::new();
        for heads in head_chunks(shape.kv_heads, shape.head_dim, chunk) {
            let macs = shape.head_dim.div_ceil(machine.mac.multipliers);
            let total = u64::from(slots) * u64::from(heads) * u64::from(macs);
            let row = rows.take(total.div_ceil(machine.mac.columns.into()))?;
            keys.push(Keys { row, heads, macs });
        }
        let rounds = shape.kv_heads.div_ceil(machine.memory.channels);
        let groups = shape.head_dim.div_ceil(machine.memory.banks);
        let spans = tokens.div_ceil(span(machine));
        let values = rows.take(u64::from(rounds) * u64::from(groups) * u64::from(spans))?;
        let per_layer = rows.next;
        let layer_rows = u32::try_from(per_layer).map_err(|_| PimError::TooLarge)?;
        let mut after = Rows { next: per_layer * u64::from(shape.layers) };
        let head = match lm_head {
            true => tiles(machine, &mut after, hidden, shape.vocabulary)?,
            false => Vec::new(),
        };
        let layers = u64::from(shape.layers);
        if after.next > machine.memory.rows.into() {
            return Err(PimError::Capacity {
                needed: after.next,
                weights: weights * layers + after.next - per_layer * layers,
                cache: (per_layer - weights) * layers,
                tokens,
                rows: machine.memory.rows,
            });
        }
        let layer = Layer { products, keys, values, rounds, groups, spans, rows: layer_rows };
        Ok(Placement { layer, head })
    }
}

/// Tokens whose values of one column share a row.
pub fn span(machine: &PimGpt) -> u32 {
    machine.memory.row_elements().min(machine.memory.chunk_elements())
}

/// Chunks of a matrix.
fn tiles(
    machine: &PimGpt,
    rows: &mut Rows,
    inputs: u32,
    outputs: u32,
) -> Result<Vec<Tile>, PimError> {
    let chunk = machine.memory.chunk_elements();
    let results = outputs.div_ceil(machine.banks());
    let mut tiles = Vec::new();
    for start in (0..inputs).step_by(chunk as usize) {
        let inputs = chunk.min(inputs - start);
        let macs = inputs.div_ceil(machine.mac.multipliers);
        let count = (u64::from(results) * u64::from(macs)).div_ceil(machine.mac.columns.into());
        let row = rows.take(count)?;
        let count = u32::try_from(count).map_err(|_| PimError::TooLarge)?;
        tiles.push(Tile { row, rows: count, results, macs, inputs });
    }
    Ok(tiles)
}

/// Heads of each chunk: as few chunks as hold them, as even as possible.
fn head_chunks(heads: u32, head_dim: u32, chunk: u32) -> Vec<u32> {
    let most = (chunk / head_dim).max(1);
    let chunks = heads.div_ceil(most);
    (0..chunks).map(|index| heads / chunks + u32::from(index < heads % chunks)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(set: &[&str], shape: &DecoderShape, tokens: u32) -> Result<Placement, PimError> {
        let sets: Vec<String> = set.iter().map(ToString::to_string).collect();
        let config = attelier_hw::config::load("pim-gpt", None, &sets).unwrap();
        Placement::new(&PimGpt::check(&config).unwrap(), shape, tokens, false)
    }

    /// 12 d^2 / 131,072 rows for weights, d / 128 rows each for keys and values of 1,024 tokens.
    #[test]
    fn models_fill_their_rows() {
        for (hidden, heads, weights) in [(1024, 16, 96), (2048, 16, 384), (768, 12, 54)] {
            let shape = DecoderShape::gpt(2, hidden, heads).unwrap();
            let layer = place(&[], &shape, 1024).unwrap().layer;
            let rows: u32 = layer.products.iter().flatten().map(|tile| tile.rows).sum();
            // A chunk of 768 inputs ends within a row; each of the three loses less than one.
            assert!((weights..weights + 4).contains(&rows), "{rows} for {hidden}");
            assert_eq!(layer.values - layer.keys[0].row, hidden / 128);
            let heads_per_channel = heads.div_ceil(8);
            assert_eq!(layer.rows - layer.values, heads_per_channel * (hidden / heads / 16));
        }
    }

    #[test]
    fn every_number_of_a_matrix_has_a_place_of_its_own() {
        for (hidden, heads) in [(1600, 25), (1280, 20), (768, 12)] {
            let shape = DecoderShape::gpt(1, hidden, heads).unwrap();
            let layer = place(&[], &shape, 100).unwrap().layer;
            let mut next = 0;
            for tile in layer.products.iter().flatten() {
                assert_eq!(tile.row, next);
                assert!(
                    tile.rows * 64 >= tile.results * tile.macs && tile.macs * 16 >= tile.inputs
                );
                next += tile.rows;
            }
            let held: u64 = layer
                .products
                .iter()
                .flatten()
                .map(|tile| u64::from(tile.results) * u64::from(tile.inputs) * 128)
                .sum();
            let efficiency = shape.block_weights() as f64 / held as f64;
            // All of it where 128 divides d. For 1600: 37.5, 12.5, 50 and 12.5 columns become 38, 13, 50
            // and 13, weighted with their inputs.
            let odd = (37.5 + 12.5 + 50.0 + 4.0 * 12.5) / (38.0 + 13.0 + 50.0 + 4.0 * 13.0);
            let expected = if hidden == 1600 { odd } else { 1.0 };
            assert!((efficiency - expected).abs() < 1e-9, "{efficiency}");
        }
    }

    #[test]
    fn heads_are_not_torn_apart() {
        assert_eq!(head_chunks(12, 64, 1024), [12]);
        assert_eq!(head_chunks(25, 64, 1024), [13, 12]);
        assert_eq!(head_chunks(16, 96, 1024), [8, 8]);
        assert_eq!(head_chunks(3, 1024, 1024), [1, 1, 1]);
    }

    /// 2,812 MiB of weights and 300 MiB of keys and values in 4 GiB; and what does not fit.
    #[test]
    fn a_model_that_does_not_fit_is_told_what_would_help() {
        let xl = DecoderShape::gpt(48, 1600, 25).unwrap();
        assert!(place(&[], &xl, 1024).is_ok());
        let error = place(&["memory.channels=4"], &xl, 1024).unwrap_err().to_string();
        assert!(error.contains("rows of every bank") && error.contains("has 16384"), "{error}");
        assert!(error.contains("memory.channels"), "{error}");
        assert!(matches!(place(&[], &xl, 8192), Err(PimError::Capacity { .. })));
        let wide = DecoderShape::gpt(1, 4096, 2).unwrap();
        let error = place(&[], &wide, 10).unwrap_err().to_string();
        assert!(error.contains("`--set memory.buffer_bytes=4096`"), "{error}");
        let huge = DecoderShape {
            layers: 4096,
            hidden: 1 << 20,
            feed_forward: 1 << 20,
            vocabulary: 1 << 20,
            ..DecoderShape::gpt(1, 1 << 18, 1 << 12).unwrap()
        };
        assert!(place(&[], &huge, 8192).is_err());
    }
}
