//! The simulation kernel.
//!
//! Time advances in cycles of a clock domain. In every cycle each unit reads what the cycle before
//! left behind and stages its changes; then all links commit. Results therefore do not depend on
//! the order in which units are evaluated.
//!
//! # Steady cycles and leaps
//!
//! After a cycle, every unit and every link answers one question: *for how many more cycles would
//! you do exactly what you just did, if everybody else did so too?* If the smallest answer is
//! `n > 0`, all of them hold for `n` cycles by induction, and the kernel applies the cycle's effect
//! `n` times at once: counters move by `n`, fixed-latency pipelines shift by `n`. A sleeping unit
//! is the simplest case (it answers "until the cycle I wake"), a row stream through a pipeline at
//! one beat per cycle the most useful one. [`run::Mode::EveryCycle`] never leaps; tests hold both
//! modes equal in cycles, statistics and events.

pub mod activity;
pub mod clock;
pub mod fifo;
pub mod packet_pipe;
pub mod pipe;
pub mod recurrence;
pub mod run;
pub mod snapshot;
pub mod stream;

/// Answer of something that stays as it is until somebody else acts.
pub const FOREVER: u64 = u64::MAX;
