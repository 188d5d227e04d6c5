//! DRAMPower 6 core equations (tukl-msd/DRAMPower), per supply domain.
//!
//! With B banks, background share rho and precharge current Ibeta:
//! `I_rho = rho (I3N - I2N) + I2N`, `I_1 = (I3N + (B - 1) I_rho) / B`,
//! `I_theta = (I0 (tRP + tRAS) - Ibeta tRP) / tRAS`; activate `V (I_theta - I_1) tRAS`, precharge
//! `V (Ibeta - I2N) tRP`, column `V (I4 - I3N) burst`, refresh `V (I5 - I3N) tRFC`; background
//! `V I2N` while no bank is open, otherwise `V I_rho` plus `V (I_1 - I_rho)` per open bank. With
//! all banks open that is I3N, with one it is I_1. A per-bank refresh as in
//! [`crate::energy::micron`].

use crate::energy::{Account, Activity, Geometry, IddTable};

/// The two numbers data sheets do not give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// Share of active standby that does not depend on the number of open banks, 0 to 1; 0.5 in
    /// the DDR4 file DRAMPower ships.
    pub rho: f64,
    /// Precharge current over IDD0; about 1 by default in DRAMPower.
    pub beta_over_i0: f64,
}

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters { rho: 0.5, beta_over_i0: 1.0 }
    }
}

/// Energy of an activity.
#[must_use]
pub fn energy(
    activity: &Activity,
    idd: &IddTable,
    geometry: &Geometry,
    parameters: &Parameters,
) -> Account {
    let (a, g) = (activity, geometry);
    let refresh_time = a.refreshes_all_bank as f64 * g.rfc;
    let precharged = (a.precharged_cycles as f64 - refresh_time).max(0.0);
    let mut sums = [0.0; 12];
    for d in &idd.domains {
        let scale = d.voltage * g.devices * g.tck_ns;
        let i_rho = parameters.rho * (d.i3n - d.i2n) + d.i2n;
        let i_one = (d.i3n + (g.banks - 1.0) * i_rho) / g.banks;
        let i_beta = parameters.beta_over_i0 * d.i0;
        let i_theta = (d.i0 * (g.rp + g.ras) - i_beta * g.rp) / g.ras;
        let refresh_per_bank = match d.i5pb {
            Some(i5pb) => (i5pb - d.i2n) * g.rfc_per_bank,
            None => (d.i5ab - d.i2n) * g.rfc / g.banks,
        };
        let terms = [
            (i_theta - i_one) * g.ras * a.activates as f64,
            (i_beta - d.i2n) * g.rp * a.precharges as f64,
            (d.i4r - d.i3n) * g.burst * a.reads as f64,
            (d.i4w - d.i3n) * g.burst * a.writes as f64,
            (d.i5ab - d.i3n) * refresh_time,
            refresh_per_bank * a.refreshes_per_bank as f64,
            d.i2n * precharged,
            i_rho * a.active_cycles as f64,
            (i_one - i_rho) * a.bank_active_cycles as f64,
            // All banks work during an all-bank refresh.
            d.i3n * refresh_time,
            d.i3p * a.active_power_down_cycles as f64
                + d.i2p * a.precharge_power_down_cycles as f64,
            d.i6 * a.self_refresh_cycles as f64,
        ];
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum += term * scale;
        }
    }
    let names = [
        "activate",
        "precharge",
        "read",
        "write",
        "refresh_all_bank",
        "refresh_per_bank",
        "background_precharged",
        "background_active_shared",
        "background_active_banks",
        "background_refresh",
        "power_down",
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

    #[test]
    fn background_is_i3n_with_all_banks_open_and_i2n_with_none() {
        let device = Device::builtin("ddr4-2400").expect("built in");
        let idd = device.idd.as_ref().expect("has currents");
        let geometry = Geometry::of(&device);
        let domain = idd.domains[0];
        let unit = domain.voltage * geometry.devices * geometry.tck_ns * 1e-12;
        let run = |activity: Activity| {
            energy(&activity, idd, &geometry, &Parameters::default()).total() / unit
        };
        let all_open =
            Activity { active_cycles: 100, bank_active_cycles: 1600, ..Activity::default() };
        assert!((run(all_open) - 100.0 * domain.i3n).abs() < 1e-6);
        let none = Activity { precharged_cycles: 100, ..Activity::default() };
        assert!((run(none) - 100.0 * domain.i2n).abs() < 1e-6);
    }

    /// One activation and precharge every tRC must draw I0, whatever rho and beta are.
    #[test]
    fn cycling_one_bank_draws_i0() {
        let device = Device::builtin("ddr4-2400").expect("built in");
        let idd = device.idd.as_ref().expect("has currents");
        let geometry = Geometry::of(&device);
        let domain = idd.domains[0];
        let (ras, rp) = (39, 16);
        let cycle = Activity {
            activates: 1,
            precharges: 1,
            active_cycles: ras,
            bank_active_cycles: ras,
            precharged_cycles: rp,
            ..Activity::default()
        };
        for parameters in [Parameters::default(), Parameters { rho: 0.2, beta_over_i0: 0.8 }] {
            let joules = energy(&cycle, idd, &geometry, &parameters).total();
            let charge = domain.i0 * (ras + rp) as f64;
            let expected = charge * domain.voltage * geometry.devices * geometry.tck_ns * 1e-12;
            assert!((joules / expected - 1.0).abs() < 1e-9, "{joules} instead of {expected}");
        }
    }
}
