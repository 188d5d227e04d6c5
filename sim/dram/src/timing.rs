//! Timing parameters under their JEDEC names, in command-clock cycles, checked against each other.

use std::collections::BTreeMap;

use crate::error::TableError;

/// Names the model understands, with their meaning.
pub const NAMES: &[(&str, &str)] = &[
    ("tBL", "cycles one burst occupies the data bus"),
    ("tCL", "RD to first data"),
    ("tCWL", "WR to first data"),
    ("tRCDRD", "ACT to RD, same bank"),
    ("tRCDWR", "ACT to WR, same bank"),
    ("tRP", "PRE to ACT, same bank"),
    ("tRAS", "ACT to PRE, same bank"),
    ("tRC", "ACT to ACT, same bank"),
    ("tRTP", "RD to PRE, same bank"),
    ("tWR", "end of write data to PRE, same bank"),
    ("tCCD_S", "column to column of the same kind, other bank group"),
    ("tCCD_L", "column to column of the same kind, same bank group"),
    ("tCCD_L_WR", "WR to WR, same bank group, where it exceeds tCCD_L"),
    ("tRRD_S", "ACT to ACT, other bank group"),
    ("tRRD_L", "ACT to ACT, same bank group"),
    ("tWTR_S", "end of write data to RD, other bank group"),
    ("tWTR_L", "end of write data to RD, same bank group"),
    ("tRTW", "RD to WR, same rank"),
    ("tFAW", "window that holds at most four ACT"),
    ("t32AW", "window that holds at most 32 ACT (GDDR)"),
    ("tPPD", "PRE to PRE, same rank"),
    ("tRFC", "all-bank refresh to any command of the rank"),
    ("tRFCpb", "per-bank refresh to ACT of that bank"),
    ("tRPab", "PREA to ACT, where it exceeds tRP"),
    ("tRREFD", "per-bank refresh to ACT or per-bank refresh of another bank"),
    ("tPBR2PBR", "per-bank refresh to that of another bank, where it differs from tRREFD"),
    ("tPBR2ACT", "per-bank refresh to ACT of another bank, where it differs from tRREFD"),
    ("tREFI", "mean distance of all-bank refreshes"),
    ("tREFIpb", "mean distance of per-bank refreshes of one rank"),
    ("tCS", "idle cycles of the data bus between bursts of different ranks"),
    ("tRTR_rd_rd", "RD to RD of another rank"),
    ("tRTR_rd_wr", "RD to WR of another rank"),
    ("tRTR_wr_rd", "WR to RD of another rank"),
    ("tRTR_wr_wr", "WR to WR of another rank"),
    ("act_cycles", "command-bus cycles of one ACT"),
];

/// Longest timing accepted [cycles]; far above tREFI of any device, far below overflow.
pub const LONGEST: u64 = 1 << 32;

/// A checked set of timings.
///
/// Device files may add names for their own commands; the JEDEC ones above are checked here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    values: BTreeMap<String, u64>,
}

impl Timing {
    /// Checks a set of timings.
    ///
    /// # Errors
    /// A required timing is absent, or two of them cannot both be true.
    pub fn new(values: BTreeMap<String, u64>) -> Result<Timing, TableError> {
        let timing = Timing { values };
        for name in ["tBL", "tCL", "tCWL", "tRCDRD", "tRCDWR", "tRP", "tRAS", "tRC"]
            .into_iter()
            .chain(["tRTP", "tWR", "tCCD_S", "tRRD_S", "tWTR_S", "tRTW"])
        {
            timing.need(name)?;
        }
        for (name, &value) in &timing.values {
            timing.relate((name, value), "at most", ("the longest timing accepted", LONGEST))?;
        }
        timing.order("tBL", "at least", "1 cycle", 1)?;
        timing.order("tRCDRD", "at least", "1 cycle", 1)?;
        timing.order("tRCDWR", "at least", "1 cycle", 1)?;
        timing.order("tRP", "at least", "1 cycle", 1)?;
        timing.order("tRAS", "at least", "tRCDRD", timing.get("tRCDRD"))?;
        timing.order("tRAS", "at least", "tRCDWR", timing.get("tRCDWR"))?;
        // tRC is tRAS + tRP in time; each is rounded to cycles for itself.
        let row = (timing.get("tRAS") + timing.get("tRP")).saturating_sub(1);
        timing.order("tRC", "at least", "tRAS + tRP - 1", row)?;
        timing.order("tCCD_S", "at least", "tBL", timing.get("tBL"))?;
        let read_end = timing.get("tCL") + timing.get("tBL");
        let turn = read_end.saturating_sub(timing.get("tCWL"));
        timing.order("tRTW", "at least", "tCL + tBL - tCWL", turn)?;
        timing.order("tRPab", "at least", "tRP", timing.get("tRP"))?;
        timing.order("tCCD_L", "at least", "tCCD_S", timing.get("tCCD_S"))?;
        timing.order("tRRD_L", "at least", "tRRD_S", timing.get("tRRD_S"))?;
        timing.order("tWTR_L", "at least", "tWTR_S", timing.get("tWTR_S"))?;
        timing.order("act_cycles", "at least", "1 cycle", 1)?;
        timing.order("act_cycles", "at most", "tRP", timing.get("tRP"))?;
        if let (Some(interval), Some(_)) = (timing.find("tREFI"), timing.find("tRFC")) {
            timing.check_all_bank_refresh("tREFI", interval)?;
        }
        Ok(timing)
    }

