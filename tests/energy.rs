//! Energy of every design: terms add up, power is energy over time, and each constant moves exactly the
//! terms that use it.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use attelier::{cli::Overrides, machines, workload};
use attelier_hw::{
    designs::{DESIGNS, Design},
    schema::Kind,
};
use attelier_sim::{
    energy::{
        Costs, Energy, spatten_with,
        standing::{Standing, TERMS, UnitCosts},
    },
    kernel::run::Mode,
    observe::Nobody,
    result::RunResult,
};
use attelier_workloads::Task;
use common::result;

/// Units in which a parameter is a constant of the energy.
const UNITS: [&str; 7] = ["uW", "uW per channel", "mW", "uA", "mV", "fJ/bit", "reads of one bank"];

/// What the names of such constants end with, or of the sections that hold them.
const ENDINGS: [&str; 5] = ["_uw", "_mw", "_ua", "_mv", "fj_per_bit"];

/// A short run of each design, of the kind of its default workload; `None` of those whose energy is not
/// modelled.
fn task_of(design: &str) -> Option<(&'static str, &'static [&'static str])> {
    match design {
        "spatten" | "spatten-eighth" => return Some(("gpt2-small/wikitext2", &["tokens=2"])),
        "spatten-small" => return Some(("small-decoder/text", &["tokens=2"])),
        "edge-moe" | "edge-moe-zcu104" | "m3vit" | "host" => return None,
        _ => {}
    }
    let loaded = machines::load(design, &Overrides::default()).unwrap();
    Some(match workload::task(loaded.default_workload, &[], 0).unwrap() {
        Task::Attention(_) => ("bert-base/mrpc", &[]),
        Task::Decoding(_) => ("gpt2-small", &["context=64", "tokens=2"]),
        Task::Image(_) => ("m3vit-tiny/cityscapes", &[]),
    })
}

/// Terms that a constant of that path must move.
fn moved_by(design: &Design, path: &str) -> BTreeSet<&'static str> {
    let terms: &[&str] = match (design.name, path) {
        ("a3" | "a3-conservative" | "a3-aggressive", path) => match path {
            "dynamic_uw.dot_product" => &["dot_product"],
            "dynamic_uw.exponent" => &["exponent"],
            "dynamic_uw.output" => &["output"],
            "dynamic_uw.key_sram" => &["key_sram"],
            "dynamic_uw.value_sram" => &["value_sram"],
            "memory.fj_per_bit" => &["dram"],
            // The base machine has no search.
            "dynamic_uw.candidate_search"
            | "dynamic_uw.post_scoring"
            | "dynamic_uw.sorted_key_sram"
            | "static_uw.candidate_search"
            | "static_uw.post_scoring"
            | "static_uw.sorted_key_sram"
                if design.name == "a3" =>
            {
                &[]
            }
            "dynamic_uw.candidate_search" => &["candidate_search"],
            "dynamic_uw.post_scoring" => &["post_scoring"],
            "dynamic_uw.sorted_key_sram" => &["sorted_key_sram"],
            path if path.starts_with("static_uw.") => &["static"],
            _ => panic!("{path} has no expectation"),
        },
        ("mnnfast", "power_uw") => &["machine"],
        ("pim-gpt" | "pim-gpt-aim", path) => match path {
            "energy.vdd_mv" => {
                &["dram_standby", "dram_activate", "dram_mac", "dram_write", "dram_refresh"]
            }
            "energy.active_standby_ua" | "energy.precharge_standby_ua" => &["dram_standby"],
            "energy.activate_ua" => &["dram_activate"],
            "energy.read_ua" | "energy.mac_over_read" => &["dram_mac"],
            "energy.write_ua" => &["dram_write"],
            "energy.refresh_ua" => &["dram_refresh"],
            "energy.pin_fj_per_bit" => &["pins"],
            "energy.mac_uw" => &["mac_logic"],
            "energy.asic_uw" => &["asic"],
            _ => panic!("{path} has no expectation"),
        },
        (_, "dynamic_mw") => &["platform"],
        (_, path) if path.starts_with("static_uw.") => &["static"],
        // A module and its term have one name.
        (_, path) if path.starts_with("dynamic_uw.") => {
            return design.schema.field(path).map(|field| field.key).into_iter().collect();
        }
        _ => panic!("{}: {path} has no expectation", design.name),
    };
    terms.iter().copied().collect()
}

