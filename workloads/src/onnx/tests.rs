use super::message::{
    Attribute, Dimension, Graph, Model, Node, Shape, Size, Tensor, TensorType, Type, ValueInfo,
    data_type,
};
use super::sizes::{Known, Tensors};
use super::*;

fn node(operator: &str, inputs: &[&str], output: &str) -> Node {
    Node {
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        name: format!("{output}_node"),
        op_type: operator.to_owned(),
        attribute: Vec::new(),
    }
}

fn with_ints(mut node: Node, name: &str, ints: &[i64]) -> Node {
    let (name, ints) = (name.to_owned(), ints.to_vec());
    node.attribute.push(Attribute { name, ints, ..Attribute::default() });
    node
}

fn with_int(mut node: Node, name: &str, i: i64) -> Node {
    node.attribute.push(Attribute { name: name.to_owned(), i, ..Attribute::default() });
    node
}

fn input(name: &str, sizes: &[Size]) -> ValueInfo {
    let dim = sizes.iter().map(|size| Dimension { value: Some(size.clone()) }).collect();
    let tensor_type = Some(TensorType { shape: Some(Shape { dim }) });
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type }) }
}

fn numbers(name: &str, numbers: &[i64]) -> Tensor {
    Tensor {
        dims: vec![numbers.len() as i64],
        data_type: data_type::INT64,
        int64_data: numbers.to_vec(),
        name: name.to_owned(),
        ..Tensor::default()
    }
}

fn weights(name: &str, dims: &[i64]) -> Tensor {
    Tensor { dims: dims.to_vec(), data_type: 1, name: name.to_owned(), ..Tensor::default() }
}

/// Attention of 4 heads of 8 over states of 32, with a scale and a mask between.
fn attention(tokens: &Size) -> Graph {
    let project = |of: &str| node("MatMul", &["states", &format!("w_{of}")], &format!("{of}_flat"));
    let heads =
        |of: &str| node("Reshape", &[&format!("{of}_flat"), "split"], &format!("{of}_split"));
    let turn = |of: &str, perm: &[i64]| {
        with_ints(node("Transpose", &[&format!("{of}_split")], of), "perm", perm)
    };
    Graph {
        name: "layer".to_owned(),
        node: vec![
            project("q"),
            project("k"),
            project("v"),
            heads("q"),
            heads("k"),
            heads("v"),
            turn("q", &[0, 2, 1, 3]),
            turn("k", &[0, 2, 3, 1]),
            turn("v", &[0, 2, 1, 3]),
            node("MatMul", &["q", "k"], "scores"),
            node("Div", &["scores", "root"], "scaled"),
            node("Where", &["mask", "scaled", "least"], "masked"),
            with_int(node("Softmax", &["masked"], "probabilities"), "axis", -1),
            node("MatMul", &["probabilities", "v"], "mixed"),
        ],
        initializer: vec![
            weights("w_q", &[32, 32]),
            weights("w_k", &[32, 32]),
            weights("w_v", &[32, 32]),
            weights("root", &[]),
            weights("least", &[]),
            weights("mask", &[]),
            numbers("split", &[0, -1, 4, 8]),
        ],
        input: vec![input(
            "states",
            &[Size::Name("batch".into()), tokens.clone(), Size::Value(32)],
        )],
    }
}

fn bytes(graph: Graph) -> Bytes {
    let model = Model {
        producer_name: "hand".to_owned(),
        producer_version: String::new(),
        graph: Some(graph),
    };
    model.encode_to_vec().into()
}

fn open() -> Size {
    Size::Name("sequence".to_owned())
}

fn read_with(graph: Graph, tokens: Option<u32>) -> Result<AttentionModel, OnnxError> {
    read("m", bytes(graph), &Knobs { context: tokens, ..Knobs::default() })
}

