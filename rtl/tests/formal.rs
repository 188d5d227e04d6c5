//! Proofs with Yosys, over all inputs; every proof has a mutant that fails under the same command.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{fmt::Write as _, fs, sync::Arc};

use attelier_rtl::{
    Design,
    bench::{BenchError, mutants, yosys},
    blocks::*,
    ir::Module,
};

/// All inputs of a combinational module.
const ALL_INPUTS: &str = "sat -verify -prove-asserts -set-def-inputs";
/// All input sequences of so many cycles from power-up, the first of them a reset.
const BOUNDED: &str = "memory_map; opt -full; sat -verify -prove-asserts -set-assumes \
    -set-def-inputs -set-init-zero -tempinduct-baseonly -maxsteps 14";

/// Whether the assertions of `properties`, a module `top` around `module`, hold.
fn holds(module: &Arc<Module>, properties: &str, command: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mut commands = String::new();
    for file in Design::new([module]).unwrap().verilog() {
        fs::write(folder.path().join(&file.name), file.text).unwrap();
        let _ = write!(commands, "read_verilog {}; ", file.name);
    }
    fs::write(folder.path().join("top.v"), properties).unwrap();
    let _ = write!(commands, "read_verilog -formal top.v; prep -top top -flatten; {command}");
    match yosys(folder.path(), &commands) {
        Ok(output) => {
            assert!(output.contains("SUCCESS") || output.contains("Reached maximum"), "{output}");
            true
        }
        Err(BenchError::Tool { output, .. }) => {
            assert!(output.contains("did fail"), "{output}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// The module is proved, and some mutant among the first is refuted.
fn prove(module: &Arc<Module>, properties: &str, command: &str) {
    if !common::has("yosys") {
        return;
    }
    assert!(holds(module, properties, command), "{} is refuted", module.name());
    let refuted = mutants(module)
        .iter()
        .take(4)
        .find(|one| !holds(&one.module, properties, command))
        .map(|one| one.mistake.clone());
    eprintln!("{}: proved; refuted: {refuted:?}", module.name());
    assert!(refuted.is_some(), "{}: every mutant was proved", module.name());
}

#[test]
fn prefix_sums_are_sums_for_all_inputs() {
    let sum = PrefixSum { lanes: 8, width: 2, pipelining: Pipelining::Combinational };
    let mut text = String::from("module top (input [15:0] x);\n");
    let mut ports = Vec::new();
    for lane in 0..8 {
        let _ = writeln!(text, "wire [4:0] s{lane};");
        ports.push(format!(".x_{lane}(x[{}:{}]), .sum_{lane}(s{lane})", 2 * lane + 1, 2 * lane));
    }
    let _ = writeln!(text, "prefix_sum_n8_w2 dut ({});\nalways @* begin", ports.join(", "));
    for lane in 0..8 {
        let terms: Vec<String> =
            (0..=lane).map(|at| format!("{{3'd0, x[{}:{}]}}", 2 * at + 1, 2 * at)).collect();
        let _ = writeln!(text, "assert (s{lane} == {});", terms.join(" + "));
    }
    text.push_str("end\nendmodule\n");
    prove(&sum.build().unwrap(), &text, ALL_INPUTS);
}

#[test]
fn barrel_shifters_shift_for_all_inputs() {
    for (shift, name, result) in [
        (Shift::Left, "left", "data << amount"),
        (Shift::RightSigned, "right_signed", "$signed(data) >>> amount"),
        (Shift::RotateLeft, "rotate_left", "twice[31:16]"),
    ] {
        let text = format!(
            "module top (input [15:0] data, input [3:0] amount);
             wire [15:0] shifted;
             wire [31:0] twice = {{data, data}} << amount;
             wire [15:0] expected = {result};
             barrel_{name}_w16 dut (.data(data), .amount(amount), .shifted(shifted));
             always @* assert (shifted == expected);
             endmodule"
        );
        prove(&BarrelShifter { width: 16, shift }.build().unwrap(), &text, ALL_INPUTS);
    }
}

#[test]
fn the_lowest_request_is_granted_for_all_inputs() {
    let text = "module top (input [7:0] request);
        wire [7:0] grant;
        wire any;
        lowest_first_arbiter_n8 dut (.request(request), .grant(grant), .any(any));
        integer i;
        reg [7:0] expected;
        always @* begin
          expected = 8'd0;
          for (i = 7; i >= 0; i = i - 1) if (request[i]) expected = 8'd1 << i;
          assert (grant == expected);
          assert (any == (request != 8'd0));
        end
        endmodule";
    prove(&LowestFirstArbiter { requests: 8 }.build().unwrap(), text, ALL_INPUTS);
}

#[test]
fn a_round_robin_grant_is_one_hot_and_waits_for_less_than_all_others() {
    let text = "module top (input clk, input [3:0] request, input advance);
        reg started = 1'b0;
        reg [3:0] waiting = 4'd0;
        reg [2:0] passed = 3'd0;
        wire [3:0] grant;
        wire any;
        round_robin_arbiter_n4 dut (.clk(clk), .rst(!started), .request(request),
          .advance(advance), .grant(grant), .any(any));
        always @(posedge clk) begin
          started <= 1'b1;
          waiting <= started ? request & ~(grant & {4{advance}}) : 4'd0;
          // How often another one was served while request 2 waited.
          if (!started || !request[2] || (grant[2] && advance)) passed <= 3'd0;
          else if (advance) passed <= passed + 3'd1;
        end
        always @* begin
          // Who asks keeps asking until served.
          assume ((request & waiting) == waiting);
          if (started) begin
            assert ((grant & ~request) == 4'd0);
            assert ((grant & (grant - 4'd1)) == 4'd0);
            assert (any == (request != 4'd0));
            assert ((grant != 4'd0) == any);
            assert (passed <= 3'd3);
          end
        end
        endmodule";
    prove(&RoundRobinArbiter { requests: 4 }.build().unwrap(), text, BOUNDED);
}

#[test]
fn a_queue_loses_nothing_and_keeps_order_within_14_cycles() {
    // Compared with a shift register that always keeps its oldest beat in the lowest place.
    let text = "module top (input clk, input s_valid, input [1:0] s_data, input m_ready);
        reg started = 1'b0;
        reg [9:0] queue = 10'd0;
        reg [2:0] count = 3'd0;
        wire s_ready, m_valid;
        wire [1:0] m_data;
        wire [2:0] level;
        wire push = started && s_valid && s_ready;
        wire pop = started && m_valid && m_ready;
        wire [2:0] place = pop ? count - 3'd1 : count;
        wire [9:0] rest = pop ? queue >> 2 : queue;
        fifo_w2_d4 dut (.clk(clk), .rst(!started), .s_axis_tvalid(s_valid),
          .s_axis_tready(s_ready), .s_axis_tdata(s_data), .m_axis_tvalid(m_valid),
          .m_axis_tready(m_ready), .m_axis_tdata(m_data), .level(level));
        always @(posedge clk) begin
          started <= 1'b1;
          if (started) begin
            count <= place + {2'd0, push};
            queue <= push ? (rest & ~(10'd3 << {place, 1'b0})) | ({8'd0, s_data} << {place, 1'b0})
                          : rest;
          end
        end
        always @* if (started) begin
          assert (level == count);
          assert (count <= 3'd4);
          assert (s_ready == (count < 3'd4));
          assert (m_valid == (count != 3'd0));
          if (m_valid) assert (m_data == queue[1:0]);
        end
        endmodule";
    prove(&Fifo { width: 2, depth: 4 }.build().unwrap(), text, BOUNDED);
}
