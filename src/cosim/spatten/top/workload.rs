//! Random attention requests with operands: what lies in memory, and what each word of it is.

use std::collections::BTreeMap;

use attelier_hw::spatten::Spatten;
use attelier_sim::{
    datapath::{
        bitwidth_converter::{Field, merge, pack, split, words},
        quant_decision::threshold_code,
        softmax::Scale,
    },
    designs::spatten::{Importance, Job, PlanError, plan},
};
use attelier_workloads::request::{Phase, Request, Widths};

use crate::cosim::{Random, spatten::operands};

/// Bits of the LSB plane of a key that may be computed again.
const LSB_BITS: u32 = 4;

/// Most requests: every one has a layer of its own, so that none shares its memory.
const MOST_REQUESTS: usize = 4096;

/// One request with its operands as words of the data path.
#[derive(Debug, Clone)]
pub struct Operands {
    /// Query.
    pub query: Vec<i32>,
    /// Keys without LSBs, one after the other.
    pub keys: Vec<i32>,
    /// Keys with LSBs.
    pub whole_keys: Vec<i32>,
    /// Values.
    pub values: Vec<i32>,
    /// From scores to exponents.
    pub scale: Scale,
    /// Probability code below which a pass is flat.
    pub threshold: u16,
}

/// A workload and the memory that holds it.
pub struct Workload {
    /// One per job.
    pub requests: Vec<Request>,
    /// Jobs of the machine.
    pub jobs: Vec<Job>,
    /// Operands of each request.
    pub operands: Vec<Operands>,
    /// Stored vectors by byte address.
    pub(super) memory: BTreeMap<u64, Vec<u8>>,
    pub(super) transaction_bytes: u32,
}

/// No selection between requests, and values that tell which passes are flat.
pub(super) struct NoSelection;

impl Importance for NoSelection {
    fn decides(&self) -> bool {
        true
    }

    fn pivot_seed(&self) -> u16 {
        1
    }

    fn of_tokens(&self, _at: usize, _request: &Request, n: usize) -> Vec<u64> {
        vec![0; n]
    }

    fn of_heads(&self, _at: usize, _request: &Request, n: usize) -> Vec<u64> {
        vec![0; n]
    }

    fn unexplained(&self, _at: usize, _request: &Request, n: usize) -> Vec<u64> {
        vec![0; n]
    }
}

impl Workload {
    /// Requests of at least `transactions` memory transactions, and at least `requests` of them.
    ///
    /// # Errors
    /// A machine that is too small for some request.
    pub fn random(
        params: &Spatten,
        seed: u64,
        transactions: u64,
        requests: usize,
    ) -> Result<Self, PlanError> {
        let mut random = Random::new(seed, 11);
        let mut drawn: Vec<Request> = Vec::new();
        let mut moved = 0;
        while (moved < transactions || drawn.len() < requests) && drawn.len() < MOST_REQUESTS {
            let request = request(params, &mut random, drawn.len() as u32);
            moved += u64::from(request.keys + request.values);
            drawn.push(request);
        }
        let jobs = plan(params, &drawn, &NoSelection)?;
        let mut memory = BTreeMap::new();
        let operands = jobs
            .iter()
            .zip(&drawn)
            .map(|(job, request)| store(params, &mut random, job, request, &mut memory))
            .collect();
        let transaction_bytes = params.memory.transaction_bytes;
        Ok(Self { requests: drawn, jobs, operands, memory, transaction_bytes })
    }

    /// Stored vectors with their byte addresses.
    pub fn memory(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.memory.iter().map(|(address, vector)| (*address, vector.as_slice()))
    }

    /// What lies in memory from byte `address` on, one transaction of it. Where nothing was stored
    /// lies something that must not matter.
    pub fn transaction(&self, address: u64) -> Vec<u8> {
        let bytes = self.transaction_bytes as usize;
        let below = self.memory.range(..=address).next_back();
        let stored = below.and_then(|(base, vector)| {
            let offset = usize::try_from(address - base).ok()?;
            vector.get(offset..offset + bytes)
        });
        let noise =
            |at: usize| (address.wrapping_mul(0x9e37_79b9).rotate_right(7) >> (at % 8)) as u8;
        stored.map_or_else(|| (0..bytes).map(noise).collect(), <[u8]>::to_vec)
    }
}

