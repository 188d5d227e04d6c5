//! Onlookers of a run: waveform, timeline and progress bar, alone or together.

pub mod perfetto;
pub mod progress;
pub mod vcd;

use attelier_sim::observe::{Observer, UnitState};

/// Several observers as one.
///
/// An observer that wants no events gets none, even when another one does.
#[derive(Default)]
pub struct Many<'a> {
    observers: Vec<&'a mut dyn Observer>,
}

impl<'a> Many<'a> {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one observer; calls reach observers in the order in which they were added.
    pub fn add(&mut self, observer: &'a mut dyn Observer) {
        self.observers.push(observer);
    }

    fn wanting_events(&mut self) -> impl Iterator<Item = &mut &'a mut dyn Observer> {
        self.observers.iter_mut().filter(|observer| observer.wants_events())
    }
}

impl Observer for Many<'_> {
    fn begin(&mut self, units: &[&str], clock_hz: u64) {
        for observer in &mut self.observers {
            observer.begin(units, clock_hz);
        }
    }

    fn state(&mut self, cycle: u64, unit: usize, state: UnitState, job: Option<u64>) {
        for observer in self.wanting_events() {
            observer.state(cycle, unit, state, job);
        }
    }

    fn span(&mut self, unit: usize, what: &str, start: u64, end: u64) {
        for observer in self.wanting_events() {
            observer.span(unit, what, start, end);
        }
    }

    fn progress(&mut self, cycle: u64, done: u64, total: u64) {
        for observer in &mut self.observers {
            observer.progress(cycle, done, total);
        }
    }

    fn end(&mut self, cycle: u64) {
        for observer in &mut self.observers {
            observer.end(cycle);
        }
    }

    fn wants_events(&self) -> bool {
        self.observers.iter().any(|observer| observer.wants_events())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down every call.
    struct Recorder {
        calls: Vec<String>,
        wants_events: bool,
    }

    impl Observer for Recorder {
        fn begin(&mut self, units: &[&str], clock_hz: u64) {
            self.calls.push(format!("begin {units:?} {clock_hz}"));
        }
        fn state(&mut self, cycle: u64, unit: usize, state: UnitState, job: Option<u64>) {
            self.calls.push(format!("state {cycle} {unit} {state:?} {job:?}"));
        }
        fn span(&mut self, unit: usize, what: &str, start: u64, end: u64) {
            self.calls.push(format!("span {unit} {what} {start} {end}"));
        }
        fn progress(&mut self, cycle: u64, done: u64, total: u64) {
            self.calls.push(format!("progress {cycle} {done} {total}"));
        }
        fn end(&mut self, cycle: u64) {
            self.calls.push(format!("end {cycle}"));
        }
        fn wants_events(&self) -> bool {
            self.wants_events
        }
    }

    fn drive(observer: &mut dyn Observer) {
        observer.begin(&["key_fetcher", "qk_array"], 5);
        observer.state(1, 0, UnitState::Busy, Some(3));
        observer.span(1, "keys", 1, 4);
        observer.progress(4, 1, 2);
        observer.end(9);
    }

    #[test]
    fn every_call_reaches_those_who_want_it() {
        let mut all = Recorder { calls: vec![], wants_events: true };
        let mut few = Recorder { calls: vec![], wants_events: false };
        let mut many = Many::new();
        assert!(!many.wants_events());
        many.add(&mut few);
        assert!(!many.wants_events());
        many.add(&mut all);
        assert!(many.wants_events());
        drive(&mut many);
        let expected = [
            r#"begin ["key_fetcher", "qk_array"] 5"#,
            "state 1 0 Busy Some(3)",
            "span 1 keys 1 4",
            "progress 4 1 2",
            "end 9",
        ];
        assert_eq!(all.calls, expected);
        assert_eq!(few.calls, [expected[0], expected[3], expected[4]]);
    }
}
