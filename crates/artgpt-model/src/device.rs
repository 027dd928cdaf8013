//! The device of `--device cpu|cuda[:N]|auto`.

use candle_core::{Device, DeviceLocation};

use crate::{Error, Result};

/// Opens the device that the user names: `cpu`, `cuda`, `cuda:N`, or `auto`, a CUDA device if there is
/// one. `cuda` without a number is the first one; processes that `mpirun` or `srun` started on one
/// machine take one each.
///
/// # Errors
/// [`Error::Unsupported`] if the name is no device, or the device is not there.
pub fn open(name: &str) -> Result<Device> {
    let wrong = |what: String, hint: &str| Error::Unsupported {
        path: "--device".into(),
        what,
        hint: hint.into(),
    };
    match name {
        "cpu" => Ok(Device::Cpu),
        "auto" => Ok(first_gpu().unwrap_or(Device::Cpu)),
        name => {
            let index: Option<usize> = match name.strip_prefix("cuda") {
                Some("") => None,
                Some(rest) => {
                    let index = rest.strip_prefix(':').and_then(|n| n.parse().ok());
                    Some(index.ok_or_else(|| wrong(name.into(), "use cpu, cuda, cuda:N or auto"))?)
                }
                None => return Err(wrong(name.into(), "use cpu, cuda, cuda:N or auto")),
            };
            let device = match index {
                Some(index) => Device::new_cuda(index).ok(),
                None => first_gpu(),
            };
            device.ok_or_else(|| {
                wrong(
                    name.into(),
                    "build with --features cuda on a machine with that GPU, or use cpu",
                )
            })
        }
    }
}

/// The GPU with the local rank of this process (Open MPI, MPICH, Slurm), or the nearest one below: a
/// batch system may show each process only its own GPU, as number 0.
fn first_gpu() -> Option<Device> {
    let own: usize = ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"]
        .iter()
        .find_map(|name| std::env::var(name).ok()?.parse().ok())
        .unwrap_or(0);
    // No machine has more GPUs.
    (0..=own.min(63)).rev().find_map(|index| Device::new_cuda(index).ok())
}

/// A message that names the selected device and why it was selected.
pub fn reason(name: &str, device: &Device) -> String {
    let chosen = match device.location() {
        DeviceLocation::Cpu => "the CPU".to_string(),
        DeviceLocation::Cuda { gpu_id } => format!("CUDA device {gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("Metal device {gpu_id}"),
    };
    let why = match (name, device.is_cpu()) {
        ("auto", true) if cfg!(feature = "cuda") => "no CUDA device answered",
        ("auto", true) => "this build has no CUDA (--features cuda)",
        ("auto", false) => "a CUDA device is there",
        _ => "--device or the settings say so",
    };
    let types = match device.is_cpu() {
        true => "vision in f32 (16-bit weights stay so), language model as stored",
        false => "vision in f16, language model in its own 16 bits or quantised",
    };
    format!("on {chosen}: {why}; {types}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_errors() {
        assert!(open("cpu").is_ok() && open("auto").is_ok());
        for bad in ["gpu", "cuda:", "cuda:x", ""] {
            assert!(open(bad).is_err(), "{bad}");
        }
    }
}
