//! Zero eliminator: moves the kept elements of a row to its front, in order.
//!
//! A prefix sum counts the dropped elements before each lane. Layer `b` then moves an element down
//! by `2^b` lanes iff bit `b` of its count is set (SpAtten section IV-C, figure 10). Low bits go
//! first: an element that still has to move meets no other, because the elements between have been
//! dropped. Bits of a count that a layer has consumed are not carried on.

use std::sync::Arc;

use crate::{Error, ModuleBuilder, Signal, bits::index_width, ir::Module};

/// What a zero eliminator is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZeroEliminator {
    /// Name of the module.
    pub name: String,
    /// Elements of a row, a power of two up to 64.
    pub lanes: u32,
    /// Width of an element \[bits\].
    pub width: u32,
}

impl ZeroEliminator {
    /// The module. Combinational.
    ///
    /// Inputs `keep` (one bit per lane) and `s_data_0`, `s_data_1`, ...; outputs `count` and
    /// `m_data_0`, ..., of which the first `count` are the kept elements.
    ///
    /// # Errors
    /// Lanes or width outside their range.
    pub fn module(&self) -> Result<Arc<Module>, Error> {
        let Self { ref name, lanes, width } = *self;
        if !lanes.is_power_of_two() || !(1..=64).contains(&lanes) {
            return Err(Error::parameter(name, "lanes", lanes, "a power of two up to 64"));
        }
        let m = ModuleBuilder::new(name);
        m.doc("Zero eliminator: moves the kept elements of a row to its front, in order.");
        m.doc("Layer b moves an element down by 2^b lanes iff bit b of the number of dropped");
        m.doc("elements before it is set.");
        m.parameter("lanes", lanes);
        m.parameter("element width", width);
        m.latency("0 cycles (combinational)");
        let keep = m.input("keep", lanes).comment("one bit per lane: the element stays");
        let elements = m.inputs("s_data", lanes, width);

        m.section("Prefix sum: dropped elements before each lane.");
        let kept: Vec<Signal> = (0..lanes).map(|lane| keep.bit(lane)).collect();
        let dropped = prefix_sum(&m, "dropped_before", &kept);

        // A hole has nothing to move; an element of lane n moves by at most n lanes.
        let mut row: Vec<Element> = (0..lanes as usize)
            .map(|lane| {
                let steps = dropped[lane].as_ref().map(|count| {
                    m.wire(
                        format!("steps_{lane}"),
                        &kept[lane].gate(&count.bits(0..steps_width(lane))),
                    )
                });
                Element { data: elements[lane].clone(), steps }
            })
            .collect();
        let layers = lanes.trailing_zeros();
        for layer in 0..layers {
            row = shift(&m, layer, &row);
        }

        m.section("Kept elements.");
        let count_width = index_width(u64::from(lanes) + 1);
        let total = count(&m, "kept", &kept, count_width);
        m.output_for("count", &total, "number of kept elements");
        for (lane, element) in row.iter().enumerate() {
            m.output(format!("m_data_{lane}"), &element.data);
        }
        m.finish()
    }
}

/// An element between two layers.
struct Element {
    data: Signal,
    /// Layers that still move it, the next one in bit 0; none where no element can move any more.
    steps: Option<Signal>,
}

/// Bits of the largest number of steps by which an element of this lane can move.
fn steps_width(lane: usize) -> u32 {
    usize::BITS - lane.leading_zeros()
}

/// Layer `layer`: moves elements down by `2^layer` lanes.
fn shift(m: &ModuleBuilder, layer: u32, row: &[Element]) -> Vec<Element> {
    let distance = 1usize << layer;
    m.section(format!("Layer {layer}: shift by {distance}."));
    let leaves: Vec<Option<Signal>> = row
        .iter()
        .enumerate()
        .map(|(lane, element)| {
            let steps = element.steps.as_ref()?;
            Some(m.wire(format!("layer_{layer}_leaves_{lane}"), &steps.bit(0)))
        })
        .collect();
    let moved = |lane: usize| {
        let here = &row[lane];
        let from = row.get(lane + distance).zip(leaves.get(lane + distance).cloned().flatten());
        let data = match &from {
            Some((from, arrives)) => &arrives.mux(&from.data, &here.data),
            None => &here.data,
        };
        let data = m.wire(format!("layer_{layer}_data_{lane}"), data);
        // Layers that can still move an element of this lane.
        let width = steps_width(lane >> (layer + 1));
        let rest = |element: &Element| {
            element.steps.as_ref().filter(|_| width > 0).map(|steps| steps.bits(1..width + 1))
        };
        let stays =
            rest(here).zip(leaves[lane].as_ref()).map(|(steps, leaves)| (!leaves).gate(&steps));
        let steps = stays.map(|stays| {
            let arriving = from.as_ref().and_then(|(from, arrives)| Some((rest(from)?, arrives)));
            let steps = match arriving {
                Some((steps, arrives)) => arrives.mux(&steps, &stays),
                None => stays,
            };
            m.wire(format!("layer_{layer}_steps_{lane}"), &steps)
        });
        Element { data, steps }
    };
    (0..row.len()).map(moved).collect()
}

