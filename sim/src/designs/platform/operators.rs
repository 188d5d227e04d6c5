//! What a framework calls for attention, for a token of a decoder, and for an image.

use attelier_workloads::decoding::{Decoding, Kind};
use attelier_workloads::request::Phase;
use attelier_workloads::vision::{ImageShape, MoeImage};

use crate::designs::heads::Layer;

/// Classes of operators, each with an overhead of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Product of matrices.
    Product,
    /// Softmax.
    Softmax,
    /// Normalization.
    Norm,
    /// Function of each element, also addition and scaling.
    Elementwise,
    /// Copy, concatenation, transposition.
    Movement,
}

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator {
    /// Its name.
    pub name: &'static str,
    /// Its class.
    pub class: Class,
    /// Operations; a multiply-accumulate is two.
    pub flops: u64,
    /// Elements read and written.
    pub elements: u64,
    /// How often it is called.
    pub calls: u64,
}

impl Operator {
    const fn new(name: &'static str, class: Class, flops: u64, elements: u64) -> Self {
        Self { name, class, flops, elements, calls: 1 }
    }

    /// A product of (rows, inner) with (inner, columns), `batch` times in one call.
    fn product(name: &'static str, batch: u64, [rows, inner, columns]: [u64; 3]) -> Self {
        let flops = 2 * batch * rows * inner * columns;
        let elements = batch * (rows * inner + inner * columns + rows * columns);
        Self::new(name, Class::Product, flops, elements)
    }

    /// A call that reads and writes `elements` each.
    const fn pass(name: &'static str, class: Class, elements: u64) -> Self {
        Self::new(name, class, elements, 2 * elements)
    }

    const fn times(self, calls: u64) -> Self {
        Self { calls, ..self }
    }
}

/// Attention of one layer, all heads in each call, without projections.
///
/// The calls are those of the public implementations of GPT-2 and BERT in PyTorch at the time of the
/// papers: heads are split and reshaped, in decode past keys and values are concatenated with the new
/// ones, and what was concatenated is copied once more, as the present.
pub fn attention(layer: &Layer) -> Vec<Operator> {
    let [heads, queries, keys, dim] =
        [layer.heads, layer.queries, layer.keys, layer.head_dim].map(u64::from);
    let width = heads * dim;
    let scores = heads * queries * keys;
    let moved = |name, elements| Operator::pass(name, Class::Movement, elements);
    let mut operators = vec![moved("split", 3 * queries * width)];
    match layer.phase {
        Phase::Decode => operators.extend([
            moved("concatenate", keys * width).times(2),
            moved("present", 2 * keys * width),
            moved("transpose", keys * width),
        ]),
        Phase::Prefill => operators.push(moved("transpose", keys * width).times(3)),
    }
    operators.extend([
        Operator::product("scores", heads, [queries, dim, keys]),
        Operator::pass("scale and mask", Class::Elementwise, scores).times(2),
        Operator::pass("softmax", Class::Softmax, scores),
        Operator::product("mix", heads, [queries, keys, dim]),
        moved("merge", queries * width),
    ]);
    operators
}

/// One token of a decoder that attends to `context` tokens, all layers and what follows them.
pub fn token(decoding: &Decoding, context: u32) -> Vec<Operator> {
    let shape = &decoding.shape;
    let layers = u64::from(shape.layers);
    let mut operators = Vec::new();
    let call = |kind: Kind, elements: u64| match kind {
        Kind::Norm { .. } => vec![Operator::pass("norm", Class::Norm, elements)],
        Kind::Product { inputs, outputs } => {
            vec![Operator::product("product", 1, [1, inputs.into(), outputs.into()])]
        }
        Kind::Residual { .. } => vec![Operator::pass("residual", Class::Elementwise, elements)],
        Kind::Activation { .. } => {
            vec![Operator::pass("activation", Class::Elementwise, elements)]
        }
        // These are the calls of `attention`.
        Kind::KeyWrite { .. }
        | Kind::ValueWrite { .. }
        | Kind::Softmax { .. }
        | Kind::Mix { .. } => Vec::new(),
        Kind::Scores { heads, head_dim, context } => attention(&Layer {
            iteration: 0,
            layer: 0,
            phase: Phase::Decode,
            causal: true,
            heads,
            queries: 1,
            keys: context,
            head_dim,
        }),
    };
    for step in shape.layer(context) {
        let calls = call(step.kind, step.elements()).into_iter();
        operators.extend(calls.map(|operator| operator.times(operator.calls * layers)));
    }
    for step in shape.tail(decoding.lm_head) {
        operators.extend(call(step.kind, step.elements()));
    }
    operators
}

