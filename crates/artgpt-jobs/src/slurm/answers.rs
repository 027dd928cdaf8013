//! What the answers of `squeue`, `sacct` and `scontrol` say. Pure functions.

use super::command::{Answer, NoAnswer};

/// States after which Slurm does nothing more with a job. All others, among them REVOKED (it runs in
/// another cluster), SPECIAL_EXIT and RESV_DEL_HOLD (it is held), are not final.
const FINAL: [&str; 9] = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
];

/// A job in the output of `squeue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueueEntry {
    /// `PENDING`, `RUNNING`, …
    pub state: String,
    /// Why it is pending.
    pub reason: String,
}

/// What a listed job is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It waits until somebody releases it.
    Held,
    /// It waits for its turn.
    Waiting,
    /// It has its nodes.
    Active,
    /// Its processes have ended; it may be queued again.
    Ending,
}

impl QueueEntry {
    pub(super) fn phase(&self) -> Phase {
        let reason = self.reason.to_lowercase();
        match self.state.as_str() {
            "REQUEUE_HOLD" | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => Phase::Held,
            "PENDING" if reason.contains("held") || reason.contains("hold") => Phase::Held,
            "PENDING" | "REQUEUED" | "REQUEUE_FED" => Phase::Waiting,
            "RUNNING" | "CONFIGURING" | "SUSPENDED" | "STOPPED" | "RESIZING" | "SIGNALING" => {
                Phase::Active
            }
            _ => Phase::Ending,
        }
    }
}

/// The jobs that `squeue` lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Queue {
    entries: Vec<(String, QueueEntry)>,
    /// Why a job that is missing here may exist all the same; `None` if the list is complete.
    pub doubt: Option<String>,
}

impl Queue {
    pub(super) fn parse(answer: std::result::Result<Answer, NoAnswer>) -> Self {
        let answer = match answer {
            Ok(answer) => answer,
            Err(NoAnswer::Missing) => {
                return Self {
                    doubt: Some("this machine has no such program".into()),
                    ..Self::default()
                };
            }
            Err(NoAnswer::Failed(reason)) => {
                return Self { doubt: Some(reason), ..Self::default() };
            }
        };
        let lines = answer.stdout.lines().map(str::trim).filter(|line| !line.is_empty());
        let parsed: Vec<Option<(String, QueueEntry)>> = lines.map(entry).collect();
        let is_certain = answer.is_clean() && parsed.iter().all(Option::is_some);
        let doubt = (!is_certain).then(|| answer.trouble());
        Self { entries: parsed.into_iter().flatten().collect(), doubt }
    }

    /// The entry of the job with this ID, unless its state is final: such a state is for `sacct` and
    /// `scontrol` to report.
    pub(super) fn get(&self, id: &str) -> Option<&QueueEntry> {
        let found = self.entries.iter().find(|(listed, _)| names(listed, id));
        found.map(|(_, entry)| entry).filter(|entry| !is_final(&entry.state))
    }

    /// All listed IDs.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(id, _)| id.as_str())
    }
}

/// A line `ID|STATE|REASON`.
fn entry(line: &str) -> Option<(String, QueueEntry)> {
    let mut parts = line.splitn(3, '|').map(str::trim);
    let (id, state, reason) = (parts.next()?, parts.next()?, parts.next()?);
    let is_id = id.starts_with(|c: char| c.is_ascii_digit());
    let entry = QueueEntry { state: state.into(), reason: reason.into() };
    (is_id && is_state(state)).then(|| (id.to_string(), entry))
}

