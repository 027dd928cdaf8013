//! Peers under MPI: `mpirun -n N artgpt-tui train CONFIG`.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use candle_core::{Tensor, Var};
use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::traits::{Communicator, CommunicatorCollectives};

use super::{Gradients, Peers, Result, TrainError};

/// Values summed at once.
const CHUNK: usize = 1 << 22;
/// Between looks whether this process was asked to stop.
const LOOK: Duration = Duration::from_millis(20);
/// Between being asked to stop and giving the others up: they may be about to answer.
const PATIENCE: Duration = Duration::from_millis(300);

/// All of MPI is on a thread of its own. A peer that died never answers; that thread then waits for
/// ever, and this one does not.
pub struct MpiPeers<'a> {
    rank: usize,
    size: usize,
    sums: Option<Sender<Values>>,
    summed: Receiver<Values>,
    thread: Option<JoinHandle<()>>,
    /// Asked to stop; `mpirun` ends the rest by a signal when one of them has died.
    stop: &'a dyn Fn() -> bool,
}

/// Summed in place.
enum Values {
    Gradients(Vec<f32>),
    Numbers(Vec<f64>),
}

impl<'a> MpiPeers<'a> {
    /// Joins the others that `mpirun` started; `None` where it started none.
    pub fn join(stop: &'a dyn Fn() -> bool) -> Option<Self> {
        // Set by Open MPI, and by MPICH and its kin.
        let started = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"];
        started.iter().find(|name| std::env::var_os(name).is_some())?;
        let (sums, jobs) = channel();
        let (answers, summed) = channel();
        let (place, placed) = channel();
        let thread = std::thread::Builder::new()
            .name("mpi".into())
            .spawn(move || {
                let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled)
                else {
                    return;
                };
                let world = universe.world();
                if place.send((world.rank() as usize, world.size() as usize)).is_err() {
                    return;
                }
                let sum = SystemOperation::sum();
                while let Ok(values) = jobs.recv() {
                    let values = match values {
                        Values::Gradients(mine) => {
                            let mut all = vec![0f32; mine.len()];
                            for (mine, all) in mine.chunks(CHUNK).zip(all.chunks_mut(CHUNK)) {
                                world.all_reduce_into(mine, all, sum);
                            }
                            Values::Gradients(all)
                        }
                        Values::Numbers(mine) => {
                            let mut all = vec![0f64; mine.len()];
                            world.all_reduce_into(&mine[..], &mut all[..], sum);
                            Values::Numbers(all)
                        }
                    };
                    if answers.send(values).is_err() {
                        return;
                    }
                }
            })
            .ok()?;
        let (rank, size) = placed.recv().ok()?;
        Some(Self { rank, size, sums: Some(sums), summed, thread: Some(thread), stop })
    }

    /// Each number summed over all processes.
    pub fn sum_numbers(&self, mine: Vec<f64>) -> Result<Vec<f64>> {
        match self.sum_over_all(Values::Numbers(mine))? {
            Values::Numbers(all) => Ok(all),
            Values::Gradients(_) => Err(TrainError::LostPeer),
        }
    }

    /// Which tensors have a gradient in one of the processes: what nobody has a gradient of has
    /// none, and the optimiser leaves it alone.
    pub fn known(&self, grads: &Gradients, trainable: &[(String, Var)]) -> Result<Vec<bool>> {
        let mine = trainable.iter().map(|(name, _)| f64::from(u8::from(grads.get(name).is_some())));
        Ok(self.sum_numbers(mine.collect())?.into_iter().map(|n| n > 0.0).collect())
    }

    fn sum_over_all(&self, values: Values) -> Result<Values> {
        let sums = self.sums.as_ref().ok_or(TrainError::LostPeer)?;
        sums.send(values).map_err(|_| TrainError::LostPeer)?;
        let mut asked: Option<Instant> = None;
        loop {
            match self.summed.recv_timeout(LOOK) {
                Ok(values) => return Ok(values),
                Err(RecvTimeoutError::Disconnected) => return Err(TrainError::LostPeer),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if asked.is_none() && (self.stop)() {
                asked = Some(Instant::now());
            }
            if asked.is_some_and(|since| since.elapsed() > PATIENCE) {
                return Err(TrainError::LostPeer);
            }
        }
    }
}

impl Drop for MpiPeers<'_> {
    /// Ends MPI; a run that lost a peer ends the process instead.
    fn drop(&mut self) {
        self.sums = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Peers for MpiPeers<'_> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    /// Tensor by tensor in the order of `trainable`, which is the same everywhere; what one process
    /// alone has no gradient of counts as zeros there.
    fn sum(&self, grads: &mut Gradients, trainable: &[(String, Var)]) -> Result<()> {
        let known = self.known(grads, trainable)?;
        let mut mine = Vec::new();
        for (name, var) in trainable {
            match grads.get(name) {
                Some(g) => mine.extend(g.flatten_all()?.to_vec1::<f32>()?),
                None => mine.resize(mine.len() + var.elem_count(), 0.0),
            }
        }
        let Values::Gradients(all) = self.sum_over_all(Values::Gradients(mine))? else {
            return Err(TrainError::LostPeer);
        };
        let mut start = 0;
        for ((name, var), known) in trainable.iter().zip(known) {
            let end = start + var.elem_count();
            if known {
                let sum = Tensor::from_slice(&all[start..end], var.shape(), var.device())?;
                grads.set(name, sum);
            }
            start = end;
        }
        Ok(())
    }

    fn total(&self, value: f64) -> Result<f64> {
        Ok(self.sum_numbers(vec![value])?.first().copied().unwrap_or(value))
    }
}