/// One image through all layers.
///
/// Experts are called one after the other with the tokens that chose them: gathered, two products with a
/// function between, weighted and added back.
pub fn image(image: &MoeImage) -> Vec<Operator> {
    let shape: &ImageShape = &image.shape;
    let [tokens, width, heads] = [shape.tokens(), shape.width, shape.heads].map(u64::from);
    let pixels = u64::from(shape.channels) * u64::from(shape.patch) * u64::from(shape.patch);
    let linear = |name, rows, inputs, outputs| Operator::product(name, 1, [rows, inputs, outputs]);
    let elementwise = |name, elements| Operator::pass(name, Class::Elementwise, elements);
    let mut operators = vec![linear("patch embedding", tokens - 1, pixels, width)];
    let mut routing = image.routing.iter();
    for layer in 0..shape.layers {
        operators.push(Operator::pass("norm", Class::Norm, tokens * width).times(2));
        operators.push(linear("product", tokens, width, 3 * width));
        operators.extend(attention(&Layer {
            iteration: 0,
            layer,
            phase: Phase::Prefill,
            causal: false,
            heads: shape.heads,
            queries: shape.tokens(),
            keys: shape.tokens(),
            head_dim: (width / heads.max(1)) as u32,
        }));
        operators.push(linear("product", tokens, width, width));
        operators.push(elementwise("residual", tokens * width).times(2));
        if layer % 2 == 0 {
            let hidden = u64::from(shape.mlp_hidden);
            operators.push(linear("product", tokens, width, hidden));
            operators.push(elementwise("activation", tokens * hidden));
            operators.push(linear("product", tokens, hidden, width));
            continue;
        }
        let hidden = u64::from(shape.expert_hidden);
        let experts = u64::from(shape.experts);
        operators.push(linear("gate", tokens, width, experts));
        operators.push(Operator::pass("softmax", Class::Softmax, tokens * experts));
        operators.push(elementwise("top-k", tokens * experts));
        for queue in routing.next().into_iter().flat_map(|routing| routing.active()) {
            let queue = u64::from(queue);
            let moved = |name| Operator::pass(name, Class::Movement, queue * width);
            operators.extend([
                moved("gather"),
                linear("expert", queue, width, hidden),
                elementwise("activation", queue * hidden),
                linear("expert", queue, hidden, width),
                elementwise("weight", queue * width),
                moved("scatter"),
            ]);
        }
    }
    operators
}

#[cfg(test)]
mod tests {
    use attelier_workloads::{Knobs, Task, task};

    use super::*;

    fn flops(operators: &[Operator], class: Class) -> u64 {
        let products = operators.iter().filter(|operator| operator.class == class);
        products.map(|operator| operator.flops * operator.calls).sum()
    }

    /// 4 n d operations for the query of each head, and eleven calls in decode.
    #[test]
    fn attention_is_two_products_and_nine_other_calls() {
        let requests = attelier_workloads::load("gpt2-medium/wikitext2/dense").unwrap().requests;
        let layer = crate::designs::heads::layers(&requests)[0];
        let operators = attention(&layer);
        assert_eq!(flops(&operators, Class::Product), 4 * 993 * 1024);
        assert_eq!(operators.iter().map(|operator| operator.calls).sum::<u64>(), 11);
    }

    #[test]
    fn products_of_a_model_are_its_multiply_accumulates() {
        let load = |name| task::load_with(name, &Knobs::default()).unwrap();
        let Task::Decoding(decoding) = load("gpt2-xl") else { panic!("a decoder") };
        let all: u64 = decoding
            .lengths()
            .map(|context| flops(&token(&decoding, context), Class::Product))
            .sum();
        assert_eq!(all, 2 * decoding.macs());
        let Task::Image(picture) = load("m3vit-tiny/cityscapes") else { panic!("an image") };
        assert_eq!(flops(&image(&picture), Class::Product), 2 * picture.macs());
    }
}
