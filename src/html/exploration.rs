//! An exploration on the page: what its script needs to draw it.

use attelier_hw::designs;
use serde_json::{Value, json};

use super::block::{Block, Cell, Fact, Table};
use crate::{
    cli::Overrides,
    documents::{
        exploration::{Column, Exploration},
        parameters, quantity,
    },
    machines,
    table::grouped,
};

/// Results that are worth an axis, the usual ones first.
const USUAL: [&str; 9] = [
    "cycles",
    "seconds",
    "energy_j.total",
    "power_w",
    "area_mm2",
    "throughput.dense_ops_per_s",
    "throughput.executed_ops_per_s",
    "traffic.total_bytes",
    "dram.row_hit_rate",
];

/// Parts of the names of numbers that are to be large.
const LARGE: [&str; 5] = ["per_s", "utilisation", "hit_rate", "cosine", "same_prediction"];

/// What became of points, in the order of interest.
const STATUS: [(&str, &str); 4] = [
    ("ok", "Meet all constraints"),
    ("infeasible", "Break one by their result"),
    ("excluded", "Break one, not simulated"),
    ("failed", "Could not be simulated"),
];

/// Heading of its section.
pub fn title(points: &Exploration) -> String {
    match (points.shared("design"), points.shared("workload")) {
        (Some(design), Some(workload)) => format!("Exploration of {design} on {workload}"),
        _ => "Exploration".to_owned(),
    }
}

/// Its parts; `place` is that of its data on the page.
pub fn blocks(points: &Exploration, place: usize) -> Vec<Block> {
    let mut facts = vec![Fact::new("Points", grouped(points.len() as u64))];
    for (status, words) in STATUS {
        let count = points.count(status);
        if count > 0 {
            facts.push(Fact::new(words, grouped(count as u64)));
        }
    }
    facts.push(Fact::new("On the Pareto front", grouped(points.front.len() as u64)));
    facts.extend(points.about.get("command").map(|command| Fact::code("Command", command)));
    let version = points.shared("version").or_else(|| points.about.get("version").cloned());
    facts.extend(version.map(|version| Fact::new("Version", version)));
    facts.extend(points.shared("workload_hash").map(|hash| Fact::code("Requests", hash)));
    let summary = Block::Facts { title: "Summary".to_owned(), rows: facts };
    let mut blocks = vec![summary, Block::Exploration { place }];
    blocks.extend(axes(points));
    blocks
}

/// The points by column, the numbers that can be an axis, and the two to begin with.
pub fn data(points: &Exploration, file: &str) -> Value {
    let choices: Vec<(&str, &Column)> = choices(points);
    let chosen = chosen(points, &choices);
    let choice = |(name, _): &(&str, _)| json!({ "name": name, "larger": is_large(points, name) });
    let choices: Vec<Value> = choices.iter().map(choice).collect();
    let units: serde_json::Map<String, Value> = points
        .result
        .keys()
        .map(|name| (name.clone(), quantity::unit(name)))
        .filter(|(_, unit)| !unit.is_empty())
        .map(|(name, unit)| (name, unit.into()))
        .collect();
    let mut data = points.compact();
    data["file"] = file.into();
    data["choices"] = choices.into();
    data["chosen"] = json!(chosen);
    data["units"] = units.into();
    data
}

/// Whether a number is to be large: as the objective says, or else by its name.
fn is_large(points: &Exploration, name: &str) -> bool {
    let by_name = || LARGE.iter().any(|part| name.contains(part));
    points.objectives.get(name).map_or_else(by_name, |(_, large)| *large)
}

/// Numbers that differ between points: objectives, the usual results, the axes, all other results.
fn choices(points: &Exploration) -> Vec<(&str, &Column)> {
    let objectives = points.objectives.iter().map(|(name, (column, _))| (name, column));
    let usual = USUAL.iter().filter_map(|name| points.result.get_key_value(*name));
    let others = points.result.iter().filter(|(name, _)| !USUAL.contains(&name.as_str()));
    let all = objectives.chain(usual).chain(&points.set).chain(others);
    let differs = |column: &Column| {
        let mut numbers = (0..points.len()).filter_map(|place| column.get(place).as_f64());
        let first = numbers.next();
        numbers.any(|number| Some(number) != first)
    };
    let mut choices: Vec<(&str, &Column)> = Vec::new();
    for (name, column) in all {
        if differs(column) && !choices.iter().any(|(known, _)| known == name) {
            choices.push((name, column));
        }
    }
    choices
}

