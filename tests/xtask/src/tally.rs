//! Counts tests from the summary lines of `cargo nextest run` and `cargo test`.

use std::ops::AddAssign;

/// Tests by outcome.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed, timed out or could not be started.
    pub failed: u64,
    /// Tests that were not run.
    pub skipped: u64,
}

impl Tally {
    /// Counts of one line of output; nothing unless it is a summary line.
    pub fn of_line(line: &str) -> Tally {
        let line = without_escapes(line);
        let mut tally = Tally::default();
        // Nextest indents what a failed test printed, which holds a `test result` of its own.
        if !line.trim_start().starts_with("Summary [") && !line.starts_with("test result: ") {
            return tally;
        }
        for part in line.split([',', ';', ':', '.', '(', ')']) {
            let Some((count, outcome)) = part.trim().split_once(' ') else { continue };
            let Ok(count) = count.parse::<u64>() else { continue };
            match outcome.trim() {
                "passed" => tally.passed += count,
                "failed" | "timed out" | "exec failed" => tally.failed += count,
                "skipped" | "ignored" => tally.skipped += count,
                _ => {}
            }
        }
        tally
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The line without terminal colours, which some environments force.
fn without_escapes(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        text.push_str(before);
        rest = after.split_once('m').map_or("", |(_, tail)| tail);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, passed: u64, failed: u64, skipped: u64) {
        assert_eq!(Tally::of_line(line), Tally { passed, failed, skipped });
    }

    #[test]
    fn reads_nextest_summaries() {
        check("     Summary [   0.005s] 3 tests run: 3 passed, 0 skipped", 3, 0, 0);
        check(
            "     Summary [   1.5s] 9 tests run: 5 passed (1 slow), 4 failed, 2 skipped",
            5,
            4,
            2,
        );
        check("     Summary [ 1s] 4/9 tests run: 1 passed, 2 timed out, 1 exec failed", 1, 3, 0);
        check("\u{1b}[32m     Summary\u{1b}[0m [ 1s] 1 test run: 1 passed, 0 skipped", 1, 0, 0);
    }

    #[test]
    fn reads_libtest_summaries() {
        let line = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        check(line, 12, 0, 1);
        check("test result: FAILED. 1 passed; 2 failed; 0 ignored; finished in 0.00s", 1, 2, 0);
    }

    #[test]
    fn ignores_lines_that_only_mention_tests() {
        check("test tally::reads_summaries ... ok", 0, 0, 0);
        check("error: 3 passed, 1 failed", 0, 0, 0);
        check("    test result: FAILED. 0 passed; 1 failed; 0 ignored", 0, 0, 0);
    }
}
