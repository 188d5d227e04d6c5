//! Named tensors of one or more safetensors files, read one at a time.
//!
//! A header says where in its file each tensor lies. It is compared with the length of the file
//! before anything is read, so memory never exceeds what the file really holds.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Seek, SeekFrom};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::ModelError;
use crate::suggest::nearest;

/// Longest header \[bytes\]; the largest released models stay below a tenth.
const MAX_HEADER: u64 = 100_000_000;
/// Bytes of the length that precedes the header.
const PREFIX: u64 = 8;

/// A source of bytes that can be read in any order.
pub trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

struct File {
    name: String,
    source: Box<dyn Source>,
    /// Where the tensors start \[bytes\].
    data: u64,
}

struct Entry {
    file: usize,
    info: TensorInfo,
    read: bool,
}

/// The tensors of a model by name.
pub struct Tensors {
    /// Names the whole in errors.
    name: String,
    files: Vec<File>,
    entries: BTreeMap<String, Entry>,
}

impl Tensors {
    /// No tensors yet. `name` stands for all files together in errors.
    pub fn new(name: &str) -> Tensors {
        Tensors { name: name.to_owned(), files: Vec::new(), entries: BTreeMap::new() }
    }

    /// The tensors of one file; `name` names it in errors.
    ///
    /// # Errors
    /// As [`Tensors::add`].
    pub fn open(name: &str, source: impl Source + 'static) -> Result<Tensors, ModelError> {
        let mut tensors = Tensors::new(name);
        tensors.add(name, source)?;
        Ok(tensors)
    }

    /// Adds the tensors of one file. Reads its header only.
    ///
    /// # Errors
    /// A header that is damaged or promises more or less than the file holds, and a tensor that an
    /// earlier file has too.
    pub fn add(&mut self, name: &str, mut source: impl Source + 'static) -> Result<(), ModelError> {
        let (metadata, data) = header(name, &mut source)?;
        for tensor in metadata.offset_keys() {
            let Some(info) = metadata.info(&tensor) else { continue };
            let entry = Entry { file: self.files.len(), info: info.clone(), read: false };
            if let Some(earlier) = self.entries.insert(tensor.clone(), entry) {
                let other = self.files.get(earlier.file).map_or(name, |file| file.name.as_str());
                let reason = format!("tensor `{tensor}` is in {other} too");
                return Err(format_error(name, reason));
            }
        }
        self.files.push(File { name: name.to_owned(), source: Box::new(source), data });
        Ok(())
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, tensor: &str) -> bool {
        self.entries.contains_key(tensor)
    }

    /// Shape of a tensor.
    pub fn shape(&self, tensor: &str) -> Option<&[usize]> {
        self.entries.get(tensor).map(|entry| &entry.info.shape[..])
    }

    /// Names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Values of a tensor in row-major order; 16-bit floats are widened.
    ///
    /// # Errors
    /// A tensor that is missing, has another shape or does not hold floats, or a failed read.
    pub fn read(&mut self, tensor: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let Some(Entry { file, info, read }) = self.entries.get_mut(tensor) else {
            return Err(self.missing(tensor));
        };
        *read = true;
        let file = &mut self.files[*file];
        if info.shape != shape {
            return Err(ModelError::Shape {
                file: file.name.clone(),
                tensor: tensor.to_owned(),
                found: info.shape.clone(),
                expected: shape.to_owned(),
            });
        }
        let widen: fn(&[u8]) -> Vec<f32> = match info.dtype {
            Dtype::F32 => |bytes| numbers(bytes, f32::from_le_bytes),
            Dtype::F16 => |bytes| numbers(bytes, |pair| f16::from_le_bytes(pair).to_f32()),
            Dtype::BF16 => |bytes| numbers(bytes, |pair| bf16::from_le_bytes(pair).to_f32()),
            other => {
                return Err(ModelError::NumberFormat {
                    file: file.name.clone(),
                    tensor: tensor.to_owned(),
                    found: other.to_string(),
                });
            }
        };
        let (start, end) = info.data_offsets;
        let mut bytes = vec![0; end.saturating_sub(start)];
        let at = file.data.saturating_add(start as u64);
        let outcome = file.source.seek(SeekFrom::Start(at));
        outcome
            .and_then(|_| file.source.read_exact(&mut bytes))
            .map_err(|source| io_error(&file.name, source))?;
        let values = widen(&bytes);
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(ModelError::NotFinite {
                file: file.name.clone(),
                tensor: tensor.to_owned(),
                at,
                found: values[at],
            }),
            None => Ok(values),
        }
    }

    /// Refuses layers that nobody read: the configuration speaks of fewer.
    ///
    /// # Errors
    /// A tensor that was not read, although that of another layer was.
    pub(super) fn all_layers_read(&self) -> Result<(), ModelError> {
        let first = |name: &str| {
            let parts = name.split('.');
            let zero = |part: &str| if part.parse::<u32>().is_ok() { "0" } else { part }.to_owned();
            parts.map(zero).collect::<Vec<_>>().join(".")
        };
        let forgotten = self.entries.iter().find(|(name, entry)| {
            let other = first(name);
            !entry.read && other != **name && self.entries.get(&other).is_some_and(|e| e.read)
        });
        match forgotten {
            Some((name, entry)) => Err(ModelError::ForgottenLayer {
                file: self.files.get(entry.file).map_or(&self.name, |file| &file.name).clone(),
                tensor: name.clone(),
            }),
            None => Ok(()),
        }
    }

    /// The error about a tensor that is not there.
    pub(super) fn missing(&self, tensor: &str) -> ModelError {
        // The same tensor of another layer would always be near, and is never what was meant.
        let numbers = |name: &str| name.split('.').filter_map(|part| part.parse().ok()).collect();
        let wanted: Vec<u32> = numbers(tensor);
        let candidates = self.names().filter(|name| numbers(name) == wanted);
        ModelError::MissingTensor {
            file: self.name.clone(),
            tensor: tensor.to_owned(),
            near: nearest(tensor, candidates).map(str::to_owned),
        }
    }
}

