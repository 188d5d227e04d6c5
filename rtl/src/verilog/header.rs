//! The comment at the head of a file: what the module does, its parameters, ports and latency.

use super::layout;
use crate::ir::{CLOCK, Module, RESET};

/// Prints the comment.
pub fn print(text: &mut String, module: &Module) {
    layout::comment(text, 0, module.name());
    if !module.doc.is_empty() {
        separator(text);
    }
    for line in &module.doc {
        layout::comment(text, 0, line);
    }
    if !module.parameters.is_empty() {
        separator(text);
        layout::comment(text, 0, "Parameters of the generator");
        let longest = module.parameters.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &module.parameters {
            layout::comment(text, 0, &format!("  {name:longest$} = {value}"));
        }
    }
    separator(text);
    layout::comment(text, 0, "Ports");
    ports(text, module);
    if let Some(latency) = &module.latency {
        separator(text);
        layout::comment(text, 0, &format!("Latency: {latency}"));
    }
}

fn separator(text: &mut String) {
    text.push_str("//\n");
}

fn ports(text: &mut String, module: &Module) {
    let mut rows: Vec<(String, &str, String, String)> = Vec::new();
    if module.clocked {
        rows.push((CLOCK.into(), "in", "1".into(), "clock, rising edge".into()));
    }
    if module.resets {
        rows.push((RESET.into(), "in", "1".into(), "synchronous reset, active high".into()));
    }
    let width = |signed: bool, width: u32| {
        if signed { format!("{width} signed") } else { width.to_string() }
    };
    for id in &module.inputs {
        let node = module.node(*id);
        rows.push((
            node.name.clone().unwrap_or_default(),
            "in",
            width(node.ty.signed, node.ty.width),
            node.comment.clone().unwrap_or_default(),
        ));
    }
    for output in &module.outputs {
        let ty = module.ty(output.source);
        rows.push((
            output.name.clone(),
            "out",
            width(ty.signed, ty.width),
            output.comment.clone().unwrap_or_default(),
        ));
    }
    let names = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let widths = rows.iter().map(|row| row.2.len()).max().unwrap_or(0);
    for (name, direction, width, comment) in rows {
        let line = format!("  {name:names$}  {direction:3}  {width:widths$}  {comment}");
        layout::comment(text, 0, &line);
    }
}
