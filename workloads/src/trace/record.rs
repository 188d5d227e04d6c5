//! One line of a trace, between its text and its meaning.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::fields::{Context, Fields};
use super::{Content, FORMAT, Header, Record, Tensors, VERSION};
use crate::error::{Problem, TraceError};
use crate::{Checker, Fault, Phase, Request, Tensor, Widths};

const HEADER_FIELDS: &[&str] = &[
    "format",
    "version",
    "content",
    "name",
    "model",
    "description",
    "provenance",
    "assumptions",
    "requests",
];
const REQUEST_FIELDS: &[&str] = &[
    "iteration",
    "layer",
    "head",
    "phase",
    "head_dim",
    "causal",
    "sentence_length",
    "queries",
    "keys",
    "values",
    "query_bits",
    "key_bits",
    "key_lsb_bits",
    "value_bits",
    "requant_threshold",
    "requant",
    "accumulate_importance",
    "rescale_importance",
    "token_topk",
    "tensors",
];
const TENSOR_FIELDS: &[&str] = &["shape", "dtype", "data"];
/// Tensors one request may carry.
const MAX_TENSORS: usize = 16;

pub(super) fn header(context: Context<'_>) -> Result<Header, TraceError> {
    // A later version may have other fields, so the version is read before names are judged.
    let open = Fields::open(context, context.text)?;
    let not_ours = || Problem::Syntax {
        what: "this is not the header of a trace".to_owned(),
        expected: format!("{{\"format\":\"{FORMAT}\",\"version\":{VERSION},...}}"),
    };
    match open.raw("format") {
        Some(raw) if raw == format!("\"{FORMAT}\"") => {}
        _ => return Err(open.error_at("format", not_ours())),
    }
    if let Some(found) = open.raw("version")
        && found != VERSION.to_string()
    {
        let problem = Problem::Version { found: found.to_owned(), expected: VERSION };
        return Err(open.error_at("version", problem).help("convert it with a matching attelier"));
    }
    let fields = Fields::parse(context, context.text, HEADER_FIELDS)?;
    fields.whole::<u32>("version")?;
    let content = match fields.string("content")?.as_str() {
        "counts" => Content::Counts,
        "tensors" => Content::Tensors,
        other => return Err(fields.value_error("content", other, "\"counts\" or \"tensors\"")),
    };
    let optional = |name| if fields.has(name) { fields.string(name) } else { Ok(String::new()) };
    let assumptions = match fields.raw("assumptions") {
        Some(_) => fields.json("assumptions", "an array of strings")?,
        None => Vec::new(),
    };
    let requests = fields.whole("requests")?;
    if !(1..=crate::limits::REQUESTS).contains(&requests) {
        let expected = format!("a whole number from 1 to {}", crate::limits::REQUESTS);
        return Err(fields.value_error("requests", &requests.to_string(), &expected));
    }
    Ok(Header {
        content,
        name: fields.string("name")?,
        model: fields.string("model")?,
        description: optional("description")?,
        provenance: optional("provenance")?,
        assumptions,
        requests,
    })
}

pub(super) fn record(
    context: Context<'_>,
    content: Content,
    checker: &mut Checker,
) -> Result<Record, TraceError> {
    let fields = Fields::parse(context, context.text, REQUEST_FIELDS)?;
    let phase = match fields.string("phase")?.as_str() {
        "prefill" => Phase::Prefill,
        "decode" => Phase::Decode,
        other => return Err(fields.value_error("phase", other, "\"prefill\" or \"decode\"")),
    };
    let request = Request {
        iteration: fields.whole("iteration")?,
        layer: fields.whole("layer")?,
        head: fields.whole("head")?,
        phase,
        head_dim: fields.whole("head_dim")?,
        causal: fields.flag("causal")?,
        sentence_length: fields.whole("sentence_length")?,
        queries: fields.whole("queries")?,
        keys: fields.whole("keys")?,
        values: fields.whole("values")?,
        widths: Widths {
            query: fields.maybe_whole("query_bits")?,
            key: fields.maybe_whole("key_bits")?,
            key_lsb: fields.maybe_whole("key_lsb_bits")?.unwrap_or(0),
            value: fields.maybe_whole("value_bits")?,
        },
        requant_threshold: fields.maybe_number("requant_threshold")?,
        requant: fields.flag("requant")?,
        accumulate_importance: fields.flag("accumulate_importance")?,
        rescale_importance: fields.flag("rescale_importance")?,
        token_topk: fields.maybe_whole("token_topk")?,
    };
    checker.accept(&request).map_err(|fault| fields.error_at(fault.field, fault.into()))?;
    let tensors = match (content, fields.raw("tensors")) {
        (Content::Counts, None) => None,
        (Content::Tensors, Some(text)) => {
            let tensors = tensors(context, text)?;
            shapes(&request, &tensors).map_err(|fault| fields.error_at("tensors", fault.into()))?;
            Some(tensors)
        }
        (Content::Counts, Some(_)) => {
            let expected = "absent, because the header says \"content\":\"counts\"";
            return Err(fields.value_error("tensors", "present", expected));
        }
        (Content::Tensors, None) => {
            let expected = "{\"q\":...,\"k\":...,\"v\":...}".to_owned();
            let problem = Problem::MissingField { field: "tensors", expected };
            return Err(fields.error_at("tensors", problem));
        }
    };
    Ok(Record { request, tensors })
}

