//! What the machine does, seen from outside: each mechanism leaves its mark on addresses, spans or
//! cycles, worked out here from the published description.

use std::collections::{BTreeMap, BTreeSet};

use attelier_hw::{config, spatten::Spatten};
use attelier_sim::designs::spatten::{Options, simulate, simulate_with};
use attelier_sim::kernel::clock::Cycle;
use attelier_sim::observe::{Nobody, Observer};
use attelier_sim::result::RunResult;
use attelier_sim::units::memory::{Grant, IdealMemory, Memory};
use attelier_workloads::request::{Phase, Request, Widths};

fn machine(sets: &[&str]) -> Spatten {
    let sets: Vec<String> =
        ["memory.kind=ideal"].iter().chain(sets).map(|set| (*set).to_string()).collect();
    let config = config::load("spatten", None, &sets).expect("known parameters");
    Spatten::check(&config).expect("a legal machine")
}

fn decode(layer: u32, head: u32, keys: u32, values: u32) -> Request {
    Request {
        iteration: 0,
        layer,
        head,
        phase: Phase::Decode,
        head_dim: 64,
        sentence_length: 512,
        queries: 1,
        keys,
        values,
        widths: Widths { query: Some(12), key: Some(8), key_lsb: 4, value: Some(8) },
        requant_threshold: None,
        requant: false,
        accumulate_importance: true,
        causal: false,
        rescale_importance: false,
        token_topk: None,
    }
}

fn run(params: &Spatten, requests: &[Request]) -> RunResult {
    simulate(params, requests, Options::default(), &mut Nobody).expect("it fits")
}

/// Spans by what they name: (start, end).
#[derive(Default)]
struct Spans(BTreeMap<String, (u64, u64)>);

impl Observer for Spans {
    fn span(&mut self, _unit: usize, what: &str, start: u64, end: u64) {
        self.0.insert(what.to_string(), (start, end));
    }
}

fn spans(params: &Spatten, requests: &[Request]) -> BTreeMap<String, (u64, u64)> {
    let mut spans = Spans::default();
    simulate(params, requests, Options::default(), &mut spans).expect("it fits");
    spans.0
}

/// An ideal memory that keeps every address.
struct Recorder {
    memory: IdealMemory,
    addresses: std::rc::Rc<std::cell::RefCell<Vec<u64>>>,
}

impl Memory for Recorder {
    fn ready(&self, now: Cycle) -> u64 {
        self.memory.ready(now)
    }
    fn issue(&mut self, now: Cycle, grant: Grant, address: &dyn Fn(u32) -> u64) {
        let lanes = (0..64).filter(|lane| grant.lanes >> lane & 1 == 1);
        self.addresses.borrow_mut().extend(lanes.map(address));
        self.memory.issue(now, grant, address);
    }
    fn arrival(&mut self, now: Cycle) -> Option<Grant> {
        self.memory.arrival(now)
    }
    fn quiet(&self, now: Cycle) -> u64 {
        self.memory.quiet(now)
    }
    fn is_idle(&self) -> bool {
        self.memory.is_idle()
    }
}

/// One request in an empty machine, first to last cycle, added up stage by stage.
#[test]
fn a_lone_request_takes_the_sum_of_its_stages() {
    let params = machine(&["controller.query_from_dram=false"]);
    let rows: u32 = 40;
    let request = Request { sentence_length: 320, ..decode(0, 0, 320, 320) };
    let ours = run(&params, &[request]).cycles;
    let softmax = &params.softmax;
    // The controller gives the command, the generator takes it and makes a row: 1 cycle each. The
    // row is issued in 2 cycles, its second half comes back after the latency, it leaves the
    // crossbar in the next cycle and the converter in the one after; then its lines can be read.
    let fetch = 1 + 1 + 1 + u64::from(params.memory.latency_cycles) + 1 + 1 + 1;
    let scores = u64::from(params.qk_array.latency_cycles) + 1;
    let parked = u64::from(softmax.scale_cycles + softmax.exp_cycles);
    // The sum waits for the last row.
    let sum = u64::from(rows) - 1 + u64::from(softmax.accumulate_cycles);
    let probability = u64::from(softmax.divide_cycles + softmax.quantise_cycles) + 1;
    // Decision FIFO, around the top-k engine, and the message that asks for the values.
    let values_asked = 1 + 1 + 1;
    let product = u64::from(rows) - 1 + u64::from(params.pv_array.latency_cycles);
    let done = 1 + 1;
    let values_known = fetch + scores + parked + sum + probability + values_asked;
    assert_eq!(ours, values_known + fetch + product + done);
}

