//! Lines of the key and value buffers: slots are opened, filled and released at random, or with the lines
//! of real requests.

use std::{collections::VecDeque, sync::Arc};

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Error,
    ir::Module,
    mutate::{Change, Mutation},
    units::{self, spatten::Sizes},
    witness::{Frame, Pin, Pins, Vectors},
};
use attelier_sim::units::{
    line_sram::{LineSram as Model, Plane},
    qkv_fetcher::StreamKind,
};

use super::requests::Requests;
use crate::cosim::{Pace, Plan, Random, Unit};

struct LineSlots {
    name: &'static str,
    slot_module: &'static str,
    build: fn(&Spatten) -> Result<Arc<Module>, Error>,
    params: Spatten,
    lines: u32,
    has_lower: bool,
}

/// The lines of the key buffer.
pub fn keys(params: &Spatten) -> Box<dyn Unit> {
    Box::new(LineSlots {
        name: "key_slots",
        slot_module: "key_slots_slot",
        build: units::spatten::key_slots,
        params: params.clone(),
        lines: params.key_sram.lines,
        has_lower: true,
    })
}

/// The lines of the value buffer.
pub fn values(params: &Spatten) -> Box<dyn Unit> {
    Box::new(LineSlots {
        name: "value_slots",
        slot_module: "value_slots_slot",
        build: units::spatten::value_slots,
        params: params.clone(),
        lines: params.value_sram.lines,
        has_lower: false,
    })
}

impl Unit for LineSlots {
    fn name(&self) -> &'static str {
        self.name
    }

    fn parameters(&self) -> String {
        format!("{} lines, {} slots", self.lines, self.slots())
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&(self.build)(&self.params)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        Box::new(Driver::new(self, pins, plan, None))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let (stream, per_line) = match self.has_lower {
            true => (StreamKind::Key, self.params.qk_array.keys_per_line),
            false => (StreamKind::Value, self.params.pv_array.values_per_line),
        };
        let wanted = requests.works.iter().map(|work| {
            let fetch = |kind| work.fetches.iter().find(|fetch| fetch.kind == kind);
            let vectors = fetch(stream).map_or(0, |fetch| fetch.vectors.len() as u32);
            let lines = if self.has_lower { work.key_lines } else { work.value_lines };
            let lower = self.has_lower && fetch(StreamKind::KeyLsb).is_some();
            Wanted { lines, groups: vectors.div_ceil(per_line), lower }
        });
        Ok(Box::new(Driver::new(self, pins, plan, Some(wanted.collect()))))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |module, signal, change| Mutation { module, signal, change };
        vec![
            of(self.name, "used", Change::Zero),
            of(self.name, "freed", Change::Zero),
            of(self.name, "fill_position", Change::Inverted),
            of(self.slot_module, "released", Change::Inverted),
            of(self.slot_module, "to_come", Change::Zero),
            of(self.slot_module, "upper_groups", Change::Delayed),
        ]
    }
}

impl LineSlots {
    fn slots(&self) -> u32 {
        let sizes = Sizes::of(&self.params);
        sizes.map_or(0, |sizes| if self.has_lower { sizes.key_slots } else { sizes.value_slots })
    }
}

/// A slot that is to be opened.
#[derive(Clone, Copy)]
struct Wanted {
    lines: u32,
    groups: u32,
    /// Whether a lower plane must come before the slot is released.
    lower: bool,
}

/// A slot that is in use.
struct Held {
    number: u64,
    first_line: u64,
    /// Announced groups that have not come, of either plane.
    to_come: [u32; 2],
    /// Whether a lower plane must still be announced.
    lower: bool,
    released: bool,
}

impl Held {
    /// Whether something must still come.
    fn is_needed(&self) -> bool {
        self.lower || self.to_come != [0, 0]
    }
}

struct Ports {
    open: Pin,
    open_lines: Pin,
    open_groups: Pin,
    announce: Option<[Pin; 3]>,
    fill: Pin,
    fill_lower: Option<Pin>,
    fill_slot: Pin,
    fill_groups: Pin,
    give_back: Vec<[Pin; 2]>,
    look_slot: Pin,
    fit: Pin,
    next_slot: Pin,
    fill_line: Pin,
    look_start: Pin,
    look_upper: Pin,
    look_lower: Option<Pin>,
}

