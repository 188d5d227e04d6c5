//! The order of calls for one image, as in `ViT_compute.cpp` and `moe.cpp` of the released code.

use attelier_hw::edge_moe::EdgeMoe;
use attelier_workloads::vision::{ImageShape, Routing};

use super::dataflow::Call;
use super::error::EdgeMoeError;
use super::linear::{Finish, Matrix, linear, load};
use super::timeline::Timeline;
use super::units::Port;
use super::{attention, embedding, gating, layer_norm, linear as linear_unit};

/// Operations of which time is reported.
pub mod phase {
    /// Patches to tokens.
    pub const EMBEDDING: &str = "patch_embedding";
    /// Both layer norms.
    pub const NORM: &str = "layer_norm";
    /// Queries, keys, values and projection.
    pub const LINEAR: &str = "attention_linear";
    /// Queries times keys.
    pub const QK: &str = "qk_product";
    /// The softmax where it is a step of its own.
    pub const SOFTMAX: &str = "softmax";
    /// Probabilities times values.
    pub const PV: &str = "pv_product";
    /// Residual additions.
    pub const RESIDUAL: &str = "residual";
    /// Dense layers.
    pub const MLP: &str = "mlp";
    /// Gate, queues and zeroing of the output of the experts.
    pub const GATING: &str = "moe_gating";
    /// The loop over experts.
    pub const EXPERTS: &str = "moe_experts";
}

/// A machine with a model.
pub struct Schedule<'a> {
    machine: &'a EdgeMoe,
    shape: &'a ImageShape,
}

/// Whether the machine can compute the model.
///
/// # Errors
/// Sizes that the loops do not divide, matrices that a weight buffer does not hold.
pub fn check(machine: &EdgeMoe, shape: &ImageShape) -> Result<(), EdgeMoeError> {
    let unit = &machine.linear;
    let steps = [
        (machine.lanes(), "the features of a word"),
        (machine.word_weights(), "the weights of a word"),
        (unit.inputs, "the inputs of a block of the linear unit"),
        (unit.outputs, "the outputs of a block of the linear unit"),
    ];
    let sizes = [
        ("width", shape.width),
        ("mlp_hidden", shape.mlp_hidden),
        ("expert_hidden", shape.expert_hidden),
    ];
    for (size, found) in sizes {
        for (step, reason) in steps {
            if !found.is_multiple_of(step) {
                return Err(EdgeMoeError::Size { size, found, step, reason });
            }
        }
    }
    let (size, found) = ("head width", shape.width / shape.heads);
    let (step, reason) = steps[0];
    if !found.is_multiple_of(step) {
        return Err(EdgeMoeError::Size { size, found, step, reason });
    }
    let (size, found) = ("line of pixels", shape.patch_columns * shape.patch);
    let (step, reason) = (machine.port.word_bytes, "the pixels of a word");
    if !found.is_multiple_of(step) {
        return Err(EdgeMoeError::Size { size, found, step, reason });
    }
    linear_unit::check(machine, shape.width, shape.width)?;
    linear_unit::check(machine, shape.width, shape.mlp_hidden)?;
    linear_unit::check(machine, shape.width, shape.expert_hidden)
}

impl<'a> Schedule<'a> {
    /// The schedule of a model that [`check`] lets pass.
    pub fn new(machine: &'a EdgeMoe, shape: &'a ImageShape) -> Self {
        Self { machine, shape }
    }

    /// All calls of one image, with the queues of the layers that have experts.
    pub fn run(&self, timeline: &mut Timeline<'_>, routing: &[Routing]) {
        let (machine, shape) = (self.machine, self.shape);
        let weights = embedding::weight_words(machine, shape);
        let weights = linear_unit::words_of_weights(machine, weights);
        let embedding = embedding::patch_embedding(machine, shape);
        timeline.in_turn(phase::EMBEDDING, "embedding", &[weights, embedding]);
        for layer in 0..shape.layers {
            let experts = shape.has_experts(layer);
            let experts = experts.then(|| routing.get(layer as usize / 2)).flatten();
            self.attention(timeline, layer);
            match experts {
                Some(routing) => self.experts(timeline, layer, routing),
                None => self.mlp(timeline, layer),
            }
            let residual = embedding::add(machine, shape);
            timeline.in_turn(phase::RESIDUAL, &format!("L{layer} residual"), &[residual]);
            timeline.progress(u64::from(layer) + 1, shape.layers.into());
        }
    }

