//! Descriptions of policies: read from TOML, checked, and turned into what decides.

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{
    A3, Block, Causal, Dense, HeavyHitters, Neighbourhood, SlidingWindow, Sparsity, Spatten,
    StatisticalTopK, Strided, Threshold,
};
use crate::limits;
use crate::reference::{OperandError, expect_value};
use crate::suggest::nearest;

/// One kind of policy, for listings and for suggestions.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Value of `kind`.
    pub kind: &'static str,
    /// One line.
    pub description: &'static str,
    /// TOML with every parameter of the kind.
    pub example: &'static str,
    read: fn(toml::Table) -> Result<Policy, toml::de::Error>,
}

/// Every kind of policy; a new one is a file, a variant of [`Policy`] and a line here.
pub const KINDS: &[Entry] = &[
    Entry {
        kind: "dense",
        description: "every key",
        example: "",
        read: |table| table.try_into().map(Policy::Dense),
    },
    Entry {
        kind: "causal",
        description: "keys up to the query's own",
        example: "",
        read: |table| table.try_into().map(Policy::Causal),
    },
    Entry {
        kind: "sliding-window",
        description: "keys near the query, and sinks at the start",
        example: "window = 128\nsinks = 4",
        read: |table| table.try_into().map(Policy::SlidingWindow),
    },
    Entry {
        kind: "strided",
        description: "near keys, and those a multiple of the stride away",
        example: "stride = 32",
        read: |table| table.try_into().map(Policy::Strided),
    },
    Entry {
        kind: "block",
        description: "a band of blocks, and global blocks, as in BigBird",
        example: "block = 64\nneighbours = 1\nglobal = 1",
        read: |table| table.try_into().map(Policy::Block),
    },
    Entry {
        kind: "neighbourhood",
        description: "a square of patches around the query",
        example: "rows = 8\ncolumns = 16\nkernel = 7\nprefix = 1",
        read: |table| table.try_into().map(Policy::Neighbourhood),
    },
    Entry {
        kind: "threshold",
        description: "keys of enough probability",
        example: "probability = 0.002",
        read: |table| table.try_into().map(Policy::Threshold),
    },
    Entry {
        kind: "statistical-top-k",
        description: "about k keys, by mean and deviation of the scores",
        example: "k = 256",
        read: |table| table.try_into().map(Policy::StatisticalTopK),
    },
    Entry {
        kind: "a3",
        description: "greedy search over sorted key columns, as in A3",
        example: "iterations_per_key = 0.5\nweight_percent = 5.0",
        read: |table| table.try_into().map(Policy::A3),
    },
    Entry {
        kind: "heavy-hitters",
        description: "keys that gathered most probability, and recent ones, as in H2O",
        example: "heavy = 64\nrecent = 64",
        read: |table| table.try_into().map(Policy::HeavyHitters),
    },
    Entry {
        kind: "spatten",
        description: "cascade token and head pruning, local value pruning, as in SpAtten",
        example: "tokens = { front = 0.15, start = 0.1, average = 0.4 }\n\
                  heads = { front = 0.3, start = 0.0, average = 0.1 }\n\
                  values = 0.8\nrestart = true",
        read: |table| table.try_into().map(Policy::Spatten),
    },
];

/// Description of a policy: `kind` and its parameters.
///
/// ```
/// use attelier_workloads::sparsity::{Policy, SlidingWindow};
/// #[derive(serde::Deserialize)]
/// struct Config { policy: Policy }
/// let text = r#"policy = { kind = "sliding-window", window = 128 }"#;
/// let config: Config = toml::from_str(text)?;
/// assert_eq!(config.policy, Policy::SlidingWindow(SlidingWindow { window: 128, sinks: 0 }));
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is the policy of its name")]
pub enum Policy {
    Dense(Dense),
    Causal(Causal),
    SlidingWindow(SlidingWindow),
    Strided(Strided),
    Block(Block),
    Neighbourhood(Neighbourhood),
    Threshold(Threshold),
    #[serde(rename = "statistical-top-k")]
    StatisticalTopK(StatisticalTopK),
    A3(A3),
    HeavyHitters(HeavyHitters),
    Spatten(Spatten),
}

/// Size of the model that a policy is to be used in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelShape {
    /// Layers of the model.
    pub layers: u32,
    /// Heads of a layer.
    pub heads: u32,
}

