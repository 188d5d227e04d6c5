//! Model folders as the Hugging Face libraries write them.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path};

use serde::Deserialize;

use crate::model::{Model, ModelError, Tensors, Tokenizer};
use crate::{AttentionModel, Knobs, ModelSizes, onnx};

const CONFIG: &str = "config.json";
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const TOKENIZER: &str = "tokenizer.json";
/// Longest JSON file of a folder \[bytes\]; the tokenizers of the largest vocabularies have 35 MB.
const MAX_JSON: u64 = 1 << 28;
/// Longest ONNX file \[bytes\]: that of its format.
const MAX_ONNX: u64 = 1 << 31;
/// Longest text \[bytes\]: about as many tokens as a trace may have.
const MAX_TEXT: u64 = 1 << 22;

/// Reads the model in a folder: `config.json`, and `model.safetensors` or the files that
/// `model.safetensors.index.json` lists.
///
/// # Errors
/// A file that is missing or damaged, and whatever [`Model::load`] refuses.
pub fn open_model(folder: &Path) -> Result<Model, ModelError> {
    let path = folder.join(CONFIG);
    let config = text(&path, MAX_JSON)?;
    Model::load(&shown(&path), &config, tensors(folder)?)
}

/// Reads the sizes of a model from its `config.json`, without weights. The model gets the name of its
/// folder.
///
/// # Errors
/// A file that cannot be read, and whatever [`ModelSizes::parse`] refuses.
pub fn open_sizes(path: &Path) -> Result<ModelSizes, ModelError> {
    let text = text(path, MAX_JSON)?;
    let folder = path.parent().and_then(Path::file_name);
    let name = folder.map_or_else(|| "model".into(), |name| name.to_string_lossy());
    ModelSizes::parse(&shown(path), &name, &text)
}

/// Reads the attention of the model in an ONNX file, which gets the stem of its file name as its name.
///
/// # Errors
/// A file that cannot be read, and whatever [`onnx::read`] refuses.
pub fn open_onnx(path: &Path, knobs: &Knobs) -> Result<AttentionModel, ModelError> {
    let stem = path.file_stem().map_or("model".into(), |stem| stem.to_string_lossy());
    let bytes = bytes(path, MAX_ONNX)?.into();
    onnx::read(&stem, bytes, knobs).map_err(|reason| ModelError::Onnx { file: shown(path), reason })
}

/// Reads the `tokenizer.json` in the folder of `model`.
///
/// # Errors
/// A file that is missing or damaged, or belongs to another model.
pub fn open_tokenizer(folder: &Path, model: &Model) -> Result<Tokenizer, ModelError> {
    let path = folder.join(TOKENIZER);
    Tokenizer::parse(&shown(&path), &bytes(&path, MAX_JSON)?, model)
}

/// Reads the texts in a file: each line that is not blank, or all of it as one.
///
/// # Errors
/// A file that is missing, longer than 4 MiB, not UTF-8, or blank.
pub fn open_texts(path: &Path, per_line: bool) -> Result<Vec<String>, ModelError> {
    let all = text(path, MAX_TEXT)?;
    let all = all.trim_start_matches('\u{feff}');
    let texts: Vec<&str> = if per_line { all.lines().collect() } else { vec![all] };
    let texts: Vec<String> = texts
        .into_iter()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect();
    if texts.is_empty() {
        return Err(ModelError::EmptyText { file: shown(path) });
    }
    Ok(texts)
}

/// The tensors in a folder, in one file or in several.
fn tensors(folder: &Path) -> Result<Tensors, ModelError> {
    let index = folder.join(INDEX);
    if index.is_file() {
        return sharded(folder, &index);
    }
    let single = folder.join(SINGLE);
    let mut tensors = Tensors::new(&shown(&single));
    add(&mut tensors, &single)?;
    Ok(tensors)
}

/// What an index says: which tensor is in which file.
#[derive(Deserialize)]
struct Index {
    weight_map: std::collections::BTreeMap<String, String>,
}

fn sharded(folder: &Path, path: &Path) -> Result<Tensors, ModelError> {
    let format = |reason: String| ModelError::Format {
        file: shown(path),
        expected: "the index of a model in several files",
        reason,
    };
    let index: Index =
        serde_json::from_str(&text(path, MAX_JSON)?).map_err(|error| format(error.to_string()))?;
    let mut files: Vec<&str> = index.weight_map.values().map(String::as_str).collect();
    files.sort_unstable();
    files.dedup();
    let mut tensors = Tensors::new(&shown(path));
    for file in files {
        if !is_plain_name(file) {
            let reason = format!("`{file}` is not the name of a file in the same folder");
            return Err(format(reason));
        }
        add(&mut tensors, &folder.join(file))?;
    }
    Ok(tensors)
}

/// Whether `name` stays in its folder on every system.
fn is_plain_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let one =
        matches!(components.next(), Some(Component::Normal(_))) && components.next().is_none();
    one && !name.contains(['/', '\\', ':', '\0'])
}

fn add(tensors: &mut Tensors, path: &Path) -> Result<(), ModelError> {
    tensors.add(&shown(path), BufReader::new(open(path)?))
}

fn open(path: &Path) -> Result<File, ModelError> {
    let failed = |source| ModelError::Io { file: shown(path), action: "open the file", source };
    if path.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    File::open(path).map_err(failed)
}

/// The whole of a text file of at most `limit` bytes.
fn text(path: &Path, limit: u64) -> Result<String, ModelError> {
    let bytes = bytes(path, limit)?;
    String::from_utf8(bytes).map_err(|error| ModelError::Utf8 {
        file: shown(path),
        offset: error.utf8_error().valid_up_to(),
    })
}

fn bytes(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    let failed = |source| ModelError::Io { file: shown(path), action: "read", source };
    open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(failed(std::io::Error::other(format!("it is longer than {limit} bytes"))));
    }
    Ok(bytes)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
