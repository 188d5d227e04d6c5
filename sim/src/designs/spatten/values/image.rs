//! The memory as a job finds it.

use std::collections::BTreeMap;

use attelier_workloads::request::Phase;

use crate::datapath::bitwidth_converter::{pack, split};
use crate::designs::spatten::functional::Recording;
use crate::designs::spatten::plan::Job;
use crate::designs::spatten::storage::{CodeBits, Plane};

/// Bytes that are kept together [B]; transactions are no longer.
const PAGE: u64 = 1 << 12;

/// Bytes of memory by address. Planes that overlap spoil each other: nothing is written twice.
#[derive(Debug, Default)]
pub struct Image(BTreeMap<u64, Vec<u8>>);

impl Image {
    /// The stored vectors of a job, where the plan lays them.
    pub fn of(bits: &CodeBits, recording: &Recording, job: &Job) -> Self {
        let mut image = Self::default();
        let first = job.request as usize;
        let request = &recording.requests[first];
        let dim = request.head_dim as usize;
        let widen = |code: i16, from: u32, to: u32| i32::from(code) << (to - from);
        let records = &recording.heads[first..first + usize::from(job.heads)];
        let plane_of = |planes: &[Plane; 2], head: u32| planes[head as usize];
        for (head, record) in (0..).zip(records) {
            let plane = plane_of(&job.query, head);
            for (number, query) in (0..).zip(record.queries.chunks_exact(dim)) {
                let codes = query.iter().map(|&code| widen(code, bits.query, bits.query_stored));
                // Prefill stores a query where its token lies, decode has one.
                let position = match request.phase {
                    Phase::Prefill => record.tokens[number as usize],
                    Phase::Decode => number,
                };
                image.write(&Plane { fused: 1, ..plane }, position, 0, codes);
            }
        }
        // The vectors of fused heads lie together: one is written between the gaps of the other.
        let fused = |head: u32| if job.heads > 1 { head } else { 0 };
        for (head, record) in (0..).zip(records) {
            let cache = &recording.caches[record.cache];
            for &token in record.tokens.iter() {
                let keys = Recording::row(&cache.keys, dim, token).iter();
                let keys = keys.map(|&code| widen(code, bits.key, bits.key_stored));
                let (high, low): (Vec<i32>, Vec<i32>) =
                    keys.map(|code| split(code, bits.key_lsb)).unzip();
                image.write(&job.key, token, fused(head), high);
                if bits.key_lsb > 0 {
                    image.write(&plane_of(&job.key_lsb, head), token, 0, low);
                }
                let values = Recording::row(&cache.values, dim, token).iter();
                let values = values.map(|&code| widen(code, bits.value, bits.value_stored));
                image.write(&job.value, token, fused(head), values);
            }
        }
        image
    }

    /// Writes the codes of one head into vector `number` of a plane.
    fn write(
        &mut self,
        plane: &Plane,
        number: u32,
        head: u32,
        codes: impl IntoIterator<Item = i32>,
    ) {
        let address = plane.base + u64::from(number) * u64::from(plane.vector_bytes);
        let mut vector = Vec::new();
        self.read(address, plane.vector_bytes, &mut vector);
        let codes: Vec<i32> = codes.into_iter().collect();
        pack(&mut vector, plane.bits, (head, plane.fused), &codes);
        for (address, byte) in (address..).zip(vector) {
            let page = self.0.entry(address / PAGE).or_insert_with(|| vec![0; PAGE as usize]);
            page[(address % PAGE) as usize] = byte;
        }
    }

    /// Appends the `count` bytes at `address`; what was never written is 0.
    pub fn read(&self, address: u64, count: u32, to: &mut Vec<u8>) {
        let mut next = address;
        let end = address + u64::from(count);
        while next < end {
            let (page, first) = (next / PAGE, (next % PAGE) as usize);
            let bytes = (PAGE - next % PAGE).min(end - next) as usize;
            match self.0.get(&page) {
                Some(page) => to.extend_from_slice(&page[first..first + bytes]),
                None => to.resize(to.len() + bytes, 0),
            }
            next += bytes as u64;
        }
    }
}
