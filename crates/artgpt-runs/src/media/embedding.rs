//! Embeddings logged for TensorBoard's projector, projected onto their first two principal components.
//!
//! `projector_config.pbtxt` in the run directory names the files (`tensorboard/plugins/projector`).

use std::path::{Component, Path, PathBuf};

use super::{MediaError, text};
use crate::about::{ByTag, keep};

/// The files of an embedding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedding {
    /// Vectors, one a line, with tabs between numbers.
    pub tensors: PathBuf,
    /// Labels, one a line.
    pub metadata: Option<PathBuf>,
}

/// An embedding projected by principal component analysis.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// Coordinates along the first two principal components.
    pub points: Vec<(f64, f64)>,
    /// A label for each point, or none at all.
    pub labels: Vec<String>,
    /// Dimensions of the vectors.
    pub dimensions: usize,
    /// Shares of the variance that the two components explain.
    pub variance: (f64, f64),
    /// Vectors in the file; `points` are evenly sampled if there are too many.
    pub count: usize,
}

/// Limit on the points; a terminal cannot resolve more.
const MAX_POINTS: usize = 5_000;
/// Limit on the numbers of all vectors together.
const MAX_NUMBERS: usize = 16 << 20;
/// Limit on a file's bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// Limit on the configuration's bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// Limit on a label's characters.
const MAX_LABEL_CHARS: usize = 200;
/// Dimensions of the iterated subspace: a subspace converges faster than its individual axes.
const DIRECTIONS: usize = 6;
/// Iterations on the vectors.
const ROUNDS: usize = 40;
/// Iterations within that subspace, which cost nothing.
const INNER_ROUNDS: usize = 20_000;

/// The embeddings of a run, by name and step.
pub fn embeddings(run: &Path) -> ByTag<Embedding> {
    let folder = if run.is_dir() { run } else { run.parent().unwrap_or(run) };
    let mut all = ByTag::new();
    let path = folder.join("projector_config.pbtxt");
    let Ok(config) = text(&path, MAX_CONFIG_BYTES) else { return all };
    for block in config.split("embeddings {").skip(1) {
        let value = |key: &str| {
            let mut lines = block.lines().filter_map(|line| line.trim().split_once(':'));
            let (_, value) = lines.find(|(name, _)| name.trim() == key)?;
            Some(value.trim().trim_matches('"').to_string()).filter(|value| !value.is_empty())
        };
        // Ignore a path that leads out of the run directory.
        let file = |key: &str| {
            let path = PathBuf::from(value(key)?);
            let own = path.components().all(|c| matches!(c, Component::Normal(_)));
            own.then(|| folder.join(path))
        };
        let Some(tensors) = file("tensor_path") else { continue };
        let name = value("tensor_name").unwrap_or_default();
        // PyTorch appends the step to the name.
        let step = name.rsplit_once(':').and_then(|(tag, step)| Some((tag, step.parse().ok()?)));
        let (tag, step) = step.unwrap_or((&name, 0));
        let tag = if tag.is_empty() { "embedding" } else { tag };
        keep(&mut all, tag, step, Embedding { tensors, metadata: file("metadata_path") });
    }
    all
}

/// Reads an embedding's vectors and projects them.
///
/// # Errors
/// [`MediaError`] names the line that is wrong, or why the vectors cannot be projected.
pub fn project(embedding: &Embedding) -> Result<Projection, MediaError> {
    let tensors = text(&embedding.tensors, MAX_FILE_BYTES)?;
    let count = tensors.lines().filter(|line| !line.trim().is_empty()).count();
    let first = tensors.lines().find(|line| !line.trim().is_empty());
    let width = first.map_or(1, |line| line.split('\t').count());
    // Sample evenly if there are too many.
    let stride = count.div_ceil((MAX_NUMBERS / width).clamp(1, MAX_POINTS)).max(1);
    let mut vectors: Vec<Vec<f64>> = Vec::new();
    let mut numbers = 0;
    for (at, line) in tensors.lines().filter(|line| !line.trim().is_empty()).enumerate() {
        if at % stride != 0 {
            continue;
        }
        let vector: Result<Vec<f64>, _> = line.split('\t').map(|n| n.trim().parse()).collect();
        let vector = vector.map_err(|_| MediaError::NotANumber(at + 1))?;
        let length = vectors.first().map_or(vector.len(), Vec::len);
        numbers += vector.len();
        if vector.len() != length || vector.iter().any(|n| !n.is_finite()) {
            return Err(MediaError::NotAVector { line: at + 1, length });
        }
        if numbers > MAX_NUMBERS {
            return Err(MediaError::LongVectors);
        }
        vectors.push(vector);
    }
    drop(tensors);
    let dimensions = vectors.first().map_or(0, Vec::len);
    if vectors.len() < 2 {
        return Err(MediaError::FewVectors);
    }
    let labels = embedding.metadata.as_ref().and_then(|path| text(path, MAX_FILE_BYTES).ok());
    let labels = labels.map_or(Vec::new(), |labels| labels_of(&labels, count, stride));
    let (points, variance) = plane(vectors);
    Ok(Projection { points, labels, dimensions, variance, count })
}

