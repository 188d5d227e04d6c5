//! The report of a run, for people.

use std::fmt::Write;

use super::checks::ErrorRow;
use super::{Bound, BoundKind, Identity, ImageLayerRow, LayerRow, ModelLayerRow, Report, share};
use crate::table::{
    Align::{Left, Right},
    bullets, grouped, percent, significant, table, with_prefix,
};
use crate::values::Fidelity;

impl Report {
    /// The report as text of several tables.
    pub fn text(&self) -> String {
        let sections = [
            self.summary(),
            self.traffic_section(),
            self.phases_section(),
            self.units_section(),
            self.energy_section(),
            self.area_section(),
            self.values_section(),
            self.published_section(),
            self.notes_section(),
        ];
        let sections: Vec<_> = sections.into_iter().filter(|text| !text.is_empty()).collect();
        sections.join("\n")
    }

    fn summary(&self) -> String {
        let id = &self.identity;
        let giga_ops = |rate: Option<f64>| {
            rate.map_or("-".to_owned(), |rate| format!("{} GOP/s", significant(rate / 1e9)))
        };
        let clock = with_prefix(self.clock_hz as f64, "Hz");
        let executed = giga_ops(self.throughput.executed_ops_per_s);
        let dense = giga_ops(self.throughput.dense_ops_per_s);
        let mut rows = vec![
            ("cycles", grouped(self.cycles)),
            ("time", format!("{} at {clock}", with_prefix(self.seconds, "s"))),
            ("executed", format!("{executed}  ({})", with_prefix(self.ops_executed as f64, "OP"))),
            (
                "dense-equivalent",
                format!("{dense}  ({})", with_prefix(self.ops_dense as f64, "OP")),
            ),
            ("bound by", self.bound.as_ref().map_or("-".to_owned(), Bound::text)),
        ];
        rows.extend(self.waits().map(|waits| ("next head waits", waits)));
        let workload_seed = id.workload_seed.filter(|&seed| seed != id.seed);
        let workload_seed =
            workload_seed.map_or(String::new(), |seed| format!(", workload seed {seed}"));
        let Identity { design, workload, seed, .. } = id;
        let mut text = format!("{design} on {workload} (seed {seed}{workload_seed})\n\n");
        for (name, value) in rows {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<18}{value}");
        }
        text
    }

    /// What heads wait for before they enter, in shares of all cycles.
    fn waits(&self) -> Option<String> {
        let admission = self.admission?;
        let waits = [
            ("top-k selection", admission.selection_cycles),
            ("jobs in flight", admission.in_flight_cycles),
            ("key_sram", admission.key_sram_cycles),
            ("value_sram", admission.value_sram_cycles),
        ];
        let waits = waits.into_iter().filter(|&(_, waited)| waited > 0);
        let waits: Vec<_> = waits
            .map(|(name, waited)| format!("{name} {}", percent(share(waited, self.cycles))))
            .collect();
        let none = waits.is_empty();
        Some(if none { "never".to_owned() } else { format!("for {}", waits.join(", ")) })
    }

    fn traffic_section(&self) -> String {
        let t = &self.traffic;
        let mut streams: Vec<_> =
            t.streams.iter().map(|stream| (stream.name, stream.bytes)).collect();
        if streams.is_empty() {
            streams.extend([
                ("query", t.query_bytes),
                ("key", t.key_bytes),
                ("key LSB", t.key_lsb_bytes),
                ("value", t.value_bytes),
            ]);
        }
        streams.push(("total", t.total_bytes));
        let rows = streams.into_iter().map(|(name, bytes)| {
            vec![name.to_owned(), grouped(bytes), percent(share(bytes, t.total_bytes))]
        });
        let streams = table(&[("stream", Left), ("bytes", Right), ("share", Right)], rows);
        let rate = t.bytes_per_s.map_or("-".to_owned(), |rate| with_prefix(rate, "B/s"));
        let dram = &self.dram;
        let rows = match (dram.activates, dram.refreshes) {
            (Some(activates), Some(refreshes)) => format!(
                "  {} of the {} found their row open; {} rows opened, {} refreshes\n",
                percent(dram.row_hit_rate),
                if t.streams.is_empty() { "reads" } else { "column accesses" },
                grouped(activates),
                grouped(refreshes),
            ),
            _ => String::new(),
        };
        let writes = match dram.writes {
            0 => String::new(),
            writes => format!(", {} writes", grouped(writes)),
        };
        format!(
            "Memory traffic\n{streams}  {} reads{writes}; {rate} = {} of {}\n{rows}",
            grouped(dram.reads),
            percent(t.utilisation),
            with_prefix(t.peak_bytes_per_s, "B/s"),
        )
    }

    fn phases_section(&self) -> String {
        if self.phases.is_empty() {
            return String::new();
        }
        let rows = self.phases.iter().map(|phase| {
            let share = percent(share(phase.cycles, self.cycles));
            vec![phase.name.to_owned(), grouped(phase.cycles), share]
        });
        let columns = [("operation", Left), ("cycles", Right), ("share", Right)];
        format!("Time by operation\n{}", table(&columns, rows))
    }

    fn units_section(&self) -> String {
        let columns = [
            ("unit", Left),
            ("busy", Right),
            ("starved", Right),
            ("blocked", Right),
            ("idle", Right),
            ("beats", Right),
        ];
        let rows = self.units.iter().map(|unit| {
            let active = unit.busy_cycles + unit.starved_cycles + unit.blocked_cycles;
            let of_all = |cycles| percent(share(cycles, self.cycles));
            vec![
                unit.name.to_owned(),
                of_all(unit.busy_cycles),
                of_all(unit.starved_cycles),
                of_all(unit.blocked_cycles),
                of_all(self.cycles.saturating_sub(active)),
                grouped(unit.beats),
            ]
        });
        format!("Units, share of cycles\n{}", table(&columns, rows))
    }

    fn energy_section(&self) -> String {
        let Some(total) = self.energy_j.total else { return self.known_energy_section() };
        let of_all = |joules: f64| percent((total > 0.0).then(|| joules / total));
        let power = |joules: f64| {
            let watts = (self.seconds > 0.0).then(|| joules / self.seconds);
            watts.map_or("-".to_owned(), |watts| with_prefix(watts, "W"))
        };
        let terms = self.energy_j.terms.iter().copied().chain([("total", total)]);
        let rows = terms.map(|(name, joules)| {
            vec![name.to_owned(), with_prefix(joules, "J"), power(joules), of_all(joules)]
        });
        let columns = [("term", Left), ("energy", Right), ("power", Right), ("share", Right)];
        format!("Energy\n{}", table(&columns, rows))
    }

    fn area_section(&self) -> String {
        let Some(total) = self.area_mm2 else { return String::new() };
        let units = self.area_by_unit_mm2.iter().copied().chain([("total", total)]);
        let rows = units.map(|(name, area)| {
            vec![name.to_owned(), significant(area), percent((total > 0.0).then(|| area / total))]
        });
        let columns = [("unit", Left), ("area [mm2]", Right), ("share", Right)];
        format!("Area\n{}", table(&columns, rows))
    }

    /// Terms of an energy whose total is unknown.
    fn known_energy_section(&self) -> String {
        let terms = &self.energy_j.terms;
        if terms.is_empty() {
            return String::new();
        }
        let rows =
            terms.iter().map(|(name, joules)| vec![(*name).to_owned(), with_prefix(*joules, "J")]);
        let columns = [("term", Left), ("energy", Right)];
        format!("Energy as far as it is known\n{}", table(&columns, rows))
    }

    fn values_section(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        if let Some(fidelity) = &self.fidelity {
            let _ = writeln!(text, "Beside the dense model\n{}", fidelity_table(fidelity));
        }
        let checks = &self.checks;
        if let (Some(outputs), Some(mismatches)) = (checks.outputs, checks.mismatches) {
            let verdict = if checks.passed() { "passed" } else { "FAILED" };
            let _ = write!(
                text,
                "Checks: {verdict}\n  {} of {} outputs have the bits of a run without the machine\n",
                grouped(outputs.saturating_sub(mismatches)),
                grouped(outputs),
            );
        }
        if let (Some(beyond), Some(unbounded)) = (checks.beyond_bound, checks.unbounded) {
            let _ = writeln!(
                text,
                "  {} outputs beyond the stated error bound, {} of scores too large for one\n  {} \
                 surviving tokens and heads, {} verdicts and selections differ from those of the \
                 reference kernels\n  {} of {} passes moved by missing LSBs farther than the paper's \
                 bound",
                grouped(beyond),
                grouped(unbounded),
                grouped(checks.other_survivors.unwrap_or(0)),
                grouped(checks.other_decisions.unwrap_or(0)),
                grouped(checks.beyond_half.unwrap_or(0)),
                grouped(checks.halved.unwrap_or(0)),
            );
        }
        if !checks.layers.is_empty() {
            text.push_str(&layers_table(&checks.layers));
        }
        if let (Some(outputs), Some(beyond), None) =
            (checks.outputs, checks.beyond_bound, checks.mismatches)
        {
            let verdict = if checks.passed() { "passed" } else { "FAILED" };
            let _ = writeln!(
                text,
                "Checks: {verdict}\n  {} of {} results lie within the stated bound of exact arithmetic",
                grouped(outputs.saturating_sub(beyond)),
                grouped(outputs),
            );
        }
        if !checks.model_layers.is_empty() {
            text.push_str("States after each layer, beside the exact decode\n");
            text.push_str(&model_layers_table(&checks.model_layers));
        }
        if !checks.image_layers.is_empty() {
            text.push_str("States after each layer, beside the network in floats\n");
            text.push_str(&image_layers_table(&checks.image_layers));
        }
        text
    }

    fn published_section(&self) -> String {
        if self.published.is_empty() {
            return String::new();
        }
        let columns = [
            ("item", Left),
            ("ours", Right),
            ("published", Right),
            ("unit", Left),
            ("deviation", Right),
            ("source", Left),
        ];
        let rows = self.published.iter().map(|row| {
            vec![
                row.item.clone(),
                significant(row.ours),
                significant(row.published),
                row.unit.clone(),
                format!("{:+.1} %", row.deviation * 100.0),
                row.source.clone(),
            ]
        });
        format!("Beside published numbers\n{}", table(&columns, rows))
    }

    fn notes_section(&self) -> String {
        if self.notes.is_empty() {
            return String::new();
        }
        format!("Notes\n{}", bullets(&self.notes))
    }
}