fn numbers<const N: usize>(bytes: &[u8], number: fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| number(*chunk)).collect()
}

/// The header, checked against the length of the file, and where the data start.
fn header(name: &str, source: &mut impl Source) -> Result<(Metadata, u64), ModelError> {
    let io = |error| io_error(name, error);
    let length = source.seek(SeekFrom::End(0)).map_err(io)?;
    source.seek(SeekFrom::Start(0)).map_err(io)?;
    if length < PREFIX {
        return Err(format_error(name, format!("it holds {length} bytes, less than any header")));
    }
    let mut prefix = [0; PREFIX as usize];
    source.read_exact(&mut prefix).map_err(io)?;
    let header = u64::from_le_bytes(prefix);
    if header > MAX_HEADER || header > length - PREFIX {
        let reason = format!("its first 8 bytes promise a header of {header} bytes");
        return Err(format_error(name, format!("{reason}, the file holds {length}")));
    }
    let mut text = Vec::new();
    source.take(header).read_to_end(&mut text).map_err(io)?;
    let names: Names = serde_json::from_slice(&text)
        .map_err(|error| format_error(name, format!("its header is damaged: {error}")))?;
    if let Some(twice) = names.twice() {
        return Err(format_error(name, format!("its header describes `{twice}` twice")));
    }
    let metadata: Metadata = serde_json::from_slice(&text)
        .map_err(|error| format_error(name, format!("its header is damaged: {error}")))?;
    let data = PREFIX + header;
    let promised = data.saturating_add(metadata.data_len() as u64);
    if promised != length {
        let reason = format!("its header describes {promised} bytes, the file holds {length}");
        return Err(format_error(name, format!("{reason}; copy or download it again")));
    }
    Ok((metadata, data))
}

/// The keys of a JSON object, in order and as often as they come; a map would keep the last.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Names;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

impl Names {
    /// A name that comes twice.
    fn twice(mut self) -> Option<String> {
        self.0.sort_unstable();
        self.0.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone())
    }
}

fn format_error(name: &str, reason: String) -> ModelError {
    ModelError::Format { file: name.to_owned(), expected: "a complete safetensors file", reason }
}

