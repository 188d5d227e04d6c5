//! Hardware of machines that nobody has published: random legal parameters, every unit, one linter run
//! per machine without any waiver.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{fs, process::Command, sync::Arc};

use attelier::cosim::{edge_moe, spatten::units};
use attelier_hw::{
    config,
    edge_moe::{EdgeMoe, Sizes},
    spatten::Spatten,
};
use attelier_rtl::{Design, ModuleBuilder, ir::Module};
use common::has;
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_pcg::Pcg64Mcg;

const MACHINES: usize = 50;

/// Most multipliers of an array with which the units are linted joined to the whole machine as well, which
/// takes the linter longer than all of them.
const MOST_MULTIPLIERS: u32 = 16;

/// Assignments to a preset, some of which contradict each other; the presets themselves are larger.
fn draw(random: &mut Pcg64Mcg) -> Vec<String> {
    let mut sets = Vec::new();
    let mut set = |path: &str, value: u64| sets.push(format!("{path}={value}"));
    let head_dim = *[8u64, 16, 32].choose(random).unwrap();
    let vectors = *[1u64, 2, 4].choose(random).unwrap();
    let lines = *[16u64, 64, 200].choose(random).unwrap();
    let bits = *[8u64, 10, 12].choose(random).unwrap();
    set("head_dim", head_dim);
    set("datapath_bits", bits);
    for array in ["qk_array", "pv_array"] {
        set(&format!("{array}.multipliers"), head_dim * vectors);
    }
    for buffer in ["key_sram", "value_sram"] {
        set(&format!("{buffer}.bytes"), lines * head_dim * vectors * bits / 8);
    }
    let channels = *[1u64, 2, 4].choose(random).unwrap();
    set("memory.channels", channels);
    set("qkv_fetcher.lanes", channels * *[1u64, 2].choose(random).unwrap());
    set("qkv_fetcher.fifo_depth", *[2u64, 8, 64].choose(random).unwrap());
    for unit in ["softmax", "quant_decision", "pv_array"] {
        set(&format!("{unit}.fifo_depth"), random.random_range(2..130));
    }
    for engine in ["topk_value", "topk_token"] {
        set(&format!("{engine}.parallelism"), *[2u64, 4, 8, 16, 32].choose(random).unwrap());
    }
    sets
}

/// A module that does nothing but hold all the others, port by port.
fn holder(modules: &[Arc<Module>]) -> Arc<Module> {
    let m = ModuleBuilder::new("all_units");
    m.doc("All units of a machine side by side.");
    m.latency("that of each unit");
    for module in modules {
        let name = module.name();
        let instance = m.instance(format!("the_{name}"), module);
        for (port, ty) in module.inputs() {
            let input = m.input(format!("{name}_{port}"), ty.width);
            instance.input(port, &if ty.signed { input.as_signed() } else { input });
        }
        for (port, _) in module.outputs() {
            m.output(format!("{name}_of_{port}"), &instance.output(port));
        }
    }
    m.finish().unwrap()
}

/// The units that no other unit contains: the linter reads a module wherever it is instantiated.
fn outermost(designs: Vec<(String, Design)>) -> Vec<Arc<Module>> {
    let inside = |module: &Module| {
        designs.iter().any(|(top, design)| {
            top != module.name() && design.module(module.name()).is_ok_and(|held| **held == *module)
        })
    };
    let tops = designs.iter().map(|(top, design)| design.module(top).unwrap());
    let mut tops: Vec<_> = tops.filter(|module| !inside(module)).map(Arc::clone).collect();
    tops.sort_by(|a, b| a.name().cmp(b.name()));
    tops.dedup();
    tops
}

/// Modules that fit one design: engines of different sizes have inner modules of one name.
fn groups(tops: Vec<Arc<Module>>) -> Vec<Vec<Arc<Module>>> {
    let mut groups: Vec<Vec<Arc<Module>>> = Vec::new();
    for top in tops {
        let fits = |group: &&mut Vec<Arc<Module>>| Design::new(group.iter().chain([&top])).is_ok();
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(top),
            None => groups.push(vec![top]),
        }
    }
    groups
}