/// A description that is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// No kind, or one that does not exist.
    #[error("{}: expected one of {}{}", kind_found(.found), kinds(), suggestion(.near))]
    Kind {
        /// What stands there, if anything.
        found: Option<String>,
        /// The kind it may have meant.
        near: Option<&'static str>,
    },
    /// A parameter that the kind does not have.
    #[error("policy `{kind}` has no parameter `{parameter}`: expected {expected}{}", suggestion(.near))]
    UnknownParameter {
        /// The kind.
        kind: &'static str,
        /// The parameter.
        parameter: String,
        /// The parameters that it has.
        expected: String,
        /// The parameter it may have meant.
        near: Option<String>,
    },
    /// A parameter that is missing or of another type.
    #[error("policy `{kind}`: {problem}; for example {example}")]
    Type {
        /// The kind.
        kind: &'static str,
        /// What is wrong with which parameter.
        problem: String,
        /// Parameters as they may be.
        example: String,
    },
    /// A parameter outside its range.
    #[error("policy `{kind}`: {problem}")]
    Range {
        /// The kind.
        kind: &'static str,
        /// Which parameter, its value and its range.
        problem: OperandError,
    },
}

fn kind_found(found: &Option<String>) -> String {
    match found {
        Some(found) => format!("unknown policy kind `{found}`"),
        None => "the policy has no text in `kind`".to_owned(),
    }
}

fn kinds() -> String {
    KINDS.iter().map(|entry| entry.kind).collect::<Vec<_>>().join(", ")
}

fn suggestion(near: &Option<impl AsRef<str>>) -> String {
    near.as_ref().map_or(String::new(), |near| format!("; did you mean `{}`?", near.as_ref()))
}

impl Entry {
    /// Parameters in the order of the example.
    fn parameters(&self) -> Vec<String> {
        let example: toml::Table = self.example.parse().unwrap_or_default();
        example.keys().cloned().collect()
    }

    fn read(&self, table: toml::Table) -> Result<Policy, PolicyError> {
        let kind = self.kind;
        let parameters = self.parameters();
        if let Some(unknown) = table.keys().find(|key| !parameters.contains(key)) {
            let expected = match parameters.is_empty() {
                true => "none".to_owned(),
                false => parameters.join(", "),
            };
            let near = nearest(unknown, parameters.iter().map(String::as_str)).map(str::to_owned);
            let parameter = unknown.clone();
            return Err(PolicyError::UnknownParameter { kind, parameter, expected, near });
        }
        (self.read)(table).map_err(|error| PolicyError::Type {
            kind,
            problem: error.to_string().trim_end().replace('\n', " "),
            example: self.example.replace('\n', ", "),
        })
    }
}

impl Policy {
    /// Reads and checks a description.
    ///
    /// # Errors
    /// An unknown kind or parameter, with the nearest known one; a missing parameter, one of
    /// another type, or one outside its range.
    pub fn from_table(mut table: toml::Table) -> Result<Policy, PolicyError> {
        let found = match table.remove("kind") {
            Some(toml::Value::String(kind)) => Some(kind),
            _ => None,
        };
        let entry = KINDS.iter().find(|entry| Some(entry.kind) == found.as_deref());
        let Some(entry) = entry else {
            let name = found.as_deref().unwrap_or_default();
            let near = nearest(name, KINDS.iter().map(|entry| entry.kind));
            return Err(PolicyError::Kind { found, near });
        };
        let policy = entry.read(table)?;
        policy.check().map_err(|problem| PolicyError::Range { kind: entry.kind, problem })?;
        Ok(policy)
    }

    /// Checks every parameter; a policy that was read has been checked.
    ///
    /// # Errors
    /// The first parameter outside its range.
    pub fn check(&self) -> Result<(), OperandError> {
        match self {
            Policy::Dense(_) | Policy::Causal(_) => Ok(()),
            Policy::SlidingWindow(policy) => policy.check(),
            Policy::Strided(policy) => policy.check(),
            Policy::Block(policy) => policy.check(),
            Policy::Neighbourhood(policy) => policy.check(),
            Policy::Threshold(policy) => policy.check(),
            Policy::StatisticalTopK(policy) => policy.check(),
            Policy::A3(policy) => policy.check(),
            Policy::HeavyHitters(policy) => policy.check(),
            Policy::Spatten(policy) => policy.check(),
        }
    }