    /// A timing that may be absent.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<u64> {
        self.values.get(name).copied()
    }

    /// A timing, or zero when it is absent.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.find(name).unwrap_or(0)
    }

    /// A timing that must be there.
    ///
    /// # Errors
    /// It is not.
    pub fn need(&self, name: &'static str) -> Result<u64, TableError> {
        self.find(name).ok_or(TableError::MissingTiming { name })
    }

    /// Checks that all-bank refreshes every `interval` cycles, called `name`, are possible.
    ///
    /// # Errors
    /// The timing of the refresh is absent, or it leaves no time for anything else.
    pub fn check_all_bank_refresh(&self, name: &str, interval: u64) -> Result<(), TableError> {
        let busy = self.need("tRFC")?.saturating_add(self.get("tRP"));
        self.relate((name, interval), "more than", ("tRFC + tRP", busy))
    }

    /// The same for per-bank refreshes, one bank of a rank every `interval` cycles.
    ///
    /// # Errors
    /// As [`Timing::check_all_bank_refresh`].
    pub fn check_per_bank_refresh(
        &self,
        name: &str,
        interval: u64,
        banks_per_rank: u32,
    ) -> Result<(), TableError> {
        let busy = self.need("tRFCpb")?.saturating_add(self.get("tRP"));
        let (spacing, distance) = match self.find("tPBR2PBR") {
            Some(distance) => ("tPBR2PBR", distance),
            None => ("tRREFD", self.need("tRREFD")?),
        };
        if self.find("tPBR2ACT").is_none() {
            self.need("tRREFD")?;
        }
        self.relate((name, interval), "more than", (spacing, distance))?;
        let round = interval.saturating_mul(u64::from(banks_per_rank));
        self.relate((&format!("{name} over all banks"), round), "more than", ("tRFCpb + tRP", busy))
    }

    /// RD to the end of its data [cycles].
    #[must_use]
    pub fn read_latency(&self) -> u64 {
        self.get("tCL") + self.get("tBL")
    }

    /// All timings in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.values.iter().map(|(name, &value)| (name.as_str(), value))
    }

    fn order(
        &self,
        name: &str,
        relation: &'static str,
        right: &str,
        bound: u64,
    ) -> Result<(), TableError> {
        match self.find(name) {
            Some(value) => self.relate((name, value), relation, (right, bound)),
            None => Ok(()),
        }
    }

    fn relate(
        &self,
        (left, left_value): (&str, u64),
        relation: &'static str,
        (right, right_value): (&str, u64),
    ) -> Result<(), TableError> {
        let holds = match relation {
            "at most" => left_value <= right_value,
            "at least" => left_value >= right_value,
            _ => left_value > right_value,
        };
        if holds {
            return Ok(());
        }
        let (left, right) = (left.to_owned(), right.to_owned());
        Err(TableError::ImpossibleTiming { left, left_value, relation, right, right_value })
    }
}

/// Closest known timing name, for error messages.
#[must_use]
pub fn suggest(name: &str) -> Option<&'static str> {
    let distance = |known: &str| {
        let (a, b): (Vec<char>, Vec<char>) =
            (name.to_lowercase().chars().collect(), known.to_lowercase().chars().collect());
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                let above = row[j + 1];
                row[j + 1] = (diagonal + usize::from(x != y)).min(above + 1).min(row[j] + 1);
                diagonal = above;
            }
        }
        row[b.len()]
    };
    // Swapped letters cost two, as much as two missing ones: the length decides.
    let length = |known: &str| known.len().abs_diff(name.len());
    let best = NAMES.iter().map(|&(known, _)| (distance(known), length(known), known)).min()?;
    (best.0 <= 2).then_some(best.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hbm2() -> BTreeMap<String, u64> {
        let text = "tBL 2 tCL 14 tCWL 5 tRCDRD 14 tRCDWR 12 tRP 14 tRAS 34 tRC 48 tRTP 5 tWR 16 \
                    tCCD_S 2 tCCD_L 4 tRRD_S 4 tRRD_L 4 tWTR_S 6 tWTR_L 8 tRTW 13 tFAW 15 \
                    tRFC 260 tREFI 3900";
        let words: Vec<&str> = text.split_whitespace().collect();
        words
            .chunks(2)
            .map(|pair| (pair[0].to_owned(), pair[1].parse().expect("a number")))
            .collect()
    }

    fn with(name: &str, value: u64) -> Result<Timing, TableError> {
        let mut values = hbm2();
        values.insert(name.to_owned(), value);
        Timing::new(values)
    }

    #[test]
    fn a_real_set_is_accepted() {
        assert_eq!(Timing::new(hbm2()).expect("legal").read_latency(), 16);
    }

    #[test]
    fn impossible_sets_are_refused_with_both_values() {
        let error = with("tRAS", 13).expect_err("tRAS below tRCDRD");
        assert_eq!(error.to_string(), "impossible timing: tRAS = 13 must be at least tRCDRD = 14");
        for (name, value) in [("tRC", 33), ("tCCD_L", 1), ("tRRD_L", 3), ("tREFI", 274)] {
            let error = with(name, value).expect_err("impossible");
            assert!(matches!(&error, TableError::ImpossibleTiming { left, .. } if left == name));
        }
        assert!(with("tFAW", LONGEST + 1).is_err());
        let mut values = hbm2();
        values.remove("tRP");
        assert_eq!(Timing::new(values), Err(TableError::MissingTiming { name: "tRP" }));
    }

    #[test]
    fn a_misspelt_name_gets_a_suggestion() {
        assert_eq!(suggest("tRCDRd"), Some("tRCDRD"));
        assert_eq!(suggest("tRCDR"), Some("tRCDRD"));
        assert_eq!(suggest("tRFCbp"), Some("tRFCpb"));
        assert_eq!(suggest("voltage"), None);
    }
}