/// The labels: the first column. A file with several columns has a header line.
fn labels_of(metadata: &str, count: usize, stride: usize) -> Vec<String> {
    let head = metadata.lines().next().is_some_and(|line| line.contains('\t'));
    let lines = metadata.lines().skip(usize::from(head));
    // With another count, labels cannot be matched to vectors.
    if lines.clone().count() != count {
        return Vec::new();
    }
    let first =
        |line: &str| line.split('\t').next().unwrap_or("").chars().take(MAX_LABEL_CHARS).collect();
    lines.step_by(stride).map(first).collect()
}

/// Coordinates along the first two principal components, and their shares of the variance. Runs orthogonal
/// iteration on the covariance, then again within the subspace found (Rayleigh-Ritz).
fn plane(mut vectors: Vec<Vec<f64>>) -> (Vec<(f64, f64)>, (f64, f64)) {
    let (count, width) = (vectors.len(), vectors[0].len());
    let mut mean = vec![0.0; width];
    for vector in &vectors {
        mean.iter_mut().zip(vector).for_each(|(m, v)| *m += v / count as f64);
    }
    for vector in &mut vectors {
        vector.iter_mut().zip(&mean).for_each(|(v, m)| *v -= m);
    }
    // So that squares are neither beyond all numbers nor nothing.
    let greatest = vectors.iter().flatten().fold(0.0f64, |most, v| most.max(v.abs()));
    if greatest > 0.0 && greatest.is_finite() {
        vectors.iter_mut().flatten().for_each(|v| *v /= greatest);
    }
    let whole: f64 = vectors.iter().flatten().map(|v| v * v).sum();
    // A fixed pseudo-random start, so that results are reproducible.
    let mut seed = 1u64;
    let mut any = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as f64 / (1u64 << 31) as f64 - 0.5
    };
    let some = DIRECTIONS.min(width).min(count - 1);
    let mut axes: Vec<Vec<f64>> = (0..some).map(|_| (0..width).map(|_| any()).collect()).collect();
    orthonormal(&mut axes);
    for _ in 0..ROUNDS {
        axes = spread(&vectors, &axes);
        orthonormal(&mut axes);
    }
    let within: Vec<Vec<f64>> =
        vectors.iter().map(|vector| axes.iter().map(|axis| dot(vector, axis)).collect()).collect();
    let unit = |at: usize| (0..some).map(|i| f64::from(u8::from(i == at))).collect();
    let identity: Vec<Vec<f64>> = (0..some).map(unit).collect();
    let covariance = spread(&within, &identity);
    let mut turned = identity;
    for _ in 0..INNER_ROUNDS {
        turned = turned
            .iter()
            .map(|axis| covariance.iter().map(|row| dot(row, axis)).collect())
            .collect();
        orthonormal(&mut turned);
    }
    let along = |axis: usize| -> Vec<f64> {
        let axis = turned.get(axis);
        within.iter().map(|vector| axis.map_or(0.0, |axis| dot(vector, axis))).collect()
    };
    let (x, y) = (along(0), along(1));
    let share = |all: &[f64]| dot(all, all) / whole.max(f64::MIN_POSITIVE);
    let variance = (share(&x), share(&y));
    (x.into_iter().zip(y).map(|(x, y)| (x * greatest, y * greatest)).collect(), variance)
}

