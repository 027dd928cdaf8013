//! The pieces of LevelDB's log format, in which W&B writes: checksum, length, kind, data
//! (`wandb/sdk/internal/datastore.py`). After damage the next piece is searched for.

use std::ops::Range;

/// Block size in bytes: no piece crosses a multiple of it.
const BLOCK: u64 = 32_768;
/// Bytes of a piece's checksum, length and kind. The rest of a block that is shorter is padding.
const HEADER: usize = 7;
/// The file's header: four letters, a magic number and a version.
const FILE_HEADER: &[u8] = b":W&B\xe1\xbe";
/// Bytes of the file's header.
const FILE_HEADER_BYTES: usize = 7;
/// Limit on the bytes whose checksum is computed in a search, for each byte that is searched.
const EFFORT: usize = 256;

/// Which part of a record a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole record.
    Full,
    /// Its beginning.
    First,
    /// Neither its beginning nor its end.
    Middle,
    /// Its end.
    Last,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Full,
            2 => Self::First,
            3 => Self::Middle,
            4 => Self::Last,
            _ => return None,
        })
    }
}

/// What comes next in the bytes of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A piece of a record, with its data.
    Piece(Kind, Range<usize>),
    /// Bytes up to here that hold nothing: padding, and the header of a log that was appended.
    Skip(usize),
    /// Bytes up to `end` that cannot be used.
    Damage {
        /// Where they end.
        end: usize,
        /// Whether this part continues the one before.
        goes_on: bool,
    },
    /// It is not a W&B log.
    Foreign,
    /// Everything that is whole has been read.
    Wait,
}

/// Where the parser is in the pieces of a file that grows.
#[derive(Debug)]
pub(super) struct Pieces {
    /// Offset of the beginning of some block; `None` where damage may have moved them.
    block: Option<u64>,
    /// The last bytes were damaged, and no piece has been found since.
    is_lost: bool,
}

impl Default for Pieces {
    fn default() -> Self {
        Self { block: Some(0), is_lost: false }
    }
}

impl Pieces {
    /// What comes next at `at`; `offset` is that of `bytes` in the file.
    pub(super) fn next(&mut self, bytes: &[u8], at: usize, offset: u64) -> Next {
        let place = offset + at as u64;
        if place == 0 {
            return match bytes.get(..FILE_HEADER_BYTES) {
                None => Next::Wait,
                Some(head) if head.starts_with(&FILE_HEADER[..4]) => Next::Skip(FILE_HEADER_BYTES),
                Some(_) => Next::Foreign,
            };
        }
        let left = self.left(place);
        if left < HEADER {
            match bytes.get(at..at + left) {
                None => return Next::Wait,
                Some(rest) if rest.iter().all(|b| *b == 0) => return Next::Skip(at + left),
                Some(_) => self.block = None,
            }
        }
        match frame(bytes, at, self.left(place)) {
            Frame::Whole(kind, data) => self.piece(kind, data, offset),
            Frame::Short => Next::Wait,
            Frame::Unfinished => match search(bytes, at + 1, self.boundary(offset)) {
                Ok(end) => self.found(bytes, at, end, offset),
                Err(_) => Next::Wait,
            },
            Frame::None if is_file_header(bytes, at) => {
                self.block = Some(place % BLOCK);
                self.is_lost = false;
                Next::Skip(at + FILE_HEADER_BYTES)
            }
            Frame::None => match search(bytes, at, self.boundary(offset)) {
                Ok(end) => self.found(bytes, at, end, offset),
                // A piece may begin here whose data are not all there: with the next bytes.
                Err(end) if end == at => Next::Wait,
                Err(end) => {
                    let goes_on = std::mem::replace(&mut self.is_lost, true);
                    Next::Damage { end, goes_on }
                }
            },
        }
    }

    fn piece(&mut self, kind: Kind, data: Range<usize>, offset: u64) -> Next {
        self.is_lost = false;
        // These fill their block.
        if matches!(kind, Kind::First | Kind::Middle) {
            self.block = Some((offset + data.end as u64) % BLOCK);
        }
        Next::Piece(kind, data)
    }

    /// Whether the bytes from `at` to the end, where the file will not grow any more, are damage,
    /// and whether that continues the damage before.
    pub(super) fn rest(&self, bytes: &[u8], at: usize) -> Option<bool> {
        let is_padding = bytes.len() - at < HEADER && bytes[at..].iter().all(|b| *b == 0);
        (!is_padding).then_some(self.is_lost)
    }

    /// Bytes left in the block.
    fn left(&self, place: u64) -> usize {
        self.block.map_or(BLOCK, |block| BLOCK - (place + BLOCK - block) % BLOCK) as usize
    }

    /// Where the first block begins in bytes that begin at `offset`; after damage it may be wrong.
    fn boundary(&self, offset: u64) -> usize {
        ((self.block.unwrap_or(0) + BLOCK - offset % BLOCK) % BLOCK) as usize
    }

