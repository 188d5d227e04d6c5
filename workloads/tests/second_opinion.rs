//! The reference kernels against NumPy and SciPy, on random operands.
//!
//! Operands and results are written as npy files; `tests/python/check_kernels.py` computes every
//! kernel a second time and compares. See [`common::python`] for where Python is looked for.
#![allow(clippy::unwrap_used, reason = "operands of a test fit together, or it fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use attelier_workloads::draw;
use attelier_workloads::reference::{
    Attention, Cascade, FeedForward, KeyValueCache, Mask, Quantized, RatioSchedule, attention,
    gate, gelu, gelu_tanh, head_importance, kept_count, layer_norm, linear, local_values,
    mixture_of_experts, multi_head_attention, patch_embedding, progressive_probabilities, rms_norm,
    silu, softmax, token_importance, top_k, weighted_sum,
};
use ndarray::{Array, Array1, Array2, Array3, Array4, Axis, Dimension, IntoDimension};
use ndarray_npy::write_npy;

mod common;

/// Rounds of random operands for each kernel.
const ROUNDS: u32 = 8;
/// Entries of the table of kernels in the script.
const KERNELS: usize = 20;

/// Numbers drawn one after another.
struct Draws {
    round: u32,
    drawn: u32,
}

impl Draws {
    /// A number in [0, 1).
    fn unit(&mut self) -> f64 {
        self.drawn += 1;
        draw::uniform(2021, self.round, self.drawn, 0)
    }

    /// A whole number from `low` to `high`, both included.
    fn size(&mut self, low: usize, high: usize) -> usize {
        low + (self.unit() * (high - low + 1) as f64) as usize
    }

    /// Elements in [-2, 2).
    fn array<I: IntoDimension>(&mut self, shape: I) -> Array<f64, I::Dim> {
        Array::from_shape_simple_fn(shape, || 4.0 * self.unit() - 2.0)
    }

    fn probabilities(&mut self, queries: usize, keys: usize) -> Array2<f64> {
        let mut rows = self.array((queries, keys));
        for mut row in rows.rows_mut() {
            let probabilities = softmax(&row.to_vec());
            row.assign(&Array1::from(probabilities));
        }
        rows
    }
}

/// The folder of one case.
struct Case(PathBuf);

impl Case {
    fn new(folder: &Path, kernel: &str, round: u32) -> Case {
        let folder = folder.join(format!("{kernel}-{round}"));
        fs::create_dir(&folder).expect("a new folder in a temporary one");
        Case(folder)
    }

    fn operand<D: Dimension>(&self, name: &str, array: &Array<f64, D>) -> &Case {
        write_npy(self.0.join(format!("in_{name}.npy")), array).expect("writable");
        self
    }

    fn scalar(&self, name: &str, value: f64) -> &Case {
        self.operand(name, &Array1::from_elem(1, value))
    }

    fn result<D: Dimension>(&self, name: &str, array: &Array<f64, D>) -> &Case {
        write_npy(self.0.join(format!("out_{name}.npy")), array).expect("writable");
        self
    }

    fn integers<D: Dimension>(&self, name: &str, array: &Array<i64, D>) -> &Case {
        write_npy(self.0.join(format!("out_{name}.npy")), array).expect("writable");
        self
    }

    fn indices(&self, name: &str, indices: &[usize]) -> &Case {
        self.integers(name, &indices.iter().map(|&index| index as i64).collect())
    }
}

