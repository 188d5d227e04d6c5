//! A design as a folder that other tools can take: sources, file list, test bench, FuseSoC core,
//! clock constraint, estimate, and a page that explains them.

use std::fmt::Write as _;

use crate::{
    Design, Error,
    estimate::{Delays, Estimate, estimate},
    ir::{CLOCK, Module},
    verilog::SourceFile,
    witness::TestBench,
};

/// What the folder says about its design.
#[derive(Debug, Clone)]
pub struct About<'a> {
    /// Module at the top.
    pub top: &'a str,
    /// Parameters in a few words.
    pub parameters: &'a str,
    /// Frequency that is asked for \[Hz\].
    pub clock_hz: u64,
    /// The command that makes this folder again.
    pub command: &'a str,
}

/// Name of the file list.
pub const FILE_LIST: &str = "files.f";

/// The files of a design: text by name, in the order in which a reader meets them.
///
/// # Errors
/// The design has no module `about.top`.
pub fn package(
    design: &Design,
    about: &About<'_>,
    bench: TestBench,
) -> Result<Vec<SourceFile>, Error> {
    let module = design.module(about.top)?;
    let sources = design.verilog();
    let names: Vec<String> = sources.iter().map(|file| file.name.clone()).collect();
    let cost = estimate(design, about.top, &Delays::default())?;
    let file = |name: String, text: String| SourceFile { name, text };
    let mut files = vec![
        file("README.md".into(), readme(module, about, &names, &bench, &cost)),
        file(FILE_LIST.into(), names.iter().map(|name| format!("{name}\n")).collect()),
        file(format!("{}.core", about.top), core(module, about, &names)),
    ];
    if module.is_clocked() {
        files.push(file(format!("{}.xdc", about.top), constraint(about)));
    }
    files.push(file("estimate.md".into(), report(about, &cost)));
    files.extend(sources);
    files.push(file("bench.v".into(), bench.text));
    files.push(file(crate::witness::VECTORS.into(), bench.vectors));
    Ok(files)
}

fn period_ns(about: &About<'_>) -> f64 {
    1e9 / about.clock_hz.max(1) as f64
}

fn constraint(about: &About<'_>) -> String {
    let period = period_ns(about);
    format!(
        "# The clock of `{}`: {:.3} MHz, as the parameters ask for. A slower part needs a longer period.\n\
         create_clock -name {CLOCK} -period {period:.3} [get_ports {CLOCK}]\n",
        about.top,
        about.clock_hz as f64 * 1e-6
    )
}

/// A FuseSoC core file (CAPI2).
fn core(module: &Module, about: &About<'_>, names: &[String]) -> String {
    let top = about.top;
    let list = |names: &[String]| -> String {
        names.iter().map(|name| format!("      - {name}\n")).collect()
    };
    let mut text = format!(
        "CAPI=2:\n\nname: attelier::{top}:0\ndescription: \"{}\"\n\nfilesets:\n  rtl:\n    files:\n{}    \
         file_type: verilogSource-2005\n  bench:\n    files:\n      - bench.v : {{file_type: \
         verilogSource-2005}}\n      - {} : {{file_type: user, copyto: {}}}\n",
        about.parameters.replace('"', "'"),
        list(names),
        crate::witness::VECTORS,
        crate::witness::VECTORS,
    );
    if module.is_clocked() {
        let _ = write!(text, "  clock:\n    files:\n      - {top}.xdc : {{file_type: xdc}}\n");
    }
    let _ = write!(
        text,
        "\ntargets:\n  default: &default\n    filesets: [rtl]\n    toplevel: {top}\n\n  sim:\n    \
         description: Self-checking test bench\n    default_tool: icarus\n    filesets: [rtl, \
         bench]\n    toplevel: bench\n\n  lint:\n    <<: *default\n    description: Verilator, all \
         warnings\n    default_tool: verilator\n    tools:\n      verilator:\n        mode: \
         lint-only\n        verilator_options: [-Wall]\n"
    );
    if module.is_clocked() {
        text.push_str(
            "\n  synth:\n    <<: *default\n    description: Synthesis for UltraScale+\n    \
             default_tool: vivado\n    filesets: [rtl, clock]\n    tools:\n      vivado:\n        \
             part: xczu9eg-ffvb1156-2-e\n",
        );
    }
    text
}

/// The estimate for people.
fn report(about: &About<'_>, cost: &Estimate) -> String {
    let mut text = format!(
        "# Estimate of `{}`\n\n{}.\n\nCells of UltraScale+ before any tool has seen the design; \
         `attelier synth` asks Yosys.\n\n| cell | number |\n|---|---|\n",
        about.top, about.parameters
    );
    let rows = [
        ("look-up tables, logic", cost.lut),
        ("look-up tables, memory", cost.lutram),
        ("flip-flops", cost.ff),
        ("DSP48E2", cost.dsp),
        ("RAMB18 (a RAMB36 counts two)", cost.ramb18),
        ("URAM288", cost.uram),
    ];
    for (name, count) in rows {
        let _ = writeln!(text, "| {name} | {count} |");
    }
    let fast = 1e3 / cost.path.ns;
    let _ = writeln!(
        text,
        "\nLongest path: {:.1} levels of tables, {:.2} ns with assumed delays of fabric and nets, which \
         is {fast:.0} MHz. The parameters ask for {:.0} MHz (`clock_hz`, for a published chip that of the \
         chip): where the device is slower, lower it or expect fewer cycles per second.",
        cost.path.levels,
        cost.path.ns,
        about.clock_hz as f64 * 1e-6
    );
    if !cost.path.through.is_empty() {
        let _ = writeln!(text, "\nIt passes {}.", cost.path.through.join(", "));
    }
    text
}

fn readme(
    module: &Module,
    about: &About<'_>,
    names: &[String],
    bench: &TestBench,
    cost: &Estimate,
) -> String {
    let top = about.top;
    let doc: Vec<&str> = module.doc.iter().map(String::as_str).collect();
    let mut text = format!(
        "# {top}\n\n{}\n\nParameters: {}. Made by `{}`.\n\n| file | what |\n|---|---|\n| `{FILE_LIST}` \
         | Verilog files ({}), each after those it instantiates, `{top}.v` last |\n| `{top}.core` | \
         FuseSoC core with the targets `sim`, `lint` and `synth` |\n",
        doc.join("\n"),
        about.parameters,
        about.command,
        names.len(),
    );
    if module.is_clocked() {
        let _ = writeln!(text, "| `{top}.xdc` | clock constraint, {:.3} ns | ", period_ns(about));
    }
    let _ = write!(
        text,
        "| `estimate.md` | cells and longest path, estimated: {} tables, {} flip-flops, {} DSP |\n| \
         `bench.v`, `{}` | self-checking bench: {} beats in {} cycles, from the simulator's model |\n\n\
         Ports, parameters and latency stand at the head of `{top}.v`. All modules are Verilog-2005 \
         with one clock and a synchronous reset, active high.\n\n```sh\niverilog -g2005 -o bench.vvp \
         bench.v -c {FILE_LIST} && vvp -n bench.vvp      # ends with PASS\nverilator \
         --lint-only -Wall --top-module {top} -f {FILE_LIST}\nyosys -p \"read_verilog {}; synth_xilinx \
         -family xcup -top {top} -flatten; stat\"\n```\n",
        cost.lut,
        cost.ff,
        cost.dsp,
        crate::witness::VECTORS,
        bench.beats,
        bench.cycles,
        names.join(" "),
    );
    text
}
