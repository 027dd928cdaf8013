//! Resource usage of a run, step by step.

use std::time::{Duration, Instant};

use artgpt_rundir::ResourceUsage;
use candle_core::{Device, DeviceLocation};
use rustix::time::{ClockId, clock_gettime};

use artgpt_machine::Gpus;

/// Measures CPU, memory and GPU usage between two calls.
pub(crate) struct Meter {
    at: Instant,
    busy: Duration,
    /// The GPUs and the number of the run's own, for a run on a GPU.
    gpu: Option<(Gpus, u32)>,
}

impl Meter {
    pub(crate) fn start(device: &Device) -> Self {
        let gpu = match device.location() {
            DeviceLocation::Cuda { gpu_id } => {
                let gpus = Gpus::open();
                number(gpu_id, gpus.look().len()).map(|number| (gpus, number))
            }
            _ => None,
        };
        Self { at: Instant::now(), busy: busy(), gpu }
    }

    /// Usage since the last call, or since the start.
    pub(crate) fn read(&mut self) -> ResourceUsage {
        let (now, busy) = (Instant::now(), busy());
        let (passed, worked) = (now - self.at, busy.saturating_sub(self.busy));
        (self.at, self.busy) = (now, busy);
        let gpu = self.gpu.as_ref().and_then(|(gpus, number)| gpus.one(*number));
        ResourceUsage {
            cpu: worked.as_secs_f64() / passed.as_secs_f64().max(1e-9),
            memory: artgpt_machine::resident_memory(),
            gpu: gpu.as_ref().and_then(|gpu| gpu.busy).map(f64::from),
            gpu_memory: gpu.map(|gpu| gpu.memory.used),
        }
    }
}

/// NVML's number of a CUDA device; `None` if it is ambiguous.
fn number(gpu_id: usize, count: usize) -> Option<u32> {
    let variable = |name| std::env::var(name).ok();
    if count == 1 {
        return Some(0);
    }
    // Both count by PCI bus only if CUDA_DEVICE_ORDER asks for it.
    variable("CUDA_DEVICE_ORDER").filter(|order| order == "PCI_BUS_ID")?;
    match variable("CUDA_VISIBLE_DEVICES") {
        Some(visible) => visible.split(',').nth(gpu_id)?.trim().parse().ok(),
        None => u32::try_from(gpu_id).ok(),
    }
}

/// CPU time of all threads of this process so far.
fn busy() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.max(0) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_told_from_waiting() {
        let mut meter = Meter::start(&Device::Cpu);
        let mut sum = 0u64;
        meter.read();
        while meter.at.elapsed() < Duration::from_millis(200) {
            sum = std::hint::black_box(sum.wrapping_mul(31) + 7);
        }
        let used = meter.read();
        // Other tests of this process work, too.
        assert!(used.cpu > 0.1, "{used:?}");
        assert!(used.memory.is_some_and(|bytes| bytes > 1 << 20));
        assert_eq!((used.gpu, used.gpu_memory), (None, None));
    }
}
