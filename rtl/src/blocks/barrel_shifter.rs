//! Barrel shifter in log2(width) stages.

use std::sync::Arc;

use super::within;
use crate::{ModuleBuilder, Signal, bits::index_width, error::Error, ir::Module};

/// What comes in at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// To the left, zeros from the right.
    Left,
    /// To the right, zeros from the left.
    Right,
    /// To the right, copies of the sign from the left.
    RightSigned,
    /// To the left, what leaves on the left comes in from the right.
    RotateLeft,
}

/// Shifts by a variable amount, stage k by 2^k places.
///
/// Ports: `data`, `amount`; `shifted`. Same cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarrelShifter {
    /// Width of the data \[bits\], 2 to 1024.
    pub width: u32,
    /// Direction and filling.
    pub shift: Shift,
}

impl BarrelShifter {
    /// The module `barrel_KIND_wWIDTH`.
    ///
    /// # Errors
    /// A width outside its range; one that is no power of two for a rotation.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let kind = match self.shift {
            Shift::Left => "left",
            Shift::Right => "right",
            Shift::RightSigned => "right_signed",
            Shift::RotateLeft => "rotate_left",
        };
        let name = format!("barrel_{kind}_w{}", self.width);
        within(&name, "width", self.width, (2, 1024), "2 to 1024 bits")?;
        if self.shift == Shift::RotateLeft && !self.width.is_power_of_two() {
            return Err(Error::parameter(&name, "width", self.width, "a power of two to rotate"));
        }
        let stages = index_width(self.width.into());
        let m = ModuleBuilder::new(name);
        m.doc("Barrel shifter. Stage k shifts by 2^k places where bit k of the amount is set.");
        m.parameter("WIDTH", self.width);
        m.parameter("KIND", kind);
        m.latency("same cycle");
        let mut data = m.input("data", self.width);
        let amount = m.input("amount", stages).comment("Places to shift by.");
        for stage in 0..stages {
            let shifted = self.shifted(&m, &data, 1 << stage);
            data = m.wire(format!("stage_{stage}"), &amount.bit(stage).mux(&shifted, &data));
        }
        m.output("shifted", &data);
        m.finish()
    }

    fn shifted(&self, m: &ModuleBuilder, data: &Signal, places: u32) -> Signal {
        let kept = self.width - places;
        match self.shift {
            Shift::Left => data.bits(0..kept).concat(&m.constant(0, places)),
            Shift::Right => data.bits(places..self.width).extend(self.width),
            Shift::RightSigned => {
                data.bits(places..self.width).as_signed().extend(self.width).as_unsigned()
            }
            Shift::RotateLeft => data.bits(0..kept).concat(&data.bits(kept..self.width)),
        }
    }
}