    fn attention(&self, timeline: &mut Timeline<'_>, layer: u32) {
        let (machine, shape) = (self.machine, self.shape);
        let name = |what: &str| format!("L{layer} {what}");
        let width = shape.width;
        let (from, finish) = (Port::Inout1, Finish::Store);
        let square = |to| Matrix { inputs: width, outputs: width, from, to, finish };
        let [query, key] = [Port::Inout2, Port::Inout3].map(square);
        let (value, projection) = (query, key);
        let norm = layer_norm::layer_norm(machine, shape);
        timeline.in_turn(phase::NORM, &name("norm load"), &layer_norm::load(machine, shape));
        self.with_load(timeline, (phase::NORM, &name("norm 1")), &[norm], phase::LINEAR, &query);
        let product = |matrix| [linear(machine, matrix, shape.tokens())];
        self.with_load(
            timeline,
            (phase::LINEAR, &name("queries")),
            &product(&query),
            phase::LINEAR,
            &key,
        );
        timeline.in_turn(phase::LINEAR, &name("keys"), &product(&key));
        let scores = [attention::qk_product(machine, shape)];
        self.with_load(timeline, (phase::QK, &name("scores")), &scores, phase::LINEAR, &value);
        let softmax = attention::three_pass_softmax(machine, shape);
        if !softmax.is_empty() {
            timeline.in_turn(phase::SOFTMAX, &name("softmax"), &softmax);
        }
        timeline.in_turn(phase::LINEAR, &name("values"), &product(&value));
        let mix = [attention::pv_product(machine, shape)];
        self.with_load(timeline, (phase::PV, &name("mix")), &mix, phase::LINEAR, &projection);
        timeline.in_turn(phase::LINEAR, &name("projection"), &product(&projection));
        let residual = embedding::add(machine, shape);
        timeline.in_turn(phase::RESIDUAL, &name("residual"), &[residual]);
    }

    fn mlp(&self, timeline: &mut Timeline<'_>, layer: u32) {
        let (machine, shape) = (self.machine, self.shape);
        let name = |what: &str| format!("L{layer} {what}");
        let [first, second] = self.pair(shape.mlp_hidden, Finish::Store);
        let norm = [layer_norm::layer_norm(machine, shape)];
        self.with_load(timeline, (phase::NORM, &name("norm 2")), &norm, phase::MLP, &first);
        let hidden = [linear(machine, &first, shape.tokens())];
        self.with_load(timeline, (phase::MLP, &name("mlp 1")), &hidden, phase::MLP, &second);
        let output = linear(machine, &second, shape.tokens());
        timeline.in_turn(phase::MLP, &name("mlp 2"), &[output]);
    }

    /// Gate and expert loop: while a matrix is used, the next one is loaded, of the same expert or of the
    /// next. An expert without tokens is neither loaded nor computed. Without reordering each token
    /// brings its experts along, as if each had a queue of one.
    fn experts(&self, timeline: &mut Timeline<'_>, layer: u32, routing: &Routing) {
        let (machine, shape) = (self.machine, self.shape);
        let name = |what: &str| format!("L{layer} {what}");
        let norm = layer_norm::layer_norm(machine, shape);
        timeline.in_turn(phase::NORM, &name("norm 2"), &[norm]);
        let gate = [
            gating::load(machine, shape),
            gating::gating(machine, shape),
            gating::zero_output(machine, shape),
        ];
        timeline.in_turn(phase::GATING, &name("gate"), &gate);
        let queues: Vec<u32> = if machine.techniques.expert_reordering {
            routing.active().collect()
        } else {
            routing.active().flat_map(|queue| std::iter::repeat_n(1, queue as usize)).collect()
        };
        let [first, second] = self.pair(shape.expert_hidden, Finish::Accumulate);
        let [load_first, load_second] = [&first, &second].map(|matrix| load(machine, matrix));
        timeline.in_turn(phase::EXPERTS, &name("experts"), &load_first);
        for (index, &queue) in queues.iter().enumerate() {
            let [hidden, output] = [&first, &second].map(|matrix| [linear(machine, matrix, queue)]);
            let next = if index + 1 < queues.len() { load_first.as_slice() } else { &[] };
            let name = name(&format!("experts, queue {index}"));
            for (compute, load) in [(&hidden, load_second.as_slice()), (&output, next)] {
                if machine.overlap.expert_weights {
                    timeline.beside(phase::EXPERTS, &name, compute, load);
                } else {
                    timeline.in_turn(phase::EXPERTS, &name, compute);
                    timeline.in_turn(phase::EXPERTS, &name, load);
                }
            }
        }
    }

    /// Calls and the load of the matrix that comes next, beside them or after them.
    fn with_load(
        &self,
        timeline: &mut Timeline<'_>,
        (phase, what): (&'static str, &str),
        calls: &[Call],
        load_phase: &'static str,
        next: &Matrix,
    ) {
        let loads = load(self.machine, next);
        if self.machine.overlap.dense_weights {
            timeline.beside(phase, what, calls, &loads);
        } else {
            timeline.in_turn(phase, what, calls);
            timeline.in_turn(load_phase, what, &loads);
        }
    }

    /// Both matrices of a feed-forward network, GELU between them.
    fn pair(&self, hidden: u32, finish: Finish) -> [Matrix; 2] {
        let width = self.shape.width;
        [
            Matrix {
                inputs: width,
                outputs: hidden,
                from: Port::Inout1,
                to: Port::Inout4,
                finish: Finish::Gelu,
            },
            Matrix { inputs: hidden, outputs: width, from: Port::Inout4, to: Port::Inout3, finish },
        ]
    }
}
