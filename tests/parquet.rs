//! The table of an exploration as Parquet, read by Apache Arrow's own reader, beside `points.csv`.
#![cfg(feature = "parquet")]
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
#[path = "../workloads/tests/common/mod.rs"]
mod models;

use std::{fs, process::Command};

use common::attelier;

const SPEC: &str = r#"
design = "spatten-small"
set = ["workload.tokens=1"]
objectives = [{ min = "cycles" }, { min = "key_sram.bytes + value_sram.bytes", name = "buffers [B]" }]

[[axis]]
paths = ["key_sram.bytes", "value_sram.bytes"]
values = [6144, 3072, 3073]

[[axis]]
path = "memory.kind"
values = ["ideal", "hbm2"]
"#;

/// Prints the schema and then the cells of each row, as `points.csv` writes them.
const SCRIPT: &str = r#"
import json, sys, pyarrow.parquet as parquet
table = parquet.read_table(sys.argv[1])
print(",".join(f"{field.name}:{field.type}" for field in table.schema))
text = lambda cell: "" if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell)
for row in table.to_pylist():
    print(json.dumps([text(cell) for cell in row.values()]))
"#;

#[test]
fn arrow_reads_what_the_csv_says() {
    let Some(python) = models::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spec.toml"), SPEC).unwrap();
    attelier(folder.path(), &["explore", "spec.toml", "-o", "out", "--parquet"]).code(0);
    let out = folder.path().join("out");
    let output =
        Command::new(python).args(["-c", SCRIPT]).arg(out.join("points.parquet")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let schema = lines.next().unwrap();
    assert!(
        schema.starts_with(
            "point:int64,key_sram.bytes:int64,value_sram.bytes:int64,memory.kind:string,\
             status:string,front:bool,cycles:double,buffers [B]:double"
        ),
        "{schema}"
    );
    let mut reader = csv::Reader::from_path(out.join("points.csv")).unwrap();
    let mut rows = 0;
    for (record, line) in reader.records().map(Result::unwrap).zip(lines) {
        let cells: Vec<String> = serde_json::from_str(line).unwrap();
        assert_eq!(cells.len(), record.len());
        for (found, expected) in cells.iter().zip(&record) {
            let same = match (found.parse::<f64>(), expected.parse::<f64>()) {
                (Ok(found), Ok(expected)) => found == expected,
                _ => found == expected,
            };
            assert!(same, "{found:?} is not {expected:?} in {line}");
        }
        rows += 1;
    }
    assert_eq!(rows, 6);
}
