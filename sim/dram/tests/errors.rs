//! Bad input is answered with the place and what was expected, never with a panic.

use std::error::Error;

use attelier_dram::case::{CaseParams, read_requests, run};
use serde_json::{Value, json};

fn params() -> Value {
    json!({
        "standard": "HBM2",
        "organization": {"channels": 1, "ranks": 1, "bankgroups": 4, "banks_per_group": 4,
            "rows": 1024, "columns": 32, "tx_bytes": 32, "rank_means": "pseudochannel",
            "channel_width_bits": 64, "device_dq": 64},
        "timing": {"tBL": 2, "tCL": 14, "tCWL": 5, "tRCDRD": 14, "tRCDWR": 12, "tRP": 14,
            "tRAS": 34, "tRC": 48, "tWR": 16, "tRTP": 5, "tCCD_S": 2, "tCCD_L": 4, "tWTR_S": 6,
            "tWTR_L": 8, "tRRD_S": 4, "tRRD_L": 4, "tFAW": 15, "tRFC": 260, "tRTW": 13,
            "tREFI": 3900, "act_cycles": 2},
        "address_mapping": {"lsb_to_msb": [
            {"field": "offset", "lsb": 0, "bits": 5}, {"field": "column", "lsb": 5, "bits": 5},
            {"field": "bankgroup", "lsb": 10, "bits": 2}, {"field": "bank", "lsb": 12, "bits": 2},
            {"field": "row", "lsb": 14, "bits": 10}]},
        "policy": {"model": "ramulator2", "command_slots": "column+row per cycle"},
        "refresh": {"enabled": true, "kind": "all-bank", "interval_cycles": 3900},
    })
}

/// The text of an error and of its causes, as the command line prints them.
fn shown(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn refused(change: impl FnOnce(&mut Value)) -> String {
    let mut value = params();
    change(&mut value);
    shown(&CaseParams::from_json(&value.to_string(), "p.json").expect_err("must be refused"))
}

#[test]
fn the_unchanged_parameters_are_accepted() {
    let params = CaseParams::from_json(&params().to_string(), "p.json").expect("legal");
    let requests = read_requests("arrival,op,address\n0,R,0x40\n".as_bytes(), &params.mapping, "r")
        .expect("legal");
    assert_eq!(run(&params, &requests).expect("runs").served[0].complete, 32);
}

#[test]
fn impossible_parameters_are_refused_by_name() {
    let check = |path: &[&str], value: Value, expected: &str| {
        let message = refused(|json| {
            let mut place = json;
            for key in path {
                place = &mut place[*key];
            }
            *place = value;
        });
        assert!(message.starts_with("p.json: "), "{message}");
        assert!(message.contains(expected), "`{message}` lacks `{expected}`");
    };
    check(&["timing", "tRAS"], json!(13), "tRAS = 13 must be at least tRCDRD = 14");
    check(&["timing", "tRP"], Value::Null, "timing `tRP` is missing");
    check(&["timing", "tRP"], json!(-3), "invalid value");
    check(&["timing", "tRFC"], json!(u64::MAX), "must be at most");
    check(&["organization", "rows"], json!(0), "rows = 0 is outside 1 to");
    check(&["organization", "rows"], json!(1000), "row has 10 bits but the organisation has 1000");
    check(&["policy", "model"], json!("magic"), "expected ramulator2 or dramsim3");
    check(&["policy", "scheduler"], json!("FIFO"), "expected FRFCFS or FRFCFS-RowHit");
    check(&["policy", "read_queue"], json!(0), "read_queue = 0");
    check(&["policy", "write_low_watermark"], json!(0.9), "0 <= low <= high <= 1");
    check(&["policy", "command_slots"], json!("five"), "`one per cycle`");
    check(&["policy", "row_policy"], json!("ajar"), "expected open or closed");
    check(&["refresh", "kind"], json!("never"), "`all-bank ...` or `per-bank ...`");
    check(&["refresh", "interval_cycles"], json!(0), "at least 1 cycle");
    check(&["address_mapping", "lsb_to_msb"], json!([{"field": "x", "lsb": 0, "bits": 1}]), "`x`");
    let row = |scope: &str, next: &str, window: u64| {
        json!([{"scope": scope, "prev": ["ACT"], "next": [next], "min_cycles": 4, "window": window,
            "other_rank_only": false}])
    };
    check(&["constraint_table"], row("Bank", "FOO", 1), "constraint 0: unknown command `FOO`");
    check(&["constraint_table"], row("Bunk", "RD", 1), "constraint 0: unknown scope `Bunk`");
    check(&["constraint_table"], row("Bank", "RD", 99), "window 99 is outside 1 to 64");
}

#[test]
fn request_files_are_refused_with_their_line() {
    let params = CaseParams::from_json(&params().to_string(), "p.json").expect("legal");
    let check = |text: &str, expected: &str| {
        let error = read_requests(text.as_bytes(), &params.mapping, "r.csv").expect_err(text);
        assert_eq!(shown(&error), expected);
    };
    let head = "arrival,op,address\n0,R,0x40\n";
    check("", "r.csv:1: expected the header `arrival,op,address`, found `end of file`");
    check("a,b\n", "r.csv:1: expected the header `arrival,op,address`, found `a,b`");
    check(
        &format!("{head}1,R\n"),
        "r.csv:3: expected three fields: arrival,op,address, found `1,R`",
    );
    check(
        &format!("{head}x,R,0x0\n"),
        "r.csv:3: expected an arrival step from 0 to 2^32, found `x`",
    );
    let far = "18446744073709551615";
    check(
        &format!("{head}{far},R,0x0\n"),
        &format!("r.csv:3: expected an arrival step from 0 to 2^32, found `{far}`"),
    );
    check(
        &format!("{head}5,R,0x0\n4,R,0x0\n"),
        "r.csv:4: expected an arrival no earlier than that of the line above, found `4`",
    );
    check(&format!("{head}1,Q,0x0\n"), "r.csv:3: expected R or W, found `Q`");
    check(&format!("{head}1,R,zz\n"), "r.csv:3: expected a hexadecimal address, found `zz`");
    check(
        &format!("{head}1,R,0x41\n"),
        "r.csv:3: address 0x41 is not a multiple of the 32-byte transaction",
    );
    check(
        &format!("{head}1,R,0x1000000\n"),
        "r.csv:3: address 0x1000000 is outside the memory of 0x1000000 bytes",
    );
}
