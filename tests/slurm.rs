//! A sweep as a job array of a real Slurm, on loopback and in a folder of its own: a task is killed,
//! only its shard is submitted again, and what is merged equals a sweep on this machine.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use common::{absent, has, stdout};

/// 64 points in 16 shards, none of which is done before the others are looked at.
const SPEC: &str = r#"
design = "spatten-small"
set = ["workload.tokens=4"]
objectives = [{ min = "cycles" }, { min = "key_sram.bytes" }]

[[axis]]
paths = ["key_sram.bytes", "value_sram.bytes"]
values = [3072, 6144, 9216, 12288]

[[axis]]
paths = ["topk_value.parallelism", "topk_token.parallelism"]
powers_of_two = { from = 1, to = 8 }

[[axis]]
path = "workload.seed"
range = { from = 1, to = 4 }
"#;

const SHARDS: usize = 16;

/// How long the scheduler may take for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// A cluster of one node.
struct Cluster {
    folder: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Option<Self> {
        let programs = ["munged", "slurmctld", "slurmd", "sbatch"];
        if !programs.into_iter().all(has) {
            return None;
        }
        let id = Command::new("id").arg("-u").output().unwrap();
        if id.stdout.trim_ascii() != b"0" {
            absent("root, who may start Slurm's daemons,");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        // The daemon of credentials refuses a folder that others may write to.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let cluster = Self { folder };
        let key = cluster.path("munge.key");
        fs::write(&key, [7; 64]).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(cluster.path("slurm.conf"), cluster.configuration()).unwrap();
        for name in ["state", "spool"] {
            fs::create_dir(cluster.path(name)).unwrap();
        }
        let option = |name: &str, file: &str| format!("--{name}={}", cluster.path(file).display());
        let daemon = |program: &str, args: &[String]| {
            let status = Command::new(program).args(args).status().unwrap();
            assert!(status.success(), "{program} does not start: {}", cluster.logs());
        };
        daemon(
            "munged",
            &[
                option("key-file", "munge.key"),
                option("socket", "munge.socket"),
                option("pid-file", "munged.pid"),
                option("log-file", "munged.log"),
                option("seed-file", "munge.seed"),
            ],
        );
        let file = ["-f".to_owned(), cluster.path("slurm.conf").display().to_string()];
        daemon("slurmctld", &file);
        daemon("slurmd", &file);
        cluster
            .wait("the node to be idle", || cluster.says("sinfo", &["-h", "-o", "%T"]) == "idle");
        Some(cluster)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configuration(&self) -> String {
        let host = Command::new("hostname").arg("-s").output().unwrap();
        let host = String::from_utf8(host.stdout).unwrap();
        let host = host.trim();
        let folder = self.folder.path().display();
        // Both are free now; nobody else here asks for ports of that range.
        let port = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (control, node) = (port(), port());
        let (control, node) =
            (control.local_addr().unwrap().port(), node.local_addr().unwrap().port());
        format!(
            "ClusterName=attelier\n\
             SlurmctldHost={host}(127.0.0.1)\n\
             SlurmUser=root\n\
             SlurmdUser=root\n\
             CommunicationParameters=NoInAddrAny,NoCtldInAddrAny\n\
             AuthType=auth/munge\n\
             AuthInfo=socket={folder}/munge.socket\n\
             SlurmctldPort={control}\n\
             SlurmdPort={node}\n\
             StateSaveLocation={folder}/state\n\
             SlurmdSpoolDir={folder}/spool\n\
             SlurmctldPidFile={folder}/slurmctld.pid\n\
             SlurmdPidFile={folder}/slurmd.pid\n\
             SlurmctldLogFile={folder}/slurmctld.log\n\
             SlurmdLogFile={folder}/slurmd.log\n\
             ProctrackType=proctrack/linuxproc\n\
             TaskPlugin=task/none\n\
             JobAcctGatherType=jobacct_gather/none\n\
             AccountingStorageType=accounting_storage/none\n\
             JobCompType=jobcomp/filetxt\n\
             JobCompLoc={folder}/completed.txt\n\
             SelectType=select/cons_tres\n\
             SelectTypeParameters=CR_Core\n\
             ReturnToService=2\n\
             MpiDefault=none\n\
             SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,bf_interval=1,sched_interval=1\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN\n\
             PartitionName=all Nodes={host} Default=YES State=UP MaxTime=INFINITE\n"
        )
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env("SLURM_CONF", self.path("slurm.conf"));
        command
    }

    fn output(&self, program: &str, args: &[&str]) -> Output {
        self.command(program).args(args).output().unwrap()
    }

    fn says(&self, program: &str, args: &[&str]) -> String {
        String::from_utf8(self.output(program, args).stdout).unwrap().trim().to_owned()
    }

    fn attelier(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        let program = assert_cmd::cargo::cargo_bin!("attelier");
        assert_cmd::assert::Assert::new(self.command(program).args(args).output().unwrap())
    }

    #[track_caller]
    fn wait(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}: {}", self.logs());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn logs(&self) -> String {
        let names = ["munged.log", "slurmctld.log", "slurmd.log"];
        names.map(|name| fs::read_to_string(self.path(name)).unwrap_or_default()).join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.output("scancel", &["--state=PENDING"]);
        self.output("scontrol", &["shutdown"]);
        if let Ok(id) = fs::read_to_string(self.path("munged.pid")) {
            self.output("kill", &[id.trim()]);
        }
        // The folder must not vanish under daemons that are still ending.
        for name in ["slurmctld.pid", "slurmd.pid", "munged.pid"] {
            let start = Instant::now();
            while self.path(name).exists() && start.elapsed() < Duration::from_secs(10) {
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_killed_task_is_submitted_again_and_the_merge_equals_a_local_sweep() {
    let Some(cluster) = Cluster::start() else { return };
    fs::write(cluster.path("spec.toml"), SPEC).unwrap();
    cluster.attelier(&["explore", "spec.toml", "-o", "local"]).code(0);

    let shards = SHARDS.to_string();
    cluster.attelier(&["explore", "plan", "spec.toml", "-o", "plan"]).code(0);
    let submit = ["explore", "submit", "plan", "--shards", &shards, "-o", "merged"];
    let said = stdout(&cluster.attelier(&submit).code(0));
    assert!(said.contains("16 of 16 shards"), "{said}");
    let array = said.split_whitespace().nth(2).unwrap().trim_end_matches(':').to_owned();

    // Two tasks run at a time: the last one is still waiting or has just begun.
    let killed = cluster.output("scancel", &[&format!("{array}_{}", SHARDS - 1)]);
    assert!(killed.status.success());
    cluster.wait("the queue to empty", || cluster.says("squeue", &["-h"]).is_empty());
    assert!(!cluster.path("merged").exists(), "a sweep was merged without its last shard");
    let status = stdout(&cluster.attelier(&["explore", "status", "plan"]).code(0));
    assert_eq!(status.matches("done").count(), SHARDS - 1, "{status}\n{}", cluster.logs());
    assert!(!cluster.path("plan/parts/15-of-16.jsonl").exists());

    let said = stdout(&cluster.attelier(&[&submit[..], &["--wait"]].concat()).code(0));
    assert!(said.contains("1 of 16 shards"), "{said}");
    assert_eq!(files(&cluster.path("merged")), files(&cluster.path("local")));
    // Each of the others ran once.
    let log = fs::read_to_string(cluster.path("completed.txt")).unwrap();
    let completed = |line: &&str| line.contains("attelier-shard") && line.contains("COMPLETED");
    assert_eq!(log.lines().filter(completed).count(), SHARDS, "{log}");

    // All at once gives the same; other numbers of shards than the parts have are refused.
    let whole = ["explore", "spec.toml", "-o", "whole", "--engine", "slurm", "--shards", "2"];
    cluster.attelier(&whole).code(0);
    assert_eq!(files(&cluster.path("whole")), files(&cluster.path("local")));
    let other = ["explore", "submit", "plan", "--shards", "3", "-o", "other"];
    let message = common::stderr(&cluster.attelier(&other).code(2));
    assert!(message.contains("holds parts of 16 shards") && message.contains("--shards 16"));
}

#[test]
fn a_machine_without_slurm_is_told_what_else_there_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spec.toml"), SPEC).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("attelier"));
        command.current_dir(folder.path()).env("PATH", "/none").args(args);
        assert_cmd::assert::Assert::new(command.output().unwrap())
    };
    run(&["explore", "plan", "spec.toml", "-o", "plan"]).code(0);
    let submit = ["explore", "submit", "plan", "--shards", "2", "-o", "out"];
    let message = common::stderr(&run(&submit).code(2));
    assert!(message.contains("`sbatch` is not in PATH") && message.contains("--engine local"));
}
