//! The machine with a memory and a processor: registers are written, an image is computed, its state is read.

use std::collections::VecDeque;

use anyhow::{Context, Result};
use attelier_hw::edge_moe::{EdgeMoe, TopSizes};
use attelier_rtl::{
    Design, Simulator, units,
    witness::{Frame, Pins},
};
use attelier_sim::designs::edge_moe::functional;
use attelier_workloads::vision::Network;
use ndarray::Array2;

use super::{
    layout::Layout,
    memory::{AxiMemory, Written},
    wires::{Places, Wires},
};

/// Ports of the machine.
const PORTS: [&str; 5] = ["weights", "inout1", "inout2", "inout3", "inout4"];
/// State of a machine that has computed an image: idle, complete, nothing failed.
const COMPLETE: u64 = 3;
/// Cycles that the machine is held in reset.
const RESET_CYCLES: usize = 4;

/// What the processor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Write(u64, u64),
    /// Waits for the image to be complete.
    Wait,
    /// Reads a register, and what it must hold if that is known.
    Read(u64, Option<u64>),
}

/// An image that was computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The residual stream in memory.
    pub x: Array2<i32>,
    /// Cycles from the start to the end, as the machine counts them.
    pub cycles: u64,
}

/// The machine on its board.
pub struct Board {
    sizes: TopSizes,
    machine: EdgeMoe,
    network: Network,
    layout: Layout,
    memory: AxiMemory,
    simulator: Simulator,
    places: Places,
    script: VecDeque<Access>,
    /// The processor waits for a response.
    awaits: bool,
    now: u64,
    task: usize,
    /// What the residual stream holds after each time it is written as a whole, and beats written so far.
    versions: Vec<Array2<i32>>,
    written: u64,
    finished: Option<Finished>,
}

impl Board {
    /// A model on a machine, which has just been reset.
    ///
    /// # Errors
    /// Sizes that the machine cannot be built for.
    pub fn new(sizes: &TopSizes, network: &Network, pins: &Pins, seed: u64) -> Result<Self> {
        let design = Design::new([&units::edge_moe::edge_moe_top(sizes)?])?;
        let mut simulator = Simulator::new(&design, "edge_moe_top")?;
        for _ in 0..RESET_CYCLES {
            simulator.reset();
        }
        let layout = Layout::new(sizes, network);
        let memory = AxiMemory::new(layout.bytes.clone(), sizes.beat_bytes, &PORTS, seed);
        Ok(Self {
            machine: super::simulated(sizes).context("the machine of the simulator")?,
            sizes: sizes.clone(),
            network: network.clone(),
            places: Places::new(pins, &simulator),
            layout,
            memory,
            simulator,
            script: VecDeque::new(),
            awaits: false,
            now: 0,
            task: 0,
            versions: Vec::new(),
            written: 0,
            finished: None,
        })
    }

    /// Whether the processor has nothing to do.
    pub fn is_idle(&self) -> bool {
        self.script.is_empty()
    }

    /// The image that was complete last.
    pub fn finished(&mut self) -> Option<Finished> {
        self.finished.take()
    }

    /// An image for a task: all registers are written the first time, the task pointer each time.
    pub fn start(&mut self, task: usize) {
        let register = |name: &str| {
            let known = units::edge_moe::REGISTERS.iter().position(|(known, _)| *known == name);
            known.unwrap_or(0) as u64
        };
        if self.now == 0 {
            let all = &self.layout.registers;
            self.script
                .extend(all.iter().map(|(name, value)| Access::Write(register(name), *value)));
        }
        let gates = self.layout.gates.get(task).or(self.layout.gates.last());
        let state = units::edge_moe::REGISTERS.len() as u64;
        self.script.extend([
            Access::Write(register("gates"), gates.copied().unwrap_or(0)),
            Access::Write(register("start"), 1),
            Access::Wait,
            Access::Read(state, Some(COMPLETE)),
            Access::Read(state + 1, None),
        ]);
        (self.task, self.written) = (task, 0);
        self.versions.clear();
    }

