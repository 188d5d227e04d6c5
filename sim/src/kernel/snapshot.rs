//! The state of a machine, written so that equal futures look equal.
//!
//! Times count from the snapshot's cycle, jobs from the next one to be admitted, buffer slots and
//! fetcher rows from the oldest in use. Two equal snapshots therefore evolve in the same way as
//! long as the jobs to come are alike; see [`super::recurrence`].

use super::clock::Cycle;

/// A snapshot that is being written, or is complete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    now: Cycle,
    next_job: u32,
    words: Vec<u64>,
    irregular: bool,
}

impl Snapshot {
    /// An empty snapshot at the end of cycle `now`, when `next_job` is the next to be admitted.
    /// `words` is cleared and used as storage.
    pub fn new(now: Cycle, next_job: u32, mut words: Vec<u64>) -> Self {
        words.clear();
        Self { now, next_job, words, irregular: false }
    }

    /// Cycle at the end of which it was taken.
    pub fn now(&self) -> Cycle {
        self.now
    }

    /// Next job to be admitted.
    pub fn next_job(&self) -> u32 {
        self.next_job
    }

    /// Adds a number that means the same at any time.
    pub fn put(&mut self, word: impl Into<u64>) {
        self.words.push(word.into());
    }

    /// Adds a length, so that lists cannot run into each other.
    pub fn length(&mut self, length: usize) {
        self.words.push(length as u64);
    }

    /// Adds a future cycle; all cycles that have passed are alike.
    pub fn cycle(&mut self, at: Cycle) {
        self.words.push(at.since(self.now));
    }

    /// Adds an optional future cycle.
    pub fn maybe_cycle(&mut self, at: Option<Cycle>) {
        self.words.push(at.map_or(u64::MAX, |at| at.since(self.now)));
    }

    /// Adds a job.
    pub fn job(&mut self, job: u32) {
        self.words.push(u64::from(self.next_job - job));
    }

    /// The state depends on something that does not recur, such as random values.
    pub fn irregular(&mut self) {
        self.irregular = true;
    }

    /// Whether nothing irregular was found.
    pub fn is_regular(&self) -> bool {
        !self.irregular
    }

    /// Whether the futures are alike.
    pub fn recurs(&self, earlier: &Snapshot) -> bool {
        !self.irregular && !earlier.irregular && self.words == earlier.words
    }

    /// Gives the storage back.
    pub fn into_words(self) -> Vec<u64> {
        self.words
    }
}
