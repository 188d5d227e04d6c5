//! Local-value top-k engine: which probabilities of a pass are worth their values.
//!
//! Three stages, one pass each: *fill* one of two buffers with the rows that arrive, *run* the
//! quick-select rounds, *filter* the buffered copy in a second pass and hand the survivors on,
//! packed. The value indices go to the fetcher when all of them are known, so the value fetch is a
//! coarse pipeline stage of its own (SpAtten sections III-C, IV-A and IV-B); they have a FIFO of
//! their own and are complete after one pass even if the probabilities wait for the PxV array.
//! Passes that keep all their values go around the engine.

use std::collections::VecDeque;

use super::Pass;
use crate::kernel::FOREVER;
use crate::kernel::activity::{Activity, EventLog, Span};
use crate::kernel::clock::Cycle;
use crate::kernel::fifo::Fifo;
use crate::kernel::snapshot::Snapshot;
use crate::kernel::stream::Stream;
use crate::observe::UnitState;

/// Buffers for the copy of a pass that the filter reads.
const BUFFERS: usize = 2;

/// What the engine finds for one pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Cycles of the quick-select rounds; 0 if the selection of the fused head is taken over.
    pub cycles: u64,
    /// Rows the filter reads, and a last step to flush a partial row.
    pub steps: u32,
    /// Steps in which a row of survivors leaves, ascending; not empty.
    pub emits: Vec<u32>,
}

impl Selection {
    /// Survivors `kept` (ascending positions of `n` elements) packed into rows of `lanes`.
    pub fn packed(cycles: u64, kept: &[u32], n: u32, lanes: u32) -> Self {
        let mut emits: Vec<u32> =
            kept.chunks_exact(lanes as usize).map(|row| row[row.len() - 1] / lanes).collect();
        let mut steps = n.div_ceil(lanes);
        if !kept.len().is_multiple_of(lanes as usize) {
            emits.push(steps);
            steps += 1;
        }
        Self { cycles, steps, emits }
    }

    /// Rows that hold a survivor keep their place, the others are dropped: for values that already
    /// lie in the value buffer.
    pub fn in_place(cycles: u64, kept: &[u32], n: u32, lanes: u32) -> Self {
        let mut emits: Vec<u32> = kept.iter().map(|at| at / lanes).collect();
        emits.dedup();
        Self { cycles, steps: n.div_ceil(lanes), emits }
    }
}

/// How a pass goes through the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Around it.
    Around,
    /// Through it.
    Through,
}

/// What the machine knows about passes.
pub trait Selector {
    /// The route of a pass.
    fn route(&self, pass: Pass) -> Route;
    /// The selection of a pass whose rows are complete.
    fn select(&mut self, pass: Pass) -> Selection;
}

#[derive(Debug, Clone, Copy)]
struct Fill {
    pass: Pass,
    rows: u32,
}

#[derive(Debug, Clone)]
struct Run {
    fill: Fill,
    selection: Selection,
    start: Cycle,
    until: Cycle,
}

#[derive(Debug, Clone)]
struct Filter {
    fill: Fill,
    selection: Selection,
    start: Cycle,
    step: u32,
    emitted: usize,
    /// Cycle in which the last index is found.
    indices_at: Cycle,
}

