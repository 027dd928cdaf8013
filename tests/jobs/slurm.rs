//! Jobs in a real Slurm of one node, which the test starts itself: munge, slurmctld and slurmd of Debian's
//! packages on the loopback. `cargo test --release -- --ignored` runs it where they are installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::home::{self, Home, QUICK};
use crate::common::wait;

/// A cluster that ends with the test.
struct Cluster {
    dir: tempfile::TempDir,
    daemons: Vec<std::process::Child>,
}

impl Cluster {
    fn start() -> Self {
        let [munged, slurmctld, slurmd] = ["munged", "slurmctld", "slurmd"].map(find);
        find("sbatch");
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        for name in ["munge", "state", "spool"] {
            std::fs::create_dir(at(name)).expect("makes");
        }
        let mode = |path: &Path, mode: u32| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("changes");
        };
        mode(&at("munge"), 0o700);
        let key: Vec<u8> =
            (0..1024u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        std::fs::write(at("munge/key"), key).expect("writes");
        mode(&at("munge/key"), 0o400);
        let host = told("hostname", "-s");
        std::fs::write(at("slurm.conf"), conf(dir.path(), &host)).expect("writes");
        let mut cluster = Self { dir, daemons: Vec::new() };
        let at = |name: &str| cluster.dir.path().join(name).display().to_string();
        let (socket, key, pid) = (at("munge/socket"), at("munge/key"), at("munge/pid"));
        let (log, seed) = (at("munge/log"), at("munge/seed"));
        let munge = ["--foreground", "--force", "--socket", &socket, "--key-file", &key];
        let munge = [&munge[..], &["--pid-file", &pid, "--log-file", &log, "--seed-file", &seed]];
        cluster.spawn(&munged, &munge.concat());
        wait::until("munged's socket", || match Path::new(&socket).exists() {
            true => Ok(()),
            false => Err(std::fs::read_to_string(&log).unwrap_or_default()),
        });
        cluster.spawn(&slurmctld, &["-D"]);
        cluster.spawn(&slurmd, &["-D", "-N", &host]);
        wait::until("the node", || {
            let state = cluster.ask("sinfo", &["-h", "-o", "%T"]);
            if state.contains("idle") { Ok(()) } else { Err(state) }
        });
        cluster
    }

    fn conf(&self) -> String {
        self.dir.path().join("slurm.conf").display().to_string()
    }

    fn spawn(&mut self, program: &Path, args: &[&str]) {
        let child = Command::new(program)
            .args(args)
            .env("SLURM_CONF", self.conf())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        self.daemons.push(child);
    }

    /// A process that looks after a step of this cluster's jobs.
    fn is_step(&self, pid: u32, line: &str) -> bool {
        line.contains("slurmstepd")
            && std::fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|env| String::from_utf8_lossy(&env).contains(&self.conf()))
    }

    fn ask(&self, program: &str, args: &[&str]) -> String {
        let output = Command::new(program).args(args).env("SLURM_CONF", self.conf()).output();
        output.map_or(String::new(), |o| String::from_utf8_lossy(&o.stdout).into_owned())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.ask("scancel", &["--me"]);
        // Steps that outlive their daemon would stay for ever.
        let left = || home::processes().iter().any(|(pid, line)| self.is_step(*pid, line));
        let deadline = Instant::now() + Duration::from_secs(20);
        while left() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
        }
        for (pid, line) in home::processes() {
            if self.is_step(pid, &line) {
                home::kill(pid);
            }
        }
        for daemon in self.daemons.iter_mut().rev() {
            daemon.kill().ok();
            daemon.wait().ok();
        }
    }
}

/// The path of a program of Slurm's, which may not be on the user's PATH.
fn find(name: &str) -> PathBuf {
    ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("{name} is not installed: apt-get install slurmctld slurmd slurm-client munge")
        })
}

fn told(program: &str, arg: &str) -> String {
    let output = Command::new(program).arg(arg).output().expect("runs");
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

/// A port that nobody has just now.
fn port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    socket.local_addr().expect("has one").port()
}

fn conf(root: &Path, host: &str) -> String {
    let (user, root) = (told("id", "-un"), root.display());
    let (one, two) = (port(), port());
    format!(
        "ClusterName=artgpt\nSlurmctldHost={host}(127.0.0.1)\nAuthType=auth/munge\n\
         CredType=cred/munge\nAuthInfo=socket={root}/munge/socket,cred_expire=5\nSlurmUser={user}\n\
         SlurmdUser={user}\nSlurmctldPort={one}\nSlurmdPort={two}\n\
         StateSaveLocation={root}/state\nSlurmdSpoolDir={root}/spool\n\
         SlurmctldPidFile={root}/ctld.pid\nSlurmdPidFile={root}/slurmd.pid\n\
         ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n\
         SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n\
         SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0\n\
         ReturnToService=2\nMpiDefault=none\n\
         NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN\n\
         PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP\n"
    )
}

