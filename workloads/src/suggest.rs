//! "Did you mean": the known name closest to one that was not recognised.

/// The candidate nearest to `name`, if it is near enough to be a slip of the fingers.
///
/// Distance is Damerau-Levenshtein, ignoring case; up to a third of the longer name may differ.
/// Ties go to the first candidate.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance is quadratic: a name of a megabyte has no near miss worth the wait.
    const LONGEST: usize = 100;
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    let wanted = name.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase());
        let allowed = wanted.chars().count().max(candidate.chars().count()).div_ceil(3);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_finds_none() {
        let names = ["keys", "values", "queries"];
        assert_eq!(nearest("kyes", names), Some("keys"));
        assert_eq!(nearest("Value", names), Some("values"));
        assert_eq!(nearest("temperature", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest(&"keys".repeat(1000), names), None);
    }
}
