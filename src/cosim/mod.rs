//! Co-simulation: the simulator's unit, the RTL run natively, and its Verilog under Verilator and
//! Icarus, compared cycle by cycle.
//!
//! A [`Unit`] is one file in a folder named after its design, and one line in that folder's list.
//! It joins the RTL to a *model driver*: seeded stimulus, the simulator's unit evaluated on it, and
//! what the outputs must therefore show. The driver reacts to what the model does (a source holds its beat
//! until the model takes it), so the same vectors can be replayed to every other witness; hardware
//! that answers at another cycle differs from them.
//!
//! The stimulus is drawn, or it is what real requests bring to the unit; when it comes is drawn in
//! either case.

mod compare;
pub mod edge_moe;
pub mod elsa;
pub mod pim_gpt;
mod random;
mod select;
pub mod spatten;

use attelier_rtl::{
    Design, Error,
    mutate::Mutation,
    witness::{Pins, Vectors},
};

pub use self::{
    compare::{Bench, Options, Real, Row, Witness, compare},
    random::{Pace, Random},
    select::{Recorder, Selection, select},
};
use self::{edge_moe::image::Image, spatten::requests::Requests};

/// What a driver applies, one after the other: without end if it is drawn, to the last one if it comes
/// from requests.
pub type Source<T> = Box<dyn Iterator<Item = T>>;

/// What to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Beats after which the driver ends, at the latest after the transaction under way.
    pub beats: u64,
    /// Seed of the stimulus.
    pub seed: u64,
}

/// What really crossed the units of a machine.
pub trait Recorded {
    /// The model driver of a unit with what was recorded there.
    ///
    /// # Errors
    /// Why it is nothing.
    fn vectors(&self, unit: &dyn Unit, pins: &Pins, plan: Plan)
    -> Result<Box<dyn Vectors>, String>;

    /// What it consists of, in a sentence.
    fn summary(&self) -> String;
}

/// A hardware unit with its model.
pub trait Unit: Send + Sync {
    /// Name of the unit, as on the command line.
    fn name(&self) -> &'static str;

    /// Parameters in a few words.
    fn parameters(&self) -> String;

    /// The hardware.
    ///
    /// # Errors
    /// Parameters that the hardware cannot be built for.
    fn design(&self) -> Result<Design, Error>;

    /// Module of the design that is compared.
    fn top(&self) -> &str {
        self.name()
    }

    /// The model driver with drawn stimulus.
    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors>;

    /// The model driver with what real requests bring to the unit. It also ends when all of them are
    /// through.
    ///
    /// # Errors
    /// Why these requests bring nothing to the unit.
    fn real(
        &self,
        _pins: &Pins,
        _plan: Plan,
        _requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        Err("requests are recorded for the units of SpAtten only".into())
    }

    /// The model driver with what an image brings to the unit. It also ends when all of that is through.
    ///
    /// # Errors
    /// Why the image brings nothing to the unit.
    fn image(&self, _pins: &Pins, _plan: Plan, _image: &Image) -> Result<Box<dyn Vectors>, String> {
        Err("its numbers cross this unit inside of others only, where they are compared".into())
    }

    /// What the stimulus consists of, where beats do not say it.
    fn stimulus(&self, _plan: Plan) -> Option<String> {
        None
    }

    /// Why the comparison of a whole design leaves this unit out, unless it is named.
    fn left_out(&self) -> Option<String> {
        None
    }

    /// Faults that the comparison must notice; not empty.
    fn mutations(&self) -> Vec<Mutation<'static>>;
}