/// Whether `listed`, as `squeue` prints it, is or contains the job `id`: `12`, `12_3`, `12_[0-4,7%2]`,
/// or a part `12+1` of a heterogeneous job.
fn names(listed: &str, id: &str) -> bool {
    let listed = listed.split('+').next().unwrap_or_default();
    if listed == id {
        return true;
    }
    let Some((base, task)) = id.split_once('_') else { return false };
    let Some((listed_base, tasks)) = listed.split_once('_') else { return listed == base };
    let Ok(task) = task.parse::<u64>() else { return false };
    let tasks = tasks.trim_start_matches('[').trim_end_matches(']');
    let tasks = tasks.split('%').next().unwrap_or_default();
    listed_base == base
        && tasks.split(',').any(|range| {
            let (range, step) = range.split_once(':').unwrap_or((range, "1"));
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            match (first.parse::<u64>(), last.parse::<u64>(), step.parse::<u64>()) {
                (Ok(first), Ok(last), Ok(step @ 1..)) => {
                    (first..=last).contains(&task) && (task - first).is_multiple_of(step)
                }
                _ => false,
            }
        })
}

/// What one of the two programs that know ended jobs says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has ended: its state and exit code, for people.
    Ended(String),
    /// Its state is not final.
    Open,
    /// The program has no record of it (or the cluster keeps no accounting records).
    NoRecord,
    /// Nothing can be concluded.
    Silent,
}

/// Reads `sacct -n -P -X -o State,ExitCode`.
pub(super) fn accounting(answer: std::result::Result<Answer, NoAnswer>) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(NoAnswer::Missing) => return Verdict::NoRecord,
        Err(NoAnswer::Failed(_)) => return Verdict::Silent,
    };
    // "Slurm accounting storage is disabled"
    if answer.stderr.to_lowercase().contains("disabled") {
        return Verdict::NoRecord;
    }
    if !answer.is_clean() {
        return Verdict::Silent;
    }
    let lines = answer.stdout.lines().map(str::trim).filter(|line| !line.is_empty());
    let records: Option<Vec<(&str, &str)>> =
        lines.filter(|line| !is_step(line)).map(record).collect();
    match records {
        None => Verdict::Silent,
        Some(records) => judge(&records),
    }
}

/// A line `STATE|CODE`, or `ID|STATE|CODE`.
fn record(line: &str) -> Option<(&str, &str)> {
    let mut parts = line.rsplit('|');
    let (code, state) = (parts.next()?.trim(), parts.next()?.trim());
    let (exit, signal) = code.split_once(':')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (is_state(state) && is_number(exit) && is_number(signal)).then_some((state, code))
}

/// A step of a job, such as `12.batch`, whose end is not the job's.
fn is_step(line: &str) -> bool {
    line.matches('|').count() > 1 && line.split('|').next().is_some_and(|id| id.contains('.'))
}

/// Reads `scontrol show job`.
pub(super) fn control(answer: std::result::Result<Answer, NoAnswer>) -> Verdict {
    let Ok(answer) = answer else { return Verdict::Silent };
    let text = format!("{}\n{}", answer.stdout, answer.stderr).to_lowercase();
    let is_unknown = text.contains("invalid job id")
        || text.contains("no jobs in the system")
        || text.trim_start().starts_with("job ") && text.contains("not found");
    if is_unknown {
        return Verdict::NoRecord;
    }
    if !answer.is_clean() {
        return Verdict::Silent;
    }
    let records = answer.stdout.split("\n\n").filter(|record| !record.trim().is_empty());
    let records: Option<Vec<(&str, &str)>> = records
        .map(|record| {
            let state = value(record, "JobState=").filter(|state| is_state(state))?;
            Some((state, value(record, "ExitCode=").unwrap_or("unknown")))
        })
        .collect();
    match records {
        Some(records) if !records.is_empty() => judge(&records),
        _ => Verdict::Silent,
    }
}

fn value<'a>(record: &'a str, key: &str) -> Option<&'a str> {
    record.split_whitespace().find_map(|word| word.strip_prefix(key))
}

/// A job of several records has ended when all of them have. Before the last record, one of a job that was
/// queued again or resized is of an earlier start.
fn judge(records: &[(&str, &str)]) -> Verdict {
    let is_open = |(i, (state, _)): (usize, &(&str, &str))| {
        let is_earlier = i + 1 < records.len() && matches!(*state, "REQUEUED" | "RESIZING");
        !is_earlier && !is_final(state)
    };
    match records.last() {
        None => Verdict::NoRecord,
        Some(_) if records.iter().enumerate().any(is_open) => Verdict::Open,
        Some((state, code)) => Verdict::Ended(format!("{state}, exit code {code}")),
    }
}

