//! The page: prose with places for tables.

use super::rows::Table;

const BEGIN: &str = "<!-- attelier reproduce ";
const END: &str = "<!-- end -->";

/// The page with every table in its place.
///
/// # Errors
/// A place without a figure, one that does not end, and a figure without a place or with two.
pub fn fill(page: &str, tables: &[Table]) -> Result<String, String> {
    let mut filled = String::new();
    let mut places: Vec<&str> = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        filled.push_str(line);
        filled.push('\n');
        let Some(name) = line.strip_prefix(BEGIN) else { continue };
        let name = name.trim_end_matches("-->").trim();
        let table = tables.iter().find(|table| table.name == name);
        let table = table
            .ok_or_else(|| format!("the page has a place for `{name}`, which is no figure"))?;
        if places.contains(&name) {
            return Err(format!("the page has two places for `{name}`"));
        }
        places.push(name);
        if !lines.by_ref().any(|line| line == END) {
            return Err(format!("the place for `{name}` does not end: expected `{END}`"));
        }
        filled.push_str(&format!("\n{}\n{END}\n", table.markdown()));
    }
    match tables.iter().find(|table| !places.contains(&table.name.as_str())) {
        Some(missing) => Err(format!(
            "the page has no place for `{0}`: expected `{BEGIN}{0} -->` and `{END}`",
            missing.name
        )),
        None => Ok(filled),
    }
}

/// Lines of one page that the other has not, under the place that they stand in.
pub fn difference(shown: &str, fresh: &str) -> String {
    let mut text = String::new();
    for ((place, old), (_, new)) in places(shown).into_iter().zip(places(fresh)) {
        let only = |mark: char, lines: &[&str], others: &[&str]| -> String {
            let lines = lines.iter().filter(|line| !others.contains(line));
            lines.map(|line| format!("{mark} {line}\n")).collect()
        };
        let lines = only('-', &old, &new) + &only('+', &new, &old);
        if !lines.is_empty() {
            text += &format!("{place}\n{lines}");
        } else if old != new {
            text += &format!("{place}\n  the same lines in another order\n");
        }
    }
    text
}

/// What stands in each place.
fn places(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut places = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.starts_with(BEGIN) {
            places.push((line, lines.by_ref().take_while(|line| *line != END).collect()));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "# Page\n\nProse.\n\n<!-- attelier reproduce p fig1 -->\nold\n<!-- end -->\n\nMore.\n";

    fn table(ours: &str) -> Table {
        let text = format!(
            "paper,item,published,ours,unit,deviation,verdict,note,why,summary\nP,total,2,{ours},W,0,within 10 %,,,\n"
        );
        Table::read("p", "fig1", &text).unwrap()
    }

    #[test]
    fn tables_stand_in_their_place_and_prose_stays() {
        let filled = fill(PAGE, &[table("2")]).unwrap();
        assert!(
            filled.starts_with("# Page\n\nProse.\n") && filled.ends_with("<!-- end -->\n\nMore.\n")
        );
        assert!(filled.contains("| total | 2 | 2 | W |") && !filled.contains("old"), "{filled}");
        assert_eq!(fill(&filled, &[table("2")]).unwrap(), filled);
    }

    #[test]
    fn places_and_figures_must_meet() {
        let refused = |page: &str| fill(page, &[table("2")]).unwrap_err();
        assert!(refused("no place\n").contains("no place for `p fig1`"));
        assert!(refused(&PAGE.replace("fig1", "fig2")).contains("`p fig2`, which is no figure"));
        assert!(refused(&(PAGE.to_owned() + PAGE)).contains("two places"));
        assert!(refused(&PAGE.replace("<!-- end -->", "")).contains("does not end"));
    }

    #[test]
    fn a_difference_names_the_place_and_the_rows() {
        let [old, new] = ["2", "3"].map(|ours| fill(PAGE, &[table(ours)]).unwrap());
        assert_eq!(difference(&old, &old), "");
        let expected = "<!-- attelier reproduce p fig1 -->\n- | total | 2 | 2 | W | +0 % | within 10 % |\n\
                        + | total | 2 | 3 | W | +0 % | within 10 % |\n";
        assert_eq!(difference(&old, &new), expected);
    }
}