    /// What decides, with nothing remembered yet, for a model of this shape.
    ///
    /// # Errors
    /// A parameter outside its range, or a shape beyond [`limits::INDEX`].
    pub fn build(&self, shape: ModelShape) -> Result<Box<dyn Sparsity>, OperandError> {
        self.check()?;
        for (operand, count) in [("layers", shape.layers), ("heads", shape.heads)] {
            let most = limits::INDEX;
            expect_value((1..=most).contains(&count), operand, count, format!("1 to {most}"))?;
        }
        Ok(match self {
            Policy::Dense(policy) => Box::new(policy.clone()),
            Policy::Causal(policy) => Box::new(policy.clone()),
            Policy::SlidingWindow(policy) => Box::new(policy.clone()),
            Policy::Strided(policy) => Box::new(policy.clone()),
            Policy::Block(policy) => Box::new(policy.clone()),
            Policy::Neighbourhood(policy) => Box::new(policy.clone()),
            Policy::Threshold(policy) => Box::new(policy.clone()),
            Policy::StatisticalTopK(policy) => Box::new(policy.clone()),
            Policy::A3(policy) => Box::new(policy.state()),
            Policy::HeavyHitters(policy) => Box::new(policy.state()),
            Policy::Spatten(policy) => Box::new(policy.state(shape)?),
        })
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = toml::Table::deserialize(deserializer)?;
        Policy::from_table(table).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policy, String> {
        let table = text.parse().expect("the text is TOML");
        Policy::from_table(table).map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_is_read_from_its_example_and_written_back_the_same() {
        for entry in KINDS {
            let text = format!("kind = \"{}\"\n{}", entry.kind, entry.example);
            let policy = read(&text).unwrap();
            let written = toml::Table::try_from(&policy).unwrap();
            // The example names every parameter there is, so nothing else is written.
            assert_eq!(written, text.parse::<toml::Table>().unwrap(), "{}", entry.kind);
            policy.build(ModelShape { layers: 12, heads: 12 }).unwrap();
        }
    }

    #[test]
    fn what_is_not_a_policy_is_named_with_a_suggestion() {
        let error = |text| read(text).unwrap_err();
        let all = "dense, causal, sliding-window, strided, block, neighbourhood, threshold, \
                   statistical-top-k, a3, heavy-hitters, spatten";
        let cases = [
            ("", format!("the policy has no text in `kind`: expected one of {all}")),
            ("kind = 3", format!("the policy has no text in `kind`: expected one of {all}")),
            (
                "kind = \"slidingwindow\"",
                format!(
                    "unknown policy kind `slidingwindow`: expected one of {all}; did you mean \
                     `sliding-window`?"
                ),
            ),
            (
                "kind = \"sliding-window\"\nwindw = 3",
                "policy `sliding-window` has no parameter `windw`: expected sinks, window; did you \
                 mean `window`?"
                    .to_owned(),
            ),
            (
                "kind = \"dense\"\nwindow = 3",
                "policy `dense` has no parameter `window`: expected none".to_owned(),
            ),
            (
                "kind = \"sliding-window\"\nwindow = 0",
                "policy `sliding-window`: `window` is 0: expected at least 1, the query's own key"
                    .to_owned(),
            ),
            (
                "kind = \"neighbourhood\"\nrows = 8\ncolumns = 16\nkernel = 9",
                "policy `neighbourhood`: `kernel` is 9: expected an odd number from 1 to 8, the \
                 shorter side of the grid"
                    .to_owned(),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(error(text), expected);
        }
        for (text, part) in [
            ("kind = \"strided\"", "policy `strided`: missing field `stride`"),
            ("kind = \"strided\"\nstride = -1", "for example stride = 32"),
            ("kind = \"strided\"\nstride = \"a\"", "expected u32"),
        ] {
            assert!(error(text).contains(part), "{}", error(text));
        }
    }

    #[test]
    fn parameters_outside_their_ranges_are_refused() {
        for text in [
            "kind = \"strided\"\nstride = 0",
            "kind = \"block\"\nblock = 0\nneighbours = 1",
            "kind = \"neighbourhood\"\nrows = 8\ncolumns = 8\nkernel = 4",
            "kind = \"neighbourhood\"\nrows = 70000\ncolumns = 70000\nkernel = 3",
            "kind = \"threshold\"\nprobability = 1.5",
            "kind = \"threshold\"\nprobability = nan",
            "kind = \"statistical-top-k\"\nk = 0",
            "kind = \"a3\"\niterations_per_key = 0.0\nweight_percent = 5.0",
            "kind = \"a3\"\niterations_per_key = 1e300\nweight_percent = 5.0",
            "kind = \"a3\"\niterations_per_key = 1.0\nweight_percent = 101.0",
            "kind = \"heavy-hitters\"\nheavy = 3\nrecent = 0",
            "kind = \"spatten\"\nvalues = 1.0",
            "kind = \"spatten\"\ntokens = { front = 0.0, start = 0.9, average = 0.1 }",
        ] {
            assert!(read(text).unwrap_err().contains("expected"), "{text}");
        }
        let policy = read("kind = \"spatten\"").unwrap();
        assert!(policy.build(ModelShape { layers: u32::MAX, heads: 1 }).is_err());
    }

    #[test]
    fn inside_a_larger_file_the_error_has_its_place() {
        #[derive(Debug, Deserialize)]
        struct Config {
            #[expect(dead_code, reason = "only its error is looked at")]
            policy: Policy,
        }
        let text = "policy = { kind = \"strided\", strde = 3 }";
        let error = toml::from_str::<Config>(text).unwrap_err().to_string();
        assert!(error.contains("line 1, column 10"), "{error}");
        assert!(error.contains("did you mean `stride`?"), "{error}");
    }
}