/// One decode request: short and long ones, pruned and dense ones, with and without LSBs.
fn request(params: &Spatten, random: &mut Random, number: u32) -> Request {
    let rows = params.softmax.fifo_depth.min(params.quant_decision.fifo_depth);
    let most = (rows * params.softmax.lanes).min(params.topk_value.capacity);
    let keys = match random.below(12) {
        0 => 1 + random.below(most.min(3).into()),
        1 => 1 + random.below(most.min(160).into()),
        _ => u64::from(most.min(4)) + random.below(most.min(44).saturating_sub(4).into()),
    } as u32;
    let values = if random.chance(1, 2) { keys } else { 1 + random.below(keys.into()) as u32 };
    // Wider words leave room for keys in two planes.
    let word = params.datapath_bits;
    let mut draw = |widths: &[u32]| {
        let fit: Vec<u32> = widths.iter().copied().filter(|bits| *bits <= word).collect();
        fit.get(random.below(fit.len() as u64) as usize).copied().unwrap_or(word)
    };
    let (key, value) = (draw(&[4, 4, 4, 6, 8, 12]), draw(&[4, 6, 8, 8]));
    let compares = key <= 8 && key + LSB_BITS <= word && random.chance(2, 3);
    let key_lsb = if compares { LSB_BITS } else { 0 };
    let threshold = [0.0, 0.05, 0.1, 0.25, 0.5, 1.0][random.below(6) as usize];
    Request {
        iteration: 0,
        layer: number,
        head: 0,
        phase: Phase::Decode,
        causal: false,
        head_dim: params.head_dim,
        sentence_length: keys,
        queries: 1,
        keys,
        values,
        widths: Widths { query: None, key: Some(key), key_lsb, value: Some(value) },
        requant_threshold: compares.then_some(threshold),
        requant: false,
        accumulate_importance: false,
        rescale_importance: false,
        token_topk: None,
    }
}

/// Draws the operands of a request and stores them where its job fetches them.
fn store(
    params: &Spatten,
    random: &mut Random,
    job: &Job,
    request: &Request,
    memory: &mut BTreeMap<u64, Vec<u8>>,
) -> Operands {
    let (dim, word) = (params.head_dim, params.datapath_bits);
    let lsb = job.key_lsb[0].bits;
    let mut all = Operands {
        query: operands::words(random, dim, word),
        keys: Vec::new(),
        whole_keys: Vec::new(),
        values: Vec::new(),
        scale: Scale::new(
            [0.5, 4.0, 30.0][random.below(3) as usize] / f64::from(1u32 << (2 * word - 4)),
        ),
        threshold: request.requant_threshold.map_or(0, |at| threshold_code(at, word)),
    };
    let mut put = |base: u64, number: u32, bits: u32, bytes: u32, codes: &[i32]| {
        let mut vector = vec![0; bytes as usize];
        pack(&mut vector, bits, (0, 1), codes);
        memory.insert(base + u64::from(number) * u64::from(bytes), vector.clone());
        vector
    };
    for number in 0..job.keys {
        let key = &job.key;
        let codes = operands::words(random, dim, key.bits + lsb);
        let (high, low): (Vec<i32>, Vec<i32>) = codes.iter().map(|code| split(*code, lsb)).unzip();
        let stored = put(key.base, number, key.bits, key.vector_bytes, &high);
        let mut vector: Vec<i32> = words(&stored, key.bits, (0, 1), dim, word).collect();
        all.keys.extend(&vector);
        if lsb > 0 {
            let plane = &job.key_lsb[0];
            let stored = put(plane.base, number, lsb, plane.vector_bytes, &low);
            merge(&mut vector, &stored, Field { bits: lsb, above: key.bits }, word);
        }
        all.whole_keys.extend(vector);
        let value = &job.value;
        let codes = operands::words(random, dim, value.bits);
        let stored = put(value.base, number, value.bits, value.vector_bytes, &codes);
        all.values.extend(words(&stored, value.bits, (0, 1), dim, word));
    }
    all
}