struct Driver {
    ports: Ports,
    plan: Plan,
    random: Random,
    opens: Pace,
    fills: Pace,
    releases: Pace,
    lines: u32,
    slots: u64,
    most_groups: u32,
    model: Model,
    /// Slots of real requests that are yet to be opened.
    wanted: Option<VecDeque<Wanted>>,
    held: Vec<Held>,
    /// The slot that is opened in this cycle.
    opened: Option<u64>,
    next: u64,
    next_line: u64,
}

impl Driver {
    fn new(unit: &LineSlots, pins: &Pins, plan: Plan, wanted: Option<VecDeque<Wanted>>) -> Self {
        let (input, output) = (|name: &str| pins.input(name), |name: &str| pins.output(name));
        let releases = if unit.has_lower { 2 } else { 1 };
        Self {
            ports: Ports {
                open: input("open"),
                open_lines: input("open_lines"),
                open_groups: input("open_groups"),
                announce: unit
                    .has_lower
                    .then(|| ["announce", "announce_slot", "announce_groups"].map(input)),
                fill: input("fill"),
                fill_lower: unit.has_lower.then(|| input("fill_lower")),
                fill_slot: input("fill_slot"),
                fill_groups: input("fill_groups"),
                give_back: (0..releases)
                    .map(|at| {
                        [input(&format!("give_back_{at}")), input(&format!("give_back_slot_{at}"))]
                    })
                    .collect(),
                look_slot: input("look_slot"),
                fit: output("fit"),
                next_slot: output("next_slot"),
                fill_line: output("fill_line"),
                look_start: output("look_start"),
                look_upper: output("look_upper"),
                look_lower: unit.has_lower.then(|| output("look_lower")),
            },
            plan,
            random: Random::new(plan.seed, 1),
            opens: Pace::new(plan.seed, 2),
            fills: Pace::new(plan.seed, 3),
            releases: Pace::new(plan.seed, 4),
            lines: unit.lines,
            slots: unit.slots().into(),
            most_groups: unit.params.bitwidth_converter.lines_per_cycle,
            model: Model::new(unit.lines),
            wanted,
            held: Vec::new(),
            opened: None,
            next: 0,
            next_line: 0,
        }
    }

    fn drawn(&mut self) -> Wanted {
        let most = if self.random.chance(1, 4) { self.lines / 2 } else { self.lines / 8 };
        let pairs = 1 + self.random.below(u64::from(most / 2).max(1)) as u32;
        let groups = 2 * pairs - self.random.below(2) as u32;
        Wanted { lines: 2 * pairs, groups, lower: false }
    }

    fn open(&mut self, frame: &mut Frame) {
        let real = self.wanted.as_ref().map(|wanted| wanted.front().copied());
        let wanted = real.unwrap_or_else(|| Some(self.drawn()));
        // Whether there is room is shown in any case.
        let Wanted { lines, groups, lower } = wanted.unwrap_or_else(|| self.drawn());
        let has_slot = self.next - self.model.first_slot() < self.slots;
        let fits = has_slot && self.model.can_allocate(lines);
        let opens = wanted.is_some() && fits && self.opens.willing();
        frame.drive(self.ports.open, opens.into());
        frame.drive(self.ports.open_lines, lines.into());
        frame.drive(self.ports.open_groups, groups.into());
        frame.expect(self.ports.fit, fits.into());
        frame.expect(self.ports.next_slot, self.next % self.slots);
        self.opened = None;
        if opens {
            self.wanted.as_mut().map(VecDeque::pop_front);
            let number = self.model.allocate(lines);
            self.model.expect(number, groups);
            let first_line = self.next_line;
            self.opened = Some(number);
            let to_come = [groups, 0];
            self.held.push(Held { number, first_line, to_come, lower, released: false });
            self.next += 1;
            self.next_line += u64::from(lines);
            frame.count_beat();
        }
    }

