//! Every unit once, and what it is given in which call.

use attelier_hw::edge_moe::formats::FEATURE;

use super::{
    Top,
    ports::Use,
    schedule::{Call, EXPERT_DOWN, EXPERT_UP, Matrix, Rows, Tensor, Work, parameter_words},
    streams::{Source, narrowed, passed, sink, widened},
    work::{Reads, Results, is_added, matrix_of, reads},
};
use crate::{
    Error, InstanceBuilder, Signal,
    bits::index_width,
    units::edge_moe::{
        feature_adder::feature_adder,
        gate::gate,
        layer_norm::layer_norm,
        linear::linear,
        parameter_loader::{GATE, PATCH, parameter_loader},
        patch_embedding::patch_embedding,
        pv_product::pv_product,
        qk_product::qk_product,
        row_addresses::ADDRESS_BITS,
        running_softmax::running_softmax,
        weight_loader::weight_loader,
    },
};

/// What queries and keys give.
struct Scored {
    scores: Source,
    info: Source,
    busy: Signal,
}

impl<'a> Top<'a> {
    /// All units: what they give, whether some of them computes, and whether some of them loads.
    pub(super) fn units(&self, from: &Reads) -> Result<(Results, Signal, Signal), Error> {
        let m = self.m;
        let parameters = self.parameters(from)?;
        let norm = self.norm(from, &parameters)?;
        self.gate(from, &parameters)?;
        let (linear, computes, loads) = self.linear(from)?;
        let Scored { scores, info, busy } = self.scores(from)?;
        let (mixed, mixes) = self.mix(from)?;
        let sums = self.sums(from, &linear)?;
        let embedded = self.embed(from, &parameters)?;
        let busy = m.any_of(&[computes, busy, mixes]);
        let loads = loads | parameters.output("busy");
        Ok((Results { norm, mixed, linear, sums, embedded, scores, info }, busy, loads))
    }

    /// What is read from port `weights`: all that is trained, and positions.
    pub(super) fn weight_uses(&self) -> Vec<Use> {
        let word_beats = u64::from(self.sizes.word_bytes() / self.sizes.beat_bytes);
        let of = |when: Signal, start: Signal, base: Signal, words: u64| {
            let row_beats = words * word_beats;
            let rows = Rows { rows: 1, row_beats, period: 1, stride: 1, advances: false };
            Use { when, start, base, rows, listed: None }
        };
        let positions = Tensor::X.rows(self.sizes, false);
        let mut uses: Vec<Use> = self
            .activities
            .iter()
            .filter_map(|activity| {
                let (base, words) = match activity.call.work {
                    Work::LoadParameters(GATE) => {
                        (self.gate_address.clone(), parameter_words(GATE, self.sizes))
                    }
                    Work::LoadParameters(kind) => {
                        (self.weight_address.clone(), parameter_words(kind, self.sizes))
                    }
                    Work::LoadMatrix(matrix) => {
                        (self.weight_address.clone(), matrix.words(self.sizes))
                    }
                    Work::Embed => {
                        let words = positions.rows * positions.row_beats / word_beats;
                        (self.control("positions"), words)
                    }
                    _ => return None,
                };
                Some(of(activity.when.clone(), activity.start.clone(), base, words))
            })
            .collect();
        let first = &self.weight_address + &self.experts.offset;
        let up_bytes = EXPERT_UP.words(self.sizes) * u64::from(self.sizes.word_bytes());
        let second = &first + self.m.constant(up_bytes, ADDRESS_BITS);
        let [loads_up, loads_down] = self.experts.loads();
        for (when, base, matrix) in
            [(loads_up, first, EXPERT_UP), (loads_down, second, EXPERT_DOWN)]
        {
            let start = &when & self.experts.load_start();
            uses.push(of(when, start, base, matrix.words(self.sizes)));
        }
        uses
    }

