//! Programs that tests call, and the Debian packages they come in.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

/// A program from outside the Rust toolchain.
struct Package {
    /// Executable looked up in `PATH`.
    program: &'static str,
    /// Debian package that holds it.
    debian: &'static str,
    /// Why a test calls it.
    purpose: &'static str,
}

/// Every such program; a test that needs another adds a line.
const PACKAGES: &[Package] = &[
    Package { program: "python3", debian: "python3", purpose: "second reader of JSON outputs" },
    Package { program: "verilator", debian: "verilator", purpose: "lint and run Verilog" },
    Package { program: "g++", debian: "g++", purpose: "build what Verilator writes" },
    Package { program: "make", debian: "make", purpose: "build what Verilator writes" },
    Package { program: "iverilog", debian: "iverilog", purpose: "run Verilog with four states" },
    Package { program: "yosys", debian: "yosys", purpose: "proofs and synthesis of Verilog" },
    Package { program: "munged", debian: "munge", purpose: "credentials of Slurm" },
    Package { program: "slurmctld", debian: "slurmctld", purpose: "explore as a job array" },
    Package { program: "slurmd", debian: "slurmd", purpose: "explore as a job array" },
    Package { program: "sbatch", debian: "slurm-client", purpose: "explore as a job array" },
    Package { program: "chromium", debian: "chromium", purpose: "look at pages as a reader does" },
    Package { program: "groff", debian: "groff-base", purpose: "read the manual pages" },
];

/// Installs what is missing when run as root with `apt-get` at hand, and names what stays missing.
///
/// Returns whether all is present.
pub fn provide() -> bool {
    if missing().is_empty() {
        return true;
    }
    if can_install() {
        let names: Vec<&str> = missing().iter().map(|package| package.debian).collect();
        install(&names);
    }
    for package in missing() {
        println!(
            "missing  {} ({}): apt-get install {}",
            package.program, package.purpose, package.debian
        );
    }
    missing().is_empty()
}

fn missing() -> Vec<&'static Package> {
    PACKAGES.iter().filter(|package| !is_in_path(package.program)).collect()
}

/// Whether [`install`] can work: run as root with `apt-get` at hand.
pub fn can_install() -> bool {
    is_root() && is_in_path("apt-get")
}

/// Installs Debian packages.
pub fn install(names: &[&str]) {
    let apt_get = |args: &[&str]| {
        Command::new("apt-get")
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    println!("install  {}", names.join(" "));
    let wanted = [&["install", "--yes", "--no-install-recommends"], names].concat();
    // Package lists are often absent in a container: fetch them only then.
    if !apt_get(&wanted) && apt_get(&["update"]) {
        apt_get(&wanted);
    }
}

fn is_in_path(program: &str) -> bool {
    let Some(path) = env::var_os("PATH") else { return false };
    env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
