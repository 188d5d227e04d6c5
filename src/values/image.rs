//! An image through a model with experts, computed number by number: drawn numbers, or a folder of tensors.

use std::path::Path;

use anyhow::{Context, Result, bail};
use attelier_sim::deviation::Deviation;
use attelier_workloads::{
    Knobs,
    file::{OpenedNetwork, is_network, open_network},
    task,
    vision::{self, ImageModel, ImageTrace, MoeImage, Network, Routing},
};

use super::{Fidelity, Gathering};
use crate::machines::Machine;

/// An image with the model that reads it.
pub struct ImageSource {
    model: ImageModel,
    network: Network,
    provenance: String,
    assumptions: Vec<String>,
}

/// What a machine made of an image.
pub struct ComputedImage {
    /// The image with the queues that its gates gave.
    pub image: MoeImage,
    /// Last states beside those of the network in floats.
    pub fidelity: Fidelity,
    /// Layer by layer.
    pub layers: Vec<ComputedLayer>,
    /// Hash of all states.
    pub digest: blake3::Hash,
}

/// What a machine made of one layer.
pub struct ComputedLayer {
    /// States after it beside those of the network in floats.
    pub states: Deviation,
    /// Tokens with the same experts, in a layer that has some.
    pub same_experts: Option<u64>,
}

impl ImageSource {
    /// The source that `workload` names, a preset or a folder with the sizes of preset `like`; `None` for
    /// any other, and for a preset whose queues are set.
    ///
    /// # Errors
    /// A folder that holds no image, or tensors of other sizes; knobs that an image does not have.
    pub fn open(workload: &str, like: &str, knobs: &Knobs) -> Result<Option<Self>> {
        let folder = Path::new(workload);
        let queues_set = knobs.queues.is_some() || knobs.skew.is_some();
        if vision::list()?.iter().any(|entry| entry.name == workload) {
            return if queues_set { Ok(None) } else { Self::drawn(workload, knobs).map(Some) };
        }
        let known = task::list()?.iter().any(|entry| entry.name == workload);
        if known || !folder.is_dir() {
            return Ok(None);
        }
        if !is_network(folder) {
            bail!(
                "{}: expected the tensors of a vision transformer, `image.float32.bin` and others as \
                 released with Edge-MoE",
                folder.display()
            );
        }
        if queues_set {
            bail!(
                "`workload.queues` and `workload.skew` are for presets: the queues of {} follow from its \
                 gates",
                folder.display()
            );
        }
        let mut model = vision::model(like, knobs)?;
        let OpenedNetwork { network, read, drawn } = open_network(folder, &model)?;
        model.name = super::source::stem(folder);
        let provenance = format!("{} tensors of a folder, task {}", read.len(), model.task);
        let assumptions = (!drawn.is_empty()).then(|| {
            format!("{} tensors that the folder lacks are drawn from the seed", drawn.len())
        });
        let assumptions = assumptions.into_iter().collect();
        Ok(Some(Self { model, network, provenance, assumptions }))
    }

    fn drawn(workload: &str, knobs: &Knobs) -> Result<Self> {
        let model = vision::model(workload, knobs)?;
        Ok(Self {
            network: Network::generated(&model.shape, model.tasks, model.seed),
            provenance: model.provenance.clone(),
            assumptions: vec![
                "image and weights are drawn from the seed, and queues follow from their gates"
                    .to_owned(),
            ],
            model,
        })
    }

    /// The model with its numbers and the image.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The task whose gates are used.
    pub fn task(&self) -> usize {
        self.model.task
    }

    /// Computes the image on a machine and in floats.
    ///
    /// # Errors
    /// A machine that does not compute images, or not of these sizes.
    pub fn compute(&self, machine: &dyn Machine) -> Result<ComputedImage> {
        let ImageModel { name, shape, task, .. } = &self.model;
        let found = machine
            .compute_image(&self.network, *task)
            .with_context(|| format!("cannot compute `{name}`"))?;
        let expected = self.network.exact(*task);
        let mut digest = blake3::Hasher::new();
        for number in found.layers.iter().flat_map(|layer| &layer.output) {
            digest.update(&number.to_le_bytes());
        }
        let routing = found.layers.iter().filter_map(|layer| layer.routing.as_ref());
        let image = MoeImage {
            name: name.clone(),
            provenance: self.provenance.clone(),
            assumptions: self.assumptions.clone(),
            shape: shape.clone(),
            routing: routing
                .map(|routing| Routing::new(routing.queues(), shape))
                .collect::<Result<_, _>>()?,
        };
        Ok(ComputedImage {
            image,
            fidelity: fidelity(&found, &expected),
            layers: layers(&found, &expected),
            digest: digest.finalize(),
        })
    }
}

fn layers(found: &ImageTrace<f64>, expected: &ImageTrace<f32>) -> Vec<ComputedLayer> {
    let layers = found.layers.iter().zip(&expected.layers);
    let layer = layers.map(|(found, expected)| {
        let mut states = Deviation::default();
        for (&found, &expected) in found.output.iter().zip(&expected.output) {
            states.add(found, f64::from(expected));
        }
        let routing = found.routing.as_ref().zip(expected.routing.as_ref());
        let same_experts = routing.map(|(found, expected)| found.same_experts(expected) as u64);
        ComputedLayer { states, same_experts }
    });
    layer.collect()
}

fn fidelity(found: &ImageTrace<f64>, expected: &ImageTrace<f32>) -> Fidelity {
    let mut gathering = Gathering { inputs: 1, ..Gathering::default() };
    if let (Some(found), Some(expected)) = (found.layers.last(), expected.layers.last()) {
        let tokens = found.output.nrows() as u64;
        (gathering.tokens, gathering.kept) = (tokens, tokens);
        for (&found, &expected) in found.output.iter().zip(&expected.output) {
            gathering.hidden.add(found, f64::from(expected));
        }
    }
    gathering.finish()
}