fn fidelity_table(fidelity: &Fidelity) -> String {
    let cosine = |cosine: f64| format!("{cosine:.6}");
    let mut rows = vec![
        ("inputs", grouped(fidelity.inputs)),
        (
            "tokens",
            format!(
                "{} of {} reach the last layer",
                grouped(fidelity.tokens_kept),
                grouped(fidelity.tokens)
            ),
        ),
    ];
    if let (Some(mean), Some(min)) = (fidelity.embedding_cosine_mean, fidelity.embedding_cosine_min)
    {
        let text = format!("{} mean, {} least", cosine(mean), cosine(min));
        rows.push(("embedding cosine", text));
    }
    rows.push(("output cosine", cosine(fidelity.output_cosine)));
    rows.push((
        "output error",
        format!(
            "{} rms, {} largest",
            significant(fidelity.output_rms_error),
            significant(fidelity.output_max_error)
        ),
    ));
    if let Some(same) = fidelity.same_prediction {
        rows.push(("same prediction", percent(Some(same))));
    }
    let line = |(name, value): (&str, String)| format!("  {name:<18}{value}\n");
    rows.into_iter().map(line).collect()
}

fn layers_table(layers: &[LayerRow]) -> String {
    let columns = [
        ("layer", Right),
        ("outputs", Right),
        ("data path max", Right),
        ("with quantisation max", Right),
        ("rms", Right),
        ("cosine", Right),
        ("with pruning rms", Right),
        ("cosine", Right),
    ];
    let rows = layers.iter().map(|row| {
        let pruning = |of: fn(&ErrorRow) -> String| row.pruning.as_ref().map_or("-".into(), of);
        vec![
            row.layer.to_string(),
            grouped(row.outputs),
            significant(row.datapath.max),
            significant(row.numerical.max),
            significant(row.numerical.rms),
            format!("{:.6}", row.numerical.cosine),
            pruning(|row| significant(row.rms)),
            pruning(|row| format!("{:.6}", row.cosine)),
        ]
    });
    table(&columns, rows)
}