#[test]
fn numpy_computes_the_same() {
    let Some(python) = common::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut low_bits_fetched = 0;
    for round in 0..ROUNDS {
        let mut draws = Draws { round, drawn: 0 };
        let new = |kernel| Case::new(folder.path(), kernel, round);
        attention_cases(&mut draws, &new);
        layer_cases(&mut draws, &new);
        pruning_cases(&mut draws, &new);
        low_bits_fetched += u32::from(quantization_cases(&mut draws, &new));
        expert_cases(&mut draws, &new);
        patch_case(&mut draws, &new("patch_embedding"));
    }
    assert!((2..=ROUNDS - 2).contains(&low_bits_fetched), "either outcome, more than once");
    let script = common::repository().join("tests/python/check_kernels.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().expect("starts");
    let (text, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    eprintln!("{text}");
    assert!(output.status.success(), "{text}{errors}");
    let expected = format!("compared {KERNELS} kernels, {} cases", KERNELS * ROUNDS as usize);
    assert!(text.contains(&expected), "{text}");
}

fn attention_cases(draws: &mut Draws, new: &impl Fn(&'static str) -> Case) {
    let (keys, head_dim, features) = (draws.size(2, 40), draws.size(1, 64), draws.size(1, 64));
    let queries = draws.size(1, keys);
    let q = draws.array((queries, head_dim));
    let k = draws.array((keys, head_dim));
    let v = draws.array((keys, features));
    let scale = draws.unit() + 0.01;
    let mut allowed = draws.array((queries, keys)).mapv(|value| value > 0.0);
    // SciPy gives NaN where no key is allowed.
    allowed.column_mut(0).fill(true);
    for (kernel, mask) in [
        ("attention", Mask::Full),
        ("causal_attention", Mask::Causal),
        ("masked_attention", Mask::Allowed(allowed.view())),
    ] {
        let result = attention(q.view(), k.view(), v.view(), scale, mask).unwrap();
        let case = new(kernel);
        case.operand("queries", &q).operand("keys", &k).operand("values", &v);
        case.operand("allowed", &allowed.mapv(f64::from)).scalar("scale", scale);
        case.result("scores", &result.scores).result("probabilities", &result.probabilities);
        case.result("output", &result.output);
    }

    let q = draws.array((keys, head_dim));
    let mut cache = KeyValueCache::new(head_dim, features);
    let mut output = Array2::zeros((keys, features));
    for token in 0..keys {
        let step = cache.step(q.row(token), k.row(token), v.row(token), scale).unwrap();
        output.row_mut(token).assign(&step.output.row(0));
    }
    let case = new("decode");
    case.operand("queries", &q).operand("keys", &k).operand("values", &v).scalar("scale", scale);
    case.result("output", &output);

    let heads = draws.size(1, 4);
    let [q, k, v] = [queries, keys, keys].map(|tokens| draws.array((tokens, 8 * heads)));
    let result = multi_head_attention(q.view(), k.view(), v.view(), heads, Mask::Full).unwrap();
    let case = new("multi_head_attention");
    case.operand("queries", &q).operand("keys", &k).operand("values", &v);
    case.scalar("heads", heads as f64);
    case.result("output", &Attention::concatenate(&result).unwrap());
}

fn layer_cases(draws: &mut Draws, new: &impl Fn(&'static str) -> Case) {
    let (tokens, features, outputs) = (draws.size(1, 9), draws.size(2, 64), draws.size(1, 64));
    let x = draws.array((tokens, features));
    let weight = draws.array(features);
    let bias = draws.array(features);
    let epsilon = 1e-5;
    let case = new("layer_norm");
    case.operand("x", &x).operand("weight", &weight).operand("bias", &bias);
    case.scalar("epsilon", epsilon);
    case.result("y", &layer_norm(x.view(), weight.view(), bias.view(), epsilon).unwrap());
    let case = new("rms_norm");
    case.operand("x", &x).operand("weight", &weight).scalar("epsilon", epsilon);
    case.result("y", &rms_norm(x.view(), weight.view(), epsilon).unwrap());

    let weight = draws.array((outputs, features));
    let bias = draws.array(outputs);
    let case = new("linear");
    case.operand("x", &x).operand("weight", &weight).operand("bias", &bias);
    case.result("y", &linear(x.view(), weight.view(), Some(bias.view())).unwrap());

    // Far enough out for the tails, near enough for them not to underflow.
    let x = draws.array(200).mapv(|x| 5.0 * x);
    let case = new("activations");
    case.operand("x", &x).result("gelu", &x.mapv(gelu)).result("silu", &x.mapv(silu));
    case.result("gelu_tanh", &x.mapv(gelu_tanh));

    let x = draws.array(100).mapv(|x| 100.0 * x);
    new("softmax").operand("x", &x).result("y", &Array1::from(softmax(&x.to_vec())));
}

fn pruning_cases(draws: &mut Draws, new: &impl Fn(&'static str) -> Case) {
    // Coarse values, so that ties are common.
    let values = draws.array(50).mapv(|x| (3.0 * x).round());
    let k = draws.size(0, 60);
    let case = new("top_k");
    case.operand("values", &values).scalar("k", k as f64);
    case.indices("indices", &top_k(&values.to_vec(), k));

    let (layers, heads, queries, count) = (4, draws.size(1, 4), draws.size(1, 5), 24);
    let mut all = Array4::zeros((layers, heads, queries, count));
    let mut tokens = Cascade::new(count);
    let mut keeps = Vec::new();
    let case = new("cascade_tokens");
    for layer in 0..layers {
        let survivors = tokens.survivors().to_vec();
        let rows: Vec<Array2<f64>> =
            (0..heads).map(|_| draws.probabilities(queries, survivors.len())).collect();
        for (head, rows) in rows.iter().enumerate() {
            for ((query, position), &probability) in rows.indexed_iter() {
                all[[layer, head, query, survivors[position]]] = probability;
            }
        }
        let views: Vec<_> = rows.iter().map(|rows| rows.view()).collect();
        tokens.add(&token_importance(&views).unwrap()).unwrap();
        let keep = kept_count(survivors.len(), 0.25);
        tokens.keep(keep);
        keeps.push(keep as f64);
        case.indices(&format!("survivors_{layer}"), tokens.survivors());
    }
    case.operand("probabilities", &all).operand("keep", &Array1::from(keeps));
    case.result("importance", &Array1::from(tokens.importance().to_vec()));

    let (heads, features) = (8, 6);
    let outputs = draws.array((3, heads, queries, features));
    let mut alive = Cascade::new(heads);
    for (layer, keep) in [7, 5, 4].into_iter().enumerate() {
        let of_layer = outputs.index_axis(Axis(0), layer);
        let survivors: Vec<_> = alive.survivors().to_vec();
        let views: Vec<_> =
            survivors.iter().map(|&head| of_layer.index_axis_move(Axis(0), head)).collect();
        alive.add(&head_importance(&views)).unwrap();
        alive.keep(keep);
    }
    let case = new("cascade_heads");
    case.operand("outputs", &outputs).operand("keep", &Array1::from(vec![7.0, 5.0, 4.0]));
    case.indices("survivors", alive.survivors());
    case.result("importance", &Array1::from(alive.importance().to_vec()));

    let probabilities = draws.probabilities(1, 30).row(0).to_owned();
    let values = draws.array((30, 5));
    let keep = draws.size(1, 30);
    let kept = local_values(&probabilities.to_vec(), keep);
    let output = weighted_sum(&probabilities.to_vec(), values.view(), &kept).unwrap();
    let case = new("local_values");
    case.operand("probabilities", &probabilities).operand("values", &values);
    case.scalar("keep", keep as f64).indices("kept", &kept).result("output", &output);

    let schedule = RatioSchedule {
        front: 0.5 * draws.unit(),
        start: 0.3 * draws.unit(),
        average: 0.3 + 0.2 * draws.unit(),
    };
    let layers = draws.size(2, 48);
    let case = new("ratio_schedule");
    case.scalar("layers", layers as f64).scalar("front", schedule.front);
    case.scalar("start", schedule.start).scalar("average", schedule.average);
    case.result("ratios", &Array1::from(schedule.ratios(layers).unwrap()));
}

/// Returns whether progressive quantization fetched the low bits.
fn quantization_cases(draws: &mut Draws, new: &impl Fn(&'static str) -> Case) -> bool {
    // The settings of the paper: 4 low bits below 4, 6, 8, 10 or 12 high ones.
    let lsb_bits = 4;
    let bits = lsb_bits + 2 * draws.size(2, 6) as u32;
    let (keys, head_dim) = (draws.size(4, 40), draws.size(1, 64));
    let x = draws.array((keys, head_dim));
    let quantized = Quantized::new(x.view(), bits).unwrap();
    let planes = quantized.planes(lsb_bits).unwrap();
    let case = new("quantization");
    case.operand("x", &x).scalar("bits", f64::from(bits)).scalar("lsb_bits", f64::from(lsb_bits));
    case.integers("codes", quantized.codes());
    case.integers("high", planes.high()).integers("low", planes.low());
    case.result("x", &planes.dequantize()).result("x_high", &planes.dequantize_high());

    let query = draws.array(head_dim);
    let (scale, threshold) = (0.3, draws.unit());
    let result = progressive_probabilities(query.view(), &planes, scale, threshold).unwrap();
    let case = new("progressive");
    case.operand("query", &query).scalar("scale", scale).scalar("threshold", threshold);
    case.operand("high", &planes.high().mapv(|code| code as f64));
    case.operand("low", &planes.low().mapv(|code| code as f64));
    case.scalar("unit", quantized.scale()).scalar("lsb_bits", f64::from(lsb_bits));
    case.result("probabilities", &Array1::from(result.probabilities));
    case.indices("fetched", &[usize::from(result.low_bits_fetched)]);
    result.low_bits_fetched
}

fn expert_cases(draws: &mut Draws, new: &impl Fn(&'static str) -> Case) {
    let (tokens, features, hidden, experts) = (draws.size(1, 9), 12, 20, draws.size(2, 16));
    let x = draws.array((tokens, features));
    let weight = draws.array((experts, features));
    let routing = gate(x.view(), weight.view(), 2).unwrap();
    let gate_case = new("gate");
    let up: Array3<f64> = draws.array((experts, hidden, features));
    let down: Array3<f64> = draws.array((experts, features, hidden));
    let up_bias: Array2<f64> = draws.array((experts, hidden));
    let down_bias: Array2<f64> = draws.array((experts, features));
    let blocks: Vec<FeedForward> = (0..experts)
        .map(|expert| FeedForward {
            up: up.index_axis(Axis(0), expert).to_owned(),
            up_bias: up_bias.row(expert).to_owned(),
            down: down.index_axis(Axis(0), expert).to_owned(),
            down_bias: down_bias.row(expert).to_owned(),
            activation: gelu,
        })
        .collect();
    let mixture_case = new("mixture_of_experts");
    for case in [&gate_case, &mixture_case] {
        case.operand("x", &x).operand("weight", &weight).scalar("k", 2.0);
    }
    gate_case.result("logits", &routing.logits).result("scores", &routing.scores);
    gate_case.integers("experts", &routing.experts.mapv(|expert| expert as i64));
    mixture_case.operand("up", &up).operand("up_bias", &up_bias);
    mixture_case.operand("down", &down).operand("down_bias", &down_bias);
    mixture_case.result("y", &mixture_of_experts(x.view(), &routing, &blocks).unwrap());
}

fn patch_case(draws: &mut Draws, case: &Case) {
    let (channels, features) = (draws.size(1, 3), draws.size(1, 6));
    let (height, width) = (draws.size(1, 4), draws.size(1, 4));
    let (rows, columns) = (draws.size(1, 3), draws.size(1, 3));
    let image = draws.array((channels, rows * height, columns * width));
    let weight = draws.array((features, channels, height, width));
    let bias = draws.array(features);
    case.operand("image", &image).operand("weight", &weight).operand("bias", &bias);
    case.result("y", &patch_embedding(image.view(), weight.view(), bias.view()).unwrap());
}
