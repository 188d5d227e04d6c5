//! Folders with the tensors of a vision transformer with experts, as they were released with Edge-MoE: one
//! file per tensor, `NAME.float32.bin`, little-endian numbers row by row without a header.
//!
//! The released folder lacks the weights of all experts. What is absent is drawn, the image is not.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::model::ModelError;
use crate::vision::ImageModel;
use crate::vision::generated::draw;
use crate::vision::network::{Network, TensorSpec};

const ENDING: &str = ".float32.bin";
/// The tensor that makes a folder one of these.
const IMAGE: &str = "image";

/// A network with where its numbers come from.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenedNetwork {
    /// The network.
    pub network: Network,
    /// Tensors that were read.
    pub read: Vec<String>,
    /// Tensors that were drawn because no file holds them.
    pub drawn: Vec<String>,
}

/// Whether `folder` holds an image in this format.
pub fn is_network(folder: &Path) -> bool {
    path(folder, IMAGE).is_file()
}

/// Reads what is there of the network of `model`, and draws the rest from the seed of `model`.
///
/// # Errors
/// A folder without an image, a file that cannot be read, has another length than its shape asks
/// for, or holds what is no finite number.
pub fn open_network(folder: &Path, model: &ImageModel) -> Result<OpenedNetwork, ModelError> {
    let (mut read, mut drawn) = (Vec::new(), Vec::new());
    let network = Network::build(&model.shape, model.tasks, |spec| {
        if let Some(values) = tensor(folder, spec)? {
            read.push(spec.name.clone());
            return Ok(values);
        }
        if spec.name == IMAGE {
            let tensor = format!("{IMAGE}{ENDING}");
            let file = folder.display().to_string();
            return Err(ModelError::MissingTensor { file, tensor, near: None });
        }
        drawn.push(spec.name.clone());
        Ok(draw(spec, model.seed))
    })?;
    Ok(OpenedNetwork { network, read, drawn })
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{ENDING}"))
}

/// The numbers of one file; `None` if there is none.
fn tensor(folder: &Path, spec: &TensorSpec) -> Result<Option<Vec<f32>>, ModelError> {
    let path = path(folder, &spec.name);
    let shown = || path.display().to_string();
    let io = |action| move |source| ModelError::Io { file: shown(), action, source };
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io("open the file"))?,
    };
    let length = fs::metadata(&path).map_err(io("open the file"))?.len();
    let elements = spec.shape.iter().fold(1u64, |product, &size| {
        product.saturating_mul(u64::try_from(size).unwrap_or(u64::MAX))
    });
    let expected = elements.saturating_mul(4);
    if length != expected {
        let shape = spec.shape.clone();
        return Err(ModelError::Bytes { file: shown(), found: length, expected, shape });
    }
    let mut bytes = Vec::new();
    // What has grown since is found by its length.
    file.take(expected + 1).read_to_end(&mut bytes).map_err(io("read the file"))?;
    let values: Vec<f32> =
        bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        let tensor = spec.name.clone();
        return Err(ModelError::NotFinite { file: shown(), tensor, at, found: values[at] });
    }
    Ok(Some(values))
}

#[cfg(test)]
mod tests {
    use crate::Knobs;
    use crate::vision::model;

    use super::*;

    fn write(folder: &Path, name: &str, values: &[f32]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        fs::write(path(folder, name), bytes).unwrap();
    }

    #[test]
    fn what_is_there_is_read_and_the_rest_is_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let model = model("m3vit-tiny/cityscapes", &Knobs::default()).unwrap();
        let open = || open_network(folder.path(), &model);
        assert!(!is_network(folder.path()));
        assert!(open().unwrap_err().to_string().contains("tensor `image.float32.bin` is missing"));
        write(folder.path(), "image", &[0.5; 3 * 128 * 256]);
        assert!(is_network(folder.path()));
        write(folder.path(), "l0_norm1_bias", &[3.0; 192]);
        let opened = open().unwrap();
        assert_eq!(opened.read, ["image", "l0_norm1_bias"]);
        assert!(opened.drawn.contains(&"l1_htoh4_weight".to_owned()));
        assert_eq!(opened.network.layers[0].attention_norm.bias[191], 3.0);
        let drawn = Network::generated(&model.shape, 2, 0);
        assert_eq!(opened.network.layers[1], drawn.layers[1]);
    }

    #[test]
    fn damaged_files_are_named_with_what_was_expected() {
        let folder = tempfile::tempdir().unwrap();
        let model = model("m3vit-tiny/cityscapes", &Knobs::default()).unwrap();
        write(folder.path(), "image", &[0.5; 3 * 128 * 256]);
        write(folder.path(), "l0_qkv_bias", &[0.0; 575]);
        let text = open_network(folder.path(), &model).unwrap_err().to_string();
        assert!(text.contains("l0_qkv_bias.float32.bin: 2300 bytes: expected 2304"), "{text}");
        assert!(text.contains("shape [576]"), "{text}");
        write(folder.path(), "l0_qkv_bias", &[f32::NAN; 576]);
        let text = open_network(folder.path(), &model).unwrap_err().to_string();
        assert!(text.contains("`l0_qkv_bias` holds NaN at element 0"), "{text}");
    }
}
