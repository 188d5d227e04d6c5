//! Exit codes: 0 all is well, 1 a check failed, 2 bad input. Usage errors are bad input too.

use std::{
    io::{Write, stderr},
    process::ExitCode,
};

/// What a command that ran to its end found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to object to.
    Passed,
    /// A comparison with a reference failed; the command has said which.
    CheckFailed,
}

/// The exit code of a command, after its error has been shown.
pub fn code(outcome: anyhow::Result<Verdict>) -> ExitCode {
    match outcome {
        Ok(Verdict::Passed) => ExitCode::SUCCESS,
        Ok(Verdict::CheckFailed) => ExitCode::from(1),
        Err(error) => {
            // With stderr closed there is nobody to tell; the exit code still says it.
            let _ = writeln!(stderr(), "{}", message(&error));
            ExitCode::from(2)
        }
    }
}

/// The error with its causes, on one line unless it brings its own layout.
fn message(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    if text.starts_with("error") { text } else { format!("error: {text}") }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn a_message_names_the_causes_and_keeps_a_ready_layout() {
        let plain = Err::<(), _>(anyhow!("no such preset")).context("cannot load");
        assert_eq!(message(&plain.unwrap_err()), "error: cannot load: no such preset");
        let ready = anyhow!("error: unknown design\n --> command line");
        assert_eq!(message(&ready), "error: unknown design\n --> command line");
    }

    #[test]
    fn codes_are_as_documented() {
        let is = |outcome, expected: u8| {
            assert_eq!(format!("{:?}", code(outcome)), format!("{:?}", ExitCode::from(expected)));
        };
        is(Ok(Verdict::Passed), 0);
        is(Ok(Verdict::CheckFailed), 1);
        is(Err(anyhow!("bad input")), 2);
    }
}
