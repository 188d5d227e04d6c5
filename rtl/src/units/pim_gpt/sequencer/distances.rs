//! Distances between commands: the cycles since the last command of each kind, and a table of how many
//! there must be.

use attelier_hw::pim_gpt::PimGpt;

use crate::{
    ModuleBuilder, Signal,
    bits::{Bits, index_width},
};

/// Kinds of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Activate,
    Mac,
    Write,
    Read,
    Precharge,
    Refresh,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Activate, "activate"),
    (Kind::Mac, "mac"),
    (Kind::Write, "write"),
    (Kind::Read, "read"),
    (Kind::Precharge, "precharge"),
    (Kind::Refresh, "refresh"),
];

fn name(kind: Kind) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("", |(_, name)| name)
}

/// Cycles from a preceding to a following command, all banks alike. Sources are those of the record and
/// of the device table `gddr6-aim`.
fn table(params: &PimGpt) -> Vec<(Kind, Kind, u32)> {
    use Kind::{Activate, Mac, Precharge, Read, Refresh, Write};
    let t = &params.timing;
    let row = t.n_ras + t.n_rp;
    vec![
        (Activate, Activate, row),
        (Activate, Refresh, row),
        (Activate, Mac, t.n_rcd_mac),
        (Activate, Precharge, t.n_ras),
        (Precharge, Activate, t.n_rp),
        (Precharge, Refresh, t.n_rp),
        (Refresh, Activate, t.n_rfc),
        (Refresh, Mac, t.n_rfc),
        (Refresh, Write, t.n_rfc),
        (Refresh, Read, t.n_rfc),
        (Refresh, Refresh, t.n_rfc),
        (Mac, Mac, params.mac.interval),
        (Mac, Precharge, t.n_rtp),
        (Mac, Read, t.n_mac_rd),
        (Read, Mac, t.n_rd_mac),
        (Read, Read, t.n_ccd),
        (Read, Write, t.n_rtw),
        (Write, Write, t.n_ccd),
        (Write, Read, t.n_cwl + t.n_bl + t.n_wtr),
    ]
}

/// Cycles since the last command of each kind, as far as they matter, and since the last write to each
/// half of the vector buffer.
pub(super) struct Ages {
    table: Vec<(Kind, Kind, u32)>,
    ages: Vec<(Kind, Age)>,
    halves: [Age; 2],
    /// The half that a MAC reads was written long enough ago.
    half_ready: Signal,
}

struct Age {
    register: Signal,
    most: u32,
}

impl Age {
    /// At rest, everything is long ago.
    fn new(m: &ModuleBuilder, name: &str, most: u32) -> Self {
        let most = most.max(1);
        let reset = Bits::new(most.into(), index_width(u64::from(most) + 1));
        Self { register: m.register_from(format!("since_{name}"), reset), most }
    }

    fn is_at_least(&self, distance: u32) -> Signal {
        self.register.ge(u64::from(distance))
    }

    fn count(&self, m: &ModuleBuilder, comes: &Signal) {
        let Self { register, most } = self;
        let grown = register.lt(u64::from(*most)).mux(&(register + 1), register);
        m.update(register, comes.mux(&m.constant(1, register.width()), grown));
    }
}

impl Ages {
    /// Nothing has happened; `half` is what a MAC of this cycle would read.
    pub fn new(m: &ModuleBuilder, params: &PimGpt, half: &Signal) -> Self {
        let table = table(params);
        let ages = KINDS.map(|(kind, name)| {
            let distances = table.iter().filter(|(preceding, ..)| *preceding == kind);
            let most = distances.map(|(.., distance)| *distance).max().unwrap_or(0);
            (kind, Age::new(m, name, most))
        });
        let written = params.timing.n_cwl + params.timing.n_bl;
        let halves = [0, 1].map(|half| Age::new(m, &format!("write_to_half_{half}"), written));
        let ready = halves.each_ref().map(|age| age.is_at_least(written));
        let half_ready = m.wire("half_ready", &half.mux(&ready[1], &ready[0]));
        Self { table, ages: ages.into(), halves, half_ready }
    }

    /// Whether a command that is wanted comes in this cycle.
    pub fn issue(&self, m: &ModuleBuilder, kind: Kind, wanted: &Signal) -> Signal {
        let mut conditions = vec![wanted.clone()];
        for (preceding, following, distance) in &self.table {
            // One command per cycle keeps a distance of 1.
            if *following == kind && *distance > 1 {
                let age = self.ages.iter().find(|(known, _)| known == preceding);
                conditions.extend(age.map(|(_, age)| age.is_at_least(*distance)));
            }
        }
        if kind == Kind::Mac {
            conditions.push(self.half_ready.clone());
        }
        m.wire(format!("issues_{}", name(kind)), &m.all_of(&conditions))
    }

    /// Counts the cycle in which these commands come.
    pub fn finish(&self, m: &ModuleBuilder, issued: &[(Kind, Signal)], write_half: &Signal) {
        for (kind, age) in &self.ages {
            let comes = issued.iter().find(|(known, _)| known == kind);
            if let Some((_, comes)) = comes {
                age.count(m, comes);
            }
        }
        let writes = issued.iter().find(|(kind, _)| *kind == Kind::Write);
        if let Some((_, writes)) = writes {
            self.halves[0].count(m, &(writes & !write_half));
            self.halves[1].count(m, &(writes & write_half));
        }
    }
}
