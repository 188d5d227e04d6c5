//! Ports and units, and what goes from one to the other in which call.

use super::{
    Top,
    ports::{Master, PORTS},
    schedule::{Call, Matrix, Work},
    streams::{Source, narrowed, passed, sink, widened},
};
use crate::{Error, InstanceBuilder, Signal};

/// What sequencer and registers see of everything that works.
pub(super) struct Progress {
    /// Nothing of the call is under way.
    pub idle: Signal,
    pub read_failed: Signal,
    pub write_failed: Signal,
}

/// What the readers of the ports bring.
pub(super) struct Reads {
    /// Words of the ports `inout1` and so on.
    pub words: [Source; 4],
    /// Words of everything that is trained.
    pub weights: Source,
    /// Beats of `inout1` that are scores.
    pub scores: Source,
}

/// What the units give.
pub(super) struct Results {
    pub norm: Source,
    pub mixed: Source,
    pub linear: Source,
    pub sums: Source,
    /// Tokens of the image, the class token first.
    pub embedded: Source,
    /// Beats with the scores of a slot.
    pub scores: Source,
    pub info: Source,
}

/// The linear layer that a call computes.
pub(super) fn matrix_of(call: &Call) -> Option<Matrix> {
    match call.work {
        Work::Linear(matrix) | Work::AddedLinear(matrix) => Some(matrix),
        _ => None,
    }
}

pub(super) fn reads(call: &Call, port: usize) -> bool {
    call.reads.iter().any(|tensor| tensor.port() == port)
}

fn writes(call: &Call, port: usize) -> bool {
    call.writes.iter().any(|tensor| tensor.port() == port)
}

pub(super) fn is_added(call: &Call) -> bool {
    matches!(call.work, Work::AddedLinear(_))
}

/// Linear layers whose results are written as they are.
fn is_plain(call: &Call) -> bool {
    matrix_of(call).is_some() && !is_added(call)
}

impl<'a> Top<'a> {
    /// All ports and units.
    pub(super) fn datapath(&self) -> Result<Progress, Error> {
        let m = self.m;
        let (reads, readers) = self.reads()?;
        let (results, units_busy, loads_busy) = self.units(&reads)?;
        for source in reads.words.into_iter().chain([reads.weights, reads.scores]) {
            source.finish(m);
        }
        let writers = self.writes(results)?;

        m.section("what is under way");
        let busy = |masters: &[Master]| {
            m.any_of(&masters.iter().map(|master| master.busy.clone()).collect::<Vec<_>>())
        };
        let failed = |masters: &[Master]| {
            m.any_of(&masters.iter().map(|master| master.failed.clone()).collect::<Vec<_>>())
        };
        let (weights, features) = readers.split_at(1);
        let computes = m.any_of(&[busy(features), busy(&writers), units_busy]);
        let computes = m.wire("computes", &computes);
        let loads = m.wire("loads", &(busy(weights) | loads_busy));
        self.experts.finish(m, &computes, &loads);
        let queues = !self.experts.queues.output("complete");
        let routes = m.wire("routes", &(self.is(Work::Gate) & queues));
        let idle = [!&computes, !&loads, self.experts.idle(), !&routes];
        Ok(Progress {
            idle: m.all_of(&idle),
            read_failed: m.wire("read_failed", &failed(&readers)),
            write_failed: m.wire("write_failed", &failed(&writers)),
        })
    }