impl Filter {
    fn emits_next(&self) -> bool {
        self.selection.emits.get(self.emitted) == Some(&self.step)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FilterDid {
    Nothing,
    Read,
    Emitted,
    Waited,
}

/// The engine.
#[derive(Debug, Clone)]
pub struct TopKValue {
    /// Counters; a beat is one row taken.
    pub activity: Activity,
    entering: Option<(Fill, Route)>,
    filled: VecDeque<Fill>,
    run: Option<Run>,
    filter: Option<Filter>,
    saw_input: bool,
    took: bool,
    changed: bool,
    filter_did: FilterDid,
}

impl Default for TopKValue {
    fn default() -> Self {
        Self {
            activity: Activity::new("topk_value"),
            entering: None,
            filled: VecDeque::new(),
            run: None,
            filter: None,
            saw_input: false,
            took: false,
            changed: false,
            filter_did: FilterDid::Nothing,
        }
    }
}

impl TopKValue {
    /// Whether a row was taken in the last evaluated cycle.
    pub fn took(&self) -> bool {
        self.took
    }

    /// The pass whose selection comes next.
    pub fn next_to_run(&self) -> Option<Pass> {
        self.filled.front().map(|fill| fill.pass)
    }

    /// Buffers in use.
    fn buffers(&self) -> usize {
        let filling = matches!(self.entering, Some((_, Route::Through)));
        usize::from(filling)
            + self.filled.len()
            + usize::from(self.run.is_some())
            + usize::from(self.filter.is_some())
    }

    /// Whether a row can be taken, given the state at the start of a cycle.
    fn can_take(&self, rows: &Stream<Pass>, out: &Stream<Pass>, selector: &impl Selector) -> bool {
        let Some((pass, _)) = rows.front() else { return false };
        match (&self.entering, selector.route(pass)) {
            (Some((_, Route::Around)), _) => out.can_push(),
            (Some((_, Route::Through)), _) => true,
            (None, Route::Through) => self.buffers() < BUFFERS,
            (None, Route::Around) => self.buffers() == 0 && out.can_push(),
        }
    }

    /// Evaluates cycle `now`. `needs_values` gets the passes whose survivors are known.
    pub fn tick(
        &mut self,
        now: Cycle,
        rows: &mut Stream<Pass>,
        selector: &mut impl Selector,
        out: &mut Stream<Pass>,
        needs_values: &mut Fifo<Pass>,
        log: &mut EventLog,
    ) {
        self.saw_input = rows.level() > 0;
        let takes = self.can_take(rows, out, selector);
        let filter_free = self.filter.is_none();
        let run_free = self.run.is_none();
        self.changed = false;
        self.tick_filter(now, out, needs_values, log);
        if filter_free && self.run.as_ref().is_some_and(|run| run.until <= now) {
            let Run { fill, selection, start, .. } = self.run.take().expect("a run has just ended");
            log.add(Span {
                unit: "topk_value",
                what: "top-k",
                job: fill.pass.job,
                start,
                end: now + 1,
            });
            let indices_at = now + u64::from(selection.steps);
            let start = now + 1;
            self.filter = Some(Filter { fill, selection, start, step: 0, emitted: 0, indices_at });
            self.changed = true;
        }
        if run_free && let Some(fill) = self.filled.pop_front() {
            let selection = selector.select(fill.pass);
            let until = now + selection.cycles.max(1);
            self.run = Some(Run { fill, start: now, until, selection });
            self.changed = true;
        }
        self.took = takes;
        if takes {
            self.take(rows, selector, out, needs_values);
        }
        self.record();
    }

    fn tick_filter(
        &mut self,
        now: Cycle,
        out: &mut Stream<Pass>,
        needs_values: &mut Fifo<Pass>,
        log: &mut EventLog,
    ) {
        self.filter_did = FilterDid::Nothing;
        let Some(filter) = &mut self.filter else { return };
        if filter.indices_at == now {
            needs_values.push(filter.fill.pass);
            self.changed = true;
        }
        if !filter.emits_next() {
            self.filter_did = FilterDid::Read;
        } else if out.can_push() {
            let rows = filter.selection.emits.len() as u32;
            out.push_beat(filter.fill.pass, filter.emitted as u32, rows);
            filter.emitted += 1;
            self.filter_did = FilterDid::Emitted;
        } else {
            self.filter_did = FilterDid::Waited;
            return;
        }
        filter.step += 1;
        if filter.step == filter.selection.steps {
            let (pass, start) = (filter.fill.pass, filter.start);
            log.add(Span {
                unit: "topk_value",
                what: "filter",
                job: pass.job,
                start,
                end: now + 1,
            });
            self.filter = None;
            self.changed = true;
        }
    }

    fn take(
        &mut self,
        rows: &mut Stream<Pass>,
        selector: &impl Selector,
        out: &mut Stream<Pass>,
        needs_values: &mut Fifo<Pass>,
    ) {
        let (pass, left) = rows.front().expect("a row can be taken");
        let first = self.entering.is_none();
        let (fill, route) =
            *self.entering.get_or_insert_with(|| (Fill { pass, rows: left }, selector.route(pass)));
        if route == Route::Around {
            out.push_beat(pass, fill.rows - left, fill.rows);
            if first {
                needs_values.push(pass);
            }
        }
        if rows.pop() {
            self.entering = None;
            if route == Route::Through {
                self.filled.push_back(fill);
            }
            self.changed = true;
        }
    }

    fn record(&mut self) {
        let run = self.run.as_ref().map(|run| run.fill.pass);
        let filter = self.filter.as_ref().map(|filter| filter.fill.pass);
        let entering = self.entering.map(|(fill, _)| fill.pass);
        let job = run.or(filter).or(entering).and_then(|pass| pass.job_id());
        let moves = matches!(self.filter_did, FilterDid::Read | FilterDid::Emitted);
        let state = if self.took || moves || run.is_some() || self.changed {
            UnitState::Busy
        } else if self.filter_did == FilterDid::Waited || self.saw_input {
            UnitState::Blocked
        } else if entering.is_some() {
            UnitState::Starved
        } else {
            UnitState::Idle
        };
        self.activity.record(state, u64::from(self.took), job);
    }

    /// Cycles after `now` that repeat it as long as the streams do.
    pub fn steady(
        &self,
        now: Cycle,
        rows: &Stream<Pass>,
        out: &Stream<Pass>,
        selector: &impl Selector,
    ) -> u64 {
        let takes = self.can_take(rows, out, selector);
        if self.changed || takes != self.took || (rows.level() > 0) != self.saw_input {
            return 0;
        }
        if self.run.is_none() && !self.filled.is_empty() {
            return 0;
        }
        // Around the engine, a row in is a row out: the streams bound it.
        let run = match &self.run {
            Some(run) if run.until > now + 1 => run.until.since(now) - 1,
            Some(_) if self.filter.is_none() => 0,
            _ => FOREVER,
        };
        let filter = match (self.filter_did, &self.filter) {
            (FilterDid::Nothing, None) => FOREVER,
            (FilterDid::Waited, Some(_)) if !out.can_push() => FOREVER,
            (FilterDid::Read, Some(filter)) => {
                let next = filter.selection.emits.get(filter.emitted);
                let end = filter.selection.steps - 1;
                u64::from(next.map_or(end, |&next| next.min(end)) - filter.step)
            }
            _ => 0,
        };
        let indices = self.filter.as_ref().map_or(FOREVER, |filter| match filter.indices_at {
            at if at > now => at.since(now) - 1,
            _ => FOREVER,
        });
        run.min(filter).min(indices)
    }

    /// Writes the state between two cycles. A selection depends on values and does not recur.
    pub fn snapshot(&self, to: &mut Snapshot) {
        let entering = self.entering.filter(|(_, route)| *route == Route::Around);
        if self.buffers() > 0 {
            to.irregular();
        }
        to.put(entering.is_some());
        if let Some((Fill { pass, rows }, _)) = entering {
            pass.snapshot(to);
            to.put(rows);
        }
    }

    /// Repeats a cycle `n` times.
    pub fn leap(&mut self, n: u64) {
        self.activity.leap(n);
        if let (FilterDid::Read, Some(filter)) = (self.filter_did, &mut self.filter) {
            filter.step += u32::try_from(n).expect("a leap ends inside the filter pass");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survivors_leave_as_soon_as_a_row_is_full() {
        let kept = [0, 3, 9, 10, 11, 17, 18, 25, 26, 31];
        let packed = Selection::packed(5, &kept, 32, 4);
        assert_eq!((packed.emits.as_slice(), packed.steps), ([2u32, 6, 8].as_slice(), 9));
        let in_place = Selection::in_place(5, &kept, 32, 4);
        assert_eq!(in_place.emits, [0, 2, 4, 6, 7]);
    }
}