    /// A lower plane is announced once the upper one is there.
    fn announce(&mut self, frame: &mut Frame) {
        let Some([valid, slot, groups]) = self.ports.announce else { return };
        let is_real = self.wanted.is_some();
        let may = |held: &Held, model: &Model| {
            if is_real && !held.lower {
                return false;
            }
            let filled = model.filled(held.number, Plane::LsbFirst);
            held.to_come == [0, 0] && !held.released && filled == 0
        };
        let found = self.held.iter_mut().find(|held| may(held, &self.model));
        let announced = found.filter(|_| self.random.chance(1, 8));
        frame.drive(valid, announced.is_some().into());
        frame.drive(slot, self.random.bits(16));
        frame.drive(groups, self.random.bits(16));
        if let Some(held) = announced {
            let count = self.model.filled(held.number, Plane::Msb);
            held.lower = false;
            held.to_come[1] = count;
            self.model.expect(held.number, count);
            frame.drive(slot, held.number % self.slots);
            frame.drive(groups, count.into());
        }
    }

    fn fill(&mut self, frame: &mut Frame) {
        let waiting: Vec<usize> = (0..self.held.len())
            .filter(|at| {
                self.held[*at].to_come != [0, 0] && Some(self.held[*at].number) != self.opened
            })
            .collect();
        let fills = self.fills.willing() && !waiting.is_empty();
        frame.drive(self.ports.fill, fills.into());
        if !fills {
            return;
        }
        let at = waiting[self.random.below(waiting.len() as u64) as usize];
        let held = &mut self.held[at];
        let lower = held.to_come[0] == 0;
        let left = &mut held.to_come[usize::from(lower)];
        let groups = (1 + self.random.below(self.most_groups.into()) as u32).min(*left);
        *left -= groups;
        let plane = if lower { Plane::LsbFirst } else { Plane::Msb };
        let line = held.first_line + u64::from(self.model.filled(held.number, plane));
        self.model.fill(held.number, plane, groups);
        if let Some(pin) = self.ports.fill_lower {
            frame.drive(pin, lower.into());
        }
        frame.drive(self.ports.fill_slot, held.number % self.slots);
        frame.drive(self.ports.fill_groups, groups.into());
        frame.expect(self.ports.fill_line, line % u64::from(self.lines));
    }

    fn release(&mut self, frame: &mut Frame) {
        for at in 0..self.ports.give_back.len() {
            let [valid, slot] = self.ports.give_back[at];
            let is_real = self.wanted.is_some();
            let may = |held: &Held| !(held.released || is_real && held.is_needed());
            let open: Vec<usize> = (0..self.held.len()).filter(|at| may(&self.held[*at])).collect();
            // Of drawn ones the newest stay, so that fills have a target.
            let stay = if is_real { 0 } else { 2 };
            let choices = open.len().saturating_sub(stay) as u64;
            let releases = choices > 0 && self.releases.willing() && self.random.chance(1, 6);
            frame.drive(valid, releases.into());
            frame.drive(slot, self.random.bits(16));
            if releases {
                let held = &mut self.held[open[self.random.below(choices) as usize]];
                held.released = true;
                self.model.release(held.number);
                frame.drive(slot, held.number % self.slots);
            }
        }
    }

    fn look(&mut self, frame: &mut Frame) {
        if self.held.is_empty() {
            return;
        }
        let held = &self.held[self.random.below(self.held.len() as u64) as usize];
        if Some(held.number) == self.opened {
            return;
        }
        frame.drive(self.ports.look_slot, held.number % self.slots);
        frame.expect(self.ports.look_start, held.first_line % u64::from(self.lines));
        let filled = |plane| self.model.filled(held.number, plane);
        frame.expect(self.ports.look_upper, filled(Plane::Msb).into());
        if let Some(pin) = self.ports.look_lower {
            frame.expect(pin, filled(Plane::LsbFirst).into());
        }
    }
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        if frame.beats() >= self.plan.beats {
            return false;
        }
        let first = self.model.first_slot();
        self.held.retain(|held| held.number >= first);
        if self.held.is_empty() && self.wanted.as_ref().is_some_and(VecDeque::is_empty) {
            return false;
        }
        self.open(frame);
        self.look(frame);
        self.announce(frame);
        self.fill(frame);
        self.release(frame);
        self.model.commit();
        true
    }
}
