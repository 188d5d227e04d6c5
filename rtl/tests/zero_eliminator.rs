//! Proofs with Yosys: all inputs, not samples. Each proof has a mutant that must fail it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop and speak here")]

mod common;

use std::{fmt::Write as _, fs, process::Command};

use attelier_rtl::{
    Design,
    mutate::{Change, Mutation, mutate},
    units::spatten::zero_eliminator::ZeroEliminator,
};
use common::has;

/// A plain compaction beside the zero eliminator, and the claim that both agree.
fn claim(lanes: u32, width: u32) -> String {
    let mut text = format!(
        "module claim (
  input wire [{k}:0] keep,
  input wire [{d}:0] data
);
  wire [{c}:0] count;
",
        k = lanes - 1,
        d = lanes * width - 1,
        c = lanes.trailing_zeros(),
    );
    let mut ports = vec![".keep(keep)".to_owned(), ".count(count)".to_owned()];
    for lane in 0..lanes {
        writeln!(text, "  wire [{}:0] out_{lane};", width - 1).unwrap();
        ports.push(format!(".s_data_{lane}(data[{} +: {width}])", lane * width));
        ports.push(format!(".m_data_{lane}(out_{lane})"));
    }
    writeln!(text, "  zero_eliminator unit (\n    {}\n  );", ports.join(",\n    ")).unwrap();
    write!(
        text,
        "  reg [{d}:0] plain;
  integer i;
  integer j;
  reg [{c}:0] n;
  always @* begin
    plain = 0;
    n = 0;
    for (i = 0; i < {lanes}; i = i + 1) begin
      for (j = 0; j <= i; j = j + 1)
        if (keep[i] && n == j)
          plain[j * {width} +: {width}] = data[i * {width} +: {width}];
      n = n + keep[i];
    end
    assert (count == n);
",
        d = lanes * width - 1,
        c = lanes.trailing_zeros(),
    )
    .unwrap();
    for lane in 0..lanes {
        let low = lane * width;
        writeln!(text, "    if (n > {lane}) assert (out_{lane} == plain[{low} +: {width}]);")
            .unwrap();
    }
    text.push_str("  end\nendmodule\n");
    text
}

/// Whether Yosys proves the claim.
fn proves(design: &Design, lanes: u32, width: u32) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mut text: String = design.verilog().into_iter().map(|file| file.text).collect();
    text.push_str(&claim(lanes, width));
    fs::write(folder.path().join("claim.v"), text).unwrap();
    let script = "read_verilog -formal claim.v; prep -top claim -flatten; \
                  sat -verify -prove-asserts -set-def-inputs";
    let output =
        Command::new("yosys").current_dir(folder.path()).args(["-p", script]).output().unwrap();
    let log = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let proved = log.contains("SAT proof finished - no model found: SUCCESS!");
    let refuted = log.contains("proof did fail");
    assert!(proved != refuted, "yosys did not decide:\n{log}");
    proved
}

#[test]
fn the_zero_eliminator_is_compaction() {
    if !has("yosys") {
        return;
    }
    for (lanes, width) in [(8, 4), (16, 2)] {
        let unit = ZeroEliminator { name: "zero_eliminator".into(), lanes, width };
        let design = Design::new([&unit.module().unwrap()]).unwrap();
        assert!(proves(&design, lanes, width), "{lanes} lanes");
        for (signal, change) in
            [("layer_1_leaves_3", Change::Zero), ("layer_0_data_2", Change::Exchanged)]
        {
            let mutation = Mutation { module: "zero_eliminator", signal, change };
            let mutant = mutate(&design, mutation).unwrap();
            assert!(!proves(&mutant, lanes, width), "{lanes} lanes, {signal}");
        }
    }
}
