//! Decodes image files to upright RGB pixels. Checks every size before it allocates memory.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbImage};

use super::ArtError;
use super::containers::{gif_has_frames, webp_claims};

/// Limit on an image's pixels; 64 megapixels decode to about 200 MB.
pub(crate) const MAX_PIXELS: u64 = 64_000_000;
/// Limit on a file's bytes, checked before the file is read.
pub(crate) const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
/// Limit on what metadata of a PNG unpacks to.
const MAX_METADATA: u64 = 64 << 20;
/// How a Git LFS pointer begins.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Reads an image file of at most 256 MiB.
///
/// # Errors
/// An [`ArtError`] that says whether the file is missing, empty, too large or not a regular file.
pub fn read_limited(path: &Path) -> Result<Vec<u8>, ArtError> {
    let name = show(path);
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => ArtError::Missing(show(path)),
        _ => ArtError::Io { path: show(path), source },
    };
    let meta = std::fs::metadata(path).map_err(io)?;
    if meta.is_dir() {
        return Err(ArtError::Directory(name));
    }
    // A FIFO or a device would block or never end.
    if !meta.is_file() {
        return Err(ArtError::NotAFile(name));
    }
    if meta.len() == 0 {
        return Err(ArtError::Empty(name));
    }
    if meta.len() > MAX_FILE_BYTES {
        return Err(ArtError::FileTooLarge {
            path: name,
            bytes: meta.len(),
            limit: MAX_FILE_BYTES,
        });
    }
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    let file = std::fs::File::open(path).map_err(io)?;
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

/// Reads a byte range of a file, or all of it as [`read_limited`] does.
///
/// # Errors
/// [`ArtError::Io`] if the range cannot be read, or those of [`read_limited`].
pub fn read_part(path: &Path, part: Option<Range<u64>>) -> Result<Vec<u8>, ArtError> {
    let Some(part) = part else { return read_limited(path) };
    let io = |source| ArtError::Io { path: show(path), source };
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(ArtError::NotAFile(show(path)));
    }
    let length = part.end.saturating_sub(part.start).min(MAX_FILE_BYTES);
    let mut file = std::fs::File::open(path).map_err(io)?;
    file.seek(SeekFrom::Start(part.start)).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

/// Decodes an image and returns it with notes for the user. The format follows from the content, not
/// from the extension of `path`.
///
/// # Errors
/// [`ArtError::NotAnImage`], [`ArtError::Unsupported`], [`ArtError::Pointer`],
/// [`ArtError::TooManyPixels`], [`ArtError::TooMuchMemory`] or [`ArtError::Damaged`].
pub fn decode(path: &Path, bytes: &[u8]) -> Result<(RgbImage, Vec<String>), ArtError> {
    if bytes.starts_with(POINTER) {
        return Err(ArtError::Pointer(show(path)));
    }
    let format = image::guess_format(bytes).map_err(|_| ArtError::NotAnImage(show(path)))?;
    let failed = |e| failure(path, e);
    let reader = Cursor::new(bytes);
    let (image, is_animated) = match format {
        ImageFormat::Png => {
            // Its limit is for compressed metadata, such as a colour profile, and for one row.
            let decoder = PngDecoder::with_limits(reader, limits(MAX_METADATA)).map_err(failed)?;
            let is_animated = decoder.is_apng().unwrap_or(false);
            (pixels(path, decoder)?, is_animated)
        }
        ImageFormat::Gif => {
            let image = pixels(path, GifDecoder::new(reader).map_err(failed)?)?;
            (image, gif_has_frames(bytes))
        }
        ImageFormat::WebP => {
            check_webp(path, bytes)?;
            let decoder = WebPDecoder::new(reader).map_err(failed)?;
            let is_animated = decoder.has_animation();
            (pixels(path, decoder)?, is_animated)
        }
        format => {
            let decoder =
                ImageReader::with_format(reader, format).into_decoder().map_err(failed)?;
            (pixels(path, decoder)?, false)
        }
    };
    let note = || format!("{} is animated; only its first frame is used", show(path));
    Ok((flatten(image), Vec::from_iter(is_animated.then(note))))
}

