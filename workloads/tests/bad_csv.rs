//! Malformed SpAtten csv files: each gives an error that names the place.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use std::io::Read;

use attelier_workloads::spatten_csv::{COLUMNS, MAX_LINE, read};
use attelier_workloads::{Problem, TraceError, Workload};
use proptest::prelude::*;

const ROW: &str = "0,0,0,64.0,993,993,6,16,0.05,True,4,204,6,True,False,True,921";
const CONFIG: &str = "configs/gpt2/wikitext2/x.yml,,,,,,,,,,,,,,,,";

fn parse(text: &str) -> Result<Workload, TraceError> {
    read("t.csv", "t", text.as_bytes())
}

fn file(rows: &[&str]) -> String {
    let mut text = COLUMNS.join(",") + "\n";
    for row in rows {
        text += row;
        text.push('\n');
    }
    text
}

fn with_cell(column: &str, value: &str) -> String {
    let at = COLUMNS.iter().position(|name| *name == column).unwrap();
    let mut cells: Vec<&str> = ROW.split(',').collect();
    cells[at] = value;
    cells.join(",")
}

#[test]
fn a_row_means_what_its_columns_say() {
    let workload = parse(&file(&[ROW, CONFIG])).unwrap();
    let r = &workload.requests[0];
    assert_eq!(
        (r.head_dim, r.sentence_length, r.queries, r.keys, r.values),
        (64, 993, 1, 993, 204)
    );
    assert_eq!((r.widths.query, r.widths.key, r.widths.key_lsb), (Some(16), Some(6), 4));
    assert_eq!((r.widths.value, r.requant_threshold, r.requant), (Some(6), Some(0.05), true));
    assert_eq!((r.accumulate_importance, r.rescale_importance), (true, false));
    assert_eq!(r.token_topk, Some(921));
    assert!(workload.provenance.contains("configs/gpt2/wikitext2/x.yml"));
}

#[test]
fn columns_may_stand_in_any_order_with_others_between() {
    let turn = |line: &str| {
        let mut cells: Vec<&str> = line.split(',').collect();
        cells.reverse();
        cells.insert(3, "note");
        cells.join(",")
    };
    let text = format!("{}\r\n{}\r\n", turn(&COLUMNS.join(",")), turn(ROW));
    let turned = parse(&text).unwrap();
    assert_eq!(turned.requests, parse(&file(&[ROW])).unwrap().requests);
}

#[test]
fn a_missing_column_is_named_with_the_nearest_present_one() {
    for column in COLUMNS {
        let text = file(&[ROW]).replacen(column, &format!("{column}_x"), 1);
        // `topk` occurs first within `if_topk`, which is then the one that is missing.
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains("is missing") && error.contains("_x`"), "{column}: {error}");
        assert!(error.starts_with("t.csv:1:"), "{error}");
    }
    let error = parse("a,b,c\n1,2,3\n").unwrap_err();
    assert!(matches!(error.problem, Problem::MissingColumn { column: "iteration_id" }), "{error}");
}

#[test]
fn bad_cells_get_line_column_caret_and_expectation() {
    for (column, value, message) in [
        ("key_fetch_num", "-5", "`key_fetch_num` is -5: expected a whole number"),
        ("key_fetch_num", "NaN", "`key_fetch_num` is NaN"),
        ("key_fetch_num", "3.5", "`key_fetch_num` is 3.5"),
        ("key_fetch_num", "", "`key_fetch_num` is empty"),
        ("key_fetch_num", "994", "`keys` is 994: expected a whole number from 1 to 993"),
        ("value_fetch_num", "0", "`values` is 0"),
        ("embedding_length_D", "1e3", "`embedding_length_D` is 1e3"),
        ("auto_requant_thres", "nan", "a probability from 0 to 1, or -1"),
        ("auto_requant_thres", "1.5", "a probability from 0 to 1, or -1"),
        ("if_requant", "yes", "True or False"),
        ("quant_key_bit", "-2", "or -1 for none"),
        ("auto_requant_incre", "-1", "`requant` is true"),
        ("topk", "-1", "a whole number from 1"),
        ("iteration_id", "-1", "`iteration_id` is -1"),
    ] {
        let row = with_cell(column, value);
        let error = parse(&file(&[ROW, &row])).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("t.csv:3:") && text.contains(message), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[2].ends_with('^'), "{text}");
    }
    let error = parse(&file(&[ROW, ROW])).unwrap_err().to_string();
    assert!(error.contains("ascending order"), "{error}");
}

#[test]
fn a_file_cut_anywhere_in_its_last_rows_is_noticed() {
    let rows: Vec<String> = (0..3)
        .map(|layer| with_cell("layer_id", &layer.to_string()).replace("True,921", "False,-1"))
        .collect();
    let next = rows[0].replacen('0', "1", 1);
    let last = rows[2].replacen('0', "1", 1);
    let middle = rows[1].replacen('0', "1", 1);
    let all: Vec<&str> = rows.iter().chain([&next, &middle, &last]).map(String::as_str).collect();
    let whole = file(&all);
    assert_eq!(parse(&whole).unwrap().requests.len(), 6);
    let second_token = whole.find(&next).unwrap();
    for end in second_token + 1..whole.len() {
        let error = parse(&whole[..end]).unwrap_err();
        assert!(error.place.line.is_some(), "cut after {end} bytes: {error}");
    }
}

#[test]
fn a_huge_file_ends_in_an_error_and_is_not_read_further() {
    // 1 GiB of one line: refused after the bound of a line.
    let mut endless = std::io::repeat(b'1').take(1 << 30);
    let header = file(&[]);
    let error = read("t.csv", "t", header.as_bytes().chain(&mut endless)).unwrap_err();
    assert!(matches!(error.problem, Problem::LineTooLong { limit: MAX_LINE }), "{error}");
    assert!(error.to_string().starts_with("t.csv:2"), "{error}");
    assert!(endless.limit() > (1 << 30) - (1 << 16));
}

#[test]
fn empty_binary_and_header_only_files_are_told_apart() {
    assert!(matches!(parse("").unwrap_err().problem, Problem::Empty));
    assert!(matches!(parse(&file(&[])).unwrap_err().problem, Problem::Cut { .. }));
    assert!(matches!(parse(&file(&[CONFIG])).unwrap_err().problem, Problem::Cut { .. }));
    let binary = read("t", "t", &[0x89u8, b'P', b'N', b'G', 13, 10, 26, 10][..]).unwrap_err();
    assert!(matches!(binary.problem, Problem::Binary { .. }), "{binary}");
    assert!(parse(&file(&[CONFIG, ROW])).is_err(), "a row after the configuration");
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "[-0-9a-zA-Z.,\"\r\n ]{0,300}") {
        let _ = parse(&text);
        let _ = parse(&(COLUMNS.join(",") + "\n" + &text));
    }

    #[test]
    fn one_changed_byte_never_panics(at in 0usize..400, byte in any::<u8>()) {
        let mut bytes = file(&[ROW, CONFIG]).into_bytes();
        let length = bytes.len();
        bytes[at % length] = byte;
        if let Err(error) = read("t", "t", &bytes[..]) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
