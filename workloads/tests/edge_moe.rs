//! The reference kernels on the real tensors of Edge-MoE (M3ViT-tiny, Cityscapes): patch embedding,
//! the dense layer 0, attention and gates of layer 1, against arrays that NumPy computed.
//!
//! The tensors are not part of this repository; see [`common::shared`].
#![allow(clippy::unwrap_used, reason = "operands of a test fit together, or it fails")]

use std::fs;
use std::path::{Path, PathBuf};

use attelier_workloads::reference::{
    Attention, FeedForward, Mask, Routing, expert_queues, gate, gelu, layer_norm, linear,
    multi_head_attention, patch_embedding,
};
use ndarray::{Array, Array1, Array2, Axis, Dimension, IntoDimension, Slice};
use ndarray_npy::read_npy;

mod common;

const TOKENS: usize = 129;
const FEATURES: usize = 192;
const HEADS: usize = 3;
const HIDDEN: usize = 768;
const EXPERTS: usize = 16;
const PATCH: usize = 16;
const EPSILON: f64 = 1e-6;

/// Golden arrays were computed in `f64` and stored in `f32`: what differs is their rounding, at
/// most 2^-24 of magnitudes up to 16.
const TOLERANCE: f64 = 2e-6;

struct Tensors {
    folder: PathBuf,
    compared: usize,
}

impl Tensors {
    /// A raw little-endian file of `f32`.
    fn load<I: IntoDimension>(&self, name: &str, shape: I) -> Array<f64, I::Dim> {
        let bytes = fs::read(self.folder.join(format!("{name}.float32.bin"))).expect("readable");
        let (numbers, rest) = bytes.as_chunks::<4>();
        assert!(rest.is_empty(), "{name} is cut");
        let values = numbers.iter().map(|&bytes| f64::from(f32::from_le_bytes(bytes))).collect();
        Array::from_shape_vec(shape, values).expect("as many values as the shape asks for")
    }

    fn matrix(&self, name: &str, rows: usize, columns: usize) -> Array2<f64> {
        self.load(name, (rows, columns))
    }

    fn vector(&self, name: &str, length: usize) -> Array1<f64> {
        self.load(name, length)
    }

    fn norm(&self, name: &str, x: &Array2<f64>) -> Array2<f64> {
        let weight = self.vector(&format!("{name}_weight"), FEATURES);
        let bias = self.vector(&format!("{name}_bias"), FEATURES);
        layer_norm(x.view(), weight.view(), bias.view(), EPSILON).unwrap()
    }

    fn linear(&self, name: &str, x: &Array2<f64>, outputs: usize) -> Array2<f64> {
        let weight = self.matrix(&format!("{name}_weight"), outputs, x.ncols());
        let bias = self.vector(&format!("{name}_bias"), outputs);
        linear(x.view(), weight.view(), Some(bias.view())).unwrap()
    }

    fn attention(&self, layer: usize, x: &Array2<f64>) -> Array2<f64> {
        let qkv = self.linear(&format!("l{layer}_qkv"), x, 3 * FEATURES);
        let part =
            |i: usize| qkv.slice_axis(Axis(1), Slice::from(i * FEATURES..(i + 1) * FEATURES));
        let heads = multi_head_attention(part(0), part(1), part(2), HEADS, Mask::Full).unwrap();
        let joined = Attention::concatenate(&heads).unwrap();
        self.linear(&format!("l{layer}_attn_proj"), &joined, FEATURES)
    }

    fn patch_embedding(&self) -> Array2<f64> {
        let image = self.load("image", (3, 128, 256));
        let weight = self.load("patch_embed_weight", (FEATURES, 3, PATCH, PATCH));
        let bias = self.vector("patch_embed_bias", FEATURES);
        let patches = patch_embedding(image.view(), weight.view(), bias.view()).unwrap();
        // The first row of the positions is the class token with its position.
        let mut x = self.matrix("pos_embed", TOKENS, FEATURES);
        x.slice_axis_mut(Axis(0), Slice::from(1..)).zip_mut_with(&patches, |x, patch| *x += patch);
        x
    }

