//! One function per reader; each says whether it accepted all of its input.

use std::io::Cursor;
use std::str;

use attelier::{
    documents::{Content, parameters},
    explore::{self, expression::Expression, spec::Spec},
    machines,
};
use attelier_dram::{
    AddressMapping, Device,
    case::{CaseParams, read_requests},
};
use attelier_hw::{config, designs::DESIGNS, diagnostic::SourceText};
use attelier_sim::designs::pim_gpt::isa;
use attelier_workloads::model::{Model, Tensors};
use attelier_workloads::sparsity::Policy;
use attelier_workloads::{Knobs, ModelSizes, onnx};
use attelier_workloads::{file, trace::TraceReader};

/// A configuration file of the design that the first byte chooses, and the machine that it describes.
pub(crate) fn config(bytes: &[u8]) -> bool {
    let Some((design, bytes)) = design(bytes) else { return false };
    let Ok(text) = SourceText::from_bytes("file.toml", bytes) else { return false };
    match config::load(design, Some(text), &[]) {
        Ok(config) => machines::build(config).is_ok(),
        Err(error) => error.styled().is_empty(),
    }
}

/// An assignment to a parameter of the design that the first byte chooses.
pub(crate) fn set(bytes: &[u8]) -> bool {
    let Some((design, bytes)) = design(bytes) else { return false };
    let Ok(text) = str::from_utf8(bytes) else { return false };
    match config::load(design, None, &[text.to_owned()]) {
        Ok(config) => machines::build(config).is_ok(),
        Err(error) => error.styled().is_empty(),
    }
}

fn design(bytes: &[u8]) -> Option<(&'static str, &[u8])> {
    let (&design, bytes) = bytes.split_first()?;
    Some((DESIGNS[usize::from(design) % DESIGNS.len()].name, bytes))
}

/// The description of an exploration, and the points that it draws.
pub(crate) fn spec(bytes: &[u8]) -> bool {
    let Ok(text) = SourceText::from_bytes("spec.toml", bytes) else { return false };
    match Spec::read(text) {
        Ok(spec) => !explore::fixed(&spec, 0).is_empty(),
        Err(error) => error.styled().is_empty(),
    }
}

/// An objective or a condition.
pub(crate) fn expression(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| Expression::read(text).is_ok())
}

/// A trace with counts: ours or SpAtten's, plain or gzip.
pub(crate) fn trace(bytes: &[u8]) -> bool {
    file::read("file", "name", bytes).is_ok()
}

/// A trace of ours with tensors.
pub(crate) fn tensor_trace(bytes: &[u8]) -> bool {
    TraceReader::new("file", bytes).is_ok_and(|mut reader| reader.all(|record| record.is_ok()))
}

/// A file of tensors, all of which are read.
pub(crate) fn tensors(bytes: &[u8]) -> bool {
    let Ok(mut tensors) = Tensors::open("file", Cursor::new(bytes.to_vec())) else { return false };
    let names: Vec<String> = tensors.names().map(str::to_owned).collect();
    names.iter().all(|name| {
        let shape = tensors.shape(name).map(<[usize]>::to_vec).unwrap_or_default();
        tensors.read(name, &shape).is_ok()
    })
}

/// A model: its configuration, a zero byte, its tensors.
pub(crate) fn model(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(end);
    let Ok(text) = str::from_utf8(text) else { return false };
    let rest = rest.get(1..).unwrap_or_default().to_vec();
    let Ok(tensors) = Tensors::open("file", Cursor::new(rest)) else { return false };
    Model::load("config.json", text, tensors).is_ok()
}

/// A configuration as the shape of a decoder.
pub(crate) fn decoding(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return false };
    ModelSizes::parse("config.json", "name", text).is_ok()
}

/// A graph of operators.
pub(crate) fn onnx(bytes: &[u8]) -> bool {
    onnx::read("name", bytes.to_vec().into(), &Knobs::default()).is_ok()
}

/// What a model leaves out.
pub(crate) fn policy(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return false };
    toml::from_str(text).is_ok_and(|table| Policy::from_table(table).is_ok())
}

/// The table of a memory device.
pub(crate) fn device(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| Device::from_toml(text, "device.toml").is_ok())
}

/// The parameters of a memory case.
pub(crate) fn case(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| CaseParams::from_json(text, "params.json").is_ok())
}

/// Requests to a memory.
pub(crate) fn requests(bytes: &[u8]) -> bool {
    let Ok(device) = Device::builtin("hbm2-2000") else { return false };
    read_requests(bytes, &device.mapping, "requests.csv").is_ok()
}

/// Which bits of an address are what.
pub(crate) fn mapping(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return false };
    let Ok(device) = Device::builtin("hbm2-2000") else { return false };
    AddressMapping::parse(text, &device.organization).is_ok_and(|mapping| mapping.decode(0).is_ok())
}

/// A program of PIM-GPT.
pub(crate) fn program(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| isa::parse(text).is_ok())
}

/// A result as JSON, read back.
pub(crate) fn document(bytes: &[u8]) -> bool {
    Content::read("json", bytes).is_ok()
}

/// Points of an exploration as JSON Lines, read back.
pub(crate) fn points(bytes: &[u8]) -> bool {
    Content::read("jsonl", bytes).is_ok()
}

/// A result as CSV, read back.
pub(crate) fn table(bytes: &[u8]) -> bool {
    Content::read("csv", bytes).is_ok()
}

/// Parameters of a result, read back for a page.
pub(crate) fn shown(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| !parameters::read(text).is_empty())
}
