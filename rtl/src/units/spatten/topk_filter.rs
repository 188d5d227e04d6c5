//! Filter: which elements of a row belong to the k largest, given the k-th largest value.

use std::sync::Arc;

use crate::{Error, ModuleBuilder, Signal, bits::index_width, ir::Module};

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopKFilter {
    /// Elements of a row, a power of two.
    pub lanes: u32,
    /// Width of an element \[bits\], unsigned.
    pub width: u32,
    /// Width of the count of equals \[bits\].
    pub count_width: u32,
}

impl TopKFilter {
    /// The module: inputs `threshold`, `equals_left`, `valid` (one bit per lane) and `s_data_0`, ...;
    /// outputs `keep` (one bit per lane) and `equals_after`. Combinational.
    ///
    /// # Errors
    /// A width that no signal has.
    pub fn module(&self) -> Result<Arc<Module>, Error> {
        let Self { lanes, width, count_width } = *self;
        let m = ModuleBuilder::new("topk_filter");
        m.doc("Filter: keeps elements above the threshold, and of those equal to it the first");
        m.doc("`equals_left`.");
        m.parameter("lanes", lanes);
        m.parameter("element width", width);
        m.latency("0 cycles (combinational)");
        let threshold = m.input("threshold", width).comment("the k-th largest value");
        let equals_left = m
            .input("equals_left", count_width)
            .comment("equal elements that still belong to the k largest");
        let valid = m.input("valid", lanes).comment("one bit per lane: there is an element");
        let elements = m.inputs("s_data", lanes, width);
        m.section("Equal elements, and how many of them are in the lanes up to each one.");
        let row_width = index_width(u64::from(lanes) + 1);
        let sum_width = row_width.max(count_width);
        let mut equals: Vec<Signal> = Vec::new();
        let mut sums: Vec<Signal> = Vec::new();
        for (element, lane) in elements.iter().zip(0..) {
            let equal = element.eq(&threshold) & valid.bit(lane);
            equals.push(m.wire(format!("is_equal_{lane}"), &equal));
        }
        for (lane, equal) in equals.iter().enumerate() {
            let sum = match sums.last() {
                Some(sum) => sum + equal.extend(row_width),
                None => equal.extend(row_width),
            };
            sums.push(m.wire(format!("equals_up_to_{lane}"), &sum));
        }
        m.section("Kept elements.");
        let budget = m.wire("budget", &equals_left.extend(sum_width));
        let keep: Vec<Signal> = (0..lanes as usize)
            .map(|lane| {
                let element = &elements[lane];
                let larger = element.gt(&threshold) & valid.bit(lane as u32);
                let counts = &equals[lane] & sums[lane].extend(sum_width).le(&budget);
                m.wire(format!("keeps_{lane}"), &(larger | counts))
            })
            .collect();
        let all = m.wire("equals_in_row", &sums[lanes as usize - 1].extend(sum_width));
        let after = all.ge(&budget).mux(&m.constant(0, sum_width), &budget - &all);
        let after = m.wire("remaining", &after);
        m.output_for("keep", &m.pack(&keep), "one bit per lane");
        if sum_width > count_width {
            m.discard(&after);
        }
        m.output_for("equals_after", &after.bits(0..count_width), "for the next row");
        m.finish()
    }
}
