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
    assert_eq!(run(&params, &requests).expect("runs").0.served[0].complete, 32);
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
    check(&["refresh", "interval_cycles"], json!(0), "more than tRFC + tRP");
    check(&["address_mapping", "lsb_to_msb"], json!([{"field": "x", "lsb": 0, "bits": 1}]), "`x`");
    let row = |scope: &str, next: &str, window: u64| {
        json!([{"scope": scope, "prev": ["ACT"], "next": [next], "min_cycles": 4, "window": window,
            "other_rank_only": false}])
    };
    check(&["constraint_table"], json!([]), "at least one rule");
    check(&["constraint_table"], row("Bank", "FOO", 1), "constraint 0: unknown command `FOO`");
    check(&["constraint_table"], row("Bunk", "RD", 1), "constraint 0: unknown scope `Bunk`");
    check(&["constraint_table"], row("Bank", "RD", 99), "window 99 is outside 1 to 64");
}

#[test]
fn a_refresh_without_its_timing_is_refused_by_name() {
    let without = |name: &str, kind: &str| {
        refused(|json| {
            json["timing"]["tRFCpb"] = json!(160);
            json["timing"]["tRREFD"] = json!(8);
            json["timing"].as_object_mut().expect("an object").remove(name);
            json["refresh"] = json!({"enabled": true, "kind": kind, "interval_cycles": 3000});
        })
    };
    for (name, kind) in [("tRFC", "all-bank"), ("tRFCpb", "per-bank"), ("tRREFD", "per-bank")] {
        let message = without(name, kind);
        assert!(message.contains(&format!("timing `{name}` is missing")), "{message}");
    }
}

/// A table is taken as it is: without a rule after the refresh, that command would cost nothing.
#[test]
fn a_refresh_that_the_constraint_table_does_not_know_is_refused() {
    for (kind, name) in [("all-bank", "REFA"), ("per-bank", "REFPB")] {
        let message = refused(|json| {
            json["timing"]["tRFCpb"] = json!(160);
            json["timing"]["tRREFD"] = json!(8);
            json["refresh"] = json!({"enabled": true, "kind": kind, "interval_cycles": 3000});
            json["constraint_table"] = json!([{"scope": "Bank", "prev": ["ACT"], "next": ["RD"],
                "min_cycles": 14}]);
        });
        assert!(message.contains(&format!("no rule from {name} to ACT")), "{message}");
    }
}

/// Nor may the bursts of two ranks meet on their data bus because the table does not speak of them.
#[test]
fn ranks_on_one_bus_without_a_rule_between_them_are_refused() {
    let message = refused(|json| {
        json["organization"]["ranks"] = json!(2);
        json["organization"]["rank_means"] = json!("rank");
        json["refresh"] = json!({"enabled": false});
        json["address_mapping"]["lsb_to_msb"] = json!([
            {"field": "offset", "lsb": 0, "bits": 5}, {"field": "column", "lsb": 5, "bits": 5},
            {"field": "bankgroup", "lsb": 10, "bits": 2}, {"field": "bank", "lsb": 12, "bits": 2},
            {"field": "row", "lsb": 14, "bits": 10}, {"field": "rank", "lsb": 24, "bits": 1}]);
        json["constraint_table"] = json!([
            {"scope": "Rank", "prev": ["RD"], "next": ["RD", "WR"], "min_cycles": 4},
            {"scope": "Channel", "prev": ["RD"], "next": ["RD"], "min_cycles": 2}]);
    });
    assert!(message.contains("no rule from RD to WR of another rank"), "{message}");
}

#[test]
fn refreshes_that_leave_no_time_are_refused() {
    let with = |kind: &str, interval: u64| {
        refused(|json| {
            json["timing"]["tRFCpb"] = json!(160);
            json["timing"]["tRREFD"] = json!(8);
            json["refresh"] = json!({"enabled": true, "kind": kind, "interval_cycles": interval});
        })
    };
    // tRFC 260, tRP 14; 16 banks of tRFCpb 160 and tRP 14 in turn, 8 cycles apart at least.
    assert!(with("all-bank", 274).contains("more than tRFC + tRP = 274"));
    assert!(with("all-bank", 1).contains("more than tRFC + tRP = 274"));
    assert!(with("per-bank", 8).contains("more than tRREFD = 8"));
    assert!(with("per-bank", 9).contains("more than tRFCpb + tRP = 174"));
}

