//! Icarus Verilog as a witness: four-state, so it also finds undefined outputs.
//!
//! The bench is plain Verilog-2005. A vector is one line of a file that `$readmemh` reads: the
//! inputs in the lowest bits, then what the outputs must show, then one bit per output that says
//! whether it is compared.

use std::{fmt::Write as _, fs, process::Command};

use super::{
    RESET_CYCLES,
    frame::{Frame, Pins, Vectors},
    outcome::{Mismatch, Outcome},
    tool::{ToolError, run, write_sources},
};
use crate::{
    Design, Error,
    bits::Bits,
    ir::{CLOCK, Module, RESET},
};

/// Name of the file that a bench reads.
pub const VECTORS: &str = "vectors.hex";

/// A self-checking bench in Verilog-2005 for one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestBench {
    /// The module `bench`.
    pub text: String,
    /// What it reads from [`VECTORS`].
    pub vectors: String,
    /// Cycles after the reset.
    pub cycles: u64,
    /// Beats that the driver counted.
    pub beats: u64,
}

impl TestBench {
    /// A bench that applies `vectors`, all of which are held in memory.
    ///
    /// # Errors
    /// The design has no such module.
    pub fn new(design: &Design, top: &str, vectors: &mut dyn Vectors) -> Result<Self, Error> {
        let module = design.module(top)?;
        let pins = Pins::of(module);
        let (vectors, cycles, beats) = vector_file(&pins, vectors);
        Ok(Self { text: bench(module, &pins, cycles), vectors, cycles, beats })
    }
}

/// Compares the Verilog of a design under Icarus with `vectors`, all of which are held in memory.
///
/// # Errors
/// A missing program, or one that refuses the Verilog.
pub fn icarus(design: &Design, top: &str, vectors: &mut dyn Vectors) -> Result<Outcome, ToolError> {
    let folder = tempfile::Builder::new().prefix("attelier-icarus-").tempdir()?;
    let TestBench { text, vectors, beats, .. } = TestBench::new(design, top, vectors)?;
    fs::write(folder.path().join(VECTORS), vectors)?;
    fs::write(folder.path().join("bench.v"), text)?;
    let sources = write_sources(design, folder.path())?;
    let mut compile = Command::new("iverilog");
    compile.current_dir(folder.path()).args(["-g2005", "-Wall", "-o", "bench.vvp", "bench.v"]);
    run("iverilog", compile.args(sources), |_| Ok(()))?;
    let mut execute = Command::new("vvp");
    execute.current_dir(folder.path()).args(["-n", "bench.vvp"]);
    let answer = run("vvp", &mut execute, |_| Ok(()))?;
    let outputs = design.module(top)?.outputs().count();
    let mut outcome = Outcome { beats, compared: vec![0; outputs], ..Outcome::default() };
    for line in answer.lines() {
        read_line(line, &mut outcome)
            .ok_or_else(|| ToolError::Answer { program: "vvp", line: line.to_owned() })?;
    }
    Ok(outcome)
}

/// A line of the bench: `mismatch cycle output expected found`, `undefined cycle output found`,
/// `compared index count`, `cycles count`.
fn read_line(line: &str, outcome: &mut Outcome) -> Option<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["mismatch", cycle, output, expected, found] => {
            let cycle = cycle.parse().ok()?;
            outcome.mismatch(|| Mismatch {
                cycle,
                output: output.to_owned(),
                expected: expected.to_owned(),
                found: found.to_owned(),
            });
        }
        ["undefined", cycle, output, found] => {
            outcome.undefined += 1;
            let cycle = cycle.parse().ok()?;
            outcome.first.get_or_insert_with(|| Mismatch {
                cycle,
                output: output.to_owned(),
                expected: "no undefined bit".to_owned(),
                found: found.to_owned(),
            });
        }
        ["compared", index, count] => {
            *outcome.compared.get_mut(index.parse::<usize>().ok()?)? = count.parse().ok()?;
        }
        ["cycles", count] => outcome.cycles = count.parse().ok()?,
        ["PASS" | "FAIL"] => {}
        _ => return None,
    }
    Some(())
}

/// One line per cycle, and the number of cycles and beats.
fn vector_file(pins: &Pins, vectors: &mut dyn Vectors) -> (String, u64, u64) {
    let mut frame = pins.frame();
    let (mut text, mut cycles) = (String::new(), 0);
    loop {
        frame.begin();
        if !vectors.next(&mut frame) {
            return (text, cycles, frame.beats());
        }
        text.push_str(&line(pins, &frame));
        text.push('\n');
        cycles += 1;
    }
}