fn io_error(name: &str, source: std::io::Error) -> ModelError {
    ModelError::Io { file: name.to_owned(), action: "read", source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A file as the format's specification lays it out: length, header, data.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn open(bytes: Vec<u8>) -> Result<Tensors, String> {
        Tensors::open("m.safetensors", Cursor::new(bytes)).map_err(|error| error.to_string())
    }

    fn pair(dtype: &str, data: &[u8]) -> Tensors {
        let size = data.len();
        let header =
            format!(r#"{{"a.b":{{"dtype":"{dtype}","shape":[2],"data_offsets":[0,{size}]}}}}"#);
        open(file(&header, data)).unwrap()
    }

    #[test]
    fn three_number_formats_give_their_values() {
        // 1.5 and -2 by the encodings of IEEE 754 binary32 and binary16 and of bfloat16.
        let single = [0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0];
        assert_eq!(pair("F32", &single).read("a.b", &[2]).unwrap(), [1.5, -2.0]);
        assert_eq!(pair("F16", &[0, 0x3e, 0, 0xc0]).read("a.b", &[2]).unwrap(), [1.5, -2.0]);
        let brain = [0xc0, 0x3f, 0, 0xc0];
        assert_eq!(pair("BF16", &brain).read("a.b", &[2]).unwrap(), [1.5, -2.0]);
    }

    #[test]
    fn what_does_not_fit_is_named_with_what_was_expected() {
        let mut tensors = pair("I16", &[0; 4]);
        let mut text =
            |name: &str, shape: &[usize]| tensors.read(name, shape).unwrap_err().to_string();
        assert_eq!(
            text("a.b", &[2, 1]),
            "m.safetensors: tensor `a.b` has shape [2]: expected [2, 1]"
        );
        assert_eq!(
            text("a.b", &[2]),
            "m.safetensors: tensor `a.b` holds I16: expected F32, F16 or BF16"
        );
        assert_eq!(
            text("a.c", &[2]),
            "m.safetensors: tensor `a.c` is missing; did you mean `a.b`?"
        );
    }

    #[test]
    fn numbers_that_are_none_and_layers_that_nobody_asked_for_are_named() {
        let error = pair("BF16", &[0, 0, 0xc0, 0x7f]).read("a.b", &[2]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "m.safetensors: tensor `a.b` holds NaN at element 1: expected finite numbers"
        );
        let header = r#"{"h.0.w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
            "h.1.w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
        let mut tensors = open(file(header, &[0; 8])).unwrap();
        tensors.read("h.0.w", &[1]).unwrap();
        let error = tensors.all_layers_read().unwrap_err().to_string();
        assert!(error.contains("`h.1.w` belongs to a layer beyond those"), "{error}");
        tensors.read("h.1.w", &[1]).unwrap();
        tensors.all_layers_read().unwrap();
    }

    #[track_caller]
    fn refused(bytes: Vec<u8>, part: &str) {
        let error = open(bytes).err().expect("the file is damaged");
        assert!(error.starts_with("m.safetensors: this is not a complete safetensors"), "{error}");
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn a_header_that_promises_what_is_not_there_costs_nothing() {
        // 4 * 10^12 bytes: were they reserved, the test would not end.
        let header =
            r#"{"a":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}"#;
        refused(file(header, &[0; 8]), "describes 4000000000");
        refused(u64::MAX.to_le_bytes().to_vec(), "18446744073709551615 bytes, the file holds 8");
        let sizes =
            r#"{"a":{"dtype":"F32","shape":[18446744073709551615,9],"data_offsets":[0,4]}}"#;
        refused(file(sizes, &[0; 4]), "header is damaged");
    }

    #[test]
    fn damaged_files_are_refused() {
        refused(Vec::new(), "holds 0 bytes");
        refused(b"PK\x03\x04 a zip archive".to_vec(), "promise a header");
        refused(file("{", &[]), "header is damaged");
        let whole = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        refused(file(whole, &[0; 3]), "copy or download it again");
        refused(file(whole, &[0; 5]), "copy or download it again");
        let twice = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
            "a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        refused(file(twice, &[0; 4]), "describes `a` twice");
        let gap = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
        refused(file(gap, &[0; 8]), "header is damaged");
        let wrong = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#;
        refused(file(wrong, &[0; 4]), "header is damaged");
    }

    #[test]
    fn two_files_are_one_and_may_not_share_a_tensor() {
        let one = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let two = r#"{"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let mut tensors = Tensors::new("folder");
        tensors.add("1", Cursor::new(file(one, &1f32.to_le_bytes()))).unwrap();
        tensors.add("2", Cursor::new(file(two, &2f32.to_le_bytes()))).unwrap();
        assert_eq!(tensors.read("b", &[1]).unwrap(), [2.0]);
        assert_eq!(tensors.read("a", &[1]).unwrap(), [1.0]);
        let error = tensors.add("3", Cursor::new(file(one, &[0; 4]))).unwrap_err();
        assert!(error.to_string().contains("`a` is in 1 too"), "{error}");
    }
}
