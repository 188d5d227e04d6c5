//! ELSA (Ham et al., ISCA 2021): checked parameter records.
//!
//! Attention of one head at a time. Keys and queries are hashed to bits; from the bits that differ between
//! two hashes follows an angle, from angle and norm of the key an estimate of its score, and only keys whose
//! estimate exceeds a threshold are attended to. Keys lie in banks, each with selection modules and an
//! attention module of its own.

use serde::{Deserialize, Serialize};

use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::record::Record;
use crate::schema::{Derived, Field, Schema, Section};

/// The whole ELSA machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Elsa {
    /// Name of the preset it started from.
    pub name: String,
    /// Clock of everything \[Hz\].
    pub clock_hz: u64,
    /// Elements of a vector and bits of its hash, d = k in the paper; shorter vectors are padded with zeros.
    pub head_dim: u32,
    /// Key and value rows that the memories hold, n in the paper.
    pub rows: u32,
    /// Numbers of the machine.
    pub format: Format,
    /// Hashes of keys and queries.
    pub hash: Hash,
    /// Which keys are attended to.
    pub selection: Selection,
    /// Modules behind the hash.
    pub pipeline: Pipeline,
    /// Power of each module while it works \[uW\].
    pub dynamic_uw: Modules,
    /// Power of each module at any time \[uW\].
    pub static_uw: Modules,
    /// Area of each module \[um2\].
    pub area_um2: Modules,
}

/// Numbers of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Format {
    /// Bits before the point of queries, keys, values and outputs, beside the sign \[bits\].
    pub integer_bits: u32,
    /// Bits behind the point of those \[bits\].
    pub fraction_bits: u32,
    /// Fraction bits of an exponential and of a reciprocal, which are floating-point numbers \[bits\].
    pub float_fraction_bits: u32,
    /// Exponent bits of those \[bits\].
    pub float_exponent_bits: u32,
    /// Fraction bits of the sums of those \[bits\].
    pub sum_fraction_bits: u32,
    /// An element with its sign \[bits\] (derived).
    pub element_bits: u32,
    /// The norm of a key, which has no sign \[bits\] (derived).
    pub norm_bits: u32,
}

/// Hashes of keys and queries: signs of a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hash {
    /// Multipliers of the module, m_h in the paper.
    pub multipliers: u32,
    /// Fraction bits of an element of a factor, beside the sign \[bits\].
    pub factor_fraction_bits: u32,
    /// Seed of the three orthogonal factors.
    pub seed: u64,
    /// Rows of a factor, the cube root of `head_dim` (derived).
    pub factor: u32,
    /// Time of one vector \[cycles\] (derived).
    pub vector_cycles: u32,
}

/// Which keys are attended to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Degree of approximation, p in the paper, in thousandths; 0 attends to all keys.
    pub degree_permille: u32,
    /// What is taken from an estimated angle, so that most are too small, in thousandths of a radian.
    pub bias_mrad: u32,
    /// Fraction bits of a cosine and of a threshold \[bits\].
    pub cosine_fraction_bits: u32,
}

/// Modules behind the hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// Banks of keys and values, each with an attention module, P_a in the paper.
    pub banks: u32,
    /// Selection modules of a bank, P_c in the paper.
    pub selectors: u32,
    /// Multipliers of the output division, m_o in the paper.
    pub output_multipliers: u32,
}

