//! Ten million points as a chart needs them, and how fast files are read: `cargo bench --bench curves`.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::path::Path;

use artgpt_runs::readers::{EventFile, JsonLines, Reader};
use artgpt_runs::{Clock, Curves, Grown, Point, Series, XAxis};
use divan::Bencher;
use divan::counter::ItemsCount;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

const MANY: u64 = 10_000_000;

/// A loss, as noisy as one is.
fn point(step: u64) -> Point {
    let noise = f64::from((step as u32).wrapping_mul(2_654_435_761) as f32) / 4e9;
    Point {
        step: step as f64,
        wall: 1e9 + step as f64 * 0.1,
        value: f64::from((noise + 1e4 / (step + 1) as f64) as f32),
    }
}

fn series(count: u64) -> Series {
    let mut series = Series::default();
    (0..count).for_each(|step| series.push(point(step)));
    series
}

/// One chart of 200 cells, two dots wide each: sixty of these a second leave room for many runs.
#[divan::bench(args = [XAxis::Step, XAxis::Relative])]
fn four_hundred_columns_of_ten_million_points(bencher: Bencher, axis: XAxis) {
    let series = series(MANY);
    let high = if axis == XAxis::Step { MANY as f64 } else { MANY as f64 * 0.1 };
    bencher.bench_local(|| {
        let clock = Clock { axis, began: 1e9, epochs: None };
        let columns = series.columns(clock, (0.0, high), 400).into_iter();
        columns.map(|column| series.extremes(column)).collect::<Vec<_>>()
    });
}

#[divan::bench(sample_count = 5)]
fn push_a_million_points(bencher: Bencher) {
    bencher.counter(ItemsCount::new(1_000_000u32)).bench_local(|| series(1_000_000));
}

fn read_all(mut reader: Box<dyn Reader>) -> Curves {
    let mut curves = Curves::default();
    while reader.fetch().expect("reads") != Grown::Not {
        reader.parse(&mut curves);
    }
    curves
}

/// A run of 100,000 points.
const POINTS: u64 = 100_000;

#[divan::bench(sample_count = 10)]
fn read_an_event_file(bencher: Bencher) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut file = artgpt_rundir::events::EventFile::create(dir.path(), 0).expect("makes");
    for p in (0..POINTS).map(point) {
        file.write_scalar("loss/train", p.step, p.wall, p.value).expect("writes");
    }
    file.flush().expect("writes");
    let path = dir.path().read_dir().expect("reads").flatten().next().expect("a file").path();
    bencher
        .counter(ItemsCount::new(POINTS))
        .bench_local(|| read_all(Box::new(EventFile::new(&path))));
}

#[divan::bench(sample_count = 10)]
fn read_json_lines(bencher: Bencher) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("metrics.jsonl");
    let line = |p: Point| {
        format!("{{\"step\":{},\"wall_time\":{},\"loss\":{}}}\n", p.step, p.wall, p.value)
    };
    std::fs::write(&path, (0..POINTS).map(|step| line(point(step))).collect::<String>())
        .expect("writes");
    let open = |path: &Path| read_all(Box::new(JsonLines::new(path)));
    bencher.counter(ItemsCount::new(POINTS)).bench_local(|| open(&path));
}
