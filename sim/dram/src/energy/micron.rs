//! Micron's power model in the form DRAMsim3 uses (`src/configuration.cc`, commit 2981759).
//!
//! Per rank and supply, V x mA x ns = pJ:
//! activate and precharge `V (I0 tRC - (I3N tRAS + I2N tRP))`, read and write
//! `V (I4 - I3N) burst`, refresh `V (I5 - I3N) tRFC`, background `V I` per state and time.
//!
//! The refresh term subtracts active standby, so the time inside tRFC is charged as active standby
//! although all banks are closed; nothing is charged twice. A refresh that the end of a run cuts
//! short is charged whole. No interface energy: see [`crate::energy::interface`].
//!
//! The current of a per-bank refresh is measured with the other banks precharged. Its term is what
//! lies above precharge standby, `V (I5PB - I2N) tRFCpb`, and the background stays that of the other
//! banks. Without that current a per-bank refresh is its share of an all-bank one, `V (I5AB - I2N)
//! tRFC / B`, so that a round over all banks costs what one REFA does.

use crate::energy::{Account, Activity, Geometry, IddTable};

/// Energy of an activity.
#[must_use]
pub fn energy(activity: &Activity, idd: &IddTable, geometry: &Geometry) -> Account {
    let (a, g) = (activity, geometry);
    let refresh_time = a.refreshes_all_bank as f64 * g.rfc;
    let precharged = (a.precharged_cycles as f64 - refresh_time).max(0.0);
    let mut sums = [0.0; 10];
    for d in &idd.domains {
        let scale = d.voltage * g.devices * g.tck_ns;
        let per_bank = match d.i5pb {
            Some(i5pb) => (i5pb - d.i2n) * g.rfc_per_bank,
            None => (d.i5ab - d.i2n) * g.rfc / g.banks,
        };
        let terms = [
            (d.i0 * g.rc - (d.i3n * g.ras + d.i2n * g.rp)) * a.activates as f64,
            (d.i4r - d.i3n) * g.burst * a.reads as f64,
            (d.i4w - d.i3n) * g.burst * a.writes as f64,
            (d.i5ab - d.i3n) * refresh_time,
            per_bank * a.refreshes_per_bank as f64,
            d.i3n * (a.active_cycles as f64 + refresh_time),
            d.i2n * precharged,
            d.i3p * a.active_power_down_cycles as f64,
            d.i2p * a.precharge_power_down_cycles as f64,
            d.i6 * a.self_refresh_cycles as f64,
        ];
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum += term * scale;
        }
    }
    let names = [
        "activate_precharge",
        "read",
        "write",
        "refresh_all_bank",
        "refresh_per_bank",
        "active_standby",
        "precharge_standby",
        "active_power_down",
        "precharge_power_down",
        "self_refresh",
    ];
    let mut account = Account::default();
    for (name, picojoules) in names.into_iter().zip(sums) {
        account.push(name, picojoules);
    }
    account
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::energy::drampower;

    /// One REFA, or a round of REFPB, beside the same idle time: the same energy, in both models.
    #[test]
    fn a_round_of_per_bank_refreshes_costs_what_one_of_all_banks_does() {
        for name in ["hbm2-2000", "spatten-hbm2", "gddr6-14000"] {
            let device = Device::builtin(name).expect("built in");
            let idd = device.idd.as_ref().expect("has currents");
            let geometry = Geometry::of(&device);
            let idle = Activity { precharged_cycles: 10_000, ..Activity::default() };
            let all = Activity { refreshes_all_bank: 1, ..idle };
            let each = Activity { refreshes_per_bank: geometry.banks as u64, ..idle };
            let run = |activity: &Activity| {
                let drampower =
                    drampower::energy(activity, idd, &geometry, &drampower::Parameters::default());
                [energy(activity, idd, &geometry).total(), drampower.total()]
            };
            for (all, each) in run(&all).into_iter().zip(run(&each)) {
                assert!((all / each - 1.0).abs() < 1e-9, "{name}: {all} and {each}");
            }
            assert!(run(&each) > run(&idle), "{name}: refreshes cost something");
        }
    }

    /// Currents are those of a whole 128-bit device, of which a pseudo-channel is half: two of them
    /// reading without a pause draw IDD4R. What lies above standby is close to the 1.51 pJ/bit that
    /// the energies per bit give for the array; their path and pads, 1.97 pJ/bit, no current holds.
    #[test]
    fn two_busy_pseudo_channels_draw_the_read_current_of_one_device() {
        let device = Device::builtin("hbm2-2000").expect("built in");
        let idd = device.idd.as_ref().expect("has currents");
        let (geometry, domain) = (Geometry::of(&device), idd.domains[0]);
        let (reads, cycles) = (1000, 2 * 1000);
        let busy = Activity { reads: 2 * reads, active_cycles: 2 * cycles, ..Activity::default() };
        let account = energy(&busy, idd, &geometry);
        let seconds = cycles as f64 * 1e-9;
        let watts = account.total() / seconds;
        assert!((watts - domain.voltage * domain.i4r * 1e-3).abs() < 1e-6, "{watts} W");
        let bits = 2.0 * reads as f64 * 256.0;
        let array = account.get("read") * 1e12 / bits;
        let published = device.per_bit.expect("has energies per bit").array;
        assert!((array / published - 1.0).abs() < 0.05, "{array} and {published} pJ/bit");
    }

    /// Published evaluation of the same equations for DRAMsim3's HBM2_8Gb_x128: one 128-bit
    /// channel, 828 pJ per activation, 1.57 and 2.09 pJ/bit, 60,840 pJ per refresh.
    #[test]
    fn hbm2_terms_have_the_values_of_the_legacy_channel() {
        let device = Device::builtin("hbm2-2000").expect("built in");
        let idd = device.idd.as_ref().expect("has currents");
        let geometry = Geometry { devices: 1.0, ..Geometry::of(&device) };
        let one = Activity {
            activates: 1,
            reads: 1,
            writes: 1,
            refreshes_all_bank: 1,
            active_cycles: 1000,
            precharged_cycles: 1260,
            ..Activity::default()
        };
        let account = energy(&one, idd, &geometry);
        let close = |name: &str, picojoules: f64| {
            let ours = account.get(name) * 1e12;
            assert!((ours - picojoules).abs() < 1.0, "{name}: {ours} instead of {picojoules}");
        };
        close("activate_precharge", 828.0);
        close("read", 1.57 * 512.0);
        close("write", 2.0859 * 512.0);
        close("refresh_all_bank", 60_840.0);
        close("active_standby", 66.0 * 1260.0);
        close("precharge_standby", 48.0 * 1000.0);
        let sum: f64 = account.terms.iter().map(|term| term.joules).sum();
        assert!((account.total() - sum).abs() < 1e-18);
    }
}
