//! Result queue: attention outputs wait here until somebody outside the machine takes them.
//!
//! The PxV array has no place for an output of its own, so a place is reserved when the last row of a
//! pass enters it. The queue holds as many outputs as the array, and what a registered handshake
//! needs, so a receiver that always takes one never holds the array up.

use attelier_hw::spatten::PvArray as Params;

use crate::kernel::snapshot::Snapshot;

/// Places beyond the stages of the array.
const HANDSHAKE: u32 = 2;

/// The queue.
#[derive(Debug, Clone)]
pub struct ResultQueue {
    depth: u32,
    /// Outputs in the array and in the queue.
    reserved: u32,
    /// Outputs in the queue that are visible in this cycle.
    waiting: u32,
    receiver_is_willing: bool,
    /// What happens in this cycle.
    reserves: bool,
    arrives: bool,
}

impl ResultQueue {
    /// A queue behind an array with these parameters.
    pub fn new(params: &Params) -> Self {
        Self {
            depth: params.latency_cycles + HANDSHAKE,
            reserved: 0,
            waiting: 0,
            receiver_is_willing: true,
            reserves: false,
            arrives: false,
        }
    }

    /// Whether the receiver takes an output from now on; it does unless told otherwise.
    pub fn set_willing(&mut self, willing: bool) {
        self.receiver_is_willing = willing;
    }

    /// Outputs that are visible in this cycle.
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Whether a pass may read its last row in this cycle.
    pub fn has_room(&self) -> bool {
        self.reserved < self.depth
    }

    /// A pass reads its last row in this cycle.
    pub fn reserve(&mut self) {
        self.reserves = true;
    }

    /// An output leaves the array; it is visible in the next cycle.
    pub fn push(&mut self) {
        self.arrives = true;
    }

    /// Ends the cycle.
    pub fn commit(&mut self) {
        let taken = u32::from(self.waiting > 0 && self.receiver_is_willing);
        self.waiting += u32::from(std::mem::take(&mut self.arrives));
        self.waiting -= taken;
        self.reserved += u32::from(std::mem::take(&mut self.reserves));
        self.reserved -= taken;
    }

    /// Cycles that repeat this one as long as the array does.
    pub fn steady(&self) -> u64 {
        if self.waiting > 0 { 0 } else { crate::kernel::FOREVER }
    }

    /// Writes the state between two cycles.
    pub fn snapshot(&self, to: &mut Snapshot) {
        to.put(self.reserved);
        to.put(self.waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attelier_hw::spatten::Spatten;

    #[test]
    fn an_unwilling_receiver_leaves_room_for_what_is_in_the_array() {
        let params = Spatten::preset("spatten-small").unwrap().pv_array;
        let mut queue = ResultQueue::new(&params);
        queue.set_willing(false);
        let mut passes = 0;
        while queue.has_room() {
            queue.reserve();
            queue.commit();
            passes += 1;
        }
        assert_eq!(passes, params.latency_cycles + 2);
        for _ in 0..passes {
            queue.push();
            queue.commit();
        }
        assert_eq!(queue.waiting(), passes);
        queue.set_willing(true);
        queue.commit();
        assert!(queue.has_room() && queue.waiting() == passes - 1);
    }

    #[test]
    fn a_willing_receiver_never_holds_up_one_pass_per_cycle() {
        let params = Spatten::preset("spatten-small").unwrap().pv_array;
        let mut queue = ResultQueue::new(&params);
        for cycle in 0..100 {
            assert!(queue.has_room());
            queue.reserve();
            if cycle >= params.latency_cycles {
                queue.push();
            }
            queue.commit();
        }
    }
}