/// The covariance, up to a factor, times each axis.
fn spread(vectors: &[Vec<f64>], axes: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut sums = vec![vec![0.0; vectors.first().map_or(0, Vec::len)]; axes.len()];
    for vector in vectors {
        for (axis, sum) in axes.iter().zip(&mut sums) {
            let along = dot(vector, axis);
            sum.iter_mut().zip(vector).for_each(|(s, v)| *s += along * v);
        }
    }
    sums
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gram-Schmidt orthonormalisation; a direction without variance becomes zero.
fn orthonormal(axes: &mut [Vec<f64>]) {
    for at in 0..axes.len() {
        let (before, rest) = axes.split_at_mut(at);
        let axis = &mut rest[0];
        let whole = dot(axis, axis).sqrt();
        for other in before {
            let along = dot(axis, other);
            axis.iter_mut().zip(other).for_each(|(a, o)| *a -= along * *o);
        }
        let length = dot(axis, axis).sqrt();
        // What remains of a linearly dependent axis is rounding error.
        let scale = if length > whole * 1e-8 && length > 1e-300 { 1.0 / length } else { 0.0 };
        axis.iter_mut().for_each(|a| *a *= scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plane_is_where_the_vectors_differ_most() {
        // Two circles of unlike size in a plane that lies askew in five dimensions.
        let vectors = (0..200).map(|i| {
            let (angle, size) = (f64::from(i) * 0.1, if i % 2 == 0 { 5.0 } else { 1.0 });
            let (a, b) = (3.0 * size * angle.cos(), size * angle.sin());
            vec![a + 7.0, a, b, b - a, 1.0]
        });
        let (points, (first, second)) = plane(vectors.collect());
        assert!((first + second - 1.0).abs() < 1e-9 && first > 0.5 && second > 0.01);
        let mean: f64 = points.iter().map(|p| p.0).sum();
        let turned: f64 = points.iter().map(|p| p.0 * p.1).sum();
        assert!(mean.abs() < 1e-6 && turned.abs() < 1e-3, "{mean} {turned}");
        // Ten directions that hold nearly the same: the first two are distinguished from the third, and numbers
        // beyond the roots of all numbers do no harm.
        for scale in [1.0, 1e200, 1e-200] {
            let size = |at: usize| scale * (10.0 - at as f64 / 4.0);
            let vectors = (0..20).map(|i| {
                let mut vector = vec![0.0; 10];
                vector[i / 2] = if i % 2 == 0 { size(i / 2) } else { -size(i / 2) };
                vector
            });
            let (points, (first, second)) = plane(vectors.collect());
            let whole: f64 = (0..10).map(|at| (size(at) / scale).powi(2)).sum();
            assert!((first - 100.0 / whole).abs() < 1e-9, "{first} at {scale}");
            assert!((second - 9.75f64.powi(2) / whole).abs() < 1e-9, "{second}");
            assert!((points[0].0.abs() / scale - 10.0).abs() < 1e-6, "{points:?}");
        }
        // Where nothing differs there is a plane all the same.
        assert_eq!(plane(vec![vec![1.0]; 3]).0, [(0.0, 0.0); 3]);
    }

    #[test]
    fn labels_are_read_with_and_without_a_head() {
        assert_eq!(labels_of("a\nb\nc\n", 3, 1), ["a", "b", "c"]);
        assert_eq!(labels_of("name\tkind\na\t1\nb\t2\nc\t3", 3, 2), ["a", "c"]);
        assert!(labels_of("a\nb\n", 3, 1).is_empty());
        // The same number of samples, but not of labels.
        assert!(labels_of("a\nb\n", 3, 2).is_empty());
        assert!(labels_of("head\na\nb\n", 2, 1).is_empty());
    }

    #[test]
    fn files_outside_the_folder_are_not_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let config = "embeddings {\ntensor_name: \"words:00012\"\n\
            tensor_path: \"00012/words/tensors.tsv\"\n}\nembeddings {\ntensor_path: \"../t.tsv\"\n}";
        std::fs::write(dir.path().join("projector_config.pbtxt"), config).expect("writes");
        let all = embeddings(dir.path());
        assert_eq!(all.keys().collect::<Vec<_>>(), ["words"]);
        assert_eq!(all["words"][0].step, 12);
        let why = project(&all["words"][0].what).expect_err("no file").to_string();
        assert!(why.contains("tensors.tsv"), "{why}");
    }
}
