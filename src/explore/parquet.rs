//! Points as an Apache Parquet table: the columns of `points.csv`, with types.
//!
//! A parameter is a column of whole numbers or of numbers where all values of its axis are, and of texts
//! otherwise; results are numbers, null where they are not known. Rows are written in groups, so that
//! memory does not grow with their number.

use std::{io::Write, sync::Arc};

use anyhow::{Context, Result};
use parquet::{
    basic::{ConvertedType, Repetition, Type as Physical},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::{Type, TypePtr},
};
use serde_json::Value;

use super::{
    expression::lookup,
    report::{Row, axis_paths, objectives, usual_results},
    spec::Spec,
};

/// Rows of one group.
const GROUP: usize = 4096;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Number,
    Flag,
    Text,
}

/// Where the cells of a column come from.
enum Source<'a> {
    Point,
    Axis(&'a str),
    Status,
    Front,
    Objective(&'a str),
    Result(&'static str),
    Reason,
    Command,
}

struct Column<'a> {
    name: &'a str,
    kind: Kind,
    source: Source<'a>,
    cells: Vec<Value>,
}

/// Writes rows as a table.
///
/// # Errors
/// A row that cannot be read; a file that cannot be written.
pub fn write<'a>(
    spec: &Spec,
    rows: impl Iterator<Item = Result<Row<'a>>>,
    to: impl Write + Send,
) -> Result<()> {
    let mut columns = columns(spec);
    let mut writer = SerializedFileWriter::new(to, schema(&columns)?, properties())?;
    let mut waiting = 0;
    for row in rows {
        let row = row?;
        for column in &mut columns {
            column.cells.push(column.source.cell(&row)?);
        }
        waiting += 1;
        if waiting == GROUP {
            flush(&mut writer, &mut columns)?;
            waiting = 0;
        }
    }
    if waiting > 0 {
        flush(&mut writer, &mut columns)?;
    }
    writer.close()?;
    Ok(())
}

fn columns(spec: &Spec) -> Vec<Column<'_>> {
    let column = |name, kind, source| Column { name, kind, source, cells: Vec::new() };
    let mut columns = vec![column("point", Kind::Whole, Source::Point)];
    for path in axis_paths(spec) {
        columns.push(column(path, axis_kind(spec, path), Source::Axis(path)));
    }
    columns.push(column("status", Kind::Text, Source::Status));
    columns.push(column("front", Kind::Flag, Source::Front));
    for objective in objectives(spec) {
        columns.push(column(&objective.name, Kind::Number, Source::Objective(&objective.name)));
    }
    for name in usual_results(spec) {
        columns.push(column(name, Kind::Number, Source::Result(name)));
    }
    columns.push(column("reason", Kind::Text, Source::Reason));
    columns.push(column("command", Kind::Text, Source::Command));
    columns
}

/// What all values of a parameter on its axis are.
fn axis_kind(spec: &Spec, path: &str) -> Kind {
    let values = spec.axes.iter().flat_map(|axis| {
        let place = axis.paths.iter().position(|other| other == path);
        axis.values.iter().filter_map(move |step| step.get(place?))
    });
    if values.clone().all(|value| value.parse::<i64>().is_ok()) {
        Kind::Whole
    } else if values.clone().all(|value| value.parse::<f64>().is_ok()) {
        Kind::Number
    } else {
        Kind::Text
    }
}

impl Source<'_> {
    fn cell(&self, row: &Row<'_>) -> Result<Value> {
        Ok(match self {
            Self::Point => row.point.into(),
            Self::Axis(path) => row.set.get(*path).cloned().unwrap_or_default(),
            Self::Status => serde_json::to_value(row.status)?,
            Self::Front => row.front.into(),
            Self::Objective(name) => {
                row.objectives.get(*name).map(|goal| goal.value().clone()).unwrap_or_default()
            }
            Self::Result(name) => {
                let result = row.result.as_ref();
                result.and_then(|result| lookup(result, name)).cloned().unwrap_or_default()
            }
            Self::Reason => row.reason.into(),
            Self::Command => row.command.as_str().into(),
        })
    }
}

fn schema(columns: &[Column<'_>]) -> Result<TypePtr> {
    let field = |column: &Column<'_>| {
        let (physical, converted) = match column.kind {
            Kind::Whole => (Physical::INT64, ConvertedType::NONE),
            Kind::Number => (Physical::DOUBLE, ConvertedType::NONE),
            Kind::Flag => (Physical::BOOLEAN, ConvertedType::NONE),
            Kind::Text => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
        };
        Type::primitive_type_builder(column.name, physical)
            .with_converted_type(converted)
            .with_repetition(Repetition::OPTIONAL)
            .build()
            .map(Arc::new)
    };
    let fields = columns.iter().map(field).collect::<Result<_, _>>()?;
    Ok(Arc::new(Type::group_type_builder("points").with_fields(fields).build()?))
}

/// The name of the writer without its version: the same points give the same bytes.
fn properties() -> Arc<WriterProperties> {
    Arc::new(WriterProperties::builder().set_created_by("attelier".to_owned()).build())
}

fn flush<W: Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    columns: &mut [Column<'_>],
) -> Result<()> {
    let mut group = writer.next_row_group()?;
    for column in columns {
        let mut to = group.next_column()?.context("the schema has a column for each of ours")?;
        let cells = std::mem::take(&mut column.cells);
        let levels: Vec<i16> = cells.iter().map(|cell| i16::from(!cell.is_null())).collect();
        let known = cells.iter().filter(|cell| !cell.is_null());
        let levels = Some(&levels[..]);
        match to.untyped() {
            ColumnWriter::Int64ColumnWriter(to) => {
                to.write_batch(&known.filter_map(whole).collect::<Vec<_>>(), levels, None)?
            }
            ColumnWriter::DoubleColumnWriter(to) => {
                to.write_batch(&known.filter_map(number).collect::<Vec<_>>(), levels, None)?
            }
            ColumnWriter::BoolColumnWriter(to) => {
                to.write_batch(&known.filter_map(Value::as_bool).collect::<Vec<_>>(), levels, None)?
            }
            ColumnWriter::ByteArrayColumnWriter(to) => {
                let text = |cell: &Value| ByteArray::from(cell.as_str().unwrap_or_default());
                to.write_batch(&known.map(text).collect::<Vec<_>>(), levels, None)?
            }
            _ => anyhow::bail!("`{}` has a type that no column of ours has", column.name),
        };
        to.close()?;
    }
    group.close()?;
    Ok(())
}

/// A value of an axis is a text that holds a number.
fn whole(cell: &Value) -> Option<i64> {
    cell.as_i64().or_else(|| cell.as_str()?.parse().ok())
}

fn number(cell: &Value) -> Option<f64> {
    cell.as_f64().or_else(|| cell.as_str()?.parse().ok())
}
