//! Against PyTorch and torchvision: `tests/reference/make_detector.py` makes the same weights and pictures.

use super::*;
use candle_core::Tensor;

/// Side and grid of the made-up picture and output.
const SIDE: usize = 96;
const GRID: usize = 6;

#[derive(serde::Deserialize)]
struct Wanted {
    /// Index and value.
    network: Vec<(usize, f64)>,
    /// Class, score, edges.
    boxes: Vec<(usize, f32, f32, f32, f32, f32)>,
}

fn wanted() -> Wanted {
    let text = include_str!("../../../../tests/reference/detector.json");
    serde_json::from_str(text).expect("reads")
}

/// Numbers from -1 to 1: splitmix64 of each index.
fn hashed(start: u64, count: usize) -> impl Iterator<Item = f32> {
    (start..start + count as u64).map(|i| {
        let x = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    })
}

/// A file of weights.
fn file(dir: &Path) -> PathBuf {
    let mut bytes: Vec<u8> = [0i32, 2, 0, 0, 0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut at = 0;
    for layer in &network::LAYERS {
        let each = layer.input * layer.side * layer.side;
        let weight = (3.0 / each as f32).sqrt() * 1.4;
        // Bias, then scale, mean and variance, then the weights.
        let norm: &[(usize, f32, f32)] = match layer.norm {
            true => &[(layer.out, 1.0, 0.5), (layer.out, 0.0, 0.1), (layer.out, 1.0, 0.5)],
            false => &[],
        };
        let parts = [&[(layer.out, 0.0, 0.1)], norm, &[(layer.out * each, 0.0, weight)]].concat();
        for (count, base, factor) in parts {
            let values = hashed(at, count).map(|v| base + v * factor);
            bytes.extend(values.flat_map(f32::to_le_bytes));
            at += count as u64;
        }
    }
    let path = dir.join("made.weights");
    std::fs::write(&path, bytes).expect("writes");
    path
}

#[test]
fn the_network_computes_what_pytorch_computes() {
    let dir = tempfile::tempdir().expect("a folder");
    let detector = Detector::open(&file(dir.path()), &Device::Cpu).expect("opens");
    let pixels: Vec<f32> =
        hashed(1_000_000_000, 3 * SIDE * SIDE).map(|v| (v + 1.0) / 2.0).collect();
    let pixels = Tensor::from_vec(pixels, (1, 3, SIDE, SIDE), &Device::Cpu).expect("a tensor");
    let (grid, values) = detector.network.forward(&pixels).expect("computes");
    assert_eq!((grid, values.len()), (SIDE / 32, 425 * 9));
    for (at, value) in wanted().network {
        assert!((f64::from(values[at]) - value).abs() < 1e-4, "{at}: {} for {value}", values[at]);
    }
}

#[test]
fn boxes_are_those_of_pytorch_and_torchvision() {
    let cells = GRID * GRID;
    let mut values: Vec<f32> = hashed(2_000_000_000, 425 * cells).map(|v| v * 2.0).collect();
    for anchor in values.chunks_exact_mut(85 * cells) {
        anchor[4 * cells..5 * cells].iter_mut().for_each(|v| *v += 1.0);
        anchor[5 * cells..6 * cells].iter_mut().for_each(|v| *v += 6.0);
        anchor[20 * cells..21 * cells].iter_mut().for_each(|v| *v += 6.0);
    }
    let found = boxes::without_doubles(boxes::decode(&values, GRID));
    let wanted = wanted().boxes;
    assert_eq!(found.len(), wanted.len());
    for (found, (class, score, left, top, right, bottom)) in found.iter().zip(wanted) {
        assert_eq!(found.name, names::NAMES[class]);
        assert!((found.score - score).abs() < 1e-5, "{found:?}");
        for (own, other) in found.edges.expect("a box").iter().zip([left, top, right, bottom]) {
            assert!((own - other).abs() < 1e-4, "{found:?}");
        }
    }
}

#[test]
fn the_square_around_a_picture_is_grey_and_is_undone() {
    let image = RgbImage::from_pixel(40, 20, image::Rgb([255, 0, 51]));
    let (frame, pixels) = Letterbox::of(&image, 64, &Device::Cpu).expect("fits");
    let at = |channel: usize, y: usize, x: usize| -> f32 {
        let value = pixels.get(0).and_then(|p| p.get(channel)).and_then(|p| p.get(y));
        value.and_then(|p| p.get(x)).and_then(|p| p.to_scalar()).expect("a number")
    };
    assert_eq!([at(0, 15, 0), at(1, 48, 63)], [0.5, 0.5]);
    assert_eq!([at(0, 16, 0), at(1, 47, 63), at(2, 30, 30)], [1.0, 0.0, 0.2]);
    let dog = |edges| artgpt_art::Found { name: "dog".into(), score: 1.0, edges: Some(edges) };
    let whole = dog([0.0, 0.25, 0.5, 0.75]);
    assert_eq!(frame.undo(whole).and_then(|found| found.edges), Some([0.0, 0.0, 0.5, 1.0]));
    // Boxes that reach over the edge end there.
    let over = dog([-0.1, 0.1, 1.2, 0.5]);
    assert_eq!(frame.undo(over).and_then(|found| found.edges), Some([0.0, 0.0, 1.0, 0.5]));
    // What lies in the grey is nothing.
    assert_eq!(frame.undo(dog([0.2, 0.0, 0.6, 0.24])), None);
}

#[test]
fn odd_pictures_and_files_are_no_panic() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = file(dir.path());
    let detector = Detector::open(&path, &Device::Cpu).expect("opens");
    for (width, height) in [(1, 1), (1, 900), (900, 1)] {
        detector.find(&RgbImage::new(width, height)).expect("looks");
    }
    let opened = |bytes: &[u8]| {
        let path = dir.path().join("other.weights");
        std::fs::write(&path, bytes).expect("writes");
        Detector::open(&path, &Device::Cpu).err().map(|e| e.to_string())
    };
    let bytes = std::fs::read(&path).expect("reads");
    let told = |bytes: &[u8]| opened(bytes).expect("is refused");
    assert!(
        told(&bytes[..bytes.len() - 4]).contains("44948576 bytes of weights"),
        "{}",
        told(&bytes[..9])
    );
    assert!(told(&bytes[..7]).contains("too short"));
    assert!(told(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n").contains("LFS"));
    assert!(told(&[255; 64]).contains("darknet"));
    let missing = Detector::open(&dir.path().join("none"), &Device::Cpu).err().expect("fails");
    assert!(missing.to_string().contains("none"), "{missing}");
}

#[test]
fn numbers_that_are_not_finite_name_the_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = file(dir.path());
    let mut bytes = std::fs::read(&path).expect("reads");
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, bytes).expect("writes");
    let e = Detector::open(&path, &Device::Cpu).err().expect("is refused").to_string();
    assert!(e.contains("made.weights") && e.contains("not finite"), "{e}");
}
