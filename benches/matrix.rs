//! One row through Q4_K matrices of Vicuna-7B's shapes, as decoding runs them, beside candle's own
//! product of the same blocks: `cargo bench --bench matrix`. No model is needed.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::sync::Arc;

use artgpt_kernels::matrix::{Matrix, Precision};
use artgpt_kernels::process::{self, Workload};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use divan::Bencher;
use divan::counter::BytesCount;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OUT: usize = 11_008;
const WIDTH: usize = 4096;
/// So many that no cache of a processor holds them.
const MATRICES: usize = 24;
const BYTES: usize = OUT * WIDTH / 256 * 144;

fn main() {
    process::set_up(Workload::Chat).expect("no other thread runs yet");
    divan::main();
}

fn quantised() -> Arc<QTensor> {
    let w = Tensor::randn(0f32, 1.0, (OUT, WIDTH), &Device::Cpu).expect("random values");
    Arc::new(QTensor::quantize(&w, GgmlDType::Q4K).expect("quantises"))
}

fn run(bencher: Bencher, matrices: &[Matrix]) {
    let x = Tensor::randn(0f32, 1.0, (1, 1, WIDTH), &Device::Cpu).expect("a row");
    bencher.counter(BytesCount::new(BYTES * matrices.len())).bench_local(|| {
        for matrix in matrices {
            divan::black_box(matrix.forward(&x, Precision::Fast).expect("multiplies"));
        }
    });
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn packed(bencher: Bencher) {
    let q = quantised();
    let data = q.data().expect("bytes");
    let one = || Matrix::packed(GgmlDType::Q4K, &[&data], WIDTH).expect("needs AVX-512 VNNI");
    run(bencher, &(0..MATRICES).map(|_| one()).collect::<Vec<_>>());
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn candle(bencher: Bencher) {
    let q = quantised();
    let copy = || {
        let data = q.data().expect("bytes").into_owned();
        let storage =
            candle_core::quantized::QStorage::from_data(data.into(), &Device::Cpu, GgmlDType::Q4K);
        QTensor::new(storage.expect("blocks"), (OUT, WIDTH)).expect("a matrix")
    };
    let matrices: Vec<_> = (0..MATRICES).map(|_| Matrix::Quantised(Arc::new(copy()))).collect();
    run(bencher, &matrices);
}
