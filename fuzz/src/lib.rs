//! Every reader of the workshop, as a function of bytes that nobody meant.
//!
//! Whatever the bytes are, a reader returns: a value or an error, soon, with memory in proportion to its
//! input. `tests/replay.rs` feeds the seeds and random changes of them; `fuzz_targets/readers.rs` follows
//! coverage:
//!
//! ```text
//! ATTELIER_READER=spec cargo fuzz run readers fuzz/seeds/spec
//! ```

mod readers;

/// A reader under test.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// Its name, and that of its folder of seeds.
    pub name: &'static str,
    /// Feeds it; whether it accepted all of the bytes.
    pub feed: fn(&[u8]) -> bool,
}

const fn reader(name: &'static str, feed: fn(&[u8]) -> bool) -> Reader {
    Reader { name, feed }
}

/// All readers.
pub const READERS: [Reader; 20] = [
    reader("config", readers::config),
    reader("set", readers::set),
    reader("spec", readers::spec),
    reader("expression", readers::expression),
    reader("trace", readers::trace),
    reader("tensor_trace", readers::tensor_trace),
    reader("tensors", readers::tensors),
    reader("model", readers::model),
    reader("decoding", readers::decoding),
    reader("onnx", readers::onnx),
    reader("policy", readers::policy),
    reader("device", readers::device),
    reader("case", readers::case),
    reader("requests", readers::requests),
    reader("mapping", readers::mapping),
    reader("program", readers::program),
    reader("document", readers::document),
    reader("points", readers::points),
    reader("table", readers::table),
    reader("shown", readers::shown),
];

/// The reader of a name.
pub fn find(name: &str) -> Option<Reader> {
    READERS.into_iter().find(|reader| reader.name == name)
}