#[test]
fn sizes_are_followed_from_the_input_to_the_softmax() {
    for (tokens, asked, expected) in
        [(Size::Value(20), None, 20), (open(), None, USUAL_CONTEXTS[0]), (open(), Some(77), 77)]
    {
        let model = read_with(attention(&tokens), asked).unwrap();
        assert_eq!((model.heads.as_slice(), model.head_dim), (&[4][..], 8));
        assert_eq!((model.context, model.phase), (expected, Phase::Prefill));
        assert_eq!(model.fixed.is_some(), tokens != open());
        assert_eq!(model.provenance, "shapes of an ONNX graph written by hand");
    }
}

/// A lower triangle of bits, cut to the length of the sentence.
fn triangle(rows: usize, diagonal: usize) -> Tensor {
    let bits = (0..rows * rows).map(|at| u8::from(at % rows < at / rows + diagonal));
    Tensor {
        dims: vec![1, 1, rows as i64, rows as i64],
        data_type: data_type::BOOL,
        name: "mask".to_owned(),
        raw_data: bits.collect::<Vec<u8>>().into(),
        ..Tensor::default()
    }
}

#[test]
fn a_causal_mask_makes_a_decoder() {
    let masked = |mask: Tensor| {
        let mut graph = attention(&Size::Value(20));
        graph.initializer.retain(|tensor| tensor.name != "mask");
        graph.initializer.push(mask);
        read_with(graph, None).unwrap()
    };
    let decoder = masked(triangle(20, 1));
    assert_eq!((decoder.phase, decoder.context), (Phase::Decode, 19));
    // One bit too many in every row: tokens see the next one, so that it is no mask of a decoder.
    assert_eq!(masked(triangle(20, 2)).phase, Phase::Prefill);
    assert_eq!(masked(triangle(20, 0)).phase, Phase::Prefill);
}

#[test]
fn products_with_weights_are_no_attention() {
    let mut graph = attention(&open());
    // Keys that do not depend on the input, as in a classifier.
    graph.node.retain(|node| node.output[0] != "k");
    graph.initializer.push(weights("k", &[1, 4, 8, 20]));
    let error = read_with(graph, None).unwrap_err().to_string();
    assert!(error.contains("the graph `layer` of 13 operators has no attention"), "{error}");
    let error = read("m", bytes(Graph::default()), &Knobs::default()).unwrap_err().to_string();
    assert!(error.contains("has no attention"), "{error}");
}

#[test]
fn what_cannot_be_followed_is_named() {
    let mut graph = attention(&open());
    graph.node[0].op_type = "FusedThing".to_owned();
    let error = read_with(graph, None).unwrap_err().to_string();
    assert!(error.contains("lost at FusedThing `q_flat_node`"), "{error}");
    assert!(error.contains("the sizes of Softmax `probabilities_node`"), "{error}");

    let mut graph = attention(&open());
    graph.input[0] = input("states", &[Size::Value(1), open(), Size::Name("width".into())]);
    let error = read_with(graph, None).unwrap_err().to_string();
    assert!(error.contains("axis 2 of input `states` is `width`"), "{error}");
}

#[test]
fn sizes_beyond_a_workload_are_refused() {
    let batch = |size: i64| {
        let mut graph = attention(&open());
        graph.input[0] = input("states", &[Size::Value(size), open(), Size::Value(32)]);
        read_with(graph, None)
    };
    assert_eq!(batch(1).unwrap().heads, [4]);
    assert!(batch(2000).unwrap_err().to_string().contains("8000 heads"));
    let tokens = |size: i64| read_with(attention(&Size::Value(size)), None);
    assert!(tokens(0).unwrap_err().to_string().contains("0 tokens"));
    assert!(tokens(1 << 20).unwrap_err().to_string().contains("1048576 tokens"));
    assert!(tokens(i64::MAX).is_err());
    assert!(tokens(-3).is_err());
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    for bytes in [&b""[..], b"\x3a\xff\xff\xff\xff\x0f", b"hello", b"\x3a\x00"] {
        assert!(read("m", Bytes::from_static(bytes), &Knobs::default()).is_err(), "{bytes:?}");
    }
}

