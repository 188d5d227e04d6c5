//! What is known of the energy of an image: moving its data through the DRAM.
//!
//! Bytes of the run times the energy of a bit by the currents of a public device file. Unknown, and left
//! so: the logic of the FPGA, whose energy per operation is not published; rows opened, which the memory
//! behind the ports does not count; standby, which depends on them. Area in mm2 has no meaning here.

use attelier_hw::edge_moe::EdgeMoe;

use crate::energy::Energy;
use crate::result::RunResult;

/// Currents of a DDR4 device of 8 Gb, as DRAMsim3 ships them (`DDR4_8Gb_x8_3200`), a rank of eight. The
/// board has slower devices, whose currents are lower and whose bursts last longer.
mod ddr4 {
    /// Supply \[V\].
    const VOLTS: f64 = 1.2;
    /// Active standby, read burst, write burst, refresh of all banks \[mA\].
    const IDD: [f64; 4] = [52.0, 168.0, 150.0, 250.0];
    /// A clock \[ns\], clocks of a burst of 64 bytes and of a refresh.
    const CLOCK: [f64; 3] = [0.63, 4.0, 560.0];
    /// Devices of a rank.
    const DEVICES: f64 = 8.0;
    /// Bits of a burst.
    const BURST_BITS: f64 = 512.0;

    /// Charge above active standby for so many clocks \[pJ\].
    fn above_standby(milliamperes: f64, clocks: f64) -> f64 {
        VOLTS * (milliamperes - IDD[0]) * clocks * CLOCK[0] * DEVICES
    }

    /// One bit read or written \[pJ\].
    pub fn bit(write: bool) -> f64 {
        above_standby(IDD[if write { 2 } else { 1 }], CLOCK[1]) / BURST_BITS
    }

    /// One refresh of all banks \[pJ\].
    pub fn refresh() -> f64 {
        above_standby(IDD[3], CLOCK[2])
    }
}

/// The terms that are known, without a claim to be all.
pub fn known(machine: &EdgeMoe, result: &RunResult) -> Energy {
    let bits = |write: bool| {
        let streams = result.streams.iter().filter(|stream| stream.write == write);
        8.0 * streams.map(|stream| stream.bytes as f64).sum::<f64>()
    };
    let seconds = result.cycles as f64 / result.clock_hz.max(1) as f64;
    let refreshes = seconds * 1e9 / f64::from(machine.dram.refresh_interval_ns);
    let terms = [
        ("dram_read", bits(false) * ddr4::bit(false)),
        ("dram_write", bits(true) * ddr4::bit(true)),
        ("dram_refresh", refreshes * ddr4::refresh()),
    ];
    Energy {
        terms: terms.map(|(name, picojoules)| (name, picojoules * 1e-12)).to_vec(),
        notes: vec![
            "energy of DRAM transfers and refreshes only, by the currents of DDR4-3200 (DRAMsim3); the total \
             is unknown: no energy of the FPGA's operations is published, and rows are not counted"
                .to_owned(),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that others worked out from the same file: 5.48 and 4.63 pJ per bit, 670,602 pJ.
    #[test]
    fn constants_follow_from_the_currents() {
        assert!((ddr4::bit(false) - 5.48).abs() < 0.005);
        assert!((ddr4::bit(true) - 4.63).abs() < 0.005);
        assert!((ddr4::refresh() - 670_602.0).abs() < 1.0);
    }
}