#[test]
#[ignore = "needs Slurm"]
fn jobs_run_pause_and_are_requeued_in_a_real_slurm() {
    let cluster = Cluster::start();
    let home = Home::new().with("SLURM_CONF", &cluster.conf());
    let config = home.config("quick.toml", QUICK);
    let expected = home.unbroken(&config);
    let slurm = ["--on", "slurm", "--set", "slurm.cpus_per_task=1", "--set", "slurm.time=10"];
    let id = home.submit(&config, &slurm).remove(0);
    let number = |id: &str| home.job(id)["slurm_id"].as_str().expect("a number").to_string();
    home.until_step(&id, 3);
    let paused = home.json(&["jobs", "pause", &id]);
    assert_eq!(paused[0]["state"], "paused", "{}", cluster.ask("squeue", &[]));
    assert!(cluster.ask("squeue", &["-h", "-o", "%r"]).contains("held"));
    home.json(&["jobs", "resume", &id]);
    home.until_state(&id, "running");
    // What a preemption does: it writes its checkpoint and is queued again.
    let step = home.job(&id)["step"].as_u64().expect("a step");
    home.until_step(&id, step + 3);
    cluster.ask("scontrol", &["requeue", &number(&id)]);
    home.until_state(&id, "queued");
    home.until_state(&id, "finished");
    assert_eq!(home.losses(&id), expected);
    // An array, and a job after it; one of the array is stopped.
    let more = |args: &[&'static str]| [&slurm[..], args].concat();
    let array = home.submit(&config, &more(&["--sweep", "seed=1,2"]));
    assert!(number(&array[1]).ends_with("_1"), "{}", number(&array[1]));
    home.until_step(&array[1], 2);
    let stopped = home.json(&["jobs", "stop", &array[1]]);
    assert_eq!(stopped[0]["state"], "stopped");
    home.until_state(&array[0], "finished");
    let after = [&more(&["--set", "stage.0.steps=4"])[..], &["--after", &array[0]]].concat();
    let child = home.submit(&config, &after).remove(0);
    home.until_state(&child, "finished");
    // What the cluster does not take leaves no job.
    let path = config.display().to_string();
    let bad = more(&["--set", "slurm.partition=nowhere"]);
    let (code, _, err) = home.run(&[&["jobs", "submit", "train", &path], &bad[..]].concat());
    assert!(code == Some(1) && err.contains("sbatch failed"), "{err}");
    assert_eq!(home.json(&["jobs", "list"]).as_array().map(Vec::len), Some(4));
    wait::until("an empty queue", || match cluster.ask("squeue", &["-h"]) {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    });
    its_time_ends(&home);
    processes_train_together(&home);
}

/// It is told before, writes its checkpoint, and is queued again.
fn its_time_ends(home: &Home) {
    // Slurm looks at limits twice a minute.
    let config = home.config("long.toml", &QUICK.replace("steps = 60", "steps = 1000000"));
    let limits = ["--on", "slurm", "--set", "slurm.time=1", "--set", "slurm.notice=45"];
    let id = home.submit(&config, &limits).remove(0);
    home.until_step(&id, 1);
    let queued = home.until_state(&id, "queued");
    let step = queued["step"].as_u64().expect("a step");
    home.until_step(&id, step + 1);
    home.json(&["jobs", "stop", &id]);
    let steps: Vec<u64> = home.losses(&id).into_keys().collect();
    assert_eq!(steps, (1..=steps.len() as u64).collect::<Vec<_>>(), "none is left out");
}

/// The same losses, within float error, as one process alone.
#[cfg(feature = "mpi")]
fn processes_train_together(home: &Home) {
    let config = home.config("ranks.toml", &QUICK.replace("batch = 2", "batch = 4"));
    let alone = home.unbroken(&config);
    let ranks = ["slurm.tasks=2", "slurm.cpus_per_task=1", "slurm.mpi=pmix"];
    let mut more = vec!["--on", "slurm"];
    ranks.iter().for_each(|set| more.extend(["--set", set]));
    let id = home.submit(&config, &more).remove(0);
    // Paused and resumed by all of them together.
    home.until_step(&id, 5);
    home.json(&["jobs", "pause", &id]);
    home.json(&["jobs", "resume", &id]);
    home.until_state(&id, "finished");
    let log = std::fs::read_to_string(home.path().join("runs").join(&id).join("log.txt"));
    assert!(log.is_ok_and(|log| log.contains("2 processes train together")));
    let number = |text: &String| text.parse::<f64>().expect("a number");
    for ((step, a), (other, b)) in alone.iter().zip(&home.losses(&id)) {
        let (a, b) = (number(a), number(b));
        assert!(step == other && (a - b).abs() < 1e-4 * a, "step {step}: {a} {b}");
    }
}

/// Without MPI it says so, and trains nothing twice.
#[cfg(not(feature = "mpi"))]
fn processes_train_together(home: &Home) {
    let config = home.config("ranks.toml", QUICK);
    let two = ["--on", "slurm", "--set", "slurm.tasks=2", "--set", "slurm.cpus_per_task=1"];
    let id = home.submit(&config, &two).remove(0);
    let failed = home.until_state(&id, "failed");
    let lines = failed["last_lines"].to_string();
    assert!(lines.contains("built without MPI"), "{failed:#}");
}