/// Each rule on sizes that NumPy gives for the same operation.
#[test]
fn operators_make_the_sizes_of_numpy() {
    let tensors = |nodes: Vec<Node>| {
        let graph = Graph {
            node: nodes,
            input: vec![
                input("a", &[2, 3, 4].map(Size::Value)),
                input("b", &[4, 5].map(Size::Value)),
                input("image", &[1, 3, 32, 30].map(Size::Value)),
                input("kernel", &[8, 3, 4, 4].map(Size::Value)),
            ],
            initializer: vec![
                numbers("one", &[1]),
                numbers("two", &[2]),
                numbers("minus", &[-1]),
                numbers("most", &[i64::MAX]),
                numbers("parts", &[1, 2]),
                numbers("list", &[10, 20, 30, 40, 50]),
            ],
            ..Graph::default()
        };
        let graph = Box::leak(Box::new(graph));
        Tensors::of(graph, 1).unwrap()
    };
    let shape = |node: Node| tensors(vec![node]).get("y").shape;
    let values = |node: Node| tensors(vec![node]).get("y").numbers;
    let y = |operator: &str, inputs: &[&str]| node(operator, inputs, "y");
    assert_eq!(shape(y("MatMul", &["a", "b"])), Some(vec![2, 3, 5]));
    assert_eq!(shape(y("MatMul", &["b", "a"])), None);
    assert_eq!(shape(y("Add", &["a", "one"])), Some(vec![2, 3, 4]));
    assert_eq!(shape(y("Add", &["a", "b"])), None);
    assert_eq!(shape(y("Transpose", &["a"])), Some(vec![4, 3, 2]));
    assert_eq!(shape(with_ints(y("Transpose", &["a"]), "perm", &[1, 0, 2])), Some(vec![3, 2, 4]));
    assert_eq!(
        shape(with_ints(y("Unsqueeze", &["a"]), "axes", &[0, -1])),
        Some(vec![1, 2, 3, 4, 1])
    );
    assert_eq!(shape(with_int(y("Flatten", &["a"]), "axis", 2)), Some(vec![6, 4]));
    assert_eq!(shape(with_int(y("Concat", &["a", "a"]), "axis", 1)), Some(vec![2, 6, 4]));
    assert_eq!(shape(with_int(y("Gather", &["a", "parts"]), "axis", 1)), Some(vec![2, 2, 4]));
    assert_eq!(shape(y("Slice", &["a", "one", "most", "two"])), Some(vec![2, 3, 3]));
    assert_eq!(shape(y("Slice", &["a", "minus", "most", "one"])), Some(vec![2, 1, 4]));
    assert_eq!(shape(with_ints(y("ReduceMean", &["a"]), "axes", &[-1])), Some(vec![2, 3, 1]));
    let reduced = with_int(with_ints(y("ReduceSum", &["a"]), "axes", &[0]), "keepdims", 0);
    assert_eq!(shape(reduced), Some(vec![3, 4]));
    let convolution = with_ints(y("Conv", &["image", "kernel"]), "strides", &[4, 2]);
    assert_eq!(shape(with_ints(convolution, "pads", &[0, 1, 0, 1])), Some(vec![1, 8, 8, 15]));
    assert_eq!(values(y("Shape", &["a"])), Some(vec![2, 3, 4]));
    assert_eq!(values(y("Slice", &["list", "one", "minus"])), Some(vec![20, 30, 40]));
    assert_eq!(values(y("Gather", &["list", "minus"])), Some(vec![50]));
    assert_eq!(values(y("Mul", &["list", "two"])), Some(vec![20, 40, 60, 80, 100]));
    assert_eq!(values(y("Div", &["one", "one"])), Some(vec![1]));
    let split = with_int(y("Split", &["a", "parts"]), "axis", 1);
    let split = Node { output: vec!["x".to_owned(), "y".to_owned()], ..split };
    assert_eq!(shape(split), Some(vec![2, 2, 4]));
    let halves = with_int(y("Split", &["a"]), "axis", 1);
    let halves = Node { output: vec!["x".to_owned(), "y".to_owned()], ..halves };
    assert_eq!(shape(halves), Some(vec![2, 1, 4]));
    assert_eq!(tensors(Vec::new()).get("nothing"), Known::default());
}
