//! GPUs, as NVIDIA's management library tells of them. It is loaded at run time: a machine without it
//! has no GPUs.

use std::collections::HashMap;

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;

use super::Used;
use super::process::GpuUse;

/// One GPU; what a driver does not tell is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gpu {
    /// As in `--device cuda:N`, unless `CUDA_VISIBLE_DEVICES` numbers them anew.
    pub index: u32,
    pub name: String,
    /// Bytes.
    pub memory: Used,
    /// Share of the time in which a kernel ran, 0 to 1.
    pub busy: Option<f32>,
    pub celsius: Option<u32>,
    pub watts: Option<f32>,
    /// What it may draw at most.
    pub most_watts: Option<f32>,
    /// Of its multiprocessors.
    pub megahertz: Option<u32>,
    /// Share of the fan's full speed.
    pub fan: Option<f32>,
}

pub struct Gpus {
    library: Option<Nvml>,
}

impl Gpus {
    pub fn open() -> Self {
        Self { library: Nvml::init().ok() }
    }

    /// A GPU that does not answer is left out.
    pub fn look(&self) -> Vec<Gpu> {
        let Some(library) = &self.library else { return Vec::new() };
        (0..library.device_count().unwrap_or(0)).filter_map(|index| self.one(index)).collect()
    }

    pub fn one(&self, index: u32) -> Option<Gpu> {
        let gpu = self.library.as_ref()?.device_by_index(index).ok()?;
        let memory = gpu.memory_info().ok()?;
        Some(Gpu {
            index,
            name: gpu.name().unwrap_or_else(|_| format!("GPU {index}")),
            memory: Used { used: memory.total.saturating_sub(memory.free), total: memory.total },
            busy: gpu.utilization_rates().ok().map(|u| u.gpu as f32 / 100.0),
            celsius: gpu.temperature(TemperatureSensor::Gpu).ok(),
            watts: gpu.power_usage().ok().map(|milliwatts| milliwatts as f32 / 1000.0),
            most_watts: gpu.enforced_power_limit().ok().map(|most| most as f32 / 1000.0),
            megahertz: gpu.clock_info(Clock::SM).ok(),
            fan: gpu.fan_speed(0).ok().map(|percent| percent as f32 / 100.0),
        })
    }

    /// What processes use of GPUs, by their numbers.
    pub fn processes(&self) -> HashMap<u32, GpuUse> {
        let mut all: HashMap<u32, GpuUse> = HashMap::new();
        let Some(library) = &self.library else { return all };
        for index in 0..library.device_count().unwrap_or(0) {
            let Ok(gpu) = library.device_by_index(index) else { continue };
            let samples = gpu.process_utilization_stats(None).unwrap_or_default();
            let mut there = gpu.running_compute_processes().unwrap_or_default();
            there.extend(gpu.running_graphics_processes().unwrap_or_default());
            for process in there {
                let memory = match process.used_gpu_memory {
                    UsedGpuMemory::Used(bytes) => bytes,
                    UsedGpuMemory::Unavailable => 0,
                };
                let busy = samples.iter().filter(|sample| sample.pid == process.pid);
                let busy = busy.max_by_key(|sample| sample.timestamp);
                let busy = busy.map(|sample| sample.sm_util as f32 / 100.0);
                let known = all.entry(process.pid).or_default();
                if memory >= known.memory {
                    *known = GpuUse { index, memory, busy };
                }
            }
        }
        all
    }
}