/// A vector as hexadecimal digits, the most significant first.
fn line(pins: &Pins, frame: &Frame) -> String {
    let mut bits: Vec<bool> = Vec::new();
    let mut put = |words: &[u64], width: u32| {
        let value = Bits::from_words(words, width);
        bits.extend((0..width).map(|bit| value.bit(bit)));
    };
    for (_, pin) in pins.inputs() {
        put(frame.driven(pin), pin.width);
    }
    for (_, pin) in pins.outputs() {
        put(frame.expected(pin).unwrap_or(&[0]), pin.width);
    }
    for (_, pin) in pins.outputs() {
        put(&[u64::from(frame.expected(pin).is_some())], 1);
    }
    let digit = |bits: &[bool]| {
        let value = bits.iter().rev().fold(0, |value, bit| value << 1 | u32::from(*bit));
        char::from_digit(value, 16).unwrap_or('0')
    };
    let digits: Vec<char> = bits.chunks(4).map(digit).collect();
    digits.into_iter().rev().collect()
}

/// The bench.
fn bench(module: &Module, pins: &Pins, cycles: u64) -> String {
    let mut text = String::new();
    let inputs: u32 = pins.inputs().map(|(_, pin)| pin.width).sum();
    let outputs: u32 = pins.outputs().map(|(_, pin)| pin.width).sum();
    let width = inputs + outputs + pins.outputs().len() as u32;
    let put = |text: &mut String, line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    put(&mut text, "// Self-checking bench: applies vectors.hex and compares every output.".into());
    put(&mut text, "`timescale 1ns / 1ps\n`default_nettype none\n".into());
    put(&mut text, "module bench;".into());
    put(&mut text, format!("  reg [{}:0] vectors [0:{}];", width - 1, cycles.max(1) - 1));
    put(&mut text, format!("  reg [{}:0] vector;", width - 1));
    put(&mut text, "  reg clk;\n  reg rst;\n  integer cycle;\n  integer wrong;".into());
    let mut connections = Vec::new();
    if module.is_clocked() {
        connections.push(format!(".{CLOCK}(clk)"));
    }
    if module.has_reset() {
        connections.push(format!(".{RESET}(rst)"));
    }
    let mut low = 0;
    for (at, (name, pin)) in pins.inputs().enumerate() {
        put(
            &mut text,
            format!("  wire [{}:0] in_{at} = vector[{low} +: {}];", pin.width - 1, pin.width),
        );
        connections.push(format!(".{name}(in_{at})"));
        low += pin.width;
    }
    for (at, (name, pin)) in pins.outputs().enumerate() {
        let last = pin.width - 1;
        put(&mut text, format!("  wire [{last}:0] out_{at};"));
        put(&mut text, format!("  wire [{last}:0] want_{at} = vector[{low} +: {}];", pin.width));
        put(&mut text, format!("  wire compare_{at} = vector[{}];", inputs + outputs + at as u32));
        put(&mut text, format!("  integer compared_{at};"));
        connections.push(format!(".{name}(out_{at})"));
        low += pin.width;
    }
    put(
        &mut text,
        format!("\n  {} dut (\n    {}\n  );\n", module.name(), connections.join(",\n    ")),
    );
    put(&mut text, "  initial begin".into());
    put(&mut text, format!("    $readmemh(\"{VECTORS}\", vectors);"));
    put(&mut text, "    clk = 0;\n    rst = 1;\n    vector = 0;\n    wrong = 0;".into());
    for at in 0..pins.outputs().len() {
        put(&mut text, format!("    compared_{at} = 0;"));
    }
    put(&mut text, format!("    repeat ({RESET_CYCLES}) begin"));
    put(&mut text, "      #5 clk = 1;\n      #5 clk = 0;\n    end\n    rst = 0;".into());
    put(&mut text, format!("    for (cycle = 0; cycle < {cycles}; cycle = cycle + 1) begin"));
    put(&mut text, "      vector = vectors[cycle];\n      #5;".into());
    for (at, (name, _)) in pins.outputs().enumerate() {
        let _ = write!(
            text,
            "      if (^out_{at} === 1'bx) begin
        wrong = wrong + 1;
        $display(\"undefined %0d {name} %h\", cycle, out_{at});
      end
      if (compare_{at}) begin
        compared_{at} = compared_{at} + 1;
        if (out_{at} !== want_{at}) begin
          wrong = wrong + 1;
          $display(\"mismatch %0d {name} %h %h\", cycle, want_{at}, out_{at});
        end
      end
"
        );
    }
    put(&mut text, "      clk = 1;\n      #5 clk = 0;\n    end".into());
    for at in 0..pins.outputs().len() {
        put(&mut text, format!("    $display(\"compared {at} %0d\", compared_{at});"));
    }
    put(&mut text, "    $display(\"cycles %0d\", cycle);\n    if (wrong == 0) $display(\"PASS\");\n    else $display(\"FAIL\");\n    $finish;\n  end\nendmodule".into());
    text
}
