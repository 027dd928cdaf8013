//! Peers under MPI: `mpirun -n N artgpt-tui train CONFIG`.

use std::time::{Duration, Instant};

use candle_core::{Tensor, Var};
use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::request::scope;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};

use super::{Gradients, Peers, Result, TrainError};

/// Values summed at once.
const CHUNK: usize = 1 << 22;
/// Time between looks whether the others have answered.
const PAUSE: Duration = Duration::from_micros(200);
/// Between being asked to stop and giving the others up: a step of theirs may take a while.
const PATIENCE: Duration = Duration::from_millis(300);

pub struct MpiPeers<'a> {
    world: SimpleCommunicator,
    /// Asked to stop: a peer that died never answers, and `mpirun` then ends the rest by a signal.
    stop: &'a dyn Fn() -> bool,
    /// Until it is dropped MPI runs.
    _universe: Universe,
}

impl<'a> MpiPeers<'a> {
    /// Joins the others that `mpirun` started; `None` where it started none.
    pub fn join(stop: &'a dyn Fn() -> bool) -> Option<Self> {
        // Set by Open MPI, and by MPICH and its kin.
        let started = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"];
        started.iter().find(|name| std::env::var_os(name).is_some())?;
        let (universe, _) = mpi::initialize_with_threading(Threading::Funneled)?;
        Some(Self { world: universe.world(), stop, _universe: universe })
    }

    /// Sums `values` over all processes.
    fn sum_values(&self, values: &mut [f32]) -> Result<()> {
        for chunk in values.chunks_mut(CHUNK) {
            let mine = chunk.to_vec();
            self.sum_into(&mine, chunk)?;
        }
        Ok(())
    }

    fn sum_into<T: mpi::datatype::Equivalence>(&self, mine: &[T], sum: &mut [T]) -> Result<()> {
        scope(|scope| {
            let op = SystemOperation::sum();
            let mut request = self.world.immediate_all_reduce_into(scope, mine, sum, op);
            let mut asked: Option<Instant> = None;
            loop {
                request = match request.test() {
                    Ok(_) => return Ok(()),
                    Err(request) => request,
                };
                if asked.is_none() && (self.stop)() {
                    asked = Some(Instant::now());
                }
                if asked.is_some_and(|since| since.elapsed() > PATIENCE) {
                    // The buffers live as long as the process, which ends now without MPI.
                    std::mem::forget(request);
                    return Err(TrainError::LostPeer);
                }
                std::thread::sleep(PAUSE);
            }
        })
    }
}

impl Peers for MpiPeers<'_> {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    /// Tensor by tensor in the order of `trainable`, which is the same everywhere; what one process
    /// has no gradient of counts as zeros.
    fn sum(&self, grads: &mut Gradients, trainable: &[(String, Var)]) -> Result<()> {
        let mut all = Vec::new();
        for (name, var) in trainable {
            match grads.get(name) {
                Some(g) => all.extend(g.flatten_all()?.to_vec1::<f32>()?),
                None => all.resize(all.len() + var.elem_count(), 0.0),
            }
        }
        self.sum_values(&mut all)?;
        let mut start = 0;
        for (name, var) in trainable {
            let end = start + var.elem_count();
            let sum = Tensor::from_slice(&all[start..end], var.shape(), var.device())?;
            grads.set(name, sum);
            start = end;
        }
        Ok(())
    }

    fn total(&self, value: f64) -> Result<f64> {
        let mut sum = [0f64];
        self.sum_into(&[value], &mut sum)?;
        Ok(sum[0])
    }
}
