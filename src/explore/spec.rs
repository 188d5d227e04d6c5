//! The description of an exploration, as TOML.

use std::{ops::Range, sync::Arc};

use anyhow::Result;
use attelier_hw::{
    config, designs,
    diagnostic::{Diagnostic, SourceText},
    near::nearest,
};
use attelier_workloads::Knobs;
use serde::Deserialize;
use toml::Spanned;

use super::{
    axis::{Axis, RawAxis},
    expression::Expression,
    report,
    sample::{Budget, Method},
};
use crate::workload;

/// Most points of one exploration.
const MOST_POINTS: usize = 100_000;

/// Names of the ways to choose points.
const METHODS: [&str; 3] = ["grid", "latin-hypercube", "nsga2"];

/// A checked description.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name of the design.
    pub design: String,
    /// Name of the workload; that of the design where none is given.
    pub workload: Option<String>,
    /// What holds for every point, as `--set` takes it.
    pub set: Vec<String>,
    /// What differs between points.
    pub axes: Vec<Axis>,
    /// Which points are visited.
    pub method: Method,
    /// What every point must meet.
    pub constraints: Vec<Sited<Expression>>,
    /// What is to be small or large.
    pub objectives: Vec<Sited<Objective>>,
    origin: Arc<SourceText>,
}

/// A part of a description and where it stands.
#[derive(Debug, Clone)]
pub struct Sited<T> {
    /// The part.
    pub part: T,
    span: Range<usize>,
}

impl<T> Sited<T> {
    /// The place alone.
    pub fn site(&self) -> Sited<()> {
        Sited { part: (), span: self.span.clone() }
    }
}

/// A number that is to be small or large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objective {
    /// How tables and figures call it: a name of its own, or the text of the expression.
    pub name: String,
    /// A number of the result, a parameter, or what is reckoned from them.
    pub value: Expression,
    /// Whether it is to be large.
    pub maximise: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSpec {
    design: Spanned<String>,
    workload: Option<Spanned<String>>,
    #[serde(default)]
    set: Vec<Spanned<String>>,
    method: Option<Spanned<String>>,
    points: Option<Spanned<i64>>,
    population: Option<Spanned<i64>>,
    #[serde(default)]
    axis: Vec<Spanned<RawAxis>>,
    #[serde(default)]
    constraints: Vec<Spanned<String>>,
    objectives: Spanned<Vec<Spanned<RawObjective>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as `{ min = \"cycles\" }`")]
struct RawObjective {
    min: Option<Spanned<String>>,
    max: Option<Spanned<String>>,
    name: Option<String>,
}

/// What parts of a description are checked with.
pub(super) struct Reader<'a> {
    origin: &'a Arc<SourceText>,
    design: &'static designs::Design,
}

impl Spec {
    /// Reads and checks a description.
    ///
    /// # Errors
    /// What is wrong, at its place, with what was expected.
    pub fn read(text: SourceText) -> Result<Self, Diagnostic> {
        let origin = Arc::new(text);
        let raw: RawSpec =
            toml::from_str(&origin.text).map_err(|error| malformed(&origin, &error))?;
        let design = designs::find(raw.design.get_ref())
            .map_err(|fault| moved(fault, &origin, raw.design.span()))?;
        let reader = Reader { origin: &origin, design };
        if let Some(name) = &raw.workload {
            reader.check_workload(name)?;
        }
        for set in &raw.set {
            reader.check_set(set.get_ref(), set.span())?;
        }
        let check = |axis| Axis::check(axis, &reader);
        let axes: Vec<Axis> = raw.axis.into_iter().map(check).collect::<Result<_, _>>()?;
        reader.check_distinct(&axes)?;
        let method = reader.method(raw.method, raw.points, raw.population, &axes)?;
        let constraint = |text: Spanned<String>| {
            let help = "write for example \"key_sram.bytes <= 196608\"";
            reader.expression(text, "this is no condition", help)
        };
        let constraints = raw.constraints.into_iter().map(constraint).collect::<Result<_, _>>()?;
        if raw.objectives.get_ref().is_empty() {
            let help = "write for example `objectives = [{ min = \"cycles\" }]`".to_owned();
            let title = "there is no objective";
            let label = "expected at least one number to be small or large";
            return Err(reader.refuse(raw.objectives.span(), title, label, Some(help)));
        }
        let objective = |raw: Spanned<RawObjective>| {
            let span = raw.span();
            let RawObjective { min, max, name } = raw.into_inner();
            let (text, maximise) = match (min, max) {
                (Some(text), None) => (text, false),
                (None, Some(text)) => (text, true),
                _ => {
                    let title = "an objective needs a direction";
                    return Err(reader.refuse(span, title, "expected `min` or `max`", None));
                }
            };
            let help = "write for example `{ min = \"qk_array.multipliers * 2\" }`";
            let value = reader.expression(text, "this is no number", help)?.part;
            let name = name.unwrap_or_else(|| value.text.clone());
            Ok(Sited { part: Objective { name, value, maximise }, span })
        };
        let objectives = raw.objectives.into_inner().into_iter();
        let objectives = objectives.map(objective).collect::<Result<Vec<_>, _>>()?;
        reader.check_names(&axes, &objectives)?;
        Ok(Self {
            design: design.name.to_owned(),
            workload: raw.workload.map(Spanned::into_inner),
            set: raw.set.into_iter().map(Spanned::into_inner).collect(),
            axes,
            method,
            constraints,
            objectives,
            origin,
        })
    }

