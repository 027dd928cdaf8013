//! Gradients summed from GPU to GPU by NCCL, between processes that MPI has introduced.

use candle_core::cuda_backend::cudarc::nccl::{Comm, Id, ReduceOp};
use candle_core::{CpuStorage, CudaDevice, CudaStorage, InplaceOp1, Layout, Tensor, Var};

use super::{Gradients, MpiPeers, Peers, Result};

/// Sums numbers by MPI and tensors by NCCL. NCCL does not report a process that died within a sum:
/// `mpirun` then ends the others, and the last regular checkpoint remains.
pub struct NcclPeers<'a> {
    mpi: MpiPeers<'a>,
    comm: Comm,
}

impl<'a> NcclPeers<'a> {
    /// Creates NCCL's communicator; each process needs a GPU of its own.
    ///
    /// # Errors
    /// Those of NCCL and MPI.
    pub fn join(mpi: MpiPeers<'a>, device: &CudaDevice) -> Result<Self> {
        let error = |e| candle_core::Error::Msg(format!("NCCL: {e:?}"));
        let mine = match mpi.rank() {
            0 => *Id::new().map_err(error)?.internal(),
            _ => [0; 128],
        };
        // The other processes send zeros, so the sum is the first one's ID.
        let shared = mpi.sum_numbers(mine.iter().map(|byte| f64::from(*byte)).collect())?;
        let mut id = [0; 128];
        for (byte, number) in id.iter_mut().zip(shared) {
            *byte = number as core::ffi::c_char;
        }
        let comm = Comm::from_rank(device.cuda_stream(), mpi.rank(), mpi.size(), Id::uninit(id))
            .map_err(error)?;
        Ok(Self { mpi, comm })
    }
}

impl Peers for NcclPeers<'_> {
    fn rank(&self) -> usize {
        self.mpi.rank()
    }

    fn size(&self) -> usize {
        self.mpi.size()
    }

    fn sum(&self, grads: &mut Gradients, trainable: &[(String, Var)]) -> Result<()> {
        let known = self.mpi.known(grads, trainable)?;
        for ((name, var), known) in trainable.iter().zip(known) {
            if !known {
                continue;
            }
            let sum = match grads.get(name) {
                Some(g) => g.contiguous()?,
                None => Tensor::zeros(var.shape(), var.dtype(), var.device())?,
            };
            sum.inplace_op1(&AllReduce(&self.comm))?;
            grads.set(name, sum);
        }
        Ok(())
    }

    fn total(&self, value: f64) -> Result<f64> {
        self.mpi.total(value)
    }
}

struct AllReduce<'a>(&'a Comm);

impl InplaceOp1 for AllReduce<'_> {
    fn name(&self) -> &'static str {
        "all-reduce"
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> candle_core::Result<()> {
        candle_core::bail!("NCCL sums on GPUs")
    }

    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> candle_core::Result<()> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("a gradient is contiguous")
        };
        let mut values = storage.as_cuda_slice_mut::<f32>()?.slice_mut(start..end);
        self.0
            .all_reduce_in_place(&mut values, &ReduceOp::Sum)
            .map_err(|e| candle_core::Error::Msg(format!("NCCL: {e:?}")))?;
        Ok(())
    }
}