#[test]
fn unknown_names_are_refused_with_what_is_known() {
    let check = |path: &[&str], name: &str, expected: &str| {
        let message = refused(|json| {
            let mut place = json;
            for key in path {
                place = &mut place[*key];
            }
            place[name] = if name == "unified_queue" { json!(true) } else { json!(1) };
        });
        assert!(message.contains(name) && message.contains(expected), "{message}");
    };
    check(&["timing"], "tRFCbp", "did you mean `tRFCpb`?");
    check(&["policy"], "schedular", "`scheduler`");
    check(&["policy"], "unified_queue", "only with the model dramsim3");
    check(&["refresh"], "interval", "`interval_cycles`");
    check(&["organization"], "rank_mean", "`rank_means`");
    check(&["address_mapping"], "lsb", "`lsb_to_msb`");
    check(&[], "constraints", "`constraint_table`");
    let message = refused(|json| {
        json["policy"] = json!({"model": "dramsim3", "command_slots": "one per cycle",
            "scheduler": "round-robbin"});
    });
    assert!(message.contains("per-bank queues"), "{message}");
}

#[test]
fn impossible_timings_are_refused() {
    let check = |name: &str, value: u64, expected: &str| {
        let message = refused(|json| json["timing"][name] = json!(value));
        assert!(message.contains(expected), "`{message}` lacks `{expected}`");
    };
    check("tBL", 64, "tCCD_S = 2 must be at least tBL = 64");
    check("tRC", 46, "tRC = 46 must be at least tRAS + tRP - 1 = 47");
    check("tRTW", 10, "tRTW = 10 must be at least tCL + tBL - tCWL = 11");
}

#[cfg(feature = "files")]
mod folders {
    use std::io::Write;

    use attelier_dram::case::{load, load_requests};
    use flate2::{Compression, write::GzEncoder};

    use super::{CaseParams, params, shown};

    fn zipped(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).expect("writes to memory");
        encoder.finish().expect("writes to memory")
    }

    /// `cat a.gz b.gz` is a legal gzip file (RFC 1952, section 2.2).
    #[test]
    fn all_members_of_a_gzip_file_are_read_and_garbage_behind_them_is_refused() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("r.csv.gz");
        let params = CaseParams::from_json(&params().to_string(), "p.json").expect("legal");
        let mut bytes = zipped("arrival,op,address\n0,R,0x40\n");
        bytes.extend(zipped("1,R,0x80\n2,W,0xc0\n"));
        std::fs::write(&path, &bytes).expect("temporary folder");
        assert_eq!(load_requests(&path, &params.mapping).expect("legal").len(), 3);
        bytes.extend(b"and more");
        std::fs::write(&path, &bytes).expect("temporary folder");
        let error = load_requests(&path, &params.mapping).expect_err("garbage");
        assert!(shown(&error).contains("r.csv.gz"), "{}", shown(&error));
    }

    #[test]
    fn a_folder_with_two_request_files_is_refused() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let text = "arrival,op,address\n0,R,0x40\n";
        std::fs::write(dir.path().join("params.json"), params().to_string()).expect("folder");
        std::fs::write(dir.path().join("requests.csv"), text).expect("folder");
        load(dir.path()).expect("one request file");
        std::fs::write(dir.path().join("requests.csv.gz"), zipped(text)).expect("folder");
        let error = load(dir.path()).expect_err("which one?");
        assert!(shown(&error).contains("requests.csv.gz"), "{}", shown(&error));
    }
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
        "r.csv:3: expected an arrival step from 0 to 2^28, found `x`",
    );
    let far = "18446744073709551615";
    check(
        &format!("{head}{far},R,0x0\n"),
        &format!("r.csv:3: expected an arrival step from 0 to 2^28, found `{far}`"),
    );
    check(
        &format!("{head}5,R,0x0\n4,R,0x0\n"),
        "r.csv:4: expected an arrival no earlier than that of the line above, found `4`",
    );
    check(
        &format!("{head}+1,R,0x0\n"),
        "r.csv:3: expected an arrival step from 0 to 2^28, found `+1`",
    );
    check(&format!("{head}1,R,0x+40\n"), "r.csv:3: expected a hexadecimal address, found `0x+40`");
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
