//! `quant_decision`: passes with and without a threshold; flat ones are dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use attelier_hw::spatten::Spatten;
use attelier_rtl::ir::Module;
use attelier_sim::datapath::quant_decision::is_flat;
use attelier_sim::kernel::clock::Cycle;
use attelier_sim::kernel::fifo::Fifo;
use attelier_sim::kernel::stream::Stream;
use attelier_sim::units::Pass;
use attelier_sim::units::quant_decision::{QuantDecision, Rule, Verdict};

use super::dut::{Chance, Counts, Dut, lanes};

#[derive(Clone)]
struct Row {
    data: Vec<u16>,
    keep: i64,
    last: bool,
}

/// A pass with all its rows.
#[derive(Clone)]
struct Job {
    pass: Pass,
    rows: Vec<Row>,
    compare: bool,
    threshold: u16,
}

impl Job {
    fn rule(&self) -> Rule {
        let all: Vec<u16> = self.rows.iter().flat_map(|row| row.data.clone()).collect();
        match self.compare {
            true => Rule::Compare { needs_lsb: is_flat(&all, self.threshold) },
            false => Rule::Accept,
        }
    }
}

fn job(machine: &Spatten, chance: &mut Chance, number: u32) -> Job {
    let (width, bits) = (machine.softmax.lanes, machine.datapath_bits);
    let depth = machine.quant_decision.fifo_depth;
    let compare = chance.below(3) > 0;
    let most = if compare { depth.min(6) } else { depth.min(6) + 4 };
    let count = 1 + chance.below(most);
    let one = 1u32 << bits;
    let threshold = [0, 1, one / 20, one / 2, one - 1, one][chance.below(6) as usize];
    // Values around the threshold, so that verdicts of both kinds are frequent.
    let limit = match chance.below(3) {
        0 => threshold.max(1),
        1 => (threshold + 1).min(one),
        _ => one,
    };
    let rows = (0..count)
        .map(|at| {
            let last = at + 1 == count;
            let kept = if last { 1 + chance.below(width) } else { width };
            let value = |chance: &mut Chance, lane| match lane < kept {
                true if chance.below(8) == 0 => limit as u16 - u16::from(limit == 1 << 16),
                true => chance.below(limit) as u16,
                false => 0,
            };
            let top = (one - 1) as u16;
            let data = (0..width).map(|lane| value(chance, lane).min(top)).collect();
            Row { data, keep: lanes(kept), last }
        })
        .collect();
    let pass = Pass { job: number, head: 0, attempt: 0, query: 0 };
    Job { pass, rows, compare, threshold: threshold as u16 }
}

pub fn run(machine: &Spatten, rtl: &Arc<Module>, beats: u64, seed: u64) -> Result<Counts, String> {
    let mut chance = Chance::new(seed);
    let mut dut = Dut::new(rtl);
    let mut model = QuantDecision::new(&machine.quant_decision);
    let mut input: Stream<Pass> = Stream::new(3);
    let mut output: Stream<Pass> = Stream::new(2);
    let mut verdicts: Fifo<Verdict> = Fifo::unbounded();
    let mut jobs: Vec<Job> = vec![];
    // Job and row that enter the stream, the unit, and leave it.
    let mut next = (0, 0);
    let mut inside: VecDeque<(usize, usize)> = VecDeque::new();
    let mut sent = 0;
    let mut now = Cycle(0);

    while dut.counts.beats < beats {
        chance.next_cycle();
        input.begin();
        output.begin();
        let valid = input.level() > 0;
        let (row, compare, threshold) = match inside.front().filter(|_| valid) {
            Some(&(at, row)) => (jobs[at].rows[row].clone(), jobs[at].compare, jobs[at].threshold),
            None => {
                let other = job(machine, &mut chance, 0);
                (other.rows[0].clone(), other.compare, other.threshold)
            }
        };
        dut.set("s_axis_tvalid", valid);
        for (lane, value) in row.data.iter().enumerate() {
            dut.set(&format!("s_axis_tdata_{lane}"), *value);
        }
        dut.set("s_axis_tkeep", row.keep);
        dut.set("s_axis_tlast", row.last);
        dut.set("compare", compare);
        dut.set("threshold", threshold);
        let ready = chance.happens(0);
        dut.set("m_axis_tready", ready);

        // What was decided one cycle ago shows now.
        let mut accepted = false;
        let mut decided = None;
        while let Some(verdict) = verdicts.pop() {
            match jobs[verdict.pass.job as usize].compare {
                true => decided = Some(!verdict.accepted),
                false => accepted = true,
            }
        }
        let front = output.front().map(|(pass, left)| (pass.job as usize, left));
        if front.is_some() && ready {
            output.pop();
        }
        let rule = |pass: Pass| jobs[pass.job as usize].rule();
        model.tick(now, &mut input, rule, &mut output, &mut verdicts);
        if valid {
            dut.expect("s_axis_tready", input.popped())?;
        }
        if input.popped() {
            inside.pop_front();
        }
        dut.expect("accepted_valid", accepted)?;
        dut.expect("verdict_valid", decided.is_some())?;
        if let Some(flat) = decided {
            dut.expect("verdict_flat", flat)?;
        }
        dut.expect("m_axis_tvalid", front.is_some())?;
        if let Some((at, left)) = front {
            let rows = &jobs[at].rows;
            let row = &rows[rows.len() - left as usize];
            for (lane, value) in row.data.iter().enumerate() {
                dut.expect(&format!("m_axis_tdata_{lane}"), *value)?;
            }
            dut.expect("m_axis_tkeep", row.keep)?;
            dut.expect("m_axis_tlast", row.last)?;
            dut.counts.beats += u64::from(ready);
            sent = sent.max(at);
        }

        if jobs.get(next.0).is_none() {
            let number = u32::try_from(jobs.len()).unwrap();
            jobs.push(job(machine, &mut chance, number));
        }
        if chance.happens(1) && input.can_push() {
            let job = &jobs[next.0];
            let rows = u32::try_from(job.rows.len()).unwrap();
            input.push_beat(job.pass, next.1 as u32, rows);
            inside.push_back(next);
            next = if next.1 + 1 == job.rows.len() { (next.0 + 1, 0) } else { (next.0, next.1 + 1) };
        }
        input.commit();
        output.commit();
        verdicts.commit();
        dut.step();
        now = now + 1;
    }
    assert!(sent > 0, "nothing left the unit");
    Ok(dut.counts)
}