/// One number for each module of Table I.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modules {
    /// Hashes.
    pub hash_computation: u32,
    /// Norms of keys.
    pub norm_computation: u32,
    /// Candidate selection, all modules.
    pub candidate_selection: u32,
    /// Attention, all modules.
    pub attention_computation: u32,
    /// Division and sum over banks.
    pub output_division: u32,
    /// Memory of the hashes of keys.
    pub key_hash_sram: u32,
    /// Memory of the norms of keys.
    pub key_norm_sram: u32,
    /// Memory of the keys, all banks.
    pub key_sram: u32,
    /// Memory of the values, all banks.
    pub value_sram: u32,
    /// Memory of the queries.
    pub query_sram: u32,
    /// Memory of the outputs.
    pub output_sram: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    clock_hz: u64,
    head_dim: u32,
    rows: u32,
    format: RawFormat,
    hash: RawHash,
    selection: Selection,
    pipeline: Pipeline,
    dynamic_uw: Modules,
    static_uw: Modules,
    area_um2: Modules,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFormat {
    integer_bits: u32,
    fraction_bits: u32,
    float_fraction_bits: u32,
    float_exponent_bits: u32,
    sum_fraction_bits: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHash {
    multipliers: u32,
    factor_fraction_bits: u32,
    seed: u64,
}

const fn modules(unit: &'static str) -> [Field; 11] {
    const MOST: u64 = 1_000_000_000;
    [
        Field::count("hash_computation", unit, 0, MOST),
        Field::count("norm_computation", unit, 0, MOST),
        Field::count("candidate_selection", unit, 0, MOST),
        Field::count("attention_computation", unit, 0, MOST),
        Field::count("output_division", unit, 0, MOST),
        Field::count("key_hash_sram", unit, 0, MOST),
        Field::count("key_norm_sram", unit, 0, MOST),
        Field::count("key_sram", unit, 0, MOST),
        Field::count("value_sram", unit, 0, MOST),
        Field::count("query_sram", unit, 0, MOST),
        Field::count("output_sram", unit, 0, MOST),
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
                Field::count("head_dim", "elements", 8, 64),
                Field::count("rows", "rows", 1, 1 << 20),
            ],
            &[],
        ),
        section(
            "format",
            &[
                Field::count("integer_bits", "bits", 1, 8),
                Field::count("fraction_bits", "bits", 1, 8),
                Field::count("float_fraction_bits", "bits", 2, 16),
                Field::count("float_exponent_bits", "bits", 4, 10),
                Field::count("sum_fraction_bits", "bits", 2, 48),
            ],
            &[
                Derived {
                    key: "element_bits",
                    unit: "bits",
                    rule: "1 + integer_bits + fraction_bits",
                },
                Derived { key: "norm_bits", unit: "bits", rule: "integer_bits + fraction_bits" },
            ],
        ),
        section(
            "hash",
            &[
                Field::count("multipliers", "", 1, 1 << 16),
                Field::count("factor_fraction_bits", "bits", 2, 8),
                Field::count("seed", "", 0, u32::MAX as u64),
            ],
            &[
                Derived { key: "factor", unit: "rows", rule: "cube root of head_dim" },
                Derived {
                    key: "vector_cycles",
                    unit: "cycles",
                    rule: "3 * head_dim * factor / multipliers, rounded up",
                },
            ],
        ),
        section(
            "selection",
            &[
                Field::count("degree_permille", "1 / 1000", 0, 1_000_000),
                Field::count("bias_mrad", "mrad", 0, 1000),
                Field::count("cosine_fraction_bits", "bits", 2, 14),
            ],
            &[],
        ),
        section(
            "pipeline",
            &[
                Field::count("banks", "", 1, 64),
                Field::count("selectors", "", 1, 64),
                Field::count("output_multipliers", "", 1, 1 << 12),
            ],
            &[],
        ),
        section("dynamic_uw", POWERS, &[]),
        section("static_uw", POWERS, &[]),
        section("area_um2", AREAS, &[]),
    ],
};

const fn section(
    name: &'static str,
    fields: &'static [Field],
    derived: &'static [Derived],
) -> Section {
    Section { name, fields, derived }
}

impl Record for Elsa {}

impl Elsa {
    /// The machine of a preset, unchanged.
    ///
    /// ```
    /// let machine = attelier_hw::elsa::Elsa::preset("elsa")?;
    /// assert_eq!(machine.preprocessing_cycles(512), 1539);
    /// # Ok::<(), attelier_hw::diagnostic::Diagnostic>(())
    /// ```
    ///
    /// # Errors
    /// A name that no design has.
    pub fn preset(name: &str) -> Result<Self, Diagnostic> {
        Self::check(&config::load(name, None, &[])?)
    }