/// The first two objectives; of a table, which does not name them, the two numbers whose own front agrees
/// best with that of the exploration.
fn chosen(points: &Exploration, choices: &[(&str, &Column)]) -> Option<[String; 2]> {
    let known = |(name, _): &&(&str, &Column)| points.objectives.contains_key(*name);
    let objectives: Vec<String> =
        choices.iter().filter(known).map(|(name, _)| (*name).to_owned()).collect();
    if let [x, y, ..] = &objectives[..] {
        return Some([x.clone(), y.clone()]);
    }
    /// Candidates beyond these are no likely objectives.
    const LIKELY: usize = 16;
    let likely = &choices[..choices.len().min(LIKELY)];
    let mut best: Option<(usize, [String; 2])> = None;
    for (place, x) in likely.iter().enumerate() {
        for y in &likely[place + 1..] {
            let own = staircase(points, *x, *y);
            let shared = own.iter().filter(|p| points.front.binary_search(p).is_ok()).count();
            let differing = own.len() + points.front.len() - 2 * shared;
            if best.as_ref().is_none_or(|(least, _)| differing < *least) {
                best = Some((differing, [x.0.to_owned(), y.0.to_owned()]));
            }
        }
    }
    best.map(|(_, names)| names)
}

/// Places of the points that no other beats in both numbers, ascending.
fn staircase(points: &Exploration, x: (&str, &Column), y: (&str, &Column)) -> Vec<usize> {
    let cost = |(name, column): (&str, &Column), place: usize| {
        let number = column.get(place).as_f64()?;
        Some(if is_large(points, name) { -number } else { number })
    };
    let good = (0..points.len()).filter(|place| points.status.get(*place) == "ok");
    let mut costs: Vec<(f64, f64, usize)> =
        good.filter_map(|place| Some((cost(x, place)?, cost(y, place)?, place))).collect();
    costs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut front: Vec<(f64, f64, usize)> = Vec::new();
    for point in costs {
        let equal = front.last().is_some_and(|last| (last.0, last.1) == (point.0, point.1));
        if equal || front.last().is_none_or(|last| point.1 < last.1) {
            front.push(point);
        }
    }
    let mut places: Vec<usize> = front.into_iter().map(|(_, _, place)| place).collect();
    places.sort_unstable();
    places
}

/// Parameters that differ between points, with their values, units and sources.
fn axes(points: &Exploration) -> Option<Block> {
    /// Values of an axis that are told one by one.
    const MOST_VALUES: usize = 24;
    let known = points.shared("design").filter(|design| designs::find(design).is_ok());
    let known = known.and_then(|design| machines::load(&design, &Overrides::default()).ok());
    let known = known.map(|loaded| parameters::read(&loaded.machine.show(&loaded.config)));
    let rows = points.set.iter().map(|(name, column)| {
        let mut values: Vec<&Value> = Vec::new();
        for place in 0..points.len() {
            let value = column.get(place);
            if !value.is_null() && values.len() <= MOST_VALUES && !values.contains(&value) {
                values.push(value);
            }
        }
        let mut words: Vec<String> = values.iter().take(MOST_VALUES).map(|v| word(v)).collect();
        if values.len() > MOST_VALUES {
            words.push("…".to_owned());
        }
        let parameter = known.iter().flatten().find(|parameter| parameter.path == *name);
        let [published, unit, source] = parameter.map_or_else(Default::default, |parameter| {
            [&parameter.value, &parameter.unit, &parameter.source].map(Clone::clone)
        });
        vec![
            Cell::text(name),
            Cell::text(words.join(", ")),
            Cell::text(published),
            Cell::text(unit),
            Cell::text(source),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let table = Table::new("Axes").text("parameter").text("values").text("preset");
    table.text("unit").text("source of the preset").rows(rows).block()
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_begins_with_the_numbers_that_were_explored() {
        // Cycles against the size of a buffer; energy follows the cycles.
        let rows = [(9, 1), (7, 2), (8, 3), (4, 4), (4, 5)].map(|(cycles, bytes)| {
            let front = [9, 7].contains(&cycles) || bytes == 4;
            let result = json!({"cycles": cycles, "energy_j": {"total": 0.5 * f64::from(cycles)},
                                "power_w": f64::from(bytes * 7 % 5)});
            json!({"point": bytes, "set": {"sram.bytes": bytes.to_string()}, "status": "ok",
                   "front": front, "command": "c", "result": result})
            .to_string()
        });
        let points = Exploration::from_lines(rows.join("\n").as_bytes()).unwrap();
        let choices = choices(&points);
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["cycles", "energy_j.total", "power_w", "sram.bytes"]);
        assert_eq!(staircase(&points, choices[0], choices[3]), [0, 1, 3]);
        assert_eq!(chosen(&points, &choices), Some(["cycles", "sram.bytes"].map(str::to_owned)));

        let named = rows.map(|row| {
            let mut row: Value = serde_json::from_str(&row).unwrap();
            let power = row["result"]["power_w"].clone();
            row["objectives"] =
                json!({"power": {"max": power}, "cycles": {"min": row["result"]["cycles"]}});
            row.to_string()
        });
        let points = Exploration::from_lines(named.join("\n").as_bytes()).unwrap();
        let data = data(&points, "points.jsonl");
        assert_eq!(data["chosen"], json!(["cycles", "power"]));
        assert_eq!(data["choices"][1], json!({"name": "power", "larger": true}));
    }
}
