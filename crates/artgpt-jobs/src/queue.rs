//! Whose turn it is: pure, so that it is tested without processes.

use std::cmp::Reverse;

use super::Job;
use artgpt_machine::{Gpu, Used};
use artgpt_rundir::RunState;
use artgpt_rundir::job::Wanted;

/// Places for jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// Jobs at the same time on the processors, and on each GPU.
    pub cpu: usize,
    pub gpu: usize,
}

/// A device and what is free there.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// As in `--device`.
    pub name: String,
    pub jobs: usize,
    /// Bytes.
    pub free: u64,
    /// Nobody else uses much of its memory.
    pub is_clear: bool,
}

/// What is done about a job that is queued.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn {
    Start { slot: String },
    Fail { reason: String },
    Wait { reason: String },
}

/// The slots of a machine. A build without CUDA uses the processors alone.
pub fn slots(counts: Slots, memory: Used, gpus: &[Gpu]) -> Vec<Slot> {
    let mut all: Vec<Slot> = Vec::new();
    if cfg!(feature = "cuda") {
        let visible = gpus.iter().filter(|gpu| is_visible(gpu.index));
        all.extend(visible.map(|gpu| Slot {
            name: format!("cuda:{}", gpu.index),
            jobs: counts.gpu,
            free: gpu.memory.free(),
            is_clear: gpu.memory.share() < 0.1,
        }));
    }
    // Of a machine's memory much is always used; only other jobs count.
    all.push(Slot { name: "cpu".into(), jobs: counts.cpu, free: memory.free(), is_clear: true });
    all
}

/// As far as the user restricts programs to some GPUs by their numbers.
fn is_visible(index: u32) -> bool {
    let Ok(all) = std::env::var("CUDA_VISIBLE_DEVICES") else { return true };
    let numbers: Option<Vec<u32>> = all.split(',').map(|n| n.trim().parse().ok()).collect();
    numbers.is_none_or(|numbers| numbers.contains(&index))
}

/// A turn for each queued job, by its id. Higher priorities are asked first, then older jobs; one that
/// must wait does not hold up the others.
pub fn turns(jobs: &[Job], slots: &[Slot], now: jiff::Timestamp) -> Vec<(String, Turn)> {
    let mut room: Vec<Slot> = slots.to_vec();
    let mut crowded: Vec<bool> = vec![false; room.len()];
    let mut loading = vec![false; room.len()];
    for job in jobs.iter().filter(|job| job.is_local() && job.status.state == RunState::Running) {
        let place = room.iter().position(|slot| Some(&slot.name) == job.progress.slot.as_ref());
        if let Some(i) = place {
            room[i].jobs = room[i].jobs.saturating_sub(1);
            crowded[i] = true;
            // Before its first step of this start it has not taken its memory.
            loading[i] |= job.status.pid != job.progress.pid.unwrap_or(0);
            loading[i] |= job.status.phase.is_some();
        }
    }
    let mut queued: Vec<&Job> =
        jobs.iter().filter(|job| job.is_local() && job.status.state == RunState::Queued).collect();
    queued.sort_by_key(|job| (Reverse(job.spec.priority), job.spec.submitted, job.id.clone()));
    let mut told = Vec::new();
    for job in queued {
        let turn = match blocked(job, jobs, now) {
            Some(turn) => {
                // One that crashed keeps its device for the moment until it starts again.
                let crashed = job.progress.not_before.is_some_and(|until| until > now);
                let own = room.iter().position(|s| Some(&s.name) == job.progress.slot.as_ref());
                if let (true, Some(i)) = (crashed, own) {
                    room[i].jobs = room[i].jobs.saturating_sub(1);
                }
                turn
            }
            None => place(job, &room, &crowded, &loading),
        };
        if let Turn::Start { slot } = &turn
            && let Some(i) = room.iter().position(|s| s.name == *slot)
        {
            room[i].jobs -= 1;
            room[i].free = room[i].free.saturating_sub(job.spec.memory.unwrap_or(0));
            (crowded[i], loading[i]) = (true, true);
        }
        told.push((job.id.clone(), turn));
    }
    told
}

/// By what it must come after, or by a crash a moment ago.
fn blocked(job: &Job, jobs: &[Job], now: jiff::Timestamp) -> Option<Turn> {
    let mut waits = Vec::new();
    for id in &job.spec.after {
        let before = jobs.iter().find(|other| other.id == *id);
        let reason = match before.map(|job| job.status.state) {
            Some(RunState::Finished) => continue,
            Some(RunState::Queued | RunState::Running | RunState::Paused) => {
                waits.push(id.as_str());
                continue;
            }
            // One that is pausing, or was ended by somebody else, goes on.
            Some(RunState::Stopped) if before.is_some_and(|b| b.request.wanted != Wanted::Stop) => {
                waits.push(id.as_str());
                continue;
            }
            Some(RunState::Failed) => format!("{id}, which it comes after, failed"),
            Some(RunState::Stopped) => format!("{id}, which it comes after, was stopped"),
            None => format!("{id}, which it comes after, is gone"),
        };
        return Some(Turn::Fail { reason });
    }
    if !waits.is_empty() {
        return Some(Turn::Wait { reason: waits.join(", ") });
    }
    let until = job.progress.not_before.filter(|until| *until > now)?;
    Some(Turn::Wait { reason: format!("{until}, after a crash") })
}

fn place(job: &Job, room: &[Slot], crowded: &[bool], loading: &[bool]) -> Turn {
    let suits = |slot: &Slot| match job.spec.device.as_str() {
        "auto" => true,
        "cuda" => slot.name.starts_with("cuda"),
        name => slot.name == name,
    };
    let fitting: Vec<usize> = (0..room.len()).filter(|i| suits(&room[*i])).collect();
    // Where a GPU could have been had, nobody waits for hours on the processors instead.
    let gpu = fitting.iter().any(|i| room[*i].name != "cpu");
    let fitting: Vec<usize> =
        fitting.into_iter().filter(|i| !gpu || room[*i].name != "cpu").collect();
    if fitting.is_empty() {
        let device = &job.spec.device;
        return Turn::Fail { reason: format!("there is no device {device} on this machine") };
    }
    let mut reason = "a free device".to_string();
    for i in fitting {
        let slot = &room[i];
        if slot.jobs == 0 || loading[i] {
            continue;
        }
        match job.spec.memory {
            // An estimate must not keep a job from a device that it would have to itself.
            Some(needed) if needed > slot.free && (crowded[i] || !slot.is_clear) => {
                let gb = |bytes: u64| bytes as f64 / 1e9;
                reason = format!(
                    "memory on {}: about {:.1} GB of {:.1} GB free",
                    slot.name,
                    gb(needed),
                    gb(slot.free)
                );
            }
            _ => return Turn::Start { slot: slot.name.clone() },
        }
    }
    Turn::Wait { reason }
}

#[cfg(test)]
mod tests;