    /// Joins the values of a configuration and derives what follows from them.
    ///
    /// # Errors
    /// A value that is missing, of another kind or out of range, and a `head_dim` that is no cube.
    pub fn check(config: &Config) -> Result<Self, Diagnostic> {
        let raw: Raw = config.raw()?;
        let head_dim = raw.head_dim;
        let Some(factor) = (2..=4).find(|root| root * root * root == head_dim) else {
            return Err(config.refuse(
                &["head_dim"],
                format!("vectors of {head_dim} elements have no three equal factors"),
                "expected a cube: 8, 27 or 64",
                "shorter vectors are padded with zeros: set `head_dim` to 64",
            ));
        };
        let RawFormat {
            integer_bits,
            fraction_bits,
            float_fraction_bits,
            float_exponent_bits,
            sum_fraction_bits,
        } = raw.format;
        let RawHash { multipliers, factor_fraction_bits, seed } = raw.hash;
        Ok(Self {
            name: raw.name,
            clock_hz: raw.clock_hz,
            head_dim,
            rows: raw.rows,
            format: Format {
                integer_bits,
                fraction_bits,
                float_fraction_bits,
                float_exponent_bits,
                sum_fraction_bits,
                element_bits: 1 + integer_bits + fraction_bits,
                norm_bits: integer_bits + fraction_bits,
            },
            hash: Hash {
                multipliers,
                factor_fraction_bits,
                seed,
                factor,
                vector_cycles: (3 * head_dim * factor).div_ceil(multipliers),
            },
            selection: raw.selection,
            pipeline: raw.pipeline,
            dynamic_uw: raw.dynamic_uw,
            static_uw: raw.static_uw,
            area_um2: raw.area_um2,
        })
    }

    /// Cycles before the first query of a head: hashes of all keys and of that query (section IV-D).
    pub fn preprocessing_cycles(&self, keys: u32) -> u64 {
        u64::from(self.hash.vector_cycles) * (u64::from(keys) + 1)
    }

    /// Whether it leaves out keys at all.
    pub fn is_approximate(&self) -> bool {
        self.selection.degree_permille > 0
    }

    /// Bytes of a row of queries, keys, values or outputs \[B\].
    pub fn row_bytes(&self) -> u64 {
        (u64::from(self.head_dim) * u64::from(self.format.element_bits)).div_ceil(8)
    }
}

impl Modules {
    /// Each module with its name in Table I, memories last.
    pub fn by_name(&self) -> [(&'static str, u32); 11] {
        [
            ("hash_computation", self.hash_computation),
            ("norm_computation", self.norm_computation),
            ("candidate_selection", self.candidate_selection),
            ("attention_computation", self.attention_computation),
            ("output_division", self.output_division),
            ("key_hash_sram", self.key_hash_sram),
            ("key_norm_sram", self.key_norm_sram),
            ("key_sram", self.key_sram),
            ("value_sram", self.value_sram),
            ("query_sram", self.query_sram),
            ("output_sram", self.output_sram),
        ]
    }

    /// Sum over all modules.
    pub fn total(&self) -> u64 {
        self.by_name().into_iter().map(|(_, number)| u64::from(number)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsa(sets: &[&str]) -> Result<Elsa, Diagnostic> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        Elsa::check(&config::load("elsa", None, &sets)?)
    }

    /// Section IV-C: 768 multiplications of a vector on 256 multipliers; nine bits for each element, 36 KB
    /// for a matrix; a byte for a norm.
    #[test]
    fn sizes_are_the_published_ones() {
        let machine = elsa(&[]).unwrap();
        assert_eq!((machine.hash.factor, machine.hash.vector_cycles), (4, 3));
        assert_eq!(machine.row_bytes() * u64::from(machine.rows), 36 * 1024);
        assert_eq!(machine.format.norm_bits, 8);
        assert_eq!(machine.preprocessing_cycles(512), 3 * 513);
        let narrow = elsa(&["hash.multipliers=64"]).unwrap();
        assert_eq!(narrow.hash.vector_cycles, 12);
    }

    /// The last lines of Table I: 1.255 and 0.892 mm2, 956.05 and 516.84 mW, 13.31 and 8.02 mW.
    #[test]
    fn the_columns_add_up_to_the_published_totals() {
        let machine = elsa(&[]).unwrap();
        assert_eq!(machine.area_um2.total(), 1_255_000 + 892_000);
        assert_eq!(machine.dynamic_uw.total(), 956_050 + 516_840);
        assert_eq!(machine.static_uw.total(), 13_310 + 8_020);
    }

    #[test]
    fn vectors_that_are_no_cube_are_refused() {
        assert_eq!(elsa(&["head_dim=27"]).unwrap().hash.factor, 3);
        let fault = elsa(&["head_dim=32"]).unwrap_err().to_string();
        assert!(fault.contains("expected a cube: 8, 27 or 64"), "{fault}");
        assert!(fault.contains("head_dim=32"), "{fault}");
    }
}
