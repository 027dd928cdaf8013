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
/// Interval of the checks for a requested stop.
const STOP_INTERVAL: Duration = Duration::from_millis(20);
/// Time between a requested stop and giving up on the other processes, which may still answer.
const PATIENCE: Duration = Duration::from_millis(300);

/// Processes that `mpirun` started. MPI runs on a thread of its own: if a process died, that thread
/// waits forever, but the training thread does not.
pub struct MpiPeers<'a> {
    rank: usize,
    size: usize,
    sums: Option<Sender<Values>>,
    summed: Receiver<Values>,
    thread: Option<JoinHandle<()>>,
    /// Whether a stop is requested; `mpirun` ends the others by a signal when one process dies.
    stop: &'a dyn Fn() -> bool,
}

/// Summed in place.
enum Values {
    Gradients(Vec<f32>),
    Numbers(Vec<f64>),
}

impl<'a> MpiPeers<'a> {
    /// Joins the other processes of `mpirun`; `None` without `mpirun`.
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

    /// Sums each number over all processes.
    ///
    /// # Errors
    /// [`TrainError::LostPeer`].
    pub fn sum_numbers(&self, mine: Vec<f64>) -> Result<Vec<f64>> {
        match self.sum_over_all(Values::Numbers(mine))? {
            Values::Numbers(all) => Ok(all),
            Values::Gradients(_) => Err(TrainError::LostPeer),
        }
    }

    /// Whether each tensor has a gradient in any process; the optimiser skips tensors without.
    ///
    /// # Errors
    /// [`TrainError::LostPeer`].
    pub fn known(&self, grads: &Gradients, trainable: &[(String, Var)]) -> Result<Vec<bool>> {
        let mine = trainable.iter().map(|(name, _)| f64::from(u8::from(grads.get(name).is_some())));
        Ok(self.sum_numbers(mine.collect())?.into_iter().map(|n| n > 0.0).collect())
    }

    fn sum_over_all(&self, values: Values) -> Result<Values> {
        let sums = self.sums.as_ref().ok_or(TrainError::LostPeer)?;
        sums.send(values).map_err(|_| TrainError::LostPeer)?;
        let mut stop_requested: Option<Instant> = None;
        loop {
            match self.summed.recv_timeout(STOP_INTERVAL) {
                Ok(values) => return Ok(values),
                Err(RecvTimeoutError::Disconnected) => return Err(TrainError::LostPeer),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if stop_requested.is_none() && (self.stop)() {
                stop_requested = Some(Instant::now());
            }
            if stop_requested.is_some_and(|since| since.elapsed() > PATIENCE) {
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

    /// Tensor by tensor in the order of `trainable`, which is the same in all processes. A gradient that
    /// only some processes have counts as zeros in the others.
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
