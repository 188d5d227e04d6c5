//! The test bench as text: Verilog, vectors, and what it prints.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Case, RESET_CYCLES};
use crate::{
    bits::Bits,
    ir::{CLOCK, RESET},
};

/// Widths of a row: expected outputs, above them the inputs, then reset and whether to compare.
struct Row {
    outputs: u32,
    inputs: u32,
}

impl Row {
    fn of(case: &Case) -> Self {
        let sum = |types: &mut dyn Iterator<Item = u32>| types.sum();
        Self {
            outputs: sum(&mut case.module.outputs().map(|(_, ty)| ty.width)),
            inputs: sum(&mut case.module.inputs().map(|(_, ty)| ty.width)),
        }
    }

    fn width(&self) -> u32 {
        self.outputs + self.inputs + 2
    }
}

/// The vectors of a case for `$readmemh`.
pub fn rows(case: &Case) -> String {
    let row = Row::of(case);
    let mut text = String::new();
    let first = case.vectors.first();
    let reset = first.into_iter().cycle().take(RESET_CYCLES).map(|vector| (vector, None));
    let vectors = case.vectors.iter().zip(&case.expected).map(|(v, e)| (v, Some(e)));
    for (vector, expected) in reset.chain(vectors) {
        let mut bits = Bits::zero(row.width());
        let mut low = 0;
        for value in expected.into_iter().flatten() {
            bits.place(low, value);
            low += value.width();
        }
        low = row.outputs;
        for value in vector {
            bits.place(low, value);
            low += value.width();
        }
        bits.set_bit(row.outputs + row.inputs + u32::from(expected.is_some()));
        let _ = writeln!(text, "{bits:x}");
    }
    text
}

/// The bench: one checker per case, all on one clock.
pub fn bench(cases: &[Case]) -> String {
    let mut text = String::new();
    for (number, case) in cases.iter().enumerate() {
        checker(&mut text, number, case);
    }
    let count = cases.len();
    let _ = writeln!(text, "module bench;\n  reg clk;\n  wire [{}:0] done;", count.max(1) - 1);
    for number in 0..count {
        let _ = writeln!(text, "  checker_{number} check_{number} (clk, done[{number}]);");
    }
    text.push_str(
        "  initial begin\n    clk = 1'b0;\n    forever #1 clk = !clk;\n  end\n  \
         always @(posedge clk) if (&done) $finish;\nendmodule\n",
    );
    text
}

fn checker(text: &mut String, number: usize, case: &Case) {
    let row = Row::of(case);
    let (module, count) = (&case.module, case.vectors.len() + RESET_CYCLES);
    let mut ports = Vec::new();
    if module.is_clocked() {
        ports.push(format!(".{CLOCK}(clk)"));
    }
    if module.has_reset() {
        ports.push(format!(".{RESET}(row[{}])", row.outputs + row.inputs));
    }
    let mut low = row.outputs;
    for (name, ty) in module.inputs() {
        ports.push(format!(".{name}(row[{}:{low}])", low + ty.width - 1));
        low += ty.width;
    }
    low = 0;
    for (name, ty) in module.outputs() {
        ports.push(format!(".{name}(seen[{}:{low}])", low + ty.width - 1));
        low += ty.width;
    }
    // The row changes at the falling edge and is compared at the rising one, before the registers
    // of the module take their next values.
    let _ = write!(
        text,
        "module checker_{number} (input wire clk, output reg done);
  reg [{row_top}:0] rows [0:{last}];
  reg [{row_top}:0] row;
  wire [{out_top}:0] seen;
  wire [{out_top}:0] expected = row[{out_top}:0];
  integer at, vectors, mismatches, unknown;
  reg sampled;
  {name} dut ({ports});
  initial begin
    $readmemh(\"case_{number}.hex\", rows);
    row = rows[0];
    at = 0;
    vectors = 0;
    mismatches = 0;
    unknown = 0;
    sampled = 1'b0;
    done = 1'b0;
  end
  always @(negedge clk) if (sampled && !done) begin
    if (at == {last}) begin
      $display(\"case {number} cycles %0d vectors %0d mismatches %0d unknown %0d\", at + 1, vectors,
        mismatches, unknown);
      done = 1'b1;
    end else begin
      at = at + 1;
      row = rows[at];
    end
  end
  always @(posedge clk) begin
    sampled = 1'b1;
    if (row[{row_top}] && !done) begin
      vectors = vectors + 1;
      if (^seen === 1'bx) unknown = unknown + 1;
      if (seen !== expected) begin
        if (mismatches == 0) $display(\"first {number} %0d %h %h\", vectors - 1, expected, seen);
        mismatches = mismatches + 1;
      end
    end
  end
endmodule

",
        row_top = row.width() - 1,
        last = count - 1,
        out_top = row.outputs - 1,
        name = module.name(),
        ports = ports.join(", "),
    );
}

/// What the bench printed for one case.
#[derive(Debug, Default)]
pub struct Result {
    pub cycles: u64,
    pub vectors: u64,
    pub mismatches: u64,
    pub unknown: u64,
    /// Number of the vector, outputs expected and seen.
    pub first: Option<(usize, String, String)>,
}

/// Reads what the bench printed.
pub fn results(output: &str) -> BTreeMap<usize, Result> {
    let mut results: BTreeMap<usize, Result> = BTreeMap::new();
    for line in output.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
        let Some(case) = number(1).map(|case| case as usize) else { continue };
        match words.first().copied() {
            Some("case") => {
                let result = results.entry(case).or_default();
                result.cycles = number(3).unwrap_or(0);
                result.vectors = number(5).unwrap_or(0);
                result.mismatches = number(7).unwrap_or(u64::MAX);
                result.unknown = number(9).unwrap_or(u64::MAX);
            }
            Some("first") => {
                if let (Some(vector), [_, _, _, expected, seen]) = (number(2), &words[..]) {
                    let first = (vector as usize, (*expected).to_owned(), (*seen).to_owned());
                    results.entry(case).or_default().first = Some(first);
                }
            }
            _ => {}
        }
    }
    results
}

/// The first difference, with the outputs by name.
pub fn explain(case: &Case, (vector, expected, seen): &(usize, String, String)) -> String {
    let mut text = format!("vector {vector}");
    let mut low = 0;
    for (name, ty) in case.module.outputs() {
        let (wanted, found) = (digits(expected, low, ty.width), digits(seen, low, ty.width));
        if wanted != found {
            let _ = write!(text, ", {name}: expected {wanted}, found {found}");
        }
        low += ty.width;
    }
    text
}

/// Bits of a hexadecimal text, as binary digits; `x` where they are unknown.
fn digits(text: &str, low: u32, width: u32) -> String {
    let bit = |at: u32| {
        let digit = text.chars().rev().nth(at as usize / 4).unwrap_or('0');
        match digit.to_digit(16) {
            Some(value) if value >> (at % 4) & 1 == 1 => '1',
            Some(_) => '0',
            None => 'x',
        }
    };
    (low..low + width).rev().map(bit).collect()
}
