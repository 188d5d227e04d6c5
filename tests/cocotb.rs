//! The whole SpAtten machine in Verilog under Icarus, driven by cocotb and cocotbext-axi: bus models
//! that were not written for it, pausing at random on every channel.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
#[path = "../workloads/tests/common/mod.rs"]
mod models;

use std::{fs, path::Path, process::Command};

use attelier::cosim::spatten::top::{Jobs, Recording, Workload, record};
use attelier_hw::spatten::Spatten;
use common::{attelier, has};
use models::python::repository;
use serde_json::{Value, json};

/// Requests, more than the queue of jobs holds.
const REQUESTS: usize = 80;

/// What the Python side needs to know.
fn document(params: &Spatten, workload: &Workload, recording: &Recording) -> Value {
    let jobs = Jobs::new(params);
    let fields: Vec<_> =
        (0..workload.jobs.len()).map(|number| jobs.fields(workload, number)).collect();
    let queries: Vec<&[i32]> =
        workload.operands.iter().map(|operands| operands.query.as_slice()).collect();
    let hexadecimal =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let memory: Vec<_> =
        workload.memory().map(|(address, bytes)| (address, hexadecimal(bytes))).collect();
    let results: serde_json::Map<String, Value> = recording
        .finished
        .iter()
        .map(|finished| (finished.job.to_string(), json!(finished.words)))
        .collect();
    json!({
        "channels": params.memory.channels,
        "fields": fields[0].len(),
        "jobs": fields,
        "queries": queries,
        "memory": memory,
        "results": results,
    })
}

/// Runs the bus models on a folder with Verilog.
fn run(python: &Path, folder: &Path) -> (bool, String) {
    let script = repository().join("tests/python/spatten_axi.py");
    let output = Command::new(python).arg(script).arg(folder).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn bus_models_of_others_get_the_results_of_the_simulator() {
    let Some(python) = models::python() else { return };
    if !has("iverilog") {
        return;
    }
    let params = Spatten::preset("spatten-small").unwrap();
    let (workload, recording) = record(&params, 7, 0, REQUESTS);
    assert!(recording.flat > 5 && recording.selected > 20 && recording.finished.len() == REQUESTS);
    let folder = tempfile::tempdir().unwrap();
    attelier(folder.path(), &["rtl", "spatten-small/spatten", "-o", "rtl", "--beats", "1"]).code(0);
    let rtl = folder.path().join("rtl/spatten");
    let mut document = document(&params, &workload, &recording);
    let write = |document: &Value| fs::write(rtl.join("requests.json"), document.to_string());
    write(&document).unwrap();
    let (passed, text) = run(&python, &rtl);
    assert!(passed && text.contains(&format!("PASS {REQUESTS} results")), "{text}");
    eprint!("{text}");

    // An address that changes while it waits.
    let path = rtl.join("spatten.v");
    let verilog = fs::read_to_string(&path).unwrap();
    let address = "assign m_axi_0_araddr = core_araddr_0";
    let spoilt = verilog.replacen(address, &format!("{address} ^ {{m_axi_0_rvalid, 12'b0}}"), 1);
    assert_ne!(spoilt, verilog);
    fs::write(&path, spoilt).unwrap();
    let (passed, text) = run(&python, &rtl);
    assert!(!passed && text.contains("m_axi_0_arvalid changed its offer"), "{text}");
    fs::write(&path, verilog).unwrap();

    // One bit of one expected word.
    let word = &mut document["results"]["5"][0];
    *word = json!(word.as_i64().unwrap() ^ 1);
    write(&document).unwrap();
    let (passed, text) = run(&python, &rtl);
    assert!(!passed && text.contains("other results of jobs [5]"), "{text}");
}
