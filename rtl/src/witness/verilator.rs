//! Verilator as a witness: the Verilog as fast C++.
//!
//! The bench is a C++ program that reads vectors from its standard input: per cycle, in words of 32
//! bits, every input, then for every output whether it is compared and what it must show. In the end
//! it runs the first inputs again without comparing, to measure its speed.

use std::{fmt::Write as _, fs, io, io::Write, process::Command};

use tempfile::TempDir;

use super::{
    RESET_CYCLES,
    frame::{Frame, Pins, Vectors},
    outcome::{Mismatch, Outcome},
    tool::{ToolError, run, write_sources},
};
use crate::{
    Design,
    ir::{CLOCK, Module, RESET},
};

/// Compares the Verilog of a design under Verilator with `vectors`. Building takes seconds.
///
/// # Errors
/// A missing program, or one that refuses the Verilog: every warning is an error.
pub fn verilator(
    design: &Design,
    top: &str,
    vectors: &mut dyn Vectors,
) -> Result<Outcome, ToolError> {
    Verilated::build(design, top)?.compare(vectors)
}

/// The program that Verilator makes of a design.
pub struct Verilated {
    folder: TempDir,
    pins: Pins,
}

impl Verilated {
    /// Builds it, which takes seconds.
    ///
    /// # Errors
    /// As [`verilator`].
    pub fn build(design: &Design, top: &str) -> Result<Self, ToolError> {
        let module = design.module(top)?;
        let pins = Pins::of(module);
        let folder = tempfile::Builder::new().prefix("attelier-verilator-").tempdir()?;
        fs::write(folder.path().join("bench.cpp"), bench(module, &pins))?;
        let sources = write_sources(design, folder.path())?;
        let mut build = Command::new("verilator");
        build.current_dir(folder.path());
        build.args(["--cc", "--exe", "--build", "-Wall", "-O3", "-CFLAGS", "-O1"]);
        build.args(["--prefix", "Vtop", "--Mdir", "build", "-o", "bench", "--top-module", top]);
        run("verilator", build.args(sources).arg("bench.cpp"), |_| Ok(()))?;
        Ok(Self { folder, pins })
    }

    /// Compares it with `vectors`, from the reset on.
    ///
    /// # Errors
    /// A program that does not start or says something else than it should.
    pub fn compare(&self, vectors: &mut dyn Vectors) -> Result<Outcome, ToolError> {
        let pins = &self.pins;
        let mut outcome = Outcome { compared: vec![0; pins.outputs().len()], ..Outcome::default() };
        let mut execute = Command::new(self.folder.path().join("build/bench"));
        let answer = run("verilator", &mut execute, |to| {
            let mut frame = pins.frame();
            frame.begin();
            while vectors.next(&mut frame) {
                put(to, pins, &frame)?;
                frame.begin();
            }
            outcome.beats = frame.beats();
            Ok(())
        })?;
        for line in answer.lines() {
            read_line(line, pins, &mut outcome)
                .ok_or_else(|| ToolError::Answer { program: "verilator", line: line.to_owned() })?;
        }
        Ok(outcome)
    }
}

/// What the installed Verilator calls itself.
///
/// # Errors
/// It is not installed.
pub fn verilator_version() -> Result<String, ToolError> {
    let text = run("verilator", Command::new("verilator").arg("--version"), |_| Ok(()))?;
    Ok(text.trim().to_owned())
}

/// A line of the bench.
fn read_line(line: &str, pins: &Pins, outcome: &mut Outcome) -> Option<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["mismatch", cycle, output, expected, found] => {
            let output: usize = output.parse().ok()?;
            outcome.first = Some(Mismatch {
                cycle: cycle.parse().ok()?,
                output: pins.outputs().nth(output)?.0.to_owned(),
                expected: expected.to_owned(),
                found: found.to_owned(),
            });
        }
        ["mismatches", count] => outcome.mismatches = count.parse().ok()?,
        ["compared", index, count] => {
            *outcome.compared.get_mut(index.parse::<usize>().ok()?)? = count.parse().ok()?;
        }
        ["cycles", count] => outcome.cycles = count.parse().ok()?,
        ["speed", speed] => outcome.cycles_per_second = Some(speed.parse().ok()?),
        _ => return None,
    }
    Some(())
}

/// Words of 32 bits that hold a port.
fn halves(width: u32) -> usize {
    width.div_ceil(32) as usize
}

/// Writes one cycle.
fn put(to: &mut dyn Write, pins: &Pins, frame: &Frame) -> io::Result<()> {
    let mut value = |words: &[u64], width: u32| {
        for half in 0..halves(width) {
            let word = words.get(half / 2).copied().unwrap_or(0) >> (half % 2 * 32);
            to.write_all(&(word as u32).to_le_bytes())?;
        }
        Ok::<(), io::Error>(())
    };
    for (_, pin) in pins.inputs() {
        value(frame.driven(pin), pin.width)?;
    }
    for (_, pin) in pins.outputs() {
        let expected = frame.expected(pin);
        value(&[u64::from(expected.is_some())], 32)?;
        value(expected.unwrap_or(&[0]), pin.width)?;
    }
    Ok(())
}

