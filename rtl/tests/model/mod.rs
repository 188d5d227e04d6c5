//! Software models of the library blocks: queues, vectors and integers, no hardware.

use std::collections::{BTreeMap, VecDeque};

use attelier_rtl::{bits::Bits, blocks::Shift, ir::Type};

/// Values by port name.
pub type Ports = BTreeMap<String, u64>;
type Model = Box<dyn FnMut(&Ports) -> Ports>;

/// Values above 64 bits are cut: what a model compares is narrower.
pub fn value(bits: &Bits) -> u64 {
    bits.low()
}

fn ports<const N: usize>(values: [(&str, u64); N]) -> Ports {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A queue that takes a beat unless it is full.
pub fn queue(depth: usize, level: bool) -> Model {
    let mut queue = VecDeque::new();
    Box::new(move |given| {
        let (ready, valid) = (queue.len() < depth, !queue.is_empty());
        let mut seen =
            ports([("s_axis_tready", u64::from(ready)), ("m_axis_tvalid", u64::from(valid))]);
        if let Some(oldest) = queue.front() {
            seen.insert("m_axis_tdata".into(), *oldest);
        }
        if level {
            seen.insert("level".into(), queue.len() as u64);
        }
        if valid && given["m_axis_tready"] == 1 {
            queue.pop_front();
        }
        if ready && given["s_axis_tvalid"] == 1 {
            queue.push_back(given["s_axis_tdata"]);
        }
        seen
    })
}

/// One place, which is free in the cycle in which its beat leaves.
pub fn pipeline_register() -> Model {
    let mut held = None;
    Box::new(move |given| {
        let leaves = held.is_some() && given["m_axis_tready"] == 1;
        let ready = held.is_none() || leaves;
        let mut seen = ports([
            ("s_axis_tready", u64::from(ready)),
            ("m_axis_tvalid", u64::from(held.is_some())),
        ]);
        held.map(|beat| seen.insert("m_axis_tdata".into(), beat));
        if ready {
            held = (given["s_axis_tvalid"] == 1).then(|| given["s_axis_tdata"]);
        }
        seen
    })
}

/// Outputs `latency` cycles late; unknown before the first.
fn delayed(latency: usize, mut now: impl FnMut(&Ports) -> Ports + 'static) -> Model {
    let mut line = VecDeque::new();
    Box::new(move |given| {
        line.push_back(now(given));
        if line.len() > latency { line.pop_front().unwrap_or_default() } else { Ports::new() }
    })
}

pub fn adder_tree(lanes: u32, ty: Type, latency: usize) -> Model {
    delayed(latency, move |given| {
        let addend = |lane: u32| {
            let value = given[&format!("x_{lane}")] as i64;
            let drop = 64 - ty.width;
            if ty.signed { value << drop >> drop } else { value }
        };
        let sum: i64 = (0..lanes).map(addend).sum();
        let width = ty.width + latency as u32;
        ports([("sum", sum as u64 & ((1 << width) - 1)), ("valid_out", given["valid_in"])])
    })
}

pub fn prefix_sum(lanes: u32, latency: usize) -> Model {
    delayed(latency, move |given| {
        let mut sum = 0;
        let mut seen = Ports::new();
        for lane in 0..lanes {
            sum += given[&format!("x_{lane}")];
            seen.insert(format!("sum_{lane}"), sum);
        }
        seen
    })
}

pub fn shifter(width: u32, shift: Shift) -> Model {
    Box::new(move |given| {
        let (data, amount) = (u128::from(given["data"]), given["amount"] as u32);
        let shifted = match shift {
            Shift::Left => data << amount,
            Shift::Right => data >> amount,
            Shift::RightSigned => {
                let drop = 128 - width;
                ((data << drop) as i128 >> drop >> amount) as u128
            }
            Shift::RotateLeft => data << amount | data >> (width - amount),
        };
        ports([("shifted", (shifted & ((1 << width) - 1)) as u64)])
    })
}

pub fn lowest_first() -> Model {
    Box::new(|given| {
        let request = given["request"];
        let grant = if request == 0 { 0 } else { 1 << request.trailing_zeros() };
        ports([("grant", grant), ("any", u64::from(request != 0))])
    })
}

/// The first request after the last one served, going around.
fn next_in_turn(request: u64, count: u32, last: Option<u32>) -> Option<u32> {
    let start = last.map_or(0, |last| last + 1);
    (start..start + count).map(|at| at % count).find(|at| request >> at & 1 == 1)
}

pub fn round_robin(count: u32) -> Model {
    let mut last = None;
    Box::new(move |given| {
        let granted = next_in_turn(given["request"], count, last);
        if given["advance"] == 1 && granted.is_some() {
            last = granted;
        }
        let grant = granted.map_or(0, |at| 1 << at);
        ports([("grant", grant), ("any", u64::from(granted.is_some()))])
    })
}

pub fn dual_port_ram(depth: usize) -> Model {
    let (mut words, mut shown) = (vec![0; depth], None);
    let mut first = true;
    Box::new(move |given| {
        // The bench holds the first vector for two cycles of reset, which a memory does not notice.
        let rounds = if std::mem::take(&mut first) { 3 } else { 1 };
        let mut seen = Ports::new();
        for _ in 0..rounds {
            seen = shown.map_or_else(Ports::new, |word| ports([("read_data", word)]));
            if given["read_enable"] == 1 {
                shown = Some(words[given["read_address"] as usize]);
            }
            if given["write_enable"] == 1 {
                words[given["write_address"] as usize] = given["write_data"];
            }
        }
        seen
    })
}

pub fn crossbar(inputs: u32, outputs: u32) -> Model {
    let mut last = vec![None; outputs as usize];
    Box::new(move |given| {
        let mut seen = Ports::new();
        let mut taken = vec![0; inputs as usize];
        for (output, last) in (0..outputs).zip(&mut last) {
            let wants = |input: u32| {
                given[&format!("s_{input}_tvalid")] == 1
                    && given[&format!("s_{input}_tdest")] == u64::from(output)
            };
            let request = (0..inputs).filter(|at| wants(*at)).fold(0, |all, at| all | 1 << at);
            let granted = next_in_turn(request, inputs, *last);
            seen.insert(format!("m_{output}_tvalid"), u64::from(granted.is_some()));
            seen.insert(format!("m_{output}_source"), granted.map_or(0, |at| 1 << at));
            if let Some(at) = granted {
                seen.insert(format!("m_{output}_tdata"), given[&format!("s_{at}_tdata")]);
                if given[&format!("m_{output}_tready")] == 1 {
                    taken[at as usize] = 1;
                    *last = Some(at);
                }
            }
        }
        for (input, taken) in taken.into_iter().enumerate() {
            seen.insert(format!("s_{input}_tready"), taken);
        }
        seen
    })
}

pub fn widener(bytes: u32, ratio: u32) -> Model {
    // Narrow beats gathered so far, and the wide beat that waits: data, keep, bytes known, last.
    let mut gathered: Vec<(u64, u64)> = Vec::new();
    let mut waiting: Option<(Vec<(u64, u64)>, u64)> = None;
    Box::new(move |given| {
        let ready = waiting.is_none() || given["m_axis_tready"] == 1;
        let mut seen = ports([
            ("s_axis_tready", u64::from(ready)),
            ("m_axis_tvalid", u64::from(waiting.is_some())),
        ]);
        if let Some((beats, last)) = &waiting {
            let keep = beats.iter().enumerate();
            let keep = keep.fold(0, |all, (at, beat)| all | beat.1 << (at as u32 * bytes));
            seen.insert("m_axis_tkeep".into(), keep);
            seen.insert("m_axis_tlast".into(), *last);
            if beats.len() == ratio as usize {
                let data = beats.iter().enumerate();
                let data = data.fold(0, |all, (at, beat)| all | beat.0 << (at as u32 * 8 * bytes));
                seen.insert("m_axis_tdata".into(), data);
            }
        }
        if ready {
            waiting = None;
            if given["s_axis_tvalid"] == 1 {
                gathered.push((given["s_axis_tdata"], given["s_axis_tkeep"]));
                let last = given["s_axis_tlast"];
                if last == 1 || gathered.len() == ratio as usize {
                    waiting = Some((std::mem::take(&mut gathered), last));
                }
            }
        }
        seen
    })
}

pub fn axi_lite(controls: u32, statuses: u32) -> Model {
    let mut registers = vec![0u64; controls as usize];
    let (mut write_response, mut read_response) = (None, None);
    let mut written = 0;
    Box::new(move |given| {
        let write = given["s_axi_awvalid"] == 1
            && given["s_axi_wvalid"] == 1
            && (write_response.is_none() || given["s_axi_bready"] == 1);
        let read_free = read_response.is_none() || given["s_axi_rready"] == 1;
        let mut seen = ports([
            ("s_axi_awready", u64::from(write)),
            ("s_axi_wready", u64::from(write)),
            ("s_axi_bvalid", u64::from(write_response.is_some())),
            ("s_axi_arready", u64::from(read_free)),
            ("s_axi_rvalid", u64::from(read_response.is_some())),
            ("written", written),
        ]);
        write_response.map(|response| seen.insert("s_axi_bresp".into(), response));
        if let Some((data, response)) = read_response {
            seen.insert("s_axi_rresp".into(), response);
            seen.insert("s_axi_rdata".into(), data);
        }
        for (number, register) in registers.iter().enumerate() {
            seen.insert(format!("control_{number}"), *register);
        }
        if read_free {
            read_response = (given["s_axi_arvalid"] == 1).then(|| {
                let word = given["s_axi_araddr"] as usize / 4;
                let status = |at: usize| given[&format!("status_{at}")];
                match word.checked_sub(registers.len()) {
                    None => (registers[word], 0),
                    Some(at) if at < statuses as usize => (status(at), 0),
                    Some(_) => (0, 2),
                }
            });
        }
        if given["s_axi_bready"] == 1 {
            write_response = None;
        }
        written = 0;
        if write {
            let word = given["s_axi_awaddr"] as usize / 4;
            write_response = Some(if word < registers.len() { 0 } else { 2 });
            if let Some(register) = registers.get_mut(word) {
                written = 1 << word;
                for byte in (0..4).filter(|byte| given["s_axi_wstrb"] >> byte & 1 == 1) {
                    let mask = 0xff << (8 * byte);
                    *register = *register & !mask | given["s_axi_wdata"] & mask;
                }
            }
        }
        seen
    })
}
