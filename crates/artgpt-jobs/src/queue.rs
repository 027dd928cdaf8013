//! The scheduler: which queued job starts on which device. Pure functions, so tests need no processes.

use std::cmp::Reverse;

use super::Job;
use artgpt_machine::{Gpu, Used};
use artgpt_rundir::RunState;
use artgpt_rundir::job::Wanted;

/// How many jobs may run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// Jobs on the CPU.
    pub cpu: usize,
    /// Jobs on each GPU.
    pub gpu: usize,
}

/// A device and its free capacity.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slot {
    /// As in `--device`: `cpu` or `cuda:N`.
    pub name: String,
    /// Further jobs that may start on it.
    pub jobs: usize,
    /// Free memory in bytes.
    pub free: u64,
    /// Whether other programs use less than a tenth of its memory.
    pub is_idle: bool,
}

/// What to do with a queued job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Decision {
    Start { slot: String },
    Fail { reason: String },
    Wait { reason: String },
}

/// The devices of a machine. A build without CUDA uses the CPU only.
pub(crate) fn slots(counts: Slots, memory: Used, gpus: &[Gpu]) -> Vec<Slot> {
    let mut all: Vec<Slot> = Vec::new();
    if cfg!(feature = "cuda") {
        let visible = gpus.iter().filter(|gpu| is_visible(gpu.index));
        all.extend(visible.map(|gpu| Slot {
            name: format!("cuda:{}", gpu.index),
            jobs: counts.gpu,
            free: gpu.memory.free(),
            is_idle: gpu.memory.share() < 0.1,
        }));
    }
    // Much of a machine's memory is always in use; only other jobs count.
    all.push(Slot { name: "cpu".into(), jobs: counts.cpu, free: memory.free(), is_idle: true });
    all
}

/// Whether `CUDA_VISIBLE_DEVICES` allows this GPU; a list that is not of numbers allows all.
fn is_visible(index: u32) -> bool {
    let Ok(all) = std::env::var("CUDA_VISIBLE_DEVICES") else { return true };
    let numbers: Option<Vec<u32>> = all.split(',').map(|n| n.trim().parse().ok()).collect();
    numbers.is_none_or(|numbers| numbers.contains(&index))
}

/// Decides for each queued job, by ID: higher priorities first, then older jobs. A job that must wait
/// does not block the jobs after it.
pub(crate) fn schedule(
    jobs: &[Job],
    slots: &[Slot],
    now: jiff::Timestamp,
) -> Vec<(String, Decision)> {
    let mut devices: Vec<Slot> = slots.to_vec();
    let mut occupied: Vec<bool> = vec![false; devices.len()];
    let mut loading = vec![false; devices.len()];
    for job in jobs.iter().filter(|job| job.is_local() && job.status.state == RunState::Running) {
        let device = devices.iter().position(|slot| Some(&slot.name) == job.progress.slot.as_ref());
        if let Some(i) = device {
            devices[i].jobs = devices[i].jobs.saturating_sub(1);
            occupied[i] = true;
            // Before the first step of this start it has not allocated its memory.
            loading[i] |= job.status.pid != job.progress.pid.unwrap_or(0);
            loading[i] |= job.status.phase.is_some();
        }
    }
    let waits =
        |job: &&Job| job.is_local() && job.damage.is_none() && job.status.state == RunState::Queued;
    let mut queued: Vec<&Job> = jobs.iter().filter(waits).collect();
    queued.sort_by_key(|job| (Reverse(job.spec.priority), job.spec.submitted, job.id.clone()));
    let mut decisions = Vec::new();
    for job in queued {
        let decision = match blocked(job, jobs, now) {
            Some(decision) => {
                // A crashed job keeps its device until it restarts.
                let crashed = job.progress.not_before.is_some_and(|until| until > now);
                let own = devices.iter().position(|s| Some(&s.name) == job.progress.slot.as_ref());
                if let (true, Some(i)) = (crashed, own) {
                    devices[i].jobs = devices[i].jobs.saturating_sub(1);
                }
                decision
            }
            None => choose_device(job, &devices, &occupied, &loading),
        };
        if let Decision::Start { slot } = &decision
            && let Some(i) = devices.iter().position(|s| s.name == *slot)
        {
            devices[i].jobs -= 1;
            devices[i].free = devices[i].free.saturating_sub(job.spec.memory.unwrap_or(0));
            (occupied[i], loading[i]) = (true, true);
        }
        decisions.push((job.id.clone(), decision));
    }
    decisions
}

/// Whether a dependency or the delay after a crash blocks the job.
fn blocked(job: &Job, jobs: &[Job], now: jiff::Timestamp) -> Option<Decision> {
    let mut waits = Vec::new();
    for id in &job.spec.after {
        let before = jobs.iter().find(|other| other.id == *id);
        let reason = match before.map(|job| job.status.state) {
            Some(RunState::Finished) => continue,
            Some(RunState::Queued | RunState::Paused) if before.is_some_and(is_damaged) => {
                format!("{id}, which it comes after, has an unreadable record")
            }
            Some(RunState::Queued | RunState::Running | RunState::Paused) => {
                waits.push(id.as_str());
                continue;
            }
            // It is about to pause, or somebody else ended it: it resumes.
            Some(RunState::Stopped) if before.is_some_and(|b| b.request.wanted != Wanted::Stop) => {
                waits.push(id.as_str());
                continue;
            }
            Some(RunState::Failed) => format!("{id}, which it comes after, failed"),
            Some(RunState::Stopped) => format!("{id}, which it comes after, was stopped"),
            None => format!("{id}, which it comes after, is gone"),
        };
        return Some(Decision::Fail { reason });
    }
    if !waits.is_empty() {
        return Some(Decision::Wait { reason: waits.join(", ") });
    }
    let until = job.progress.not_before.filter(|until| *until > now)?;
    Some(Decision::Wait { reason: format!("{until}, after a crash") })
}

fn is_damaged(job: &Job) -> bool {
    job.damage.is_some()
}

/// `occupied` marks devices with a job of ours, `loading` those where one has not yet allocated its memory.
fn choose_device(job: &Job, devices: &[Slot], occupied: &[bool], loading: &[bool]) -> Decision {
    let suits = |slot: &Slot| match job.spec.device.as_str() {
        "auto" => true,
        "cuda" => slot.name.starts_with("cuda"),
        name => slot.name == name,
    };
    let fitting: Vec<usize> = (0..devices.len()).filter(|i| suits(&devices[*i])).collect();
    // Wait for a GPU rather than train for hours on the CPU.
    let gpu = fitting.iter().any(|i| devices[*i].name != "cpu");
    let fitting: Vec<usize> =
        fitting.into_iter().filter(|i| !gpu || devices[*i].name != "cpu").collect();
    if fitting.is_empty() {
        let device = &job.spec.device;
        return Decision::Fail { reason: format!("this machine has no device {device}") };
    }
    let mut reason = "a free device".to_string();
    for i in fitting {
        let slot = &devices[i];
        if slot.jobs == 0 || loading[i] {
            continue;
        }
        match job.spec.memory {
            // The estimate must not keep a job off a device that it would have to itself.
            Some(needed) if needed > slot.free && (occupied[i] || !slot.is_idle) => {
                let gb = |bytes: u64| bytes as f64 / 1e9;
                reason = format!(
                    "memory on {}: about {:.1} GB of {:.1} GB free",
                    slot.name,
                    gb(needed),
                    gb(slot.free)
                );
            }
            _ => return Decision::Start { slot: slot.name.clone() },
        }
    }
    Decision::Wait { reason }
}

#[cfg(test)]
mod tests;