/// Decodes upright pixels, unless the picture is too large.
fn pixels(path: &Path, mut decoder: impl ImageDecoder) -> Result<DynamicImage, ArtError> {
    let failed = |e| failure(path, e);
    check_size(path, decoder.dimensions())?;
    // Before the limits: TIFF reads values of any length where the limits allow it.
    let orientation = decoder
        .orientation()
        .map_err(|e| ArtError::Damaged { path: show(path), reason: e.to_string() })?;
    decoder.set_limits(limits(MAX_PIXELS * 8)).map_err(failed)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn limits(bytes: u64) -> image::Limits {
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(bytes);
    limits
}

fn check_size(path: &Path, (width, height): (u32, u32)) -> Result<(), ArtError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS {
        return Err(ArtError::TooManyPixels {
            path: show(path),
            width,
            height,
            megapixels: pixels / 1_000_000,
            limit: MAX_PIXELS / 1_000_000,
        });
    }
    match pixels {
        0 => Err(ArtError::Damaged { path: show(path), reason: "it has no pixels".into() }),
        _ => Ok(()),
    }
}

/// The decoder of WebP knows no limits.
fn check_webp(path: &Path, bytes: &[u8]) -> Result<(), ArtError> {
    let claims = webp_claims(bytes);
    if let Some(name) = claims.cut {
        let name = artgpt_base::text::printable(&name);
        let reason = format!("its chunk {name:?} ends beyond the file");
        return Err(ArtError::Damaged { path: show(path), reason });
    }
    claims.sizes.into_iter().try_for_each(|size| check_size(path, size))
}

fn failure(path: &Path, e: ImageError) -> ArtError {
    match e {
        ImageError::Unsupported(e) => {
            ArtError::Unsupported { path: show(path), reason: e.to_string() }
        }
        ImageError::Limits(_) => {
            ArtError::TooMuchMemory { path: show(path), limit: MAX_PIXELS * 8 / 1_000_000 }
        }
        e => ArtError::Damaged { path: show(path), reason: e.to_string() },
    }
}

/// Flattens transparency onto white, the background of most web pages.
fn flatten(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let rgba = image.into_rgba8();
    let (w, h) = rgba.dimensions();
    RgbImage::from_fn(w, h, |x, y| {
        let [r, g, b, a] = rgba.get_pixel(x, y).0;
        let mix = |c: u8| ((u16::from(c) * u16::from(a) + 255 * (255 - u16::from(a))) / 255) as u8;
        image::Rgb([mix(r), mix(g), mix(b)])
    })
}

fn show(path: &Path) -> String {
    artgpt_base::text::printable(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(image: RgbImage) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        image.write_to(&mut out, ImageFormat::Png).expect("in-memory PNG");
        out.into_inner()
    }

    #[test]
    fn a_png_named_jpg_still_opens() {
        let bytes = png(RgbImage::from_pixel(4, 2, image::Rgb([9, 8, 7])));
        let (image, notes) = decode(Path::new("x.jpg"), &bytes).expect("decodes");
        assert_eq!((image.dimensions(), image.get_pixel(3, 1).0), ((4, 2), [9, 8, 7]));
        assert!(notes.is_empty());
    }

    #[test]
    fn damage_and_other_formats_are_told_apart() {
        let whole = png(RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8, y as u8, 3])));
        let cut = &whole[..whole.len() / 2];
        assert!(matches!(decode(Path::new("a"), cut), Err(ArtError::Damaged { .. })));
        assert!(matches!(decode(Path::new("a"), b"hello world"), Err(ArtError::NotAnImage(_))));
    }

    #[test]
    fn a_huge_header_is_refused_before_decoding() {
        // A BMP header that promises 12000x9000 pixels and holds none.
        let mut bmp = vec![0u8; 54];
        bmp[..2].copy_from_slice(b"BM");
        bmp[10] = 54;
        bmp[14] = 40;
        bmp[18..22].copy_from_slice(&12000u32.to_le_bytes());
        bmp[22..26].copy_from_slice(&9000u32.to_le_bytes());
        bmp[26] = 1;
        bmp[28] = 24;
        let e = decode(Path::new("big.bmp"), &bmp).expect_err("too large");
        assert!(matches!(e, ArtError::TooManyPixels { megapixels: 108, .. }), "{e}");
    }
}