fn simulate(design: &Design) -> Option<(machines::Loaded, RunResult)> {
    let (name, knobs) = task_of(design.name)?;
    let task = workload::task(name, knobs, 0).unwrap();
    let loaded = machines::load(design.name, &Overrides::default()).unwrap();
    let result = loaded.machine.simulate(&task, Mode::Jump, 0, &mut Nobody).unwrap();
    Some((loaded, result))
}

fn moved(before: &Energy, after: &Energy) -> BTreeSet<&'static str> {
    let pairs = before.terms.iter().zip(&after.terms);
    pairs.filter(|(before, after)| before != after).map(|(before, _)| before.0).collect()
}

#[test]
fn each_parameter_of_energy_moves_exactly_the_terms_that_use_it() {
    let mut all = 0;
    for design in DESIGNS {
        let Some((loaded, result)) = simulate(design) else { continue };
        let mut tried = BTreeSet::new();
        let before = loaded.machine.energy(&result).unwrap();
        let values: BTreeMap<String, serde_json::Value> = flat(&loaded.machine.parameters());
        for path in design.schema.paths() {
            let field = design.schema.field(&path).unwrap();
            if !UNITS.contains(&field.unit) || !matches!(field.kind, Kind::Count { .. }) {
                continue;
            }
            let value = values[&path].as_u64().unwrap();
            let set = vec![format!("{path}={}", value + (value / 10).max(1))];
            let changed = machines::load(design.name, &Overrides { config: None, set }).unwrap();
            let after = changed.machine.energy(&result).unwrap();
            let expected = moved_by(design, &path);
            // A term that is 0 in a short run stays 0.
            let expected: BTreeSet<_> =
                expected.into_iter().filter(|term| before.term(term) > 0.0).collect();
            assert_eq!(moved(&before, &after), expected, "{}: {path}", design.name);
            if value >= 10
                && value.is_multiple_of(10)
                && expected.len() == 1
                && !path.contains("standby")
            {
                let term = expected.first().unwrap();
                let share = after.term(term) / before.term(term) - 1.0;
                let alone = *term != "static";
                assert!(!alone || (share - 0.1).abs() < 1e-9, "{}: {path} {share}", design.name);
            }
            tried.insert(path);
        }
        // Names end with their units too: none of them was left out.
        let is_named = |path: &String| {
            path.split('.').any(|part| ENDINGS.iter().any(|ending| part.ends_with(ending)))
        };
        let named: BTreeSet<String> = design.schema.paths().filter(is_named).collect();
        assert!(tried.is_superset(&named), "{}: {tried:?} of {named:?}", design.name);
        all += tried.len();
    }
    assert!(all > 0);
}

/// Every value of a record by its path.
fn flat(value: &serde_json::Value) -> BTreeMap<String, serde_json::Value> {
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        match value.as_object() {
            Some(fields) => open.extend(fields.iter().map(|(key, value)| {
                (if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value)
            })),
            None => {
                found.insert(path, value.clone());
            }
        }
    }
    found
}

/// A constant of SpAtten: its change, and the terms that it moves on HBM2 and on ideal memory.
type Cost = (fn(&mut Costs), &'static [&'static str], &'static [&'static str]);

