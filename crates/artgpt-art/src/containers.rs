//! The frames and sizes that a file of pictures claims, read from its headers without decoding. Decoders
//! allocate what a header claims, so that it is checked first.

use std::ops::Range;

/// Whether a GIF has more than one frame.
pub(crate) fn gif_has_frames(bytes: &[u8]) -> bool {
    gif_frames(bytes, 2).unwrap_or(0) > 1
}

/// Counts the frames of a GIF up to `limit`. A frame that is cut off counts.
fn gif_frames(bytes: &[u8], limit: usize) -> Option<usize> {
    let colours = |flags: u8| match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    };
    let mut at = 13 + colours(*bytes.get(10)?);
    let mut frames = 0;
    while frames < limit {
        match bytes.get(at) {
            // An extension: a label, then blocks.
            Some(0x21) => at = after_blocks(bytes, at + 2),
            // A frame: place, size and flags, its colours, a code size, then blocks.
            Some(0x2c) => {
                frames += 1;
                let Some(flags) = bytes.get(at + 9) else { break };
                at = after_blocks(bytes, at + 11 + colours(*flags));
            }
            _ => break,
        }
    }
    Some(frames)
}

/// The offset after a list of blocks, each with its length before it; the last is empty.
fn after_blocks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(length) = bytes.get(at) {
        at += 1 + usize::from(*length);
        if *length == 0 {
            break;
        }
    }
    at
}

/// What the headers of a WebP file claim.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct WebpClaims {
    /// Sizes of the canvas and of the first frame's bit streams.
    pub sizes: Vec<(u32, u32)>,
    /// The first chunk that is longer than the file.
    pub cut: Option<String>,
}

/// Reads the chunks of a WebP file, and those of its first frame.
pub(crate) fn webp_claims(bytes: &[u8]) -> WebpClaims {
    let mut claims = WebpClaims::default();
    let end = number(bytes, 4, 4).map_or(0, |size| (size as usize).saturating_add(8));
    webp_chunks(bytes, 12..end, true, &mut claims);
    claims
}

fn webp_chunks(bytes: &[u8], range: Range<usize>, is_top: bool, claims: &mut WebpClaims) {
    let mut at = range.start;
    let mut has_frame = false;
    while at.saturating_add(8) <= range.end.min(bytes.len()) {
        let size = number(bytes, at + 4, 4).unwrap_or(0) as usize;
        let start = at + 8;
        let stop = start.saturating_add(size);
        if stop > bytes.len() {
            let name = String::from_utf8_lossy(&bytes[at..at + 4]).into_owned();
            claims.cut.get_or_insert(name);
            return;
        }
        let field = |offset: usize, width: usize| number(bytes, start + offset, width).unwrap_or(0);
        match &bytes[at..at + 4] {
            b"VP8X" => claims.sizes.push((field(4, 3) + 1, field(7, 3) + 1)),
            b"VP8 " => claims.sizes.push((field(6, 2) & 0x3fff, field(8, 2) & 0x3fff)),
            b"VP8L" => {
                let packed = field(1, 4);
                claims.sizes.push(((packed & 0x3fff) + 1, ((packed >> 14) & 0x3fff) + 1));
            }
            b"ANMF" if is_top && !has_frame => {
                has_frame = true;
                claims.sizes.push((field(6, 3) + 1, field(9, 3) + 1));
                webp_chunks(bytes, start + 16..stop, false, claims);
            }
            _ => {}
        }
        at = stop + size % 2;
    }
}

/// A little-endian number of `width` bytes, at most 4.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_without_decoding() {
        let frame = |left: &[u8]| [&[0x2c, 0, 0, 0, 0], left, &[0, 2, 1, 0, 0]].concat();
        let head = b"GIF89a\x02\0\x02\0\0\0\0".to_vec();
        let small = frame(&[2, 0, 2, 0]);
        let huge = frame(&[255, 255, 255, 255]);
        assert!(!gif_has_frames(&[&head[..], &small, b";"].concat()));
        assert!(gif_has_frames(&[&head[..], &small, &huge, b";"].concat()));
        let comment = b"\x21\xfe\x03abc\0";
        assert!(gif_has_frames(&[&head[..], comment, &small, comment, &small[..7]].concat()));
        assert!(!gif_has_frames(&[&head[..], &small[..5]].concat()));
        assert!(!gif_has_frames(b"GIF89a"));
        // A table of 256 colours.
        let coloured = [b"GIF89a\x02\0\x02\0\xf7\0\0".as_slice(), &[0x2c; 768], &small].concat();
        assert_eq!(gif_frames(&coloured, 9), Some(1));
    }

    #[test]
    fn sizes_and_chunks_that_end_beyond_the_file_are_seen() {
        let chunk = |name: &[u8; 4], body: &[u8]| {
            let size = u32::try_from(body.len()).expect("small").to_le_bytes();
            [&name[..], &size, body, &vec![0; body.len() % 2]].concat()
        };
        let file = |chunks: &[u8]| {
            let size = u32::try_from(chunks.len() + 4).expect("small").to_le_bytes();
            [b"RIFF".as_slice(), &size, b"WEBP", chunks].concat()
        };
        let canvas = chunk(b"VP8X", &[2, 0, 0, 0, 9, 0, 0, 4, 0, 0]);
        let lossy = chunk(b"VP8 ", &[0, 0, 0, 0x9d, 1, 0x2a, 0xff, 0x3f, 0xff, 0x3f]);
        let lossless = chunk(b"VP8L", &[0x2f, 0xff, 0xff, 0xff, 0x0f]);
        let frame =
            chunk(b"ANMF", &[&[0; 6][..], &[7, 0, 0, 7, 0, 0, 0, 0, 0, 0], &lossless].concat());
        let sizes = |chunks: &[u8]| webp_claims(&file(chunks)).sizes;
        assert_eq!(sizes(&[&canvas[..], &lossy].concat()), [(10, 5), (16383, 16383)]);
        assert_eq!(sizes(&[&canvas[..], &frame].concat()), [(10, 5), (8, 8), (16384, 16384)]);
        let mut cut = file(&[&canvas[..], &chunk(b"EXIF", b"x")].concat());
        let at = cut.len() - 6;
        cut[at..at + 4].copy_from_slice(&[0xf0, 0xff, 0xff, 0xff]);
        assert_eq!(webp_claims(&cut).cut.as_deref(), Some("EXIF"));
        assert_eq!(webp_claims(b"RIFF"), WebpClaims::default());
    }
}