    /// Goes on at the piece that was found at `end`.
    fn found(&mut self, bytes: &[u8], at: usize, end: usize, offset: u64) -> Next {
        let left = self.left(offset + end as u64);
        if !matches!(frame(bytes, end, left), Frame::Whole(..)) {
            self.block = None;
        }
        // The damage before has moved the blocks.
        if let Frame::Whole(kind, data) = frame(bytes, end, BLOCK as usize)
            && end == at
        {
            return self.piece(kind, data, offset);
        }
        let goes_on = std::mem::take(&mut self.is_lost);
        // Padding, where the end of the block is not known.
        match end - at < HEADER && bytes[at..end].iter().all(|b| *b == 0) && !goes_on {
            true => Next::Skip(end),
            false => Next::Damage { end, goes_on },
        }
    }
}

enum Frame {
    /// A piece with this data.
    Whole(Kind, Range<usize>),
    /// A piece whose data are not all there.
    Unfinished,
    /// Fewer bytes than a header.
    Short,
    /// No piece, or one with wrong data.
    None,
}

/// The piece at `at`, of at most `left` bytes.
fn frame(bytes: &[u8], at: usize, left: usize) -> Frame {
    let Some(head) = bytes.get(at..at + HEADER) else { return Frame::Short };
    let start = at + HEADER;
    let Some((kind, length)) = header(head).filter(|(_, length)| HEADER + length <= left) else {
        return Frame::None;
    };
    let Some(data) = bytes.get(start..start + length) else { return Frame::Unfinished };
    match checksum(head[6], data).to_le_bytes() == head[..4] {
        true => Frame::Whole(kind, start..start + length),
        false => Frame::None,
    }
}

fn header(head: &[u8]) -> Option<(Kind, usize)> {
    let length = usize::from(u16::from_le_bytes([*head.get(4)?, *head.get(5)?]));
    Some((Kind::of(*head.get(6)?)?, length))
}

fn checksum(kind: u8, data: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&[kind]);
    hash.update(data);
    hash.finalize()
}

fn is_file_header(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(FILE_HEADER))
}

