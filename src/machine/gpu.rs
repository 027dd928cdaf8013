//! GPUs, as NVIDIA's management library tells of them. It is loaded at run time: a machine without it
//! has no GPUs.

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;

use super::Used;

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
        (0..library.device_count().unwrap_or(0))
            .filter_map(|index| {
                let gpu = library.device_by_index(index).ok()?;
                let memory = gpu.memory_info().ok()?;
                Some(Gpu {
                    index,
                    name: gpu.name().unwrap_or_else(|_| format!("GPU {index}")),
                    memory: Used {
                        used: memory.total.saturating_sub(memory.free),
                        total: memory.total,
                    },
                    busy: gpu.utilization_rates().ok().map(|u| u.gpu as f32 / 100.0),
                    celsius: gpu.temperature(TemperatureSensor::Gpu).ok(),
                    watts: gpu.power_usage().ok().map(|milliwatts| milliwatts as f32 / 1000.0),
                })
            })
            .collect()
    }
}
