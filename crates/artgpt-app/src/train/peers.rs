//! The other processes of a run, where `mpirun` or `srun` started some.

use candle_core::Device;

use super::ForegroundError;
use crate::Result;
use artgpt_train::{Alone, Peers};

/// Joins the other processes.
#[cfg(feature = "mpi")]
pub(super) fn join<'a>(
    stop: &'a dyn Fn() -> bool,
    device: Option<&Device>,
) -> Result<Box<dyn Peers + 'a>> {
    let Some(peers) = artgpt_train::MpiPeers::join(stop) else {
        return match started_together() {
            true => Err(ForegroundError::NotJoined.into()),
            false => Ok(Box::new(Alone)),
        };
    };
    #[cfg(feature = "nccl")]
    {
        // All of them go the same way, or they wait for each other for ever.
        let has = matches!(device, Some(Device::Cuda(_)));
        let all = peers.total(f64::from(u8::from(has)))? as usize == peers.size();
        if let Some(Device::Cuda(gpu)) = device
            && all
            && peers.size() > 1
        {
            return Ok(Box::new(artgpt_train::NcclPeers::join(peers, gpu)?));
        }
    }
    let _ = device;
    Ok(Box::new(peers))
}

/// Without MPI several processes would each train a run of their own.
#[cfg(not(feature = "mpi"))]
pub(super) fn join(_: &dyn Fn() -> bool, _: Option<&Device>) -> Result<Box<dyn Peers>> {
    match started_together() {
        true => Err(ForegroundError::NoMpi.into()),
        false => Ok(Box::new(Alone)),
    }
}

/// Whether `mpirun` or `srun` started more than this process.
fn started_together() -> bool {
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"].iter().any(|name| {
        std::env::var(name).is_ok_and(|size| size.parse::<usize>().is_ok_and(|n| n > 1))
    })
}

/// A new run's ID, the same in all its processes.
pub(super) fn common_id(peers: &dyn Peers) -> Result<String> {
    let id = u128::from(ulid::Ulid::generate());
    // The ID is shared in numbers that f64 holds exactly.
    let mut shared = 0u128;
    for shift in [0, 32, 64, 96] {
        let part = peers.first(((id >> shift) & 0xffff_ffff) as usize)?;
        shared |= (part as u128) << shift;
    }
    Ok(ulid::Ulid::from(shared).to_string())
}