    /// Number of values on each axis.
    pub fn lengths(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.values.len()).collect()
    }

    /// What was read.
    pub fn source(&self) -> &SourceText {
        &self.origin
    }

    /// A refusal that points at a part.
    pub fn refuse<T>(
        &self,
        at: &Sited<T>,
        title: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) -> Diagnostic {
        let (title, label) = (title.into(), label.into());
        Diagnostic { title, label, origin: self.origin.clone(), span: at.span.clone(), help }
    }
}

impl Reader<'_> {
    pub(super) fn refuse(
        &self,
        span: Range<usize>,
        title: &str,
        label: &str,
        help: Option<String>,
    ) -> Diagnostic {
        let (title, label) = (title.to_owned(), label.to_owned());
        Diagnostic { title, label, origin: self.origin.clone(), span, help }
    }

    /// Refuses names of objectives that are taken: columns of a table have one meaning each.
    fn check_names(
        &self,
        axes: &[Axis],
        objectives: &[Sited<Objective>],
    ) -> Result<(), Diagnostic> {
        for (place, objective) in objectives.iter().enumerate() {
            let Objective { name, value, .. } = &objective.part;
            let paths = || axes.iter().flat_map(|axis| &axis.paths);
            let is_column = report::FIXED.contains(&name.as_str())
                || report::COLUMNS.contains(&name.as_str())
                || paths().any(|path| path == name);
            let taken = if name != value.text.trim() && is_column {
                "it is the name of another column"
            } else if objectives[..place].iter().any(|other| other.part.name == *name) {
                "another objective has it"
            } else {
                continue;
            };
            let title = format!("the objective cannot be called `{name}`");
            let help = "give it a name of its own: `name = \"...\"`".to_owned();
            return Err(self.refuse(objective.span.clone(), &title, taken, Some(help)));
        }
        Ok(())
    }

    fn expression(
        &self,
        text: Spanned<String>,
        title: &str,
        help: &str,
    ) -> Result<Sited<Expression>, Diagnostic> {
        let span = text.span();
        let part = Expression::read(text.get_ref()).map_err(|fault| {
            // Inside the quotes; escapes before the fault are rare enough to be off by.
            let start = (span.start + 1 + fault.start).min(span.end);
            self.refuse(start..span.end, title, &fault.message, Some(help.to_owned()))
        })?;
        Ok(Sited { part, span })
    }

    fn check_workload(&self, name: &Spanned<String>) -> Result<(), Diagnostic> {
        workload::check_name(name.get_ref()).map_err(|error| {
            self.refuse(name.span(), "there is no such workload", &error.to_string(), None)
        })
    }

    /// Refuses a path that is neither a parameter of the design nor a knob of workloads.
    pub(super) fn check_path(&self, path: &str, span: Range<usize>) -> Result<(), Diagnostic> {
        let knobs = Knobs::NAMES.map(|name| format!("{}{name}", workload::PREFIX));
        if self.design.schema.field(path).is_some() || knobs.iter().any(|knob| knob == path) {
            return Ok(());
        }
        if !path.starts_with(workload::PREFIX) {
            // The loader of configurations knows best what else it can be.
            self.check_set(&format!("{path}=0"), span.clone())?;
        }
        let near = nearest(path, self.design.schema.paths().chain(knobs.clone()));
        Err(self.refuse(
            span,
            &format!("unknown parameter `{path}`"),
            &format!(
                "expected a parameter of `{}`, or one of {}",
                self.design.name,
                knobs.join(", ")
            ),
            near.map(|near| format!("did you mean `{near}`?")),
        ))
    }

    /// Refuses an assignment that is wrong whatever the others are.
    pub(super) fn check_set(&self, set: &str, span: Range<usize>) -> Result<(), Diagnostic> {
        let sets = [set.to_owned()];
        let (knobs, machine) = workload::split_sets(&sets);
        config::load(self.design.name, None, &machine)
            .map_err(|fault| moved(fault, self.origin, span.clone()))?;
        workload::knobs(&knobs, 0).map_err(|error| {
            self.refuse(span, "this knob of the workload is wrong", &error.to_string(), None)
        })?;
        Ok(())
    }

    /// Refuses a parameter on two axes.
    fn check_distinct(&self, axes: &[Axis]) -> Result<(), Diagnostic> {
        let mut paths: Vec<&str> =
            axes.iter().flat_map(|axis| &axis.paths).map(String::as_str).collect();
        paths.sort_unstable();
        let Some(twice) = paths.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
        else {
            return Ok(());
        };
        let start = self.origin.text.rfind(twice).unwrap_or(0);
        let title = format!("`{twice}` is moved twice");
        let help = "name it once; `paths = [...]` lets several parameters move together".to_owned();
        Err(self.refuse(
            start..start + twice.len(),
            &title,
            "expected each parameter once",
            Some(help),
        ))
    }

    fn method(
        &self,
        method: Option<Spanned<String>>,
        points: Option<Spanned<i64>>,
        population: Option<Spanned<i64>>,
        axes: &[Axis],
    ) -> Result<Method, Diagnostic> {
        let name = method.as_ref().map_or("grid", |name| name.get_ref().as_str());
        let span = method.as_ref().map_or(0..0, Spanned::span);
        if let Some(population) = population.as_ref().filter(|_| name != "nsga2") {
            let help = "write `method = \"nsga2\"`, or leave `population` out".to_owned();
            let label = "only a search has generations";
            let title = "`population` has no meaning here";
            return Err(self.refuse(population.span(), title, label, Some(help)));
        }
        let needed = |points: Option<Spanned<i64>>| {
            let help = "write for example `points = 64`".to_owned();
            let title = "a sample needs its size";
            let points = points.ok_or_else(|| {
                self.refuse(span.clone(), title, "expected `points` beside it", Some(help))
            })?;
            self.number("points", &points, 1)
        };
        let method = match (name, points) {
            ("grid", None) => Method::Grid,
            ("grid", Some(points)) => {
                let help = "write `method = \"latin-hypercube\"`, or leave `points` out".to_owned();
                let label = "a grid has as many points as combinations";
                let title = "`points` has no meaning here";
                return Err(self.refuse(points.span(), title, label, Some(help)));
            }
            ("latin-hypercube", points) => Method::LatinHypercube { points: needed(points)? },
            ("nsga2", points) => {
                let points = needed(points)?;
                let population = population.map(|given| self.number("population", &given, 4));
                let population =
                    population.transpose()?.unwrap_or_else(|| usual_population(points));
                Method::Nsga2(Budget { points, population })
            }
            (other, _) => {
                let near = nearest(other, METHODS);
                let help = near.map(|near| format!("did you mean `{near}`?"));
                let title = format!("unknown method `{other}`");
                let label = format!("expected one of {}", METHODS.join(", "));
                return Err(self.refuse(span, &title, &label, help));
            }
        };
        let lengths: Vec<usize> = axes.iter().map(|axis| axis.values.len()).collect();
        if method.count(&lengths).is_none_or(|count| count > MOST_POINTS) {
            let help = "sample it: `method = \"latin-hypercube\"`, or search it: `method = \"nsga2\"`, \
                        and `points = N`";
            let most = format!("expected 1 to {MOST_POINTS} points");
            let title = "the grid has too many points";
            return Err(self.refuse(span, title, &most, Some(help.to_owned())));
        }
        Ok(method)
    }

    /// A number of points, `least` or more.
    fn number(&self, name: &str, given: &Spanned<i64>, least: usize) -> Result<usize, Diagnostic> {
        let number = usize::try_from(*given.get_ref()).ok();
        number.filter(|number| (least..=MOST_POINTS).contains(number)).ok_or_else(|| {
            let label = format!("expected {least} to {MOST_POINTS} points");
            self.refuse(given.span(), &format!("`{name}` is out of range"), &label, None)
        })
    }
}

