//! The AXI4 write master on a memory that refuses and answers when it likes: every beat arrives where its
//! command says, in bursts as the protocol allows them.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
#[path = "library/mod.rs"]
mod library;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use attelier_rtl::{Design, Simulator, bench::mutants, bits::Bits, ir::Module};
use rand::RngExt;

const BEAT: u64 = 32;
const COMMANDS: usize = 60;
/// Cycles after which a master that has not written everything is stuck.
const LIMIT: usize = 60_000;

/// Runs random commands; the first thing that is wrong, or the number of bursts.
fn run(module: &Arc<Module>, longest: u64, seed: u64) -> Result<usize, String> {
    let mut random = common::random(seed);
    let mut commands: VecDeque<(u64, u64)> = (0..COMMANDS)
        .map(|_| {
            let beats = if random.random_bool(0.2) { 0 } else { random.random_range(1..200) };
            (random.random_range(0..1u64 << 20) * BEAT, beats)
        })
        .collect();
    let mut data = 0u64;
    let mut expected = BTreeMap::new();
    for (address, beats) in &commands {
        for beat in 0..*beats {
            expected.insert(address + beat * BEAT, data);
            data += 1;
        }
    }
    let total = data;
    let design = Design::new([module]).map_err(|error| error.to_string())?;
    let mut s = Simulator::new(&design, module.name()).map_err(|error| error.to_string())?;
    s.reset();
    let mut memory = BTreeMap::new();
    let mut bursts: VecDeque<(u64, u64)> = VecDeque::new();
    let (mut sent, mut count, mut answers) = (0u64, 0, VecDeque::new());
    let mut refused = None;
    for cycle in 0..LIMIT {
        let command = commands.front().copied();
        let offers = command.is_some() && random.random_bool(0.7);
        let (address, beats) = command.unwrap_or_default();
        let has_data = sent < total && random.random_bool(0.8);
        let ready = [random.random_bool(0.6), random.random_bool(0.6)];
        let answers_now = answers.front().is_some_and(|due| *due <= cycle);
        for (port, value) in [
            ("command_valid", offers.into()),
            ("command_address", address),
            ("command_beats", beats),
            ("s_axis_tvalid", has_data.into()),
            ("m_axi_awready", ready[0].into()),
            ("m_axi_wready", ready[1].into()),
            ("m_axi_bvalid", answers_now.into()),
            ("m_axi_bresp", 0),
        ] {
            s.set(port, value).unwrap();
        }
        s.set_bits("s_axis_tdata", &Bits::new(sent, 8 * BEAT as u32)).unwrap();
        let mut get = |port: &str| s.get(port).unwrap();
        let idle = get("idle") == 1;
        if idle && commands.is_empty() && !offers {
            return match memory == expected && sent == total {
                true => Ok(count),
                false => Err(format!("idle with {sent} of {total} beats written")),
            };
        }
        if offers && get("command_ready") == 1 {
            commands.pop_front();
        }
        let address =
            (get("m_axi_awvalid") == 1).then(|| (get("m_axi_awaddr"), get("m_axi_awlen") + 1));
        if refused.is_some() && address != refused {
            return Err("an offered address was taken back".into());
        }
        refused = address.filter(|_| !ready[0]);
        if let Some((first, beats)) = address.filter(|_| ready[0]) {
            let last = first + beats * BEAT - 1;
            if beats > longest || first / 4096 != last / 4096 || get("m_axi_awsize") != 5 {
                return Err(format!("a burst of {beats} beats at {first:#x}"));
            }
            bursts.push_back((first, beats));
        }
        if get("m_axi_wvalid") == 1 && ready[1] {
            let Some((first, beats)) = bursts.front_mut() else {
                return Err("data without an address".into());
            };
            memory.insert(*first, get("m_axi_wdata"));
            (*first, *beats) = (*first + BEAT, *beats - 1);
            if (get("m_axi_wlast") == 1) != (*beats == 0) {
                return Err("the last beat is another one".into());
            }
            if *beats == 0 {
                bursts.pop_front();
                count += 1;
                answers.push_back(cycle + random.random_range(1..30));
            }
        }
        if get("s_axis_tready") == 1 && has_data {
            sent += 1;
        }
        if answers_now {
            answers.pop_front();
        } else if idle && !answers.is_empty() {
            return Err("idle before everything is answered".into());
        }
        s.step();
    }
    Err("the master is stuck".into())
}

#[test]
fn every_beat_is_written_where_its_command_says() {
    for longest in [16, 1] {
        let module = library::write_master(longest).build().unwrap();
        for seed in 0..5 {
            let bursts = run(&module, longest.into(), seed).unwrap();
            assert!(bursts > COMMANDS / 2);
        }
    }
}

#[test]
fn faults_of_the_master_are_noticed() {
    let module = library::write_master(16).build().unwrap();
    let all: Vec<_> = mutants(&module).into_iter().step_by(3).collect();
    let missed: Vec<String> = all
        .iter()
        .filter(|mutant| (0..2).all(|seed| run(&mutant.module, 16, seed).is_ok()))
        .map(|mutant| format!("{mutant:?}").chars().take(80).collect())
        .collect();
    // What is left counts failed responses, of which there are none here, and bursts that are never so many.
    assert!(missed.len() * 4 < all.len(), "{} of {}: {missed:#?}", missed.len(), all.len());
}

/// A failed write is remembered.
#[test]
fn a_response_that_is_not_okay_stays_visible() {
    let module = library::write_master(16).build().unwrap();
    let design = Design::new([&module]).unwrap();
    let mut s = Simulator::new(&design, module.name()).unwrap();
    s.reset();
    for (response, shows) in [(0, 0), (2, 1), (0, 1)] {
        s.set("m_axi_bvalid", 1).unwrap();
        s.set("m_axi_bresp", response).unwrap();
        s.step();
        assert_eq!(s.get("error").unwrap(), shows);
    }
}