/// SpAtten's costs come from tables of technology, not from its record.
#[test]
fn each_cost_of_spatten_moves_exactly_the_terms_that_use_it() {
    const COSTS: [Cost; 20] = [
        (|c| c.dram_bit *= 1.1, &[], &["dram"]),
        (|c| c.dram_transfer_bit *= 1.1, &["dram"], &[]),
        (|c| c.dram_activate *= 1.1, &["dram_activate"], &[]),
        (|c| c.dram_active_cycle *= 1.1, &["dram_standby"], &[]),
        (|c| c.dram_precharged_cycle *= 1.1, &["dram_standby"], &[]),
        (|c| c.dram_refresh *= 1.1, &["dram_refresh"], &[]),
        (|c| c.key_read_bit *= 1.1, &["key_sram"], &["key_sram"]),
        (|c| c.key_write_bit *= 1.1, &["key_sram"], &["key_sram"]),
        (|c| c.value_read_bit *= 1.1, &["value_sram"], &["value_sram"]),
        (|c| c.value_write_bit *= 1.1, &["value_sram"], &["value_sram"]),
        (|c| c.qk_multiply *= 1.1, &["qk_array"], &["qk_array"]),
        (|c| c.qk_add *= 1.1, &["qk_array"], &["qk_array"]),
        (|c| c.pv_multiply *= 1.1, &["pv_array"], &["pv_array"]),
        (|c| c.pv_add *= 1.1, &["pv_array"], &["pv_array"]),
        (|c| c.softmax_multiply *= 1.1, &["softmax"], &["softmax"]),
        (|c| c.softmax_add *= 1.1, &["softmax"], &["softmax"]),
        (|c| c.decision_compare *= 1.1, &["quant_decision"], &["quant_decision"]),
        (|c| c.value_compare *= 1.1, &["topk"], &["topk"]),
        (|c| c.token_compare *= 1.1, &["topk"], &["topk"]),
        (|c| c.importance_add *= 1.1, &["importance"], &["importance"]),
    ];
    let params = attelier_hw::spatten::Spatten::preset("spatten").unwrap();
    // A cost that is added later changes the size, and must be added above.
    assert_eq!(size_of::<Costs>(), COSTS.len() * size_of::<f64>());
    let task = workload::task("gpt2-small/wikitext2", &["tokens=2"], 0).unwrap();
    for memory in ["hbm2", "ideal"] {
        let set = vec![format!("memory.kind={memory}")];
        let loaded = machines::load("spatten", &Overrides { config: None, set }).unwrap();
        let result = loaded.machine.simulate(&task, Mode::Jump, 0, &mut Nobody).unwrap();
        let costs = Costs::of(&params);
        let before = spatten_with(&params, &result, &costs, None);
        let mut grown: BTreeMap<&str, f64> = BTreeMap::new();
        for (number, (change, counted, average)) in COSTS.iter().enumerate() {
            let mut changed = costs;
            change(&mut changed);
            let after = spatten_with(&params, &result, &changed, None);
            let expected = if memory == "hbm2" { counted } else { average };
            let expected: BTreeSet<_> = expected.iter().copied().collect();
            assert_eq!(moved(&before, &after), expected, "cost {number} on {memory}");
            for (term, joules) in &after.terms {
                *grown.entry(term).or_default() += joules - before.term(term);
            }
        }
        // A term is nothing but its costs: with all of them a tenth up, it is a tenth up.
        for (term, joules) in &before.terms {
            assert!((grown[term] / joules - 0.1).abs() < 1e-9, "{term} on {memory}");
        }
    }
}

/// What hardware costs for being there: each constant, by a tenth, moves its own term by a tenth and no other.
#[test]
fn each_cost_of_being_there_moves_exactly_its_term() {
    type Change = fn(&mut UnitCosts);
    const COSTS: [(&str, Change); 4] = [
        ("clock", |unit| unit.clock_j *= 1.1),
        ("registers", |unit| unit.register_j *= 1.1),
        ("leakage_logic", |unit| unit.leakage_logic_w *= 1.1),
        ("leakage_sram", |unit| unit.leakage_sram_w *= 1.1),
    ];
    const WIRES: [fn(&mut Standing); 3] =
        [|of| of.key_wire_j *= 1.1, |of| of.value_wire_j *= 1.1, |of| of.pin_wire_j *= 1.1];
    // A cost that is added later changes a size, and must be added above.
    assert_eq!(size_of::<UnitCosts>(), size_of::<&str>() + COSTS.len() * size_of::<f64>());
    assert_eq!(size_of::<Standing>(), size_of::<Vec<UnitCosts>>() + WIRES.len() * size_of::<f64>());
    let params = attelier_hw::spatten::Spatten::preset("spatten").unwrap();
    let hardware = machines::spatten::hardware(&params).unwrap();
    let task = workload::task("gpt2-small/wikitext2", &["tokens=2"], 0).unwrap();
    let loaded = machines::load("spatten", &Overrides::default()).unwrap();
    let result = loaded.machine.simulate(&task, Mode::Jump, 0, &mut Nobody).unwrap();
    let costs = Costs::of(&params);
    let standing = Standing::of(&hardware);
    let energy = |standing: &Standing| spatten_with(&params, &result, &costs, Some(standing));
    let before = energy(&standing);
    for term in TERMS {
        assert!(before.term(term) > 0.0, "{term}");
    }
    for (term, change) in COSTS {
        let mut changed = standing.clone();
        changed.units.iter_mut().for_each(change);
        let after = energy(&changed);
        assert_eq!(moved(&before, &after), BTreeSet::from([term]));
        assert!((after.term(term) / before.term(term) - 1.1).abs() < 1e-9, "{term}");
    }
    let mut wires = 0.0;
    for change in WIRES {
        let mut changed = standing.clone();
        change(&mut changed);
        let after = energy(&changed);
        assert_eq!(moved(&before, &after), BTreeSet::from(["wires"]));
        wires += after.term("wires") - before.term("wires");
    }
    assert!((wires / before.term("wires") - 0.1).abs() < 1e-9, "the three wires are all");
}

