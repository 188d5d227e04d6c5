//! Tables and numbers for people.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

/// One line under the header.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// How the cells of a column line up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table with a header, each column aligned as given.
pub fn table(columns: &[(&str, Align)], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE);
    // The width of a terminal must not change a result that is redirected.
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|(name, _)| *name));
    for row in rows {
        table.add_row(row);
    }
    for (column, (_, align)) in table.column_iter_mut().zip(columns) {
        column.set_padding((2, 0));
        column.set_cell_alignment(match align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        });
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}

/// Paragraphs with a dash before each, wrapped at 100 columns.
pub fn bullets(paragraphs: &[String]) -> String {
    const COLUMNS: usize = 100;
    let mut text = String::new();
    for paragraph in paragraphs {
        let mut column = 3;
        text.push_str("  -");
        for word in paragraph.split_whitespace() {
            let width = word.chars().count() + 1;
            if column > 4 && column + width > COLUMNS {
                text.push_str("\n   ");
                column = 3;
            }
            text.push(' ');
            text.push_str(word);
            column += width;
        }
        text.push('\n');
    }
    text
}

/// An integer with commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A quantity with four significant digits and an SI prefix: `196.3 µs`, `426.0 GB/s`.
pub fn with_prefix(value: f64, unit: &str) -> String {
    const PREFIXES: [(f64, &str); 9] = [
        (1e15, "P"),
        (1e12, "T"),
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1.0, ""),
        (1e-3, "m"),
        (1e-6, "µ"),
        (1e-9, "n"),
    ];
    if value == 0.0 || !value.is_finite() {
        return format!("{value} {unit}");
    }
    // Half a unit in the fourth digit: 999.96 must read as 1.000 k, not as 1000.
    let fits = |(scale, _): &&(f64, &str)| value.abs() >= scale * 0.99995;
    let (scale, prefix) = PREFIXES.iter().find(fits).unwrap_or(&PREFIXES[PREFIXES.len() - 1]);
    format!("{} {prefix}{unit}", significant(value / scale))
}

/// A number with four significant digits, or all digits before the point.
pub fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 999.95 => 0,
        size if size >= 99.995 => 1,
        size if size >= 9.9995 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// A share of one as a percentage with one decimal; `-` where there is none.
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(with_prefix(1.963_12e-4, "s"), "196.3 µs");
        assert_eq!(with_prefix(426e9, "B/s"), "426.0 GB/s");
        assert_eq!(with_prefix(999.96, "J"), "1.000 kJ");
        assert_eq!(with_prefix(0.0, "OP/s"), "0 OP/s");
        assert_eq!(with_prefix(2e-12, "s"), "0.002 ns");
        assert_eq!(percent(Some(0.998)), "99.8 %");
        assert_eq!(percent(None), "-");
    }

    #[test]
    fn paragraphs_are_wrapped_between_words() {
        let long = "word ".repeat(30);
        let text = bullets(&[long, "short".to_owned(), "x".repeat(200)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].starts_with("  - word") && lines[0].len() <= 100, "{text}");
        assert!(lines[1].starts_with("    word"), "{text}");
        assert_eq!(lines[2], "  - short");
    }

    #[test]
    fn columns_line_up() {
        let rows = [("qk_array", "99.8 %"), ("softmax", "7.0 %")];
        let rows = rows.map(|(name, share)| vec![name.to_owned(), share.to_owned()]);
        let text = table(&[("unit", Align::Left), ("busy", Align::Right)], rows);
        let expected = "  \
  unit         busy
───────────────────
  qk_array   99.8 %
  softmax     7.0 %
";
        assert_eq!(text, expected);
    }
}