/// What the linter says.
fn lint(design: &Design) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut list = String::new();
    for file in design.verilog() {
        fs::write(folder.path().join(&file.name), &file.text).unwrap();
        list += &format!("{}\n", file.name);
    }
    fs::write(folder.path().join("files.f"), list).unwrap();
    let lint = Command::new("verilator")
        .args(["--lint-only", "-Wall", "--top-module", "all_units", "-f", "files.f"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&lint.stderr).into_owned();
    if lint.status.success() { text } else { format!("failed: {text}") }
}

#[test]
fn fifty_random_machines_lint_without_a_warning() {
    if !has("verilator") {
        return;
    }
    let mut random = Pcg64Mcg::seed_from_u64(50);
    let (mut linted, mut units_linted, mut refused) = (0, 0, 0);
    while linted < MACHINES {
        let sets = draw(&mut random);
        let params = config::load("spatten-eighth", None, &sets).and_then(|c| Spatten::check(&c));
        let Ok(params) = params else {
            refused += 1;
            assert!(refused < 20 * MACHINES, "hardly anything is legal");
            continue;
        };
        // A unit refuses latencies that its stages do not fit: such a machine is not built at all.
        let whole = params.qk_array.multipliers <= MOST_MULTIPLIERS;
        let designs: Result<Vec<_>, _> = units(&params)
            .iter()
            .filter(|unit| whole || !unit.top().starts_with("spatten"))
            .map(|unit| unit.design().map(|design| (unit.top().to_owned(), design)))
            .collect();
        let Ok(designs) = designs else {
            refused += 1;
            continue;
        };
        let tops = outermost(designs);
        units_linted += tops.len();
        for group in groups(tops) {
            let text = lint(&Design::new([&holder(&group)]).unwrap());
            assert!(text.is_empty(), "{sets:?}: {text}");
        }
        linted += 1;
    }
    eprintln!(
        "{linted} machines ({units_linted} outermost units) without a warning, {refused} drawn ones refused"
    );
}

/// Sizes of Edge-MoE's hardware, some of which contradict each other.
fn draw_sizes(random: &mut Pcg64Mcg) -> Sizes {
    let lanes = *[2u32, 4, 8].choose(random).unwrap();
    let heads = random.random_range(1..=3);
    let tokens = random.random_range(3..40);
    let experts = random.random_range(2..10);
    let block = *[2u32, 4, 8].choose(random).unwrap();
    let patch = *[2u32, 4, 8, 16].choose(random).unwrap();
    Sizes {
        tokens,
        width: lanes * heads * random.random_range(1..4),
        heads,
        hidden: block * random.random_range(2..8),
        experts,
        chosen: random.random_range(1..=3.min(experts)),
        lanes,
        queries: random.random_range(2..6.min(tokens)),
        block_inputs: block,
        block_outputs: block,
        buffer_blocks: random.random_range(2..80),
        ultra_ram: random.random_bool(0.5),
        word_weights: block,
        patch,
        patch_columns: (4 * lanes / patch).max(1) * random.random_range(2..6),
        colours: random.random_range(1..4),
    }
}

#[test]
fn random_sizes_of_edge_moe_lint_without_a_warning() {
    if !has("verilator") {
        return;
    }
    let mut random = Pcg64Mcg::seed_from_u64(51);
    let deployed = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
    let (mut linted, mut refused) = (0, 0);
    for machine in 0..MACHINES / 2 {
        let sizes = if machine == 0 { deployed.clone() } else { draw_sizes(&mut random) };
        let units = edge_moe::units(&sizes);
        let designs =
            units.iter().filter_map(|unit| Some((unit.top().to_owned(), unit.design().ok()?)));
        let designs: Vec<_> = designs.collect();
        refused += units.len() - designs.len();
        let tops = outermost(designs);
        linted += tops.len();
        for group in groups(tops) {
            let text = lint(&Design::new([&holder(&group)]).unwrap());
            assert!(text.is_empty(), "{sizes:?}: {text}");
        }
    }
    assert!(linted > 8 * MACHINES / 2, "{linted} outermost units linted, {refused} refused");
    eprintln!("{linted} outermost units without a warning, {refused} refused");
}