fn tensors(context: Context<'_>, text: &str) -> Result<Tensors, TraceError> {
    let all = Fields::open(context, text)?;
    let names = all.names();
    if names.len() > MAX_TENSORS {
        let expected = format!("at most {MAX_TENSORS}");
        return Err(all.value_error("tensors", &format!("{} tensors", names.len()), &expected));
    }
    let mut tensors = Tensors::new();
    for name in names {
        let Some(raw) = all.raw(&name) else {
            return Err(all.value_error(&name, "null", "a tensor"));
        };
        let fields = Fields::parse(context, raw, TENSOR_FIELDS)?;
        let dtype = fields.string("dtype")?;
        if dtype != "f32" {
            return Err(fields.value_error("dtype", &dtype, "\"f32\""));
        }
        let shape = fields.json("shape", "an array of whole numbers")?;
        let data: Cow<'_, str> = fields.json("data", "base64 in double quotes")?;
        let tensor = Tensor::decode(shape, &data)
            .map_err(|fault| fields.error_at(fault.field, fault.into()))?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// Whether q, k and v fit the counts of their request.
pub(super) fn shapes(request: &Request, tensors: &Tensors) -> Result<(), Fault> {
    let tokens = request.keys..=request.sentence_length;
    let wanted = [
        ("q", request.queries..=request.queries, "[queries, head_dim]"),
        ("k", tokens.clone(), "[keys to sentence_length, head_dim]"),
        ("v", tokens, "[keys to sentence_length, head_dim]"),
    ];
    for (name, rows, expected) in wanted {
        let shape = tensors.get(name).map(Tensor::shape);
        let fits = matches!(shape, Some([n, d]) if rows.contains(n) && *d == request.head_dim);
        if !fits {
            let found = match shape {
                Some(shape) => format!("without a fitting `{name}`: its shape is {shape:?}"),
                None => format!("without `{name}`"),
            };
            return Err(Fault { field: "tensors", found, expected: expected.to_owned() });
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct HeaderLine<'a> {
    format: &'a str,
    version: u32,
    content: Content,
    name: &'a str,
    model: &'a str,
    description: &'a str,
    provenance: &'a str,
    assumptions: &'a [String],
    requests: u64,
}

pub(super) fn header_line(header: &Header) -> serde_json::Result<String> {
    serde_json::to_string(&HeaderLine {
        format: FORMAT,
        version: VERSION,
        content: header.content,
        name: &header.name,
        model: &header.model,
        description: &header.description,
        provenance: &header.provenance,
        assumptions: &header.assumptions,
        requests: header.requests,
    })
}

#[derive(Serialize)]
struct RecordLine<'a> {
    #[serde(flatten)]
    request: &'a Request,
    #[serde(skip_serializing_if = "Option::is_none")]
    tensors: Option<BTreeMap<&'a str, TensorLine<'a>>>,
}

#[derive(Serialize)]
struct TensorLine<'a> {
    shape: &'a [u32],
    dtype: &'static str,
    data: String,
}

pub(super) fn record_line(record: &Record) -> serde_json::Result<String> {
    let tensors = record.tensors.as_ref().map(|tensors| {
        let lines = tensors.iter().map(|(name, tensor)| {
            let data = tensor.encode();
            (name.as_str(), TensorLine { shape: tensor.shape(), dtype: "f32", data })
        });
        lines.collect()
    });
    serde_json::to_string(&RecordLine { request: &record.request, tensors })
}
