//! Where everything of a model lies in the memory of the machine, and its bytes there.

use attelier_hw::edge_moe::{
    TopSizes,
    formats::{ATTENTION_BIAS, BIAS, FEATURE, Format, PATCH_WEIGHT, PIXEL, WEIGHT},
};
use attelier_sim::datapath::fixed::quantise;
use attelier_workloads::vision::network::{FeedForward, Linear, Mixer, Network, Norm};

/// Bytes that no tensor begins within: more than any burst of a test, less than a page of AXI4, so that
/// bursts meet the borders of pages.
const ALIGNMENT: usize = 256;

/// Addresses \[B\], and the memory as it is before the first image.
pub struct Layout {
    /// Values of the control registers by name; the gates are those of the first task.
    pub registers: Vec<(&'static str, u64)>,
    /// Gates of each task.
    pub gates: Vec<u64>,
    /// The residual stream.
    pub x: u64,
    /// The memory.
    pub bytes: Vec<u8>,
}

impl Layout {
    /// A model in the memory of a machine.
    pub fn new(sizes: &TopSizes, network: &Network) -> Self {
        let mut memory = Memory { bytes: vec![0; ALIGNMENT], word: sizes.word_bytes() as usize };
        let units = &sizes.units;
        let image = memory.begin();
        for &pixel in &network.image {
            memory.bytes.push(quantise(PIXEL, pixel.into(), false) as u8);
        }
        let positions = memory.begin();
        for &position in &network.positions {
            memory.feature(position);
        }
        let weights = memory.begin();
        memory.numbers(network.patch.weight.iter(), PATCH_WEIGHT);
        memory.numbers(network.patch.bias.iter(), BIAS);
        for layer in &network.layers {
            memory.norm(&layer.attention_norm, units.lanes as usize);
            for map in layer.qkv.iter().chain([&layer.projection]) {
                memory.linear(map, ATTENTION_BIAS);
            }
            memory.norm(&layer.mixer_norm, units.lanes as usize);
            match &layer.mixer {
                Mixer::Dense(network) => memory.feed_forward(network),
                Mixer::Experts { experts, .. } => {
                    experts.iter().for_each(|expert| memory.feed_forward(expert));
                }
            }
        }
        let mut gates = Vec::new();
        let tasks = network.layers.iter().map(|layer| match &layer.mixer {
            Mixer::Dense(_) => 0,
            Mixer::Experts { gates, .. } => gates.len(),
        });
        for task in 0..tasks.max().unwrap_or(0).max(1) {
            gates.push(memory.begin());
            for layer in &network.layers {
                let Mixer::Experts { gates, .. } = &layer.mixer else { continue };
                if let Some(gate) = gates.get(task) {
                    memory.numbers(gate.iter(), WEIGHT);
                }
            }
        }
        let tokens = units.tokens as usize;
        let mut free = |bytes: usize| {
            let at = memory.begin();
            memory.bytes.resize(at as usize + bytes, 0xa5);
            at
        };
        let row = tokens * units.width as usize * 4;
        let [x, tmp1, tmp2, tmp3] = [(); 4].map(|()| free(row));
        let hidden = free(tokens * units.hidden as usize * 4);
        let beats = units.token_steps() * u64::from(units.queries);
        let scores = free(beats as usize * sizes.beat_bytes as usize);
        let softmax_info = free(tokens * sizes.word_bytes() as usize);
        let registers = vec![
            ("layers", network.layers.len() as u64),
            ("image", image),
            ("positions", positions),
            ("weights", weights),
            ("gates", gates.first().copied().unwrap_or(0)),
            ("x", x),
            ("tmp1", tmp1),
            ("tmp2", tmp2),
            ("tmp3", tmp3),
            ("hidden", hidden),
            ("scores", scores),
            ("softmax_info", softmax_info),
        ];
        Self { registers, gates, x, bytes: memory.bytes }
    }
}

struct Memory {
    bytes: Vec<u8>,
    /// Bytes of a word.
    word: usize,
}

impl Memory {
    /// The address of what follows.
    fn begin(&mut self) -> u64 {
        let used = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(used, 0);
        used as u64
    }

    fn number(&mut self, value: f32, format: Format) {
        let number = quantise(format, value.into(), false) as i16;
        self.bytes.extend(number.to_le_bytes());
    }

    fn feature(&mut self, value: f32) {
        self.bytes.extend(quantise(FEATURE, value.into(), false).to_le_bytes());
    }

    /// Numbers of 16 bits, and what is missing of the last word.
    fn numbers<'a>(&mut self, values: impl Iterator<Item = &'a f32>, format: Format) {
        values.for_each(|value| self.number(*value, format));
        let whole = self.bytes.len().next_multiple_of(self.word);
        self.bytes.resize(whole, 0x5a);
    }

    fn norm(&mut self, norm: &Norm, lanes: usize) {
        let values = |values: &ndarray::Array1<f32>| values.to_vec();
        let (weights, biases) = (values(&norm.weight), values(&norm.bias));
        for (weights, biases) in weights.chunks(lanes).zip(biases.chunks(lanes)) {
            weights.iter().chain(biases).for_each(|value| self.number(*value, BIAS));
        }
    }

    fn linear(&mut self, map: &Linear, bias: Format) {
        self.numbers(map.weight.iter(), WEIGHT);
        self.numbers(map.bias.iter(), bias);
    }

    fn feed_forward(&mut self, network: &FeedForward) {
        self.linear(&network.up, BIAS);
        self.linear(&network.down, BIAS);
    }
}