/// For every lane the number of zeros among the bits before it; none for lane 0. Each level of a
/// Kogge-Stone network doubles the lanes that a sum covers; a sum is as wide as it can become.
fn prefix_sum(m: &ModuleBuilder, name: &str, bits: &[Signal]) -> Vec<Option<Signal>> {
    let lanes = bits.len();
    let mut sums: Vec<Signal> = bits[..lanes - 1].iter().map(|bit| !bit).collect();
    let mut level = 0;
    while 1usize << level < lanes - 1 {
        let reach = 1usize << level;
        sums = (0..lanes - 1)
            .map(|lane| {
                let Some(before) = lane.checked_sub(reach) else { return sums[lane].clone() };
                let width = steps_width((lane + 1).min(2 * reach));
                let sum = sums[lane].extend(width) + sums[before].extend(width);
                m.wire(format!("{name}_{}_level_{level}", lane + 1), &sum)
            })
            .collect();
        level += 1;
    }
    let before =
        sums.into_iter().enumerate().map(|(lane, sum)| Some(sum.extend(steps_width(lane + 1))));
    [None].into_iter().chain(before).collect()
}

/// Number of bits that are set.
fn count(m: &ModuleBuilder, name: &str, bits: &[Signal], width: u32) -> Signal {
    let mut sums: Vec<Signal> = bits.to_vec();
    let mut level = 0;
    while sums.len() > 1 {
        sums = sums
            .chunks(2)
            .enumerate()
            .map(|(at, pair)| match pair {
                [a, b] => m.wire(format!("{name}_level_{level}_{at}"), &a.add_full(b)),
                _ => pair[0].clone(),
            })
            .collect();
        level += 1;
    }
    sums[0].extend(width.max(sums[0].width()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Design, Simulator};

    /// Every row of 1, 2, 4, 8 and 16 lanes against plain compaction.
    #[test]
    fn all_rows_are_compacted() {
        for lanes in [1u32, 2, 4, 8, 16] {
            let unit = ZeroEliminator { name: "zero_eliminator".into(), lanes, width: 5 };
            let design = Design::new([&unit.module().unwrap()]).unwrap();
            let mut simulator = Simulator::new(&design, "zero_eliminator").unwrap();
            for lane in 0..lanes {
                simulator.set(&format!("s_data_{lane}"), u64::from(lane + 7)).unwrap();
            }
            for keep in 0..1u64 << lanes {
                simulator.set("keep", keep).unwrap();
                let kept: Vec<u64> = (0..lanes)
                    .filter(|lane| keep >> lane & 1 == 1)
                    .map(|lane| (lane + 7).into())
                    .collect();
                assert_eq!(simulator.get("count").unwrap(), kept.len() as u64);
                for (lane, expected) in kept.iter().enumerate() {
                    assert_eq!(simulator.get(&format!("m_data_{lane}")).unwrap(), *expected);
                }
            }
        }
    }

    #[test]
    fn illegal_parameters_are_refused() {
        for lanes in [0, 3, 12, 128] {
            let unit = ZeroEliminator { name: "zero_eliminator".into(), lanes, width: 8 };
            let text = unit.module().unwrap_err().to_string();
            assert!(text.contains("expected a power of two up to 64"), "{text}");
        }
        let unit = ZeroEliminator { name: "zero_eliminator".into(), lanes: 8, width: 0 };
        assert!(unit.module().unwrap_err().to_string().contains("0 bits wide"));
    }
}