fn model_layers_table(layers: &[ModelLayerRow]) -> String {
    let columns = [
        ("layer", Right),
        ("max", Right),
        ("rms", Right),
        ("cosine", Right),
        ("operations", Right),
        ("max", Right),
        ("of the bound", Right),
    ];
    let rows = layers.iter().map(|row| {
        let errors = row.operation_errors.as_ref();
        vec![
            row.layer.to_string(),
            significant(row.states.max),
            significant(row.states.rms),
            format!("{:.6}", row.states.cosine),
            row.operations.map_or("-".to_owned(), grouped),
            errors.map_or("-".to_owned(), |errors| significant(errors.max)),
            percent(row.bound_used),
        ]
    });
    table(&columns, rows)
}

fn image_layers_table(layers: &[ImageLayerRow]) -> String {
    let columns = [
        ("layer", Right),
        ("max", Right),
        ("rms", Right),
        ("cosine", Right),
        ("tokens with the same experts", Right),
    ];
    let rows = layers.iter().map(|row| {
        vec![
            row.layer.to_string(),
            significant(row.states.max),
            significant(row.states.rms),
            format!("{:.6}", row.states.cosine),
            row.same_experts.map_or("-".to_owned(), grouped),
        ]
    });
    table(&columns, rows)
}

impl Bound {
    fn text(&self) -> String {
        let Self { kind, unit, .. } = self;
        let share = percent(Some(self.utilisation));
        match kind {
            BoundKind::Unit => format!("{unit}, busy in {share} of the cycles"),
            BoundKind::Bandwidth => format!("memory bandwidth, {share} of it in use"),
            BoundKind::Capacity => {
                format!("space: heads wait for {unit} in {share} of the cycles")
            }
            BoundKind::Latency => {
                format!("latency between dependent steps; the fullest is {unit} with {share}")
            }
        }
    }
}
