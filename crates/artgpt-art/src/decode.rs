//! Decodes image files to upright RGB pixels. Checks every size before it allocates memory.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{
    AnimationDecoder, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbImage,
};

use super::ArtError;

/// Limit on an image's pixels; 64 megapixels decode to about 200 MB.
pub(crate) const MAX_PIXELS: u64 = 64_000_000;
/// Limit on a file's bytes, checked before the file is read.
pub(crate) const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

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
/// [`ArtError::NotAnImage`], [`ArtError::TooManyPixels`] or [`ArtError::Damaged`].
pub fn decode(path: &Path, bytes: &[u8]) -> Result<(RgbImage, Vec<String>), ArtError> {
    let damaged = |e: ImageError| ArtError::Damaged { path: show(path), reason: e.to_string() };
    let format = image::guess_format(bytes).map_err(|_| ArtError::NotAnImage(show(path)))?;
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = reader.into_decoder().map_err(|e| match e {
        ImageError::Unsupported(_) => ArtError::NotAnImage(show(path)),
        e => damaged(e),
    })?;
    let (width, height) = decoder.dimensions();
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
    if pixels == 0 {
        return Err(ArtError::Damaged { path: show(path), reason: "it has no pixels".into() });
    }
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MAX_PIXELS * 8);
    decoder.set_limits(limits).map_err(damaged)?;
    let orientation = decoder.orientation().map_err(damaged)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    image.apply_orientation(orientation);

    let mut notes = Vec::new();
    if is_animated(bytes, format) {
        notes.push(format!("{} is animated; only its first frame is used", show(path)));
    }
    Ok((flatten(image), notes))
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

fn is_animated(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Gif => GifDecoder::new(Cursor::new(bytes))
            .is_ok_and(|d| d.into_frames().take(2).filter(Result::is_ok).count() > 1),
        ImageFormat::WebP => WebPDecoder::new(Cursor::new(bytes)).is_ok_and(|d| d.has_animation()),
        ImageFormat::Png => {
            PngDecoder::new(Cursor::new(bytes)).is_ok_and(|d| d.is_apng().unwrap_or(false))
        }
        _ => false,
    }
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
