//! Engines behind the ports of quick-select: they find what it finds, after numbers of cycles of their
//! own.

use std::sync::Arc;

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Error,
    ir::Module,
    mutate::{Change, Mutation},
    units::spatten::{
        bitonic_select::BitonicSelect, quick_select::QuickSelect as Shape,
        radix_select::RadixSelect, row_buffer::with_buffer,
    },
    witness::{Pins, Vectors},
};
use attelier_sim::units::quick_select::Threshold;

use super::{
    quick_select::{Driver, engine},
    requests::Requests,
};
use crate::cosim::{Plan, Unit};

/// An engine, parameters included.
trait Engine: Clone + Send + Sync + 'static {
    const NAME: &'static str;
    /// With the buffer that it reads.
    const TOP: &'static str;

    fn parameters(&self) -> String;
    fn module(&self) -> Result<Arc<Module>, Error>;
    /// Cycles from the start to the end.
    fn cycles(&self, elements: u64) -> u64;
    fn mutations() -> Vec<Mutation<'static>>;
}

struct Other<E> {
    shape: Shape,
    engine: E,
}

/// Histograms of digits: the alternative to rounds with a pivot.
pub fn radix(params: &Spatten) -> Box<dyn Unit> {
    let shape = engine(&params.topk_value, params.datapath_bits);
    let Shape { lanes, width, capacity, .. } = shape;
    let digit_bits = [4, 3, 2].into_iter().find(|bits| width.is_multiple_of(*bits)).unwrap_or(1);
    Box::new(Other { shape, engine: RadixSelect { lanes, width, capacity, digit_bits } })
}

/// The sorter that the engine is measured against.
pub fn bitonic(params: &Spatten) -> Box<dyn Unit> {
    let mut shape = engine(&params.topk_value, params.datapath_bits);
    shape.capacity = shape.capacity.next_power_of_two();
    let Shape { lanes, width, capacity, .. } = shape;
    Box::new(Other { shape, engine: BitonicSelect { lanes, width, capacity } })
}

impl Engine for RadixSelect {
    const NAME: &'static str = "radix_select";
    const TOP: &'static str = "radix_select_with_buffer";

    fn parameters(&self) -> String {
        let Self { lanes, width, capacity, digit_bits } = self;
        format!("{lanes} lanes of {width} bits, {capacity} elements, digits of {digit_bits} bits")
    }

    fn module(&self) -> Result<Arc<Module>, Error> {
        self.module()
    }

    fn cycles(&self, elements: u64) -> u64 {
        self.cycles(elements)
    }

    fn mutations() -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: Self::NAME, signal, change };
        vec![
            of("is_candidate_0", Change::Inverted),
            of("is_in_bin_1", Change::Exchanged),
            of("last_read", Change::Undelayed),
            of("larger_than_digit", Change::Zero),
        ]
    }
}

impl Engine for BitonicSelect {
    const NAME: &'static str = "bitonic_select";
    const TOP: &'static str = "bitonic_select_with_buffer";

    fn parameters(&self) -> String {
        let Self { lanes, width, capacity } = self;
        format!("{lanes} lanes of {width} bits, {capacity} elements")
    }

    fn module(&self) -> Result<Arc<Module>, Error> {
        self.module()
    }

    fn cycles(&self, elements: u64) -> u64 {
        self.cycles(elements)
    }

    fn mutations() -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: Self::NAME, signal, change };
        vec![
            of("mirrors", Change::Inverted),
            of("stays_0", Change::Inverted),
            of("merge_0_stays_0", Change::Zero),
            of("is_tail", Change::Zero),
            of("first_of_pair", Change::Delayed),
            of("reading", Change::Undelayed),
        ]
    }
}

impl<E: Engine> Other<E> {
    fn driver(&self, pins: &Pins, plan: Plan) -> Driver {
        let engine = self.engine.clone();
        let cycles = move |elements: usize, _: &Threshold<u64>| engine.cycles(elements as u64);
        Driver::new(self.shape.clone(), pins, plan, Box::new(cycles))
    }
}

impl<E: Engine> Unit for Other<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn parameters(&self) -> String {
        self.engine.parameters()
    }

    fn top(&self) -> &str {
        E::TOP
    }

    fn design(&self) -> Result<Design, Error> {
        let Shape { lanes, width, capacity, .. } = self.shape;
        Design::new([&with_buffer(&self.engine.module()?, lanes, width, capacity)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        Box::new(self.driver(pins, plan))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        Ok(Box::new(self.driver(pins, plan).on(requests.value_selections()?)))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        E::mutations()
    }
}
