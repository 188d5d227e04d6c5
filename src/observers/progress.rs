//! A progress bar on stderr, for runs of more than two seconds at a terminal.

use std::{
    fmt::Display,
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use attelier_sim::observe::Observer;
use indicatif::{ProgressBar, ProgressStyle};

/// Runs shorter than this show no bar.
const PATIENCE: Duration = Duration::from_secs(2);

/// Jobs done of all jobs, the rate, and the time left.
pub struct Progress {
    at_terminal: bool,
    start: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A bar that appears once the run has taken two seconds, if stderr is a terminal.
    pub fn new() -> Self {
        Self { at_terminal: stderr().is_terminal(), start: Instant::now(), bar: None }
    }

    /// Shows `done` of `total`, counted in `unit`, once the run has taken two seconds.
    pub fn update(&mut self, done: u64, total: u64, unit: &str, message: impl Display) {
        if self.bar.is_none() && self.is_due(self.start.elapsed()) {
            self.bar = Some(bar(total, unit));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(message.to_string());
        }
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn is_due(&self, elapsed: Duration) -> bool {
        self.at_terminal && elapsed >= PATIENCE
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Progress {
    fn begin(&mut self, _units: &[&str], _clock_hz: u64) {
        self.start = Instant::now();
    }

    fn progress(&mut self, cycle: u64, done: u64, total: u64) {
        self.update(done, total, "jobs", format_args!("cycle {cycle}"));
    }

    fn end(&mut self, _cycle: u64) {
        self.finish();
    }

    fn wants_events(&self) -> bool {
        false
    }
}

fn bar(total: u64, unit: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {prefix}, {eta} left, {msg}")
        .expect("the template is a constant that a test checks");
    ProgressBar::new(total).with_style(style).with_prefix(unit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appears_only_after_two_seconds_at_a_terminal() {
        let mut progress = Progress { at_terminal: true, start: Instant::now(), bar: None };
        assert!(!progress.is_due(Duration::from_millis(1999)));
        assert!(progress.is_due(Duration::from_secs(2)));
        progress.at_terminal = false;
        assert!(!progress.is_due(Duration::from_secs(60)));
    }

    #[test]
    fn counts_jobs_and_goes_away_at_the_end() {
        let Some(start) = Instant::now().checked_sub(PATIENCE) else { return };
        let mut progress = Progress { at_terminal: true, start, bar: None };
        progress.progress(500, 3, 12);
        let shown = progress.bar.clone().expect("two seconds have passed");
        assert_eq!((shown.position(), shown.length()), (3, Some(12)));
        assert_eq!(shown.message(), "cycle 500");
        progress.end(900);
        assert!(progress.bar.is_none() && shown.is_finished());
    }
}