/// One more cycle of a stage is one more cycle of a lone request; of the memory, one per fetch.
#[test]
fn every_latency_counts_once() {
    let request = [Request { sentence_length: 320, ..decode(0, 0, 320, 320) }];
    let base = run(&machine(&["controller.query_from_dram=false"]), &request).cycles;
    let cases = [
        ("softmax.scale_cycles=12", 5),
        ("softmax.exp_cycles=26", 5),
        ("softmax.accumulate_cycles=28", 5),
        ("softmax.divide_cycles=34", 5),
        ("softmax.quantise_cycles=12", 5),
        ("memory.latency_cycles=55", 10),
    ];
    for (set, more) in cases {
        let cycles = run(&machine(&["controller.query_from_dram=false", set]), &request).cycles;
        assert_eq!(cycles, base + more, "{set}");
    }
}

/// Queries that are asked for early enough hide the latency of the memory: each pass over three lines takes
/// three cycles. With `n` asked for ahead and one in the array, `n + 1` passes take a round trip: the latency,
/// six cycles through controller, generator, crossbars and converter, and the three of the pass.
#[test]
fn queries_ahead_hide_the_latency_of_the_memory() {
    let interval = |ahead: u32| {
        let params = machine(&[&format!("controller.queries_ahead={ahead}")]);
        let cycles = |queries: u32| {
            let sentence = Request {
                phase: Phase::Prefill,
                queries,
                sentence_length: 512,
                accumulate_importance: false,
                widths: Widths { query: Some(8), key_lsb: 0, ..decode(0, 0, 24, 24).widths },
                ..decode(0, 0, 24, 24)
            };
            run(&params, &[sentence]).cycles as f64
        };
        (cycles(480) - cycles(240)) / 240.0
    };
    assert_eq!(interval(64), 3.0);
    let round_trip = f64::from(6 + 3 + machine(&[]).memory.latency_cycles);
    for ahead in [4, 8] {
        let expected = round_trip / f64::from(ahead + 1);
        let found = interval(ahead);
        assert!((found / expected - 1.0).abs() < 0.01, "{ahead} ahead: {found}, not {expected}");
    }
}

/// The top-k engine costs its rounds and its filter pass, in line with the quick-select model.
#[test]
fn a_wider_engine_shortens_a_pruned_request_by_its_rounds() {
    let at = |parallelism: u32| {
        let set = format!("topk_value.parallelism={parallelism}");
        run(&machine(&[&set]), &[decode(0, 0, 512, 100)]).cycles
    };
    let (narrow, wide) = (at(1), at(16));
    // Random pivots: about 1,500 to 2,300 elements are read in all to find rank 100 of 512.
    let saved = narrow - wide;
    assert!((700..2600).contains(&saved), "{saved}");
}

#[test]
fn a_query_and_the_key_lsbs_are_waited_for() {
    let params = machine(&[]);
    let mut request = decode(0, 0, 512, 512);
    let wait = spans(&params, std::slice::from_ref(&request));
    assert!(wait["I0 L0 H0 QxK"].0 >= wait["I0 L0 H0 query"].1, "{wait:?}");
    request.requant_threshold = Some(0.1);
    request.requant = true;
    let again = spans(&params, &[request]);
    let (start, end) = again["I0 L0 H0 QxK again"];
    let (lsb_start, lsb_end) = again["I0 L0 H0 key LSBs"];
    assert!(start > lsb_start + u64::from(params.memory.latency_cycles), "{again:?}");
    assert!(end >= lsb_end, "the last LSBs are needed by the last row");
    let softmax = 7 + 21 + 23 + 29 + 7;
    assert!(lsb_start > again["I0 L0 H0 QxK"].1 + softmax, "the verdict needs probabilities");
}

/// Pruned prefill passes drop rows in place; the kept ones can be anywhere among the values.
#[test]
fn products_wait_for_the_values_they_use() {
    let params = machine(&["memory.channels=1", "controller.query_from_dram=false"]);
    let request = Request { phase: Phase::Prefill, values: 6, ..decode(0, 0, 512, 6) };
    let spans = spans(&params, &[request]);
    assert!(spans["I0 L0 H0 PxV"].1 >= spans["I0 L0 H0 values"].1, "{spans:?}");
}