/// Points of one generation where none is given: a fifth of all. Fewer begin with too little of the space
/// and lose its ends; `tests/explore_search.rs` compares.
fn usual_population(points: usize) -> usize {
    (points / 5).clamp(8, 100)
}

/// The fault of an assignment, pointing at the description that made it.
fn moved(fault: Diagnostic, origin: &Arc<SourceText>, span: Range<usize>) -> Diagnostic {
    Diagnostic { origin: origin.clone(), span, ..fault }
}

/// What the reader of TOML says, with the nearest of the names that it expected.
fn malformed(origin: &Arc<SourceText>, error: &toml::de::Error) -> Diagnostic {
    let message = error.message();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let is_name = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let near = quoted.next().filter(|_| is_name).and_then(|given| nearest(given, quoted));
    Diagnostic {
        title: "this is no description of an exploration".to_owned(),
        label: message.replace("a sequence", "an array").replace("a map", "a table"),
        origin: origin.clone(),
        span: error.span().unwrap_or(0..0),
        help: near.map(|near| format!("did you mean `{near}`?")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_description_is_legal_and_large() {
        let text = include_str!("../../workloads/explore/spatten.toml");
        let spec = Spec::read(SourceText::new("spatten.toml", text)).unwrap();
        assert_eq!(spec.lengths(), [7, 10, 4, 6]);
        assert_eq!(spec.method.count(&spec.lengths()), Some(1_680));
    }

    #[test]
    fn linked_parameters_may_have_values_of_their_own() {
        let text = "design = 'spatten'\nobjectives = [{ min = 'cycles' }]\n[[axis]]\n\
                    paths = ['topk_value.parallelism', 'memory.kind']\n\
                    values = [[8, 'ideal'], [16, 'hbm2']]";
        let spec = Spec::read(SourceText::new("linked", text)).unwrap();
        assert_eq!(spec.axes[0].values, [["8", "ideal"], ["16", "hbm2"]]);
    }
}
