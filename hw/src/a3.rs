//! A3 (Ham et al., HPCA 2020, arXiv 2002.10941): checked parameter records.
//!
//! Attention of one head at a time: dot products, exponents and output in three modules, each busy with
//! a query of its own. The approximate machine puts a candidate search in front, and a selection by score
//! behind the dot products.

use serde::{Deserialize, Serialize};

use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::record::Record;
use crate::schema::{Field, Schema, Section};

/// The whole A3 machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct A3 {
    /// Name of the preset it started from.
    pub name: String,
    /// Clock of everything \[Hz\].
    pub clock_hz: u64,
    /// Elements of a vector; shorter ones are padded with zeros.
    pub head_dim: u32,
    /// Key and value rows that the memories on the chip hold.
    pub rows: u32,
    /// Numbers as they are stored.
    pub format: Format,
    /// The three modules.
    pub pipeline: Pipeline,
    /// The approximation.
    pub search: Search,
    /// What stands outside the chip.
    pub memory: Memory,
    /// Power of each module while it works \[uW\].
    pub dynamic_uw: Modules,
    /// Power of each module at any time \[uW\].
    pub static_uw: Modules,
    /// Area of each module \[um2\].
    pub area_um2: Modules,
}

/// Fixed point of queries, keys and values, beside the sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Format {
    /// Bits before the point, i in the paper \[bits\].
    pub integer_bits: u32,
    /// Bits behind the point, f in the paper \[bits\].
    pub fraction_bits: u32,
}

/// The three modules that a query passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// Cycles of a module beside one per row: 7 of the division and 2 of a multiply-accumulate.
    pub overhead_cycles: u32,
}

/// Candidate search and post-scoring selection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Whether the machine has them.
    pub enabled: bool,
    /// Iterations of the search, M in the paper, in thousandths of the rows.
    pub iterations_permille: u32,
    /// Least weight in thousandths of the largest, T in the paper.
    pub weight_permille: u32,
    /// Cycles before the first iteration: the queues are filled.
    pub fill_cycles: u32,
    /// Time to sort one element of the keys, outside the machine \[ps\].
    pub sort_ps_per_element: u32,
}

/// What stands outside the chip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Whether keys and values lie in the machine before time is taken.
    pub preloaded: bool,
    /// Bytes that arrive per cycle \[B\].
    pub bytes_per_cycle: u32,
    /// Energy of a bit that arrives \[fJ\].
    pub fj_per_bit: u32,
}

/// One number for each module of Table I.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modules {
    /// Dot products.
    pub dot_product: u32,
    /// Exponents and their sum.
    pub exponent: u32,
    /// Division and weighted sum.
    pub output: u32,
    /// Candidate search.
    pub candidate_search: u32,
    /// Post-scoring selection.
    pub post_scoring: u32,
    /// Memory of the keys.
    pub key_sram: u32,
    /// Memory of the values.
    pub value_sram: u32,
    /// Memory of the sorted keys and their rows.
    pub sorted_key_sram: u32,
}

const fn modules(unit: &'static str) -> [Field; 8] {
    const MOST: u64 = 1_000_000_000;
    [
        Field::count("dot_product", unit, 0, MOST),
        Field::count("exponent", unit, 0, MOST),
        Field::count("output", unit, 0, MOST),
        Field::count("candidate_search", unit, 0, MOST),
        Field::count("post_scoring", unit, 0, MOST),
        Field::count("key_sram", unit, 0, MOST),
        Field::count("value_sram", unit, 0, MOST),
        Field::count("sorted_key_sram", unit, 0, MOST),
    ]
}

const POWERS: &[Field] = &modules("uW");
const AREAS: &[Field] = &modules("um2");

/// Names, units and ranges of all values, in printing order.
pub static SCHEMA: Schema = Schema {
    sections: &[
        section(
            "",
            &[
                Field::text("name"),
                Field::count("clock_hz", "Hz", 1_000_000, 10_000_000_000),
                Field::count("head_dim", "elements", 1, 1 << 10),
                Field::count("rows", "rows", 1, 1 << 20),
            ],
        ),
        // Sums of products of 12 bits and 2^10 elements stay far below 2^53.
        section(
            "format",
            &[
                Field::count("integer_bits", "bits", 1, 8),
                Field::count("fraction_bits", "bits", 1, 8),
            ],
        ),
        section("pipeline", &[Field::count("overhead_cycles", "cycles", 0, 1 << 16)]),
        section(
            "search",
            &[
                Field::flag("enabled"),
                Field::count("iterations_permille", "rows / 1000", 1, 1_000_000),
                Field::count("weight_permille", "largest weight / 1000", 1, 1000),
                Field::count("fill_cycles", "cycles", 0, 1 << 16),
                Field::count("sort_ps_per_element", "ps", 0, 1_000_000_000),
            ],
        ),
        section(
            "memory",
            &[
                Field::flag("preloaded"),
                Field::count("bytes_per_cycle", "B", 1, 1 << 16),
                Field::count("fj_per_bit", "fJ/bit", 0, 1_000_000),
            ],
        ),
        section("dynamic_uw", POWERS),
        section("static_uw", POWERS),
        section("area_um2", AREAS),
    ],
};

