//! Cuts a trace with tensors to the sample of `attelier_workloads::sample`: of the first input one head per
//! layer, the first 320 tokens, every fifth query, rounded to bfloat16.
//!
//! ```sh
//! attelier trace extract --model MODEL --text tests/data/passages.txt --per-line -o passages.jsonl.gz
//! cargo run -p attelier-workloads --example cut_sample -- passages.jsonl.gz \
//!     workloads/samples/passage.jsonl.gz
//! ```

use std::{env, error::Error, fs::File};

use attelier_workloads::{
    Tensor,
    sample::{HEADS, KEYS, QUERY_STEP},
    trace::{Content, Header, Record, TraceReader, TraceWriter},
};
use flate2::{Compression, write::GzEncoder};
use half::bf16;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [from, to] = &arguments[..] else { return Err("usage: cut_sample TRACE SAMPLE".into()) };
    let reader = TraceReader::new(from, File::open(from)?)?;
    let provenance = reader.header().provenance.clone();
    let mut records = Vec::new();
    for record in reader {
        let record = record?;
        let (layer, head) = (record.request.layer as usize, record.request.head);
        if record.request.iteration == 0 && HEADS.get(layer) == Some(&head) {
            records.push(cut(record)?);
        }
    }
    let header = Header {
        content: Content::Tensors,
        name: "passage".to_owned(),
        model: "all-MiniLM-L6-v2".to_owned(),
        description: format!("one head of each layer, {KEYS} tokens, bfloat16"),
        provenance,
        assumptions: Vec::new(),
        requests: records.len() as u64,
    };
    let target = GzEncoder::new(File::create(to)?, Compression::best());
    let mut writer = TraceWriter::new(to, target, header)?;
    for record in &records {
        writer.write(record)?;
    }
    writer.finish()?.finish()?;
    Ok(())
}

fn cut(mut record: Record) -> Result<Record, Box<dyn Error>> {
    let tensors = record.tensors.as_mut().ok_or("a trace with tensors is needed")?;
    let mut rows_of = |name: &str, step: u32| -> Result<u32, Box<dyn Error>> {
        let tensor = tensors.get(name).ok_or("every record has operands")?;
        let width = *tensor.shape().last().ok_or("operands have two dimensions")?;
        let rows = tensor.data().chunks(width as usize).take(KEYS as usize).step_by(step as usize);
        let data: Vec<f32> = rows.flatten().map(|&value| bf16::from_f32(value).to_f32()).collect();
        let count = data.len() as u32 / width;
        let cut = Tensor::new(vec![count, width], data).map_err(|fault| format!("{fault:?}"))?;
        tensors.insert(name.to_owned(), cut);
        Ok(count)
    };
    let (queries, keys) = (rows_of("q", QUERY_STEP)?, rows_of("k", 1)?);
    rows_of("v", 1)?;
    tensors.retain(|name, _| ["q", "k", "v"].contains(&name.as_str()));
    let request = &mut record.request;
    [request.queries, request.keys, request.values] = [queries, keys, keys];
    request.sentence_length = keys;
    Ok(record)
}