/// Whether it looks like a state: `PENDING`, `CANCELLED by 1000`, `OUT_OF_ME+`.
fn is_state(text: &str) -> bool {
    let word = first_word(text);
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

fn is_final(state: &str) -> bool {
    let word = first_word(state);
    // `sacct` cuts long states and marks them with a plus.
    let is_cut = state.trim_end().ends_with('+') && word.len() >= 4;
    FINAL.iter().any(|known| *known == word || is_cut && known.starts_with(word))
}

fn first_word(state: &str) -> &str {
    state.split_whitespace().next().unwrap_or_default().trim_end_matches('+')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stdout: &str) -> std::result::Result<Answer, NoAnswer> {
        Ok(Answer { is_success: true, stdout: stdout.into(), stderr: String::new() })
    }

    fn failed(stderr: &str) -> std::result::Result<Answer, NoAnswer> {
        Ok(Answer { is_success: false, stdout: String::new(), stderr: stderr.into() })
    }

    #[test]
    fn a_list_is_complete_only_without_errors_and_in_whole_lines() {
        let whole = Queue::parse(said("100|PENDING|Priority\n101|RUNNING|None\n"));
        assert_eq!((whole.doubt.clone(), whole.ids().count()), (None, 2));
        assert_eq!(whole.get("100").map(QueueEntry::phase), Some(Phase::Waiting));
        assert_eq!(Queue::parse(said("")).doubt, None);
        for partial in ["100|PENDING|Pri", "100|PENDING|Priority\n101|RUN\n", "oops\n"] {
            assert!(Queue::parse(said(partial)).doubt.is_some(), "{partial}");
        }
        // What is listed is there all the same.
        assert!(Queue::parse(said("100|PENDING|Priority\n101|RUN")).get("100").is_some());
        let error = Ok(Answer { stderr: "slurm_load_jobs error".into(), ..said("").expect("one") });
        assert_eq!(Queue::parse(error).doubt.as_deref(), Some("slurm_load_jobs error"));
        assert!(Queue::parse(failed("")).doubt.is_some());
        assert!(Queue::parse(Err(NoAnswer::Missing)).doubt.is_some());
        assert!(Queue::parse(said("100|COMPLETED|None\n")).get("100").is_none());
    }

    #[test]
    fn tasks_of_arrays_and_parts_of_heterogeneous_jobs_are_found() {
        for (listed, id) in [
            ("12", "12"),
            ("12_3", "12_3"),
            ("12_[0-4]", "12_3"),
            ("12_[0,3,5-7%2]", "12_3"),
            ("12_[1-9:2]", "12_3"),
            ("12+1", "12"),
            ("12", "12_3"),
        ] {
            assert!(names(listed, id), "{listed} {id}");
        }
        for (listed, id) in [
            ("12_4", "12_3"),
            ("12_[4-9]", "12_3"),
            ("12_[0-8:2]", "12_3"),
            ("112", "12"),
            ("12_3", "12"),
            ("13_[0-4]", "12_3"),
        ] {
            assert!(!names(listed, id), "{listed} {id}");
        }
    }

    #[test]
    fn held_and_ending_jobs_are_told_apart() {
        let phase = |state: &str, reason: &str| {
            QueueEntry { state: state.into(), reason: reason.into() }.phase()
        };
        assert_eq!(phase("PENDING", "JobHeldUser"), Phase::Held);
        assert_eq!(phase("PENDING", "JobHoldMaxRequeue"), Phase::Held);
        assert_eq!(phase("PENDING", "launch failed requeued held"), Phase::Held);
        assert_eq!(phase("SPECIAL_EXIT", "None"), Phase::Held);
        assert_eq!(phase("RESV_DEL_HOLD", "None"), Phase::Held);
        assert_eq!(phase("PENDING", "BeginTime"), Phase::Waiting);
        assert_eq!(phase("REQUEUED", "None"), Phase::Waiting);
        assert_eq!(phase("SUSPENDED", "None"), Phase::Active);
        assert_eq!(phase("COMPLETING", "None"), Phase::Ending);
    }

    #[test]
    fn only_final_states_in_whole_answers_end_a_job() {
        let of = |text: &str| accounting(said(text));
        let ended = |text: &str| Verdict::Ended(text.into());
        assert_eq!(of("FAILED|1:0\n"), ended("FAILED, exit code 1:0"));
        assert_eq!(of("CANCELLED by 0|0:15\n"), ended("CANCELLED by 0, exit code 0:15"));
        assert_eq!(of("OUT_OF_ME+|0:125\n"), ended("OUT_OF_ME+, exit code 0:125"));
        assert_eq!(of("100|NODE_FAIL|1:0\n"), ended("NODE_FAIL, exit code 1:0"));
        for open in [
            "PENDING",
            "RUNNING",
            "SUSPENDED",
            "REQUEUED",
            "COMPLETING",
            "REVOKED",
            "RESIZING",
            "SPECIAL_EXIT",
            "RESV_DEL_HOLD",
            "CONFIGURING",
        ] {
            assert_eq!(of(&format!("{open}|0:0\n")), Verdict::Open, "{open}");
        }
        // All parts of a job must have ended; a step's end is not the job's.
        assert_eq!(of("FAILED|1:0\nRUNNING|0:0\n"), Verdict::Open);
        assert_eq!(of("100|RUNNING|0:0\n100.batch|FAILED|1:0\n"), Verdict::Open);
        assert_eq!(of("REQUEUED|0:0\nCOMPLETED|0:0\n"), ended("COMPLETED, exit code 0:0"));
        assert_eq!(of("PREEMPTED|0:0\nPENDING|0:0\n"), Verdict::Open);
        for partial in ["FAILED|1:0", "FAILED|\n", "FAILED\n", "FAILED|1\n", "garbage|0:0\n"] {
            assert_eq!(of(partial), Verdict::Silent, "{partial}");
        }
        assert_eq!(of(""), Verdict::NoRecord);
        assert_eq!(accounting(Err(NoAnswer::Missing)), Verdict::NoRecord);
        assert_eq!(accounting(failed("Slurm accounting storage is disabled")), Verdict::NoRecord);
        let refused = "sacct: error: Problem talking to the database: Connection refused";
        assert_eq!(accounting(failed(refused)), Verdict::Silent);
        let noisy =
            Ok(Answer { stderr: "sacct: error".into(), ..said("FAILED|1:0\n").expect("one") });
        assert_eq!(accounting(noisy), Verdict::Silent);
    }

    #[test]
    fn scontrol_s_record_decides_and_its_denial_is_an_answer() {
        let record = |state: &str| {
            format!(
                "JobId=100 JobName=artgpt-A\n   JobState={state} Reason=None\n   ExitCode=0:9\n"
            )
        };
        let ended = Verdict::Ended("TIMEOUT, exit code 0:9".into());
        assert_eq!(control(said(&record("TIMEOUT"))), ended);
        assert_eq!(control(said(&record("RUNNING"))), Verdict::Open);
        let two = format!("{}\n{}", record("RUNNING"), record("FAILED"));
        assert_eq!(control(said(&two)), Verdict::Open);
        let unknown = failed("slurm_load_jobs error: Invalid job id specified");
        assert_eq!(control(unknown), Verdict::NoRecord);
        assert_eq!(control(said("Job 100_3 not found\n")), Verdict::NoRecord);
        assert_eq!(control(said("")), Verdict::Silent);
        assert_eq!(control(said("JobId=100 JobState=FAI")), Verdict::Silent);
        assert_eq!(control(failed("Unable to contact slurm controller")), Verdict::Silent);
        assert_eq!(control(Err(NoAnswer::Missing)), Verdict::Silent);
    }
}