const fn section(name: &'static str, fields: &'static [Field]) -> Section {
    Section { name, fields, derived: &[] }
}

impl Record for A3 {}

impl A3 {
    /// The machine of a preset, unchanged.
    ///
    /// ```
    /// let machine = attelier_hw::a3::A3::preset("a3")?;
    /// assert_eq!(machine.latency_cycles(320), 987);
    /// # Ok::<(), attelier_hw::diagnostic::Diagnostic>(())
    /// ```
    ///
    /// # Errors
    /// A name that no design has.
    pub fn preset(name: &str) -> Result<Self, Diagnostic> {
        Self::check(&config::load(name, None, &[])?)
    }

    /// The record of a configuration.
    ///
    /// # Errors
    /// A configuration of another design.
    pub fn check(config: &Config) -> Result<Self, Diagnostic> {
        config.raw()
    }

    /// Cycles that a module takes for a query with `rows` rows.
    pub fn module_cycles(&self, rows: u32) -> u64 {
        u64::from(rows) + u64::from(self.pipeline.overhead_cycles)
    }

    /// Cycles from a query to its output without search: 3n + 27 (section III).
    pub fn latency_cycles(&self, rows: u32) -> u64 {
        3 * self.module_cycles(rows)
    }

    /// Iterations of the search among `rows` rows, at least one.
    pub fn iterations(&self, rows: u32) -> u64 {
        (u64::from(rows) * u64::from(self.search.iterations_permille) / 1000).max(1)
    }

    /// Bytes of one element \[B\]; the sign is not counted, as in the published size of the memories.
    pub fn element_bytes(&self) -> u64 {
        u64::from((self.format.integer_bits + self.format.fraction_bits).div_ceil(8))
    }

    /// Area of each module that the machine has \[um2\].
    pub fn areas_um2(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let area = &self.area_um2;
        let base = [
            ("dot_product", area.dot_product),
            ("exponent", area.exponent),
            ("output", area.output),
            ("key_sram", area.key_sram),
            ("value_sram", area.value_sram),
        ];
        let search = [
            ("candidate_search", area.candidate_search),
            ("post_scoring", area.post_scoring),
            ("sorted_key_sram", area.sorted_key_sram),
        ];
        base.into_iter().chain(search.into_iter().filter(|_| self.search.enabled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_and_interval_are_the_published_ones() {
        let machine = A3::preset("a3").unwrap();
        for rows in [1, 20, 50, 186, 320] {
            assert_eq!(machine.latency_cycles(rows), 3 * u64::from(rows) + 27);
            assert_eq!(machine.module_cycles(rows), u64::from(rows) + 9);
        }
    }

    #[test]
    fn the_memories_have_the_published_size() {
        let machine = A3::preset("a3").unwrap();
        let bytes = machine.element_bytes() * u64::from(machine.rows * machine.head_dim);
        assert_eq!(bytes, 20 * 1024);
    }

    /// The last line of Table I.
    #[test]
    fn the_columns_add_up_to_the_published_totals() {
        let machine = A3::preset("a3-conservative").unwrap();
        let sum = |m: &Modules| {
            m.dot_product
                + m.exponent
                + m.output
                + m.candidate_search
                + m.post_scoring
                + m.key_sram
                + m.value_sram
                + m.sorted_key_sram
        };
        assert_eq!(machine.areas_um2().map(|(_, area)| area).sum::<u32>(), 2_082_000);
        // Printed to four digits: 98.92 mW.
        assert_eq!(sum(&machine.dynamic_uw).div_ceil(10), 9892);
        assert_eq!(sum(&machine.static_uw), 11_502);
    }

    #[test]
    fn settings_differ_in_the_two_published_numbers_only() {
        let [conservative, aggressive] =
            ["a3-conservative", "a3-aggressive"].map(|name| A3::preset(name).unwrap());
        assert_eq!((conservative.iterations(320), aggressive.iterations(320)), (160, 40));
        let like = A3 {
            name: conservative.name.clone(),
            search: Search {
                iterations_permille: 500,
                weight_permille: 50,
                ..aggressive.search.clone()
            },
            ..aggressive
        };
        assert_eq!(like, conservative);
    }
}
