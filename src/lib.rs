//! The `attelier` command line: reads arguments, calls the model crates, writes results.
//!
//! * [`cli`]: arguments. [`commands`]: one module per subcommand.
//! * [`machines`], [`workload`]: what the names on the command line stand for.
//! * [`values`]: a model with a machine as its attention.
//! * [`published`], [`figures`]: numbers of others, and figures made again.
//! * [`simulation`]: counts on a machine. [`report`]: a result, as JSON and as text.
//! * [`explore`]: many points of a design space.
//! * [`documents`]: results read back. [`html`]: results as a page. [`comparison`]: results side by side.
//! * [`cosim`]: simulator, RTL and its Verilog, compared cycle by cycle.
//! * [`observers`]: waveform, timeline and progress bar.
//! * [`plot`]: charts. [`output`]: files that are complete or absent. [`table`]: tables and numbers for people.
//!
//! All input and output of the project happens here, in readers of `attelier-workloads`, and in
//! tests; the model crates do none.

pub mod cli;
pub mod commands;
pub mod comparison;
pub mod cosim;
pub mod documents;
pub mod exit;
pub mod explore;
pub mod figures;
pub mod html;
pub mod machines;
pub mod observers;
pub mod output;
pub mod plot;
pub mod published;
pub mod report;
pub mod simulation;
pub mod table;
pub mod values;
pub mod workload;