    fn feed_forward(&self) -> FeedForward {
        FeedForward {
            up: self.matrix("l0_fc1_weight", HIDDEN, FEATURES),
            up_bias: self.vector("l0_fc1_bias", HIDDEN),
            down: self.matrix("l0_fc2_weight", FEATURES, HIDDEN),
            down_bias: self.vector("l0_fc2_bias", FEATURES),
            activation: gelu,
        }
    }

    #[track_caller]
    fn compare<D: Dimension>(&mut self, name: &str, ours: &Array<f64, D>) {
        let golden: Array<f32, D> = read_npy(self.golden(name)).expect("readable");
        assert_eq!(ours.shape(), golden.shape(), "{name}");
        let mut worst: f64 = 0.0;
        for (ours, &golden) in ours.iter().zip(&golden) {
            worst = worst.max((ours - f64::from(golden)).abs());
        }
        eprintln!("{name}: largest error {worst:.2e} over {} values", ours.len());
        assert!(worst <= TOLERANCE, "{name} is off by {worst}");
        self.compared += 1;
    }

    #[track_caller]
    fn compare_indices(&mut self, name: &str, ours: &Array2<usize>) {
        let golden: Array2<i32> = read_npy(self.golden(name)).expect("readable");
        assert_eq!(ours.mapv(|index| index as i32), golden, "{name}");
        self.compared += 1;
    }

    fn golden(&self, name: &str) -> PathBuf {
        self.folder.join("golden").join(format!("{name}.npy"))
    }
}

/// Queue lengths of the sixteen experts, from the table that comes with the data.
const QUEUES: [[usize; EXPERTS]; 2] = [
    [0, 6, 0, 32, 0, 27, 15, 24, 22, 19, 0, 22, 11, 33, 32, 15],
    [0, 17, 0, 41, 1, 22, 16, 25, 2, 19, 0, 23, 16, 1, 51, 24],
];

#[test]
fn every_golden_array_of_edge_moe_is_reproduced() {
    let Some(folder) = common::shared("data/edge-moe") else { return };
    let golden_files = count(&folder.join("golden"));
    let mut tensors = Tensors { folder, compared: 0 };

    let mut x = tensors.patch_embedding();
    tensors.compare("x_patch_embed", &x);

    let normed = tensors.norm("l0_norm1", &x);
    tensors.compare("l0_norm1", &normed);
    let attended = tensors.attention(0, &normed);
    tensors.compare("l0_attn_out", &attended);
    x += &attended;
    tensors.compare("l0_x_post_attn", &x);
    let normed = tensors.norm("l0_norm2", &x);
    x += &tensors.feed_forward().apply(normed.view()).unwrap();
    tensors.compare("l0_x_post_mlp", &x);

    let normed = tensors.norm("l1_norm1", &x);
    x += &tensors.attention(1, &normed);
    tensors.compare("l1_x_post_attn", &x);
    let gate_input = tensors.norm("l1_norm2", &x);
    tensors.compare("l1_gate_input", &gate_input);
    for (task, lengths) in QUEUES.iter().enumerate() {
        let weight = tensors.matrix(&format!("l1_w_gate_T_task{task}"), EXPERTS, FEATURES);
        let Routing { logits, experts, scores } =
            gate(gate_input.view(), weight.view(), 2).unwrap();
        tensors.compare(&format!("l1_gate_logits_task{task}"), &logits);
        tensors.compare_indices(&format!("l1_top2_index_task{task}"), &experts);
        tensors.compare(&format!("l1_top2_score_task{task}"), &scores);
        let queues = expert_queues(experts.view(), EXPERTS).unwrap();
        assert!(queues.iter().map(Vec::len).eq(lengths.iter().copied()), "{queues:?}");
    }
    assert_eq!(tensors.compared, golden_files, "a golden file was not compared");
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).expect("the golden arrays lie beside the tensors").count()
}
