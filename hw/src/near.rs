//! Near misses: the name a user probably meant.

/// Longest name compared; longer ones are nobody's typing error.
const MAX_NAME: usize = 64;

/// The candidate nearest to `given`, if it is near enough to be a typing error.
///
/// A path that lacks its section or the end of its name (`parallelism` or `topk.parallelism` for
/// `topk_value.parallelism`) counts as near.
/// The first of equally near candidates wins.
pub fn nearest<I>(given: &str, candidates: I) -> Option<String>
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    if given.is_empty() || given.len() > MAX_NAME {
        return None;
    }
    let lower = given.to_lowercase();
    let tolerance = (lower.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(Into::into)
        .map(|candidate: String| (distance(&lower, &candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn distance(given: &str, candidate: &str) -> usize {
    let whole = strsim::damerau_levenshtein(given, candidate);
    // One more than the spelling alone: a full path that fits goes first.
    let partial = match (given.rsplit_once('.'), candidate.rsplit_once('.')) {
        (None, Some((_, key))) => 1 + strsim::damerau_levenshtein(given, key),
        (Some((start, key)), Some((section, known))) if section.starts_with(start) => {
            1 + strsim::damerau_levenshtein(key, known)
        }
        _ => whole,
    };
    whole.min(partial)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: [&str; 4] =
        ["clock_hz", "memory.channels", "topk_value.parallelism", "topk_token.parallelism"];

    #[test]
    fn a_typing_error_finds_its_path() {
        assert_eq!(nearest("memory.chanels", PATHS).as_deref(), Some("memory.channels"));
        assert_eq!(nearest("Clock_Hz", PATHS).as_deref(), Some("clock_hz"));
    }

    #[test]
    fn a_missing_or_cut_section_finds_the_first_path_with_that_key() {
        assert_eq!(nearest("parallelism", PATHS).as_deref(), Some("topk_value.parallelism"));
        assert_eq!(nearest("topk.paralelism", PATHS).as_deref(), Some("topk_value.parallelism"));
        assert_eq!(nearest("mem.channels", PATHS).as_deref(), Some("memory.channels"));
    }

    #[test]
    fn a_foreign_name_finds_nothing() {
        assert_eq!(nearest("colour", PATHS), None);
        assert_eq!(nearest("", PATHS), None);
        assert_eq!(nearest(&"channels".repeat(100), PATHS), None);
    }
}