    /// The loader of all that is trained and no matrix.
    fn parameters(&self, from: &Reads) -> Result<InstanceBuilder<'a>, Error> {
        let m = self.m;
        m.section("loader of norms, gates and patch embedding");
        let unit = m.instance("parameters", &parameter_loader(&self.sizes.units)?);
        let loads = |call: &Call| matches!(call.work, Work::LoadParameters(_));
        let [gates, patches] = [GATE, PATCH].map(|kind| self.is(Work::LoadParameters(kind)));
        unit.input("start", self.starts(loads)).input("kind", m.pack(&[gates, patches]));
        self.feed(&unit, "s_axis", "parameter_words", &[(self.when(loads), &from.weights)]);
        Ok(unit)
    }

    fn norm(&self, from: &Reads, parameters: &InstanceBuilder<'_>) -> Result<Source, Error> {
        let m = self.m;
        m.section("layer norm");
        let unit = m.instance("norm", &layer_norm(&self.sizes.units)?);
        unit.input("parameter_write", parameters.output("norm_write"))
            .input("parameter_address", parameters.output("word_address"))
            .input("parameter_weight", parameters.output("norm_weight"))
            .input("parameter_bias", parameters.output("norm_bias"));
        self.feed(&unit, "s_axis", "norm_words", &[(self.is(Work::Norm), &from.words[1])]);
        Ok(Source::of(m, "normal", &unit, "m_axis"))
    }

    /// The gate, which fills the queues of the experts.
    fn gate(&self, from: &Reads, parameters: &InstanceBuilder<'_>) -> Result<(), Error> {
        let m = self.m;
        m.section("gate");
        let unit = m.instance("gate", &gate(&self.sizes.units)?);
        unit.input("weight_write", parameters.output("gate_write"))
            .input("weight_expert", parameters.output("gate_expert"))
            .input("weight_address", parameters.output("word_address"))
            .input("weight_data", parameters.output("half_data"));
        self.feed(&unit, "s_axis", "gate_words", &[(self.is(Work::Gate), &from.words[0])]);
        let queues = &self.experts.queues;
        queues
            .input("start", self.starts(|call| call.work == Work::Gate))
            .input("s_axis_tvalid", unit.output("m_axis_tvalid"))
            .input("s_axis_tlast", 0u64);
        unit.input("m_axis_tready", queues.output("s_axis_tready"));
        for at in 0..self.sizes.units.chosen {
            for field in ["expert", "score"] {
                let port = format!("{field}_{at}");
                queues.input(&format!("s_axis_{port}"), unit.output(&format!("m_axis_{port}")));
            }
        }
        Ok(())
    }

    /// A number of the matrix at hand, of several that come at different times.
    fn of_matrix(
        &self,
        matrices: &[(Signal, Matrix)],
        width: u32,
        of: impl Fn(&Matrix) -> u64,
    ) -> Signal {
        let zero = self.m.constant(0, width);
        matrices.iter().fold(zero, |other, (when, matrix)| {
            when.mux(&self.m.constant(of(matrix), width), &other)
        })
    }

    /// The linear unit with its loader: results as words, whether it computes, and whether it is loaded.
    fn linear(&self, from: &Reads) -> Result<(Source, Signal, Signal), Error> {
        let (m, units) = (self.m, &self.sizes.units);
        let word_bytes = self.sizes.word_bytes();
        let [in_bits, out_bits] = [units.block_inputs, units.block_outputs]
            .map(|block| index_width(u64::from(units.hidden / block) + 1));
        m.section("linear layers: their weights");
        let loader = m.instance("matrices", &weight_loader(units)?);
        let mut loaded: Vec<(Signal, Matrix)> = Vec::new();
        for activity in &self.activities {
            if let Work::LoadMatrix(matrix) = activity.call.work {
                loaded.push((activity.when.clone(), matrix));
            }
        }
        loaded.extend(self.experts.loads().into_iter().zip([EXPERT_UP, EXPERT_DOWN]));
        let of_schedule = self.starts(|call| matches!(call.work, Work::LoadMatrix(_)));
        loader
            .input("start", &(of_schedule | self.experts.load_start()))
            .input("in_blocks", self.of_matrix(&loaded, in_bits, |one| one.blocks(self.sizes)[0]))
            .input("out_blocks", self.of_matrix(&loaded, out_bits, |one| one.blocks(self.sizes)[1]))
            .input("bias_of_attention", self.of_matrix(&loaded, 1, |one| one.of_attention.into()))
            .discard("done");
        let whens: Vec<Signal> = loaded.iter().map(|(when, _)| when.clone()).collect();
        self.feed(&loader, "s_axis", "matrix_words", &[(m.any_of(&whens), &from.weights)]);
        let second = m.wire("loads_second", &self.of_matrix(&loaded, 1, |one| one.second.into()));

        m.section("linear layers");
        let unit = m.instance("linear", &linear(units)?);
        for port in ["block_write", "block_address", "bias_write", "bias_address"] {
            unit.input(port, loader.output(port));
        }
        unit.input("block_second", &second).input("bias_second", &second);
        for at in 0..units.block_outputs {
            for port in [format!("block_row_{at}"), format!("bias_{at}")] {
                unit.input(&port, loader.output(&port));
            }
        }
        let computed = self.activities.iter();
        let computed: Vec<(Signal, Matrix)> = computed
            .filter_map(|activity| Some((activity.when.clone(), matrix_of(&activity.call)?)))
            .collect();
        let token_bits = index_width(u64::from(units.tokens) + 1);
        let all = m.constant(units.tokens.into(), token_bits);
        unit.input("start", self.starts(|call| matrix_of(call).is_some()))
            .input("tokens", self.experts.is_call.mux(&self.experts.length(), &all))
            .input("in_blocks", self.of_matrix(&computed, in_bits, |one| one.blocks(self.sizes)[0]))
            .input(
                "out_blocks",
                self.of_matrix(&computed, out_bits, |one| one.blocks(self.sizes)[1]),
            )
            .input("second", self.of_matrix(&computed, 1, |one| one.second.into()))
            .input("with_gelu", self.of_matrix(&computed, 1, |one| one.with_gelu.into()))
            .discard("done");
        let by_port =
            |port: usize| self.when(|call| matrix_of(call).is_some() && reads(call, port));
        let operands = [(by_port(1), &from.words[0]), (by_port(4), &from.words[3])];
        let blocks = widened(m, "operands", word_bytes, 2, &operands)?;
        let always = m.constant(1, 1);
        self.feed(&unit, "s_axis", "linear_blocks", &[(always.clone(), &blocks)]);
        blocks.finish(m);
        let outputs: Vec<Signal> =
            (0..units.block_outputs).map(|at| unit.output(&format!("m_axis_tdata_{at}"))).collect();
        let block = Source::new(m, "block", &unit.output("m_axis_tvalid"), &m.pack(&outputs));
        unit.input("m_axis_tready", &block.ready);
        let results = narrowed(m, "results", word_bytes, 2, &[(always, &block)])?;
        block.finish(m);
        Ok((results, unit.output("busy"), loader.output("s_axis_tready")))
    }

    /// Queries and keys with their softmax.
    fn scores(&self, from: &Reads) -> Result<Scored, Error> {
        let (m, units) = (self.m, &self.sizes.units);
        m.section("queries and keys, and their softmax");
        let product = m.instance("qk", &qk_product(units)?);
        product.input("start", self.starts(|call| call.work == Work::Scores)).discard("done");
        let scoring = self.is(Work::Scores);
        self.feed(&product, "s_query", "query", &[(scoring.clone(), &from.words[1])]);
        self.feed(&product, "s_key", "key", &[(scoring, &from.words[2])]);
        let softmax = m.instance("softmax", &running_softmax(units)?);
        let softmax_ready = softmax.output("s_axis_tready");
        let valid = product.output("m_axis_tvalid");
        let score = |head: u32| product.output(&format!("m_axis_score_{head}"));
        let packed = m.pack(&(0..units.heads).map(score).collect::<Vec<_>>());
        // A score goes to memory and to the softmax in the same cycle.
        let beat = packed.extend(8 * self.sizes.beat_bytes);
        let scores = Source::new(m, "scores", &(&valid & &softmax_ready), &beat);
        softmax.input("s_axis_tvalid", &(&valid & &scores.ready));
        product.input("m_axis_tready", &(&softmax_ready & &scores.ready));
        for field in ["slot", "keep", "first", "last"] {
            softmax.input(&format!("s_axis_{field}"), product.output(&format!("m_axis_{field}")));
        }
        let mut info = Vec::new();
        for head in 0..units.heads {
            softmax.input(&format!("s_axis_score_{head}"), score(head));
            let of_head = |field: &str| softmax.output(&format!("m_axis_{field}_{head}"));
            info.extend(["factor", "maximum"].map(of_head));
        }
        let info = m.pack(&info).extend(8 * self.sizes.word_bytes());
        let info = Source::new(m, "info", &softmax.output("m_axis_tvalid"), &info);
        softmax.input("m_axis_tready", &info.ready).discard("m_axis_slot");
        Ok(Scored { scores, info, busy: product.output("busy") })
    }

    /// Probabilities and values: outputs, and whether they are computed.
    fn mix(&self, from: &Reads) -> Result<(Source, Signal), Error> {
        let (m, units) = (self.m, &self.sizes.units);
        m.section("probabilities and values");
        let unit = m.instance("pv", &pv_product(units)?);
        unit.input("start", self.starts(|call| call.work == Work::Mix));
        unit.discard("done").discard("m_axis_tlast");
        let mixing = self.is(Work::Mix);
        self.feed(&unit, "s_value", "value", &[(mixing.clone(), &from.words[1])]);
        for (prefix, source, fields) in [
            ("s_info", &from.words[3], ["factor", "maximum"].as_slice()),
            ("s_score", &from.scores, &["tdata"]),
        ] {
            let ready = unit.output(&format!("{prefix}_tready"));
            let (valid, data) = sink(m, prefix, &ready, &[(mixing.clone(), source)]);
            m.discard(&data);
            unit.input(&format!("{prefix}_tvalid"), &valid);
            let ports = (0..units.heads).flat_map(|head| fields.iter().map(move |one| (one, head)));
            for (at, (field, head)) in (0..).zip(ports) {
                let number = data.bits(at * FEATURE.bits..(at + 1) * FEATURE.bits);
                unit.input(&format!("{prefix}_{field}_{head}"), &number);
            }
        }
        Ok((Source::of(m, "mixed", &unit, "m_axis"), unit.output("busy")))
    }

    /// Residual additions and weighted results of experts.
    fn sums(&self, from: &Reads, linear: &Source) -> Result<Source, Error> {
        let m = self.m;
        m.section("sums");
        let unit = m.instance("adder", &feature_adder(&self.sizes.units)?);
        let (plain, weighted) = (self.is(Work::Add), self.when(is_added));
        unit.input("weighted", &weighted);
        let [_, x, third, _] = &from.words;
        let kept = [(plain.clone(), x), (weighted.clone(), third)];
        self.feed(&unit, "s_kept", "kept", &kept);
        self.feed(&unit, "s_added", "added", &[(plain, third), (weighted.clone(), linear)]);
        let scores = Source::of(m, "scores_of_tokens", &self.experts.walker, "m_score");
        self.feed(&unit, "s_score", "score", &[(weighted, &scores)]);
        scores.finish(m);
        Ok(Source::of(m, "sums", &unit, "m_axis"))
    }

    /// The patch embedding; its first token is the class token, which is there already.
    fn embed(&self, from: &Reads, parameters: &InstanceBuilder<'_>) -> Result<Source, Error> {
        let (m, units) = (self.m, &self.sizes.units);
        m.section("patch embedding");
        let unit = m.instance("embedding", &patch_embedding(units)?);
        unit.input("weight_write", parameters.output("patch_write"))
            .input("weight_lane", parameters.output("patch_lane"))
            .input("weight_address", parameters.output("patch_address"))
            .input("weight_data", parameters.output("patch_weight"))
            .input("bias_write", parameters.output("patch_bias_write"))
            .input("bias_address", parameters.output("word_address"))
            .input("bias_data", parameters.output("half_data"));
        let embeds = self.is(Work::Embed);
        self.feed(&unit, "s_pixel", "pixel", &[(embeds.clone(), &from.words[0])]);

        m.section("the class token passes by");
        let words = u64::from(units.token_words());
        let left = m.register("class_words_left", index_width(words + 1));
        let is_class = m.wire("is_class", &left.any());
        let of_class = m.wire("passes_class", &(&embeds & &is_class));
        let of_patches = m.wire("embeds_patches", &(&embeds & !&is_class));
        let class = passed(m, "class_word", &[(of_class.clone(), &from.weights)]);
        self.feed(&unit, "s_position", "position", &[(of_patches.clone(), &from.weights)]);
        let starts = self.starts(|call| call.work == Work::Embed);
        let passes = m.wire("class_word_passes", &(&class.valid & &class.ready));
        let first = m.constant(words, left.width());
        m.update_when(&left, &(&starts | passes), starts.mux(&first, &left - 1));
        let patches = Source::of(m, "patches", &unit, "m_axis");
        let tokens = passed(m, "tokens", &[(of_class, &class), (of_patches, &patches)]);
        class.finish(m);
        patches.finish(m);
        Ok(tokens)
    }
}
