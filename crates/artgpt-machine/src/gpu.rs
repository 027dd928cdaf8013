//! GPUs, read through NVIDIA's management library (NVML). NVML is loaded at run time; a machine without
//! it reports no GPUs.

use std::collections::HashMap;

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;

use super::Used;
use super::process::GpuUse;

/// The state of one GPU. Values that the driver does not report are `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gpu {
    /// As in `--device cuda:N`, unless `CUDA_VISIBLE_DEVICES` renumbers the GPUs.
    pub index: u32,
    /// The model, such as `NVIDIA A100-SXM4-40GB`.
    pub name: String,
    /// Memory of the device.
    pub memory: Used,
    /// Utilisation: share of the time in which a kernel ran, 0 to 1.
    pub busy: Option<f32>,
    /// Temperature in degrees Celsius.
    pub celsius: Option<u32>,
    /// Power draw in watts.
    pub watts: Option<f32>,
    /// Power limit in watts.
    pub most_watts: Option<f32>,
    /// Clock of the multiprocessors in MHz.
    pub megahertz: Option<u32>,
    /// Fan speed as a share of full speed, 0 to 1.
    pub fan: Option<f32>,
}

/// Reads the GPUs of this machine.
pub struct Gpus {
    library: Option<Nvml>,
}

impl Gpus {
    /// Loads NVML; without it there are no GPUs.
    pub fn open() -> Self {
        Self { library: Nvml::init().ok() }
    }

    /// The state of all GPUs; skips a GPU that NVML cannot read.
    pub fn look(&self) -> Vec<Gpu> {
        let Some(library) = &self.library else { return Vec::new() };
        (0..library.device_count().unwrap_or(0)).filter_map(|index| self.one(index)).collect()
    }

    /// The state of the GPU with this index, if NVML can read it.
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
            most_watts: gpu.enforced_power_limit().ok().map(|limit| limit as f32 / 1000.0),
            megahertz: gpu.clock_info(Clock::SM).ok(),
            fan: gpu.fan_speed(0).ok().map(|percent| percent as f32 / 100.0),
        })
    }

    /// The GPU usage of processes, by PID.
    pub(crate) fn processes(&self) -> HashMap<u32, GpuUse> {
        let mut all: HashMap<u32, GpuUse> = HashMap::new();
        let Some(library) = &self.library else { return all };
        for index in 0..library.device_count().unwrap_or(0) {
            let Ok(gpu) = library.device_by_index(index) else { continue };
            let samples = gpu.process_utilization_stats(None).unwrap_or_default();
            let mut running = gpu.running_compute_processes().unwrap_or_default();
            running.extend(gpu.running_graphics_processes().unwrap_or_default());
            for process in running {
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