    /// The readers of all ports, that of the weights first.
    fn reads(&self) -> Result<(Reads, Vec<Master>), Error> {
        let m = self.m;
        let [up, down] = self.experts.layers();
        let walker = &self.experts.walker;
        let rows = Source::of(m, "rows_to_read", walker, "m_read");
        let kept = Source::of(m, "rows_to_add_to", walker, "m_kept");
        let (mut sources, mut masters) = (Vec::new(), Vec::new());
        for port in 0..PORTS.len() {
            let uses = match port {
                0 => self.weight_uses(),
                _ => self.uses(port, |call| call.reads),
            };
            let listed = match port {
                1 => Some((&up, &rows)),
                3 => Some((&down, &kept)),
                4 => Some((&down, &rows)),
                _ => None,
            };
            let (source, master) = self.reader(port, &uses, listed)?;
            sources.push(source);
            masters.push(master);
        }
        rows.finish(m);
        kept.finish(m);

        m.section("words of what was read; scores stay beats");
        let (bytes, ratio) =
            (self.sizes.beat_bytes, self.sizes.word_bytes() / self.sizes.beat_bytes);
        let mixes = m.wire("mixes", &self.is(Work::Mix));
        let scores = passed(m, "scores_read", &[(mixes.clone(), &sources[1])]);
        let word = |name: &str, port: usize, when: &Signal| {
            widened(m, name, bytes, ratio, &[(when.clone(), &sources[port])])
        };
        let always = m.constant(1, 1);
        let words = [
            word("word_1", 1, &!&mixes)?,
            word("word_2", 2, &always)?,
            word("word_3", 3, &always)?,
            word("word_4", 4, &always)?,
        ];
        let weights = word("weight_word", 0, &always)?;
        for source in sources {
            source.finish(m);
        }
        Ok((Reads { words, weights, scores }, masters))
    }

    /// The writers of all ports but that of the weights.
    fn writes(&self, from: Results) -> Result<Vec<Master>, Error> {
        let m = self.m;
        let [up, down] = &self.experts.layers();
        let rows = Source::of(m, "rows_to_write", &self.experts.walker, "m_write");
        let zero = m.constant(0, 8 * self.sizes.word_bytes());
        let zeros = Source::new(m, "zeros", &m.constant(1, 1), &zero);
        m.discard(&zeros.ready);
        let linear = |port: usize| self.when(|call| is_plain(call) && writes(call, port));
        let scoring = self.is(Work::Scores);
        let words = [
            vec![(self.is(Work::Norm), &from.norm), (self.is(Work::Mix), &from.mixed)],
            vec![
                (linear(2), &from.linear),
                (self.is(Work::Add), &from.sums),
                (self.is(Work::Embed), &from.embedded),
            ],
            vec![
                (linear(3), &from.linear),
                (self.when(is_added), &from.sums),
                (self.is(Work::Zero), &zeros),
            ],
            vec![(linear(4), &from.linear), (scoring.clone(), &from.info)],
        ];
        let (bytes, ratio) =
            (self.sizes.beat_bytes, self.sizes.word_bytes() / self.sizes.beat_bytes);
        let mut masters = Vec::new();
        for (port, words) in (1..).zip(words) {
            let listed = match port {
                3 => Some((down, &rows)),
                4 => Some((up, &rows)),
                _ => None,
            };
            let (writer, master) =
                self.writer(port, &self.uses(port, |call| call.writes), listed)?;
            let beats = narrowed(m, &format!("beat_{port}"), bytes, ratio, &words)?;
            let offers = match port {
                1 => vec![(scoring.clone(), &from.scores), (!&scoring, &beats)],
                _ => vec![(m.constant(1, 1), &beats)],
            };
            self.feed(&writer, "s_axis", &format!("written_{port}"), &offers);
            beats.finish(m);
            masters.push(master);
        }
        rows.finish(m);
        zeros.finish(m);
        for source in [from.norm, from.mixed, from.linear, from.sums, from.embedded] {
            source.finish(m);
        }
        from.scores.finish(m);
        from.info.finish(m);
        Ok(masters)
    }

    /// Connects the stream `prefix` of a unit to what it gets in which call.
    pub(super) fn feed(
        &self,
        unit: &InstanceBuilder<'_>,
        prefix: &str,
        name: &str,
        from: &[(Signal, &Source)],
    ) {
        let (valid, data) = sink(self.m, name, &unit.output(&format!("{prefix}_tready")), from);
        unit.input(&format!("{prefix}_tvalid"), &valid).input(&format!("{prefix}_tdata"), &data);
    }
}