/// The first piece or file header from `from` on, or where a later search has to begin. Where too many
/// bytes look like pieces, only those at the beginnings of blocks are looked at; the first is at
/// `boundary`.
fn search(bytes: &[u8], from: usize, boundary: usize) -> Result<usize, usize> {
    let last = (bytes.len() + 1).saturating_sub(HEADER).max(from);
    let mut effort = (last - from + 1).saturating_mul(EFFORT).max(1 << 22);
    let mut unfinished = None;
    for at in from..last {
        if is_file_header(bytes, at) {
            return Ok(at);
        }
        let Some((_, length)) = bytes.get(at..at + HEADER).and_then(header) else { continue };
        let end = at + HEADER + length;
        // Only these have a checksum that is computed.
        if HEADER + length <= BLOCK as usize && end <= bytes.len() {
            let is_boundary = at % BLOCK as usize == boundary;
            if effort < length && !is_boundary {
                continue;
            }
            effort = effort.saturating_sub(length);
        }
        match frame(bytes, at, BLOCK as usize) {
            Frame::Whole(..) => return Ok(at),
            Frame::Unfinished => drop(unfinished.get_or_insert(at)),
            Frame::Short | Frame::None => {}
        }
    }
    Err(unfinished.unwrap_or(last).min(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of these records, as W&B writes it.
    fn log(records: &[Vec<u8>]) -> Vec<u8> {
        let mut out = FILE_HEADER.to_vec();
        out.push(0);
        for record in records {
            let (mut rest, mut first) = (&record[..], true);
            while first || !rest.is_empty() {
                let left = BLOCK as usize - out.len() % BLOCK as usize;
                if left < HEADER {
                    out.extend(vec![0; left]);
                    continue;
                }
                let (piece, after) = rest.split_at(rest.len().min(left - HEADER));
                let kind = match (first, after.is_empty()) {
                    (true, true) => 1,
                    (true, false) => 2,
                    (false, false) => 3,
                    (false, true) => 4,
                };
                out.extend(checksum(kind, piece).to_le_bytes());
                out.extend((piece.len() as u16).to_le_bytes());
                out.push(kind);
                out.extend(piece);
                (rest, first) = (after, false);
            }
        }
        out
    }

    /// Numbered records of `size` bytes.
    fn numbered(count: u32, size: usize) -> Vec<Vec<u8>> {
        let record = |i: u32| i.to_le_bytes().into_iter().cycle().take(size).collect();
        (0..count).map(record).collect()
    }

    /// The numbers of the whole records, and the damaged parts with their bytes.
    fn read(bytes: &[u8]) -> (Vec<u32>, Vec<usize>) {
        let (mut pieces, mut at) = (Pieces::default(), 0);
        let (mut found, mut lost) = (Vec::new(), Vec::<usize>::new());
        let mut record: Option<Vec<u8>> = None;
        loop {
            match pieces.next(bytes, at, 0) {
                Next::Piece(kind, data) => {
                    at = data.end;
                    if matches!(kind, Kind::Full | Kind::First) {
                        record = Some(Vec::new());
                    }
                    record.iter_mut().for_each(|record| record.extend(&bytes[data.clone()]));
                    if matches!(kind, Kind::Full | Kind::Last) {
                        let number = |record: Vec<u8>| record.first_chunk().copied();
                        found.extend(record.take().and_then(number).map(u32::from_le_bytes));
                    }
                }
                Next::Skip(end) => at = end,
                Next::Damage { end, goes_on } => {
                    assert!(end > at, "each step gets on");
                    record = None;
                    match lost.last_mut().filter(|_| goes_on) {
                        Some(last) => *last += end - at,
                        None => lost.push(end - at),
                    }
                    at = end;
                }
                Next::Foreign | Next::Wait => break,
            }
        }
        (found, lost)
    }

    #[test]
    fn all_records_are_read_whatever_their_length() {
        for size in [4, 100, 3_000, 32_754, 32_761, 40_000, 100_000] {
            let records = numbered(30, size);
            assert_eq!(read(&log(&records)), ((0..30).collect(), vec![]), "{size}");
        }
    }

    #[test]
    fn damage_costs_only_the_records_that_it_hits() {
        // 107 bytes each in the file: 306 of them in the first block.
        let whole = log(&numbered(700, 100));
        let without = |lost: std::ops::Range<u32>| -> Vec<u32> {
            (0..700).filter(|i| !lost.contains(i)).collect()
        };
        // Zeros over records 149 to 154.
        let mut bytes = whole.clone();
        bytes[16_000..16_500].fill(0);
        assert_eq!(read(&bytes), (without(149..155), vec![6 * 107]));
        // Data, length and checksum of record 10, which begins at 1,077.
        for at in [1_090, 1_081, 1_077] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            assert_eq!(read(&bytes), (without(10..11), vec![107]), "{at}");
        }
        // What follows garbage and a hole stands in other blocks than before.
        let mut bytes = whole.clone();
        drop(bytes.splice(1_077..1_077, [0xa5; 1_000]));
        assert_eq!(read(&bytes), ((0..700).collect(), vec![1_000]));
        let mut bytes = whole.clone();
        drop(bytes.drain(1_080..1_090));
        assert_eq!(read(&bytes), (without(10..11), vec![97]));
        // Two logs one after the other.
        let bytes = [&whole[..], &whole].concat();
        assert_eq!(read(&bytes), ((0..700).chain(0..700).collect(), vec![]));
        let bytes = [&whole[..20_000], &whole].concat();
        let (found, lost) = read(&bytes);
        assert_eq!((found.len(), found[185], found[186], lost), (886, 185, 0, vec![91]));
    }

    #[test]
    fn a_record_of_several_pieces_is_whole_or_lost() {
        let whole = log(&numbered(10, 100_000));
        let mut bytes = whole;
        // In the middle of record 3.
        bytes[340_000..340_100].fill(0);
        let (found, lost) = read(&bytes);
        assert_eq!(found, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
        assert_eq!(lost.len(), 1);
    }

    #[test]
    fn another_file_is_foreign_and_half_a_header_waits() {
        assert_eq!(Pieces::default().next(b"no log of theirs", 0, 0), Next::Foreign);
        assert_eq!(Pieces::default().next(b":W&", 0, 0), Next::Wait);
    }

    #[test]
    fn a_search_through_headers_that_lie_ends() {
        // Each byte begins a piece of 32 kB with a wrong checksum, if one believes it.
        let mut bytes = log(&numbered(1, 10));
        bytes.extend([1, 0x7f].repeat(2 << 20));
        let (found, lost) = read(&bytes);
        assert_eq!((found, lost.len()), (vec![0], 1));
        // What follows them is found at the next block.
        let whole = log(&numbered(2_000, 1_000));
        let mut bytes = whole.clone();
        bytes[100_000..1_900_000].copy_from_slice(&[1, 0x7f].repeat(900_000));
        let (found, lost) = read(&bytes);
        assert_eq!((found.len() > 150, found.last(), lost.len()), (true, Some(&1_999), 1));
    }

    #[test]
    fn random_damage_does_not_hide_what_follows() {
        let mut bytes = log(&numbered(560, 93));
        let mut state = 1_u64;
        for byte in &mut bytes[2_000..36_000] {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
        // 100 bytes each, without the seven at the end of the first block's padding.
        let (found, lost) = read(&bytes);
        let expected: Vec<u32> = (0..19).chain(360..560).collect();
        assert_eq!((found, lost.len()), (expected, 1));
    }
}
