//! Units of SpAtten, in the order of the data.

mod zero_eliminator;

use attelier_hw::spatten::Spatten;

use super::Unit;

/// The units of a machine with these parameters.
pub fn units(params: &Spatten) -> Vec<Box<dyn Unit>> {
    vec![zero_eliminator::unit(params)]
}
