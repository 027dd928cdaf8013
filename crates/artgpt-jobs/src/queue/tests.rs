use super::*;
use crate::Damage;
use artgpt_rundir::Status;
use artgpt_rundir::job::{Place, Progress, Record, Request, Spec};

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(second).expect("a time")
}

fn job(id: &str, state: RunState, change: impl FnOnce(&mut Job)) -> Job {
    let mut job = Job {
        id: id.into(),
        path: id.into(),
        spec: Spec {
            name: None,
            submitted: at(0),
            on: Place::Local,
            device: "auto".into(),
            priority: 0,
            after: Vec::new(),
            retries: 0,
            memory: None,
            program: "p".into(),
            settings: "s".into(),
        },
        request: Request::default(),
        progress: Progress::default(),
        status: Status { pid: 7, ..Status::now(state, 0, 10, None) },
        damage: None,
    };
    change(&mut job);
    job
}

fn slot(name: &str, jobs: usize, free: u64) -> Slot {
    Slot { name: name.into(), jobs, free, is_idle: name == "cpu" }
}

fn running_on(slot: &str) -> impl FnOnce(&mut Job) {
    let progress = Progress { slot: Some(slot.into()), pid: Some(7), ..Progress::default() };
    move |job| job.progress = progress
}

fn decided(jobs: &[Job], slots: &[Slot]) -> Vec<String> {
    schedule(jobs, slots, at(100))
        .into_iter()
        .map(|(id, decision)| match decision {
            Decision::Start { slot } => format!("{id} starts on {slot}"),
            Decision::Fail { reason } => format!("{id} fails: {reason}"),
            Decision::Wait { reason } => format!("{id} waits for {reason}"),
        })
        .collect()
}

#[test]
fn higher_priorities_and_older_jobs_come_first() {
    use RunState::Queued;
    let jobs = [
        job("A", Queued, |j| j.spec.submitted = at(2)),
        job("B", Queued, |j| j.spec.submitted = at(1)),
        job("C", Queued, |j| (j.spec.submitted, j.spec.priority) = (at(3), 5)),
    ];
    let cpu = [slot("cpu", 1, 0)];
    assert_eq!(
        decided(&jobs, &cpu),
        ["C starts on cpu", "B waits for a free device", "A waits for a free device"]
    );
    let busy = [job("R", RunState::Running, running_on("cpu")), jobs[0].clone()];
    assert_eq!(decided(&busy, &cpu), ["A waits for a free device"]);
    assert_eq!(decided(&busy, &[slot("cpu", 2, 0)]), ["A starts on cpu"]);
}

#[test]
fn a_job_waits_for_those_before_it_and_fails_with_them() {
    let after = |job: &mut Job| job.spec.after = vec!["A".into()];
    let cpu = [slot("cpu", 1, 0)];
    for (state, expected) in [
        (RunState::Finished, "B starts on cpu"),
        (RunState::Paused, "B waits for A"),
        (RunState::Failed, "B fails: A, which it comes after, failed"),
        // It was not asked to stop: it pauses, or somebody else ended it.
        (RunState::Stopped, "B waits for A"),
    ] {
        let jobs = [job("A", state, |_| {}), job("B", RunState::Queued, after)];
        assert_eq!(decided(&jobs, &cpu), [expected]);
    }
    let stopped = job("A", RunState::Stopped, |j| j.request.wanted = Wanted::Stop);
    let jobs = [stopped, job("B", RunState::Queued, after)];
    assert_eq!(decided(&jobs, &cpu), ["B fails: A, which it comes after, was stopped"]);
    let alone = [job("B", RunState::Queued, after)];
    assert_eq!(decided(&alone, &cpu), ["B fails: A, which it comes after, is gone"]);
    let crashed = [job("B", RunState::Queued, |j| j.progress.not_before = Some(at(101)))];
    assert!(decided(&crashed, &cpu)[0].ends_with("after a crash"));
    // It keeps its device meanwhile.
    let mut first = crashed[0].clone();
    (first.progress.slot, first.spec.priority) = (Some("cpu".into()), 1);
    let both = [first, job("C", RunState::Queued, |_| {})];
    assert_eq!(decided(&both, &cpu)[1], "C waits for a free device");
}

#[test]
fn a_damaged_job_does_not_start_and_none_waits_for_it() {
    let damage = Damage { record: Record::Spec, reason: "broken".into() };
    let jobs = [
        job("A", RunState::Queued, |j| j.damage = Some(damage)),
        job("B", RunState::Queued, |j| j.spec.after = vec!["A".into()]),
    ];
    let expected = "B fails: A, which it comes after, has an unreadable record";
    assert_eq!(decided(&jobs, &[slot("cpu", 1, 8_000_000_000)]), [expected]);
}

#[test]
fn gpus_are_chosen_by_their_free_memory() {
    let needs = |gb: u64| move |job: &mut Job| job.spec.memory = Some(gb * 1_000_000_000);
    let slots = [
        slot("cuda:0", 1, 4_000_000_000),
        slot("cuda:1", 1, 40_000_000_000),
        slot("cpu", 1, 60_000_000_000),
    ];
    let big = [job("A", RunState::Queued, needs(20)), job("B", RunState::Queued, needs(20))];
    assert_eq!(
        decided(&big, &slots),
        ["A starts on cuda:1", "B waits for memory on cuda:0: about 20.0 GB of 4.0 GB free"]
    );
    // A job that has just started has not taken its memory yet.
    let two = [
        job("R", RunState::Running, |j| {
            running_on("cuda:0")(j);
            j.status.pid = 3;
        }),
        job("A", RunState::Queued, |j| j.spec.device = "cuda:0".into()),
    ];
    assert_eq!(decided(&two, &[slot("cuda:0", 2, 1 << 40)]), ["A waits for a free device"]);
    let named = [job("A", RunState::Queued, |j| j.spec.device = "cuda:3".into())];
    assert_eq!(decided(&named, &slots), ["A fails: this machine has no device cuda:3"]);
    // An estimate does not keep a job from a machine that has nothing else to do.
    let large = [job("A", RunState::Queued, needs(100))];
    assert_eq!(decided(&large, &[slot("cpu", 1, 8_000_000_000)]), ["A starts on cpu"]);
    let idle = Slot { is_idle: true, ..slot("cuda:0", 1, 8_000_000_000) };
    assert_eq!(decided(&large, &[idle]), ["A starts on cuda:0"]);
}