/// A smaller node moves what is on the chip, all of it, and nothing of the DRAM.
#[test]
fn a_process_moves_everything_but_the_dram() {
    let task = workload::task("gpt2-small/wikitext2", &["tokens=2"], 0).unwrap();
    let load = |process: &str| {
        let set = vec![format!("process={process}")];
        machines::load("spatten", &Overrides { config: None, set }).unwrap()
    };
    let coarse = load("45nm");
    let result = coarse.machine.simulate(&task, Mode::Jump, 0, &mut Nobody).unwrap();
    let before = coarse.machine.energy(&result).unwrap();
    let fine = load("28nm");
    let after = fine.machine.energy(&result).unwrap();
    let moved = moved(&before, &after);
    for (term, joules) in &before.terms {
        assert_eq!(moved.contains(term), !term.starts_with("dram") && *joules > 0.0, "{term}");
    }
    let energy = attelier_hw::technology::Node::N28.energy();
    assert!((after.term("softmax") / before.term("softmax") - energy).abs() < 1e-9);
    let area = attelier_hw::technology::Node::N28.area();
    let ratio = fine.machine.area_mm2().unwrap() / coarse.machine.area_mm2().unwrap();
    assert!((ratio - area).abs() < 1e-9);
}

/// Sums of a sweep hold the same terms at every point, or are not given.
#[test]
fn a_total_without_what_the_hardware_costs_is_not_given() {
    let task = workload::task("gpt2-small/wikitext2", &["tokens=2"], 0).unwrap();
    let load = |parallelism: u32| {
        let set = vec![format!("topk_value.parallelism={parallelism}")];
        machines::load("spatten", &Overrides { config: None, set }).unwrap().machine
    };
    let standing = |energy: &Energy| TERMS.iter().all(|term| energy.term(term) > 0.0);
    let mut areas = Vec::new();
    for parallelism in [1, 2, 4, 8, 16, 32, 64] {
        let machine = load(parallelism);
        let result = machine.simulate(&task, Mode::Jump, 0, &mut Nobody).unwrap();
        let energy = machine.energy(&result).unwrap();
        assert!(standing(&energy), "{parallelism}");
        let counted = energy.notes.iter().any(|note| note.contains("it is counted as"));
        assert_eq!(counted, parallelism < 8, "{parallelism}");
        areas.push(machine.area_mm2().unwrap());
    }
    assert_eq!(areas[0], areas[1], "one comparator is counted as two");
    assert!(areas[1..].windows(2).all(|pair| pair[0] < pair[1]), "{areas:?}");

    let machine = load(128);
    let result = machine.simulate(&task, Mode::Jump, 0, &mut Nobody).unwrap();
    assert!(machine.energy(&result).is_none() && machine.area_mm2().is_none());
    let known = machine.known_energy(&result).unwrap();
    assert!(known.total() > 0.0 && !standing(&known));
}

#[test]
fn terms_add_up_to_the_total_and_power_is_energy_over_time() {
    for design in DESIGNS {
        let Some((name, knobs)) = task_of(design.name) else { continue };
        let knobs: Vec<String> = knobs.iter().map(|knob| format!("workload.{knob}")).collect();
        let mut args = vec![design.name, name];
        for knob in &knobs {
            args.extend(["--set", knob]);
        }
        let json = result(&args);
        let energy = json["energy_j"].as_object().unwrap();
        let total = energy["total"].as_f64().unwrap();
        let terms = energy.iter().filter(|(name, _)| *name != "total");
        let terms: Vec<f64> = terms.map(|(_, joules)| joules.as_f64().unwrap()).collect();
        assert!(terms.iter().all(|joules| *joules >= 0.0) && total > 0.0, "{}", design.name);
        let sum: f64 = terms.iter().sum();
        assert!((sum - total).abs() <= 1e-12 * total, "{}: {sum} and {total}", design.name);
        let power = json["power_w"].as_f64().unwrap() * json["seconds"].as_f64().unwrap();
        assert!((power - total).abs() <= 1e-12 * total, "{}", design.name);
    }
}