/// The C++ program.
fn bench(module: &Module, pins: &Pins) -> String {
    let (mut drive, mut check) = (String::new(), String::new());
    let mut at = 0;
    for (name, pin) in pins.inputs() {
        let words = halves(pin.width);
        match words {
            1 => writeln!(drive, "  top.{name} = v[{at}];"),
            2 => writeln!(drive, "  top.{name} = v[{at}] | (uint64_t)v[{}] << 32;", at + 1),
            _ => {
                writeln!(drive, "  for (int i = 0; i < {words}; ++i) top.{name}[i] = v[{at} + i];")
            }
        }
        .expect("a String takes every write");
        at += words;
    }
    let inputs = at;
    for (index, (name, pin)) in pins.outputs().enumerate() {
        let words = halves(pin.width);
        writeln!(check, "  if (v[{at}]) {{").expect("a String takes every write");
        for half in 0..words {
            let found = match words {
                1 => format!("top.{name}"),
                2 => format!("(uint32_t)(top.{name} >> {})", 32 * half),
                _ => format!("top.{name}[{half}]"),
            };
            writeln!(check, "    found[{half}] = {found};").expect("a String takes every write");
        }
        writeln!(check, "    compare({index}, {words}, &v[{}]);\n  }}", at + 1)
            .expect("a String takes every write");
        at += 1 + words;
    }
    let most = pins.outputs().map(|(_, pin)| halves(pin.width)).max().unwrap_or(1);
    let edge = if module.is_clocked() {
        format!("  top.{CLOCK} = 1;\n  top.eval();\n  top.{CLOCK} = 0;")
    } else {
        String::new()
    };
    let reset = |value: u32| {
        if module.has_reset() { format!("  top.{RESET} = {value};") } else { String::new() }
    };
    let clock = if module.is_clocked() { format!("  top.{CLOCK} = 0;") } else { String::new() };
    format!(
        r#"// Self-checking bench: reads vectors from standard input and compares every output.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>
#include "Vtop.h"

static Vtop top;
static uint32_t v[{at}];
static uint32_t found[{most}];
static uint64_t compared[{outputs}], mismatches, cycle;

static void compare(int output, int words, const uint32_t* expected) {{
  ++compared[output];
  if (std::memcmp(found, expected, 4 * words) == 0) return;
  if (mismatches++ > 0) return;
  std::printf("mismatch %llu %d ", (unsigned long long)cycle, output);
  for (int i = words; i-- > 0;) std::printf("%08x", expected[i]);
  std::printf(" ");
  for (int i = words; i-- > 0;) std::printf("%08x", found[i]);
  std::printf("\n");
}}

static void drive() {{
{drive}}}

static void check() {{
{check}}}

static void edge() {{
{edge}
}}

static void reset() {{
  std::memset(v, 0, sizeof v);
{clock}
  drive();
{reset_on}
  for (int i = 0; i < {RESET_CYCLES}; ++i) {{
    top.eval();
    edge();
  }}
{reset_off}
}}

int main() {{
  const size_t recorded = 4096, inputs = {inputs};
  std::vector<uint32_t> first;
  reset();
  for (; std::fread(v, sizeof v, 1, stdin) == 1; ++cycle) {{
    if (cycle < recorded) first.insert(first.end(), v, v + inputs);
    drive();
    top.eval();
    check();
    edge();
  }}
  if (mismatches) std::printf("mismatches %llu\n", (unsigned long long)mismatches);
  for (int i = 0; i < {outputs}; ++i)
    std::printf("compared %d %llu\n", i, (unsigned long long)compared[i]);
  std::printf("cycles %llu\n", (unsigned long long)cycle);

  // Speed on the first inputs, again and again for a fifth of a second: that of the fastest 512
  // cycles, so that other programs on the machine do not count.
  typedef std::chrono::steady_clock Clock;
  const size_t part = 512 * inputs;
  double seconds = 0, shortest = 0;
  while (inputs > 0 && first.size() >= part && seconds < 0.2) {{
    for (size_t at = 0; at + part <= first.size(); at += part) {{
      const Clock::time_point start = Clock::now();
      for (size_t i = at; i < at + part; i += inputs) {{
        std::memcpy(v, &first[i], 4 * inputs);
        drive();
        top.eval();
        edge();
      }}
      const double took = std::chrono::duration<double>(Clock::now() - start).count();
      seconds += took;
      if (shortest == 0 || took < shortest) shortest = took;
    }}
  }}
  if (shortest > 0) std::printf("speed %.0f\n", 512 / shortest);
  top.final();
  return 0;
}}
"#,
        outputs = pins.outputs().len(),
        reset_on = reset(1),
        reset_off = reset(0),
    )
}
