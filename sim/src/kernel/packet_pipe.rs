//! A fixed-latency pipeline whose beats belong to packets.

use std::collections::VecDeque;

use super::{FOREVER, clock::Cycle, pipe::Pipe, snapshot::Snapshot};

/// A beat that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat<H> {
    /// Header of its packet.
    pub header: H,
    /// Beats of its packet.
    pub beats: u32,
    /// Position in its packet.
    pub index: u32,
}

impl<H> Beat<H> {
    /// Whether it is the last one of its packet.
    pub fn is_last(&self) -> bool {
        self.index + 1 == self.beats
    }
}

/// A [`Pipe`] with packet headers.
#[derive(Debug, Clone)]
pub struct PacketPipe<H> {
    pipe: Pipe,
    packets: VecDeque<Beat<H>>,
}

impl<H: Copy> PacketPipe<H> {
    /// A pipeline of `latency` register stages, at least 1.
    pub fn new(latency: u32) -> Self {
        Self { pipe: Pipe::new(latency), packets: VecDeque::new() }
    }

    /// Beats inside.
    pub fn in_flight(&self) -> u64 {
        self.pipe.in_flight()
    }

    /// Beat `index` of a packet of `beats` beats enters in cycle `now`.
    pub fn enter(&mut self, now: Cycle, header: H, index: u32, beats: u32) {
        if index == 0 {
            self.packets.push_back(Beat { header, beats, index });
        }
        self.pipe.push(now);
    }

    /// Takes the beat that leaves in cycle `now`, if there is one.
    pub fn leave(&mut self, now: Cycle) -> Option<Beat<H>> {
        if !self.pipe.take(now) {
            return None;
        }
        let front = self.packets.front_mut().expect("a beat inside has a packet");
        let beat = *front;
        front.index += 1;
        if beat.is_last() {
            self.packets.pop_front();
        }
        Some(beat)
    }

    /// Cycles after `now` for which entering and leaving repeat what they did in `now`. A
    /// packet's first and last beat always leave in a cycle that is evaluated.
    pub fn steady(&self, now: Cycle) -> u64 {
        let pipe = self.pipe.steady(now);
        if !self.pipe.took(now) {
            return pipe;
        }
        let packet = match self.packets.front() {
            Some(front) if front.index > 0 => u64::from(front.beats - front.index) - 1,
            _ => 0,
        };
        pipe.min(packet)
    }

    /// Writes the state; `header` writes a header.
    pub fn snapshot(&self, to: &mut Snapshot, header: impl Fn(&H, &mut Snapshot)) {
        self.pipe.snapshot(to);
        to.length(self.packets.len());
        for packet in &self.packets {
            header(&packet.header, to);
            to.put(packet.beats);
            to.put(packet.index);
        }
    }

    /// Repeats what happened in `now` for the `n` cycles after it.
    pub fn leap(&mut self, now: Cycle, n: u64) {
        if self.pipe.took(now) && n > 0 {
            let front = self.packets.front_mut().expect("a steady pipe that leaves has a packet");
            front.index += u32::try_from(n).expect("a leap ends inside the packet");
        }
        self.pipe.leap(now, n);
    }
}

/// Cycles for which a buffer of `depth` places, `occupied` of them taken or reserved after the
/// cycle, lets an entry go on (or stay refused) as in that cycle.
pub fn credit_steady(depth: u64, occupied: u64, enters: bool, leaves: bool) -> u64 {
    match (enters, leaves) {
        (true, false) => depth - occupied,
        (true, true) if occupied < depth => FOREVER,
        (true, true) => 0,
        (false, _) => FOREVER,
    }
}
