//! Units of the numbers in a result, known by their names, and their text for people.

use crate::table::{grouped, percent, significant, with_prefix};

/// What a number measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    /// With a prefix in front of this unit.
    Scaled(&'static str),
    /// In this unit, as it stands.
    Plain(&'static str),
    /// A share of one.
    Share,
    /// A count, or a number without unit.
    Number,
}

/// Ends of names and what such numbers are; the first that fits.
const ENDS: [(&str, Quantity); 16] = [
    ("cycles_per_second", Quantity::Scaled("Hz")),
    ("bytes_per_s", Quantity::Scaled("B/s")),
    ("ops_per_s", Quantity::Scaled("OP/s")),
    ("bytes", Quantity::Scaled("B")),
    ("seconds", Quantity::Scaled("s")),
    ("_hz", Quantity::Scaled("Hz")),
    ("_mhz", Quantity::Plain("MHz")),
    (".ns", Quantity::Plain("ns")),
    ("_j", Quantity::Scaled("J")),
    ("_w", Quantity::Scaled("W")),
    ("_mm2", Quantity::Plain("mm²")),
    ("utilisation", Quantity::Share),
    ("_share", Quantity::Share),
    ("hit_rate", Quantity::Share),
    ("deviation", Quantity::Share),
    ("cycles", Quantity::Number),
];

/// What the number at this place of a result is.
fn quantity(path: &str) -> Quantity {
    if path.starts_with("energy_j.") {
        return Quantity::Scaled("J");
    }
    let found = ENDS.iter().find(|(end, _)| path.ends_with(end));
    found.map_or(Quantity::Number, |(_, quantity)| *quantity)
}

/// The number at this place of a result, for people.
pub fn text(path: &str, value: f64) -> String {
    match quantity(path) {
        Quantity::Scaled(unit) => with_prefix(value, unit),
        Quantity::Plain(unit) => format!("{} {unit}", significant(value)),
        Quantity::Share => percent(Some(value)),
        Quantity::Number => number(value),
    }
}

/// Unit of the number at this place of a result; empty without one.
pub fn unit(path: &str) -> &'static str {
    match quantity(path) {
        Quantity::Scaled(unit) | Quantity::Plain(unit) => unit,
        Quantity::Share | Quantity::Number => "",
    }
}

/// A number without unit: whole numbers in full, others with four digits.
pub fn number(value: f64) -> String {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}{}", grouped(value.abs() as u64));
    }
    match value.abs() {
        size if (1e-2..1e7).contains(&size) => significant(value),
        _ => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_units_of_their_names() {
        for (path, value, expected) in [
            ("cycles", 96_224.0, "96,224"),
            ("seconds", 96.224e-6, "96.22 µs"),
            ("energy_j.key_sram", 4.47e-5, "44.70 µJ"),
            ("traffic.bytes_per_s", 512e9, "512.0 GB/s"),
            ("traffic.total_bytes", 12_963_328.0, "12.96 MB"),
            ("units.qk_array.utilisation", 0.25, "25.0 %"),
            ("dram.row_hit_rate", 0.8857, "88.6 %"),
            ("power_w", 4.914, "4.914 W"),
            ("area_mm2", 0.64, "0.640 mm²"),
            ("units.qk_array.beats", 32_128.0, "32,128"),
            ("native_cycles_per_second", 2.5e6, "2.500 MHz"),
            ("embedding_cosine_mean", 0.998_71, "0.999"),
            ("output_rms_error", 1.5e-5, "1.500e-5"),
            ("change", -12.0, "-12"),
        ] {
            assert_eq!(text(path, value), expected, "{path}");
        }
        assert_eq!([unit("energy_j.total"), unit("cycles"), unit("power_w")], ["J", "", "W"]);
    }

    #[test]
    fn no_number_is_too_odd_to_print() {
        for value in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, -0.0] {
            for path in ["cycles", "seconds", "utilisation", "area_mm2"] {
                assert!(!text(path, value).is_empty());
            }
        }
    }
}
