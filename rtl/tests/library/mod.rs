//! Variants of every library block.
#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::Arc;

use attelier_rtl::{
    Error,
    blocks::*,
    ir::{MemoryStyle, Module, Type},
};
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

/// The default variants, small and odd ones among them.
pub fn variants() -> Vec<Arc<Module>> {
    let built: Result<Vec<_>, Error> = [
        Fifo { width: 12, depth: 3 }.build(),
        Fifo { width: 33, depth: 6 }.build(),
        Fifo { width: 72, depth: 200 }.build(),
        SkidBuffer { width: 9 }.build(),
        PipelineRegister { width: 70 }.build(),
        AdderTree { lanes: 7, ty: Type::signed(9) }.build(),
        AdderTree { lanes: 16, ty: Type::unsigned(12) }.build(),
        PrefixSum { lanes: 8, width: 1, pipelining: Pipelining::Combinational }.build(),
        PrefixSum { lanes: 11, width: 5, pipelining: Pipelining::EveryLevel }.build(),
        BarrelShifter { width: 16, shift: Shift::Left }.build(),
        BarrelShifter { width: 21, shift: Shift::Right }.build(),
        BarrelShifter { width: 100, shift: Shift::RightSigned }.build(),
        BarrelShifter { width: 32, shift: Shift::RotateLeft }.build(),
        LowestFirstArbiter { requests: 5 }.build(),
        RoundRobinArbiter { requests: 6 }.build(),
        Crossbar { inputs: 3, outputs: 4, width: 10 }.build(),
        DualPortRam { width: 20, depth: 64, style: MemoryStyle::Distributed }.build(),
        DualPortRam { width: 36, depth: 1024, style: MemoryStyle::Block }.build(),
        TrueDualPortRam { width: 18, depth: 512 }.build(),
        AxiStreamWidener { narrow_bytes: 2, ratio: 3 }.build(),
        AxiStreamNarrower { narrow_bytes: 2, ratio: 3 }.build(),
        read_master(16).build(),
        read_master(1).build(),
        write_master(16).build(),
        write_master(1).build(),
        AxiLiteRegisters { controls: 3, statuses: 2 }.build(),
    ]
    .into_iter()
    .collect();
    built.unwrap()
}

/// Reads of 32-byte beats.
pub fn read_master(burst_beats: u32) -> AxiReadMaster {
    AxiReadMaster {
        address_width: 32,
        beat_bytes: 32,
        burst_beats,
        length_width: 16,
        outstanding_beats: 40,
    }
}

/// Writes of 32-byte beats.
pub fn write_master(burst_beats: u32) -> AxiWriteMaster {
    AxiWriteMaster { address_width: 32, beat_bytes: 32, burst_beats, length_width: 16 }
}

/// Number of kinds of blocks that [`random_variant`] knows.
pub const KINDS: usize = 14;

/// A legal variant of a kind of block.
pub fn random_variant(kind: usize, random: &mut Pcg64Mcg) -> Arc<Module> {
    let mut of = |low: u32, high: u32| random.random_range(low..=high);
    let pipelining = [Pipelining::Combinational, Pipelining::EveryLevel];
    let shifts = [Shift::Left, Shift::Right, Shift::RightSigned];
    let built = match kind {
        0 => Fifo { width: of(1, 300), depth: of(3, 400) }.build(),
        1 => SkidBuffer { width: of(1, 300) }.build(),
        2 => PipelineRegister { width: of(1, 300) }.build(),
        3 => {
            let ty = Type { width: of(1, 40), signed: of(0, 1) == 1 };
            AdderTree { lanes: of(2, 40), ty }.build()
        }
        4 => {
            let pipelining = pipelining[of(0, 1) as usize];
            PrefixSum { lanes: of(2, 40), width: of(1, 20), pipelining }.build()
        }
        5 => BarrelShifter { width: of(2, 200), shift: shifts[of(0, 2) as usize] }.build(),
        6 => BarrelShifter { width: 1 << of(1, 7), shift: Shift::RotateLeft }.build(),
        7 => LowestFirstArbiter { requests: of(2, 100) }.build(),
        8 => RoundRobinArbiter { requests: of(2, 100) }.build(),
        9 => Crossbar { inputs: of(2, 9), outputs: of(2, 9), width: of(1, 90) }.build(),
        10 => {
            let style = [MemoryStyle::Auto, MemoryStyle::Distributed, MemoryStyle::Block];
            let style = style[of(0, 2) as usize];
            DualPortRam { width: of(1, 200), depth: of(2, 2000), style }.build()
        }
        11 => AxiStreamWidener { narrow_bytes: of(1, 8), ratio: of(2, 8) }.build(),
        12 => AxiStreamNarrower { narrow_bytes: of(1, 8), ratio: of(2, 8) }.build(),
        _ => match of(0, 2) {
            0 => AxiLiteRegisters { controls: of(1, 9), statuses: of(0, 9) }.build(),
            1 => AxiWriteMaster {
                address_width: of(13, 64),
                beat_bytes: 1 << of(0, 7),
                burst_beats: 1 << of(0, 8),
                length_width: of(1, 32),
            }
            .build(),
            _ => AxiReadMaster {
                address_width: of(13, 64),
                beat_bytes: 1 << of(0, 7),
                burst_beats: 1 << of(0, 8),
                length_width: of(1, 32),
                outstanding_beats: of(256, 65_535),
            }
            .build(),
        },
    };
    built.unwrap_or_else(|error| panic!("{error}"))
}