    /// One cycle: inputs are driven, outputs noted.
    pub fn cycle(&mut self, frame: &mut Frame) {
        let Self { simulator, places, memory, now, .. } = self;
        let mut wires = Wires { places, simulator, frame };
        let access = self.script.front().copied().filter(|_| !self.awaits);
        let (writes, reads) =
            (matches!(access, Some(Access::Write(..))), matches!(access, Some(Access::Read(..))));
        for (port, value) in [
            ("s_axi_awvalid", u64::from(writes)),
            ("s_axi_wvalid", writes.into()),
            ("s_axi_wstrb", 0xf),
            ("s_axi_bready", 1),
            ("s_axi_arvalid", reads.into()),
            ("s_axi_rready", 1),
        ] {
            wires.drive(port, value);
        }
        match access {
            Some(Access::Write(register, value)) => {
                wires.drive("s_axi_awaddr", 4 * register);
                wires.drive("s_axi_wdata", value);
            }
            Some(Access::Read(register, _)) => wires.drive("s_axi_araddr", 4 * register),
            _ => {}
        }
        memory.drive(&mut wires, *now);
        wires.expect_all();
        let (beats, written) = memory.take(&mut wires, *now);
        (0..beats + written.len() as u64).for_each(|_| wires.frame.count_beat());

        let accepted =
            wires.shows("s_axi_awready") && writes || wires.shows("s_axi_arready") && reads;
        let answered = wires.shows("s_axi_bvalid") || wires.shows("s_axi_rvalid");
        let (done, data) = (wires.shows("done"), wires.value("s_axi_rdata"));
        if let (true, Some(Access::Read(_, Some(known)))) = (answered, self.script.front()) {
            let known = attelier_rtl::bits::Bits::new(*known, 32);
            wires.expect_bits("s_axi_rdata", &known);
        }
        self.expect_written(frame, &written);
        self.simulator.step();
        self.now += 1;
        if self.awaits && answered {
            self.awaits = false;
            if let (Some(Access::Read(..)), true) =
                (self.script.pop_front(), self.script.is_empty())
            {
                self.finished = Some(Finished { x: self.x(), cycles: data });
            }
        } else if accepted {
            self.awaits = true;
        } else if self.script.front() == Some(&Access::Wait) && done {
            self.script.pop_front();
        }
    }

    /// What is written to the residual stream is that of the functional simulator.
    fn expect_written(&mut self, frame: &mut Frame, written: &[Written]) {
        let (beat, row) = (u64::from(self.sizes.beat_bytes), self.sizes.units.width as usize);
        let size = u64::from(self.sizes.units.tokens) * row as u64 * 4;
        for Written { address, data_port } in written {
            let Some(offset) = address.checked_sub(self.layout.x).filter(|at| *at < size) else {
                continue;
            };
            if self.versions.is_empty() {
                self.versions = self.computed();
            }
            let version = self.versions.get((self.written / (size / beat)) as usize);
            let first = (offset / 4) as usize;
            let numbers =
                version.and_then(|x| x.as_slice()?.get(first..first + (beat / 4) as usize));
            let bytes: Vec<u8> =
                numbers.into_iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
            let (places, simulator) = (&self.places, &mut self.simulator);
            let mut wires = Wires { places, simulator, frame };
            wires.expect_bits(data_port, &super::bits(&bytes, beat as usize));
            self.written += 1;
        }
    }

    /// The residual stream after the patch embedding and after each addition.
    fn computed(&self) -> Vec<Array2<i32>> {
        let trace = functional::compute(&self.machine, &self.network, self.task);
        let Ok(trace) = trace else { return Vec::new() };
        let sums = trace.layers.into_iter().flat_map(|layer| [layer.after_attention, layer.output]);
        std::iter::once(trace.embedded).chain(sums).collect()
    }

    /// The residual stream in memory.
    fn x(&self) -> Array2<i32> {
        let (tokens, width) = (self.sizes.units.tokens as usize, self.sizes.units.width as usize);
        Array2::from_shape_fn((tokens, width), |(token, feature)| {
            let at = self.layout.x as usize + 4 * (token * width + feature);
            let bytes = self.memory.bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, i32::from_le_bytes)
        })
    }
}