/// Token pruning: the keys of the next layer are those that top-k kept, and they are not fetched
/// before it is done.
#[test]
fn kept_tokens_decide_which_keys_are_fetched() {
    let params = machine(&["controller.query_from_dram=false"]);
    let first = Request { token_topk: Some(96), ..decode(0, 0, 512, 512) };
    let second = decode(1, 0, 96, 24);
    let requests = [first, second];
    let addresses = std::rc::Rc::default();
    let memory = Recorder {
        memory: IdealMemory::new(params.memory.channels, params.memory.latency_cycles),
        addresses: std::rc::Rc::clone(&addresses),
    };
    simulate_with(&params, &requests, memory, Options::default(), &mut Nobody).expect("it fits");
    let addresses = addresses.borrow();
    // 64-byte vectors, 2 transactions each: 512 keys, 512 values, then 96 keys and 24 values.
    assert_eq!(addresses.len(), 2 * (512 + 512 + 96 + 24));
    let tokens = |from: usize, count: usize| -> Vec<u64> {
        let vectors: BTreeSet<u64> =
            addresses[from..from + 2 * count].iter().map(|a| a / 64).collect();
        vectors.into_iter().collect()
    };
    let keys = tokens(2048, 96);
    assert_eq!(keys.len(), 96, "distinct tokens");
    assert!(keys[95] - keys[0] > 300 && keys[95] - keys[0] < 512, "spread over the context");
    let values = tokens(2048 + 192, 24);
    assert_eq!(values.len(), 24);
    let of_keys: BTreeSet<u64> = keys.iter().map(|key| key - keys[0]).collect();
    // Planes are a fixed distance apart: the kept values are a subset of the kept keys.
    let fits =
        |shift: u64| values.iter().all(|value| of_keys.contains(&(value + shift - values[0])));
    assert!((0..512).any(fits), "values of tokens whose keys were pruned");

    let times = spans(&params, &requests);
    assert!(times["I0 L1 H0 keys"].0 >= times["I0 L1 H0 token top-k"].1, "{times:?}");
    assert!(times["I0 L1 H0 token top-k"].0 > times["I0 L0 H0 softmax"].1, "{times:?}");
}

/// Head pruning: when the next layer has fewer heads, the outputs of this one are ranked first.
#[test]
fn fewer_heads_are_chosen_from_all_outputs() {
    let requests: Vec<Request> = (0..4)
        .map(|head| decode(0, head, 512, 512))
        .chain((0..2).map(|head| decode(1, head, 512, 512)))
        .collect();
    let times = spans(&machine(&[]), &requests);
    let (start, end) = times["I0 L1 H0 head top-k"];
    assert!(start >= times["I0 L0 H3 PxV"].1 && times["I0 L1 H0 keys"].0 >= end, "{times:?}");
}

/// Six bits in pairs share 96 bytes; a vector stored alone takes two transactions.
#[test]
fn six_bit_vectors_are_stored_in_pairs() {
    let six = |heads: u32| -> u64 {
        let requests: Vec<Request> = (0..heads)
            .map(|head| {
                let widths = Widths { query: Some(12), key: Some(6), key_lsb: 4, value: Some(6) };
                Request { widths, ..decode(0, head, 512, 512) }
            })
            .collect();
        let traffic = run(&machine(&[]), &requests).traffic;
        assert_eq!(traffic.key_bytes, traffic.value_bytes);
        traffic.key_bytes
    };
    assert_eq!((six(2), six(1)), (512 * 96, 512 * 64));
}

#[test]
fn widths_beyond_the_datapath_are_refused() {
    let narrow = machine(&["datapath_bits=6"]);
    let refused = simulate(&narrow, &[decode(0, 0, 512, 512)], Options::default(), &mut Nobody);
    let message = refused.expect_err("8-bit keys").to_string();
    assert!(message.contains("key width of 8 bits; expected 1 to 6"), "{message}");
}

/// A young prefill job must not take the value lines that an older decode job still needs.
#[test]
fn mixed_phases_do_not_deadlock() {
    let mut requests = vec![decode(0, 0, 512, 500)];
    requests
        .extend((0..4).map(|head| Request { phase: Phase::Prefill, ..decode(1, head, 512, 512) }));
    let small = machine(&["value_sram.bytes=98304", "key_sram.bytes=393216"]);
    assert!(run(&small, &requests).cycles > 0);
}
