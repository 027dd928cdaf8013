//! The records of an event file: length, checksum of the length, data, checksum of the data
//! (`tensorflow/core/lib/io/record_writer.h`). After damage the next record is searched for.

use std::ops::Range;

use artgpt_rundir::events::masked_crc32c;

/// Limit on a record's bytes; a longer one counts as damage.
const MAX_RECORD: u64 = 1 << 30;
/// Bytes of a record's length and that length's checksum.
const HEADER: usize = 12;
/// Bytes of the data's checksum.
const FOOTER: usize = 4;

/// Where the parser is in the records of a file that grows.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The last bytes were damaged, and no record has been found since.
    is_lost: bool,
    /// Offset up to which the data of a record that is not whole was searched for other records.
    searched: u64,
}

/// What comes next in the bytes of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The data of a record, which ends at the second number.
    Record(Range<usize>, usize),
    /// Bytes up to `end` that cannot be used.
    Damage {
        /// Where they end.
        end: usize,
        /// Why.
        kind: Damage,
        /// Whether this part continues the one before.
        goes_on: bool,
    },
    /// Everything that is whole has been read.
    Wait,
}

/// The kinds of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// No record begins here.
    Part,
    /// The data's checksum is wrong.
    Data,
    /// Other records begin before this one ends.
    Cut,
}

impl Damage {
    /// What is counted.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Part => "damaged parts where no record begins",
            Self::Data => "records with a wrong checksum",
            Self::Cut => "records that are cut off",
        }
    }
}

impl Records {
    /// What comes next at `at`; `offset` is that of `bytes` in the file.
    pub(super) fn next(&mut self, bytes: &[u8], at: usize, offset: u64) -> Next {
        match frame(bytes, at) {
            Frame::Whole(data) => {
                self.is_lost = false;
                let end = data.end + FOOTER;
                Next::Record(data, end)
            }
            Frame::Short => Next::Wait,
            Frame::Unfinished => {
                let known = usize::try_from(self.searched.saturating_sub(offset));
                let from = known.unwrap_or(0).max(at + HEADER);
                match search(bytes, from, bytes.len(), true) {
                    Ok(end) => self.damage(end, Damage::Cut),
                    Err(upto) => {
                        self.searched = offset + upto as u64;
                        Next::Wait
                    }
                }
            }
            Frame::WrongData(end) => match search(bytes, at + HEADER, end, true) {
                Ok(end) => self.damage(end, Damage::Cut),
                Err(_) => self.damage(end, Damage::Data),
            },
            Frame::None => {
                let goes_on = self.is_lost;
                let end = search(bytes, at + 1, bytes.len(), false);
                self.is_lost = end.is_err();
                let end = end.unwrap_or_else(|upto| upto);
                Next::Damage { end, kind: Damage::Part, goes_on }
            }
        }
    }

    /// What the bytes from `at` to the end are, where the file will not grow any more; `None` if
    /// there are none.
    pub(super) fn rest(&self, bytes: &[u8], at: usize) -> Option<(Damage, bool)> {
        let is_record = matches!(frame(bytes, at), Frame::Unfinished);
        let kind = if self.is_lost && !is_record { Damage::Part } else { Damage::Cut };
        (at < bytes.len()).then_some((kind, self.is_lost && !is_record))
    }

    fn damage(&mut self, end: usize, kind: Damage) -> Next {
        self.is_lost = false;
        Next::Damage { end, kind, goes_on: false }
    }
}

enum Frame {
    /// A record with this data.
    Whole(Range<usize>),
    /// A record whose data or their checksum are not all there.
    Unfinished,
    /// A record with wrong data, which ends here.
    WrongData(usize),
    /// Fewer bytes than a header.
    Short,
    /// No record.
    None,
}

fn frame(bytes: &[u8], at: usize) -> Frame {
    if bytes.len() < at + HEADER {
        return Frame::Short;
    }
    let Some(length) = length(bytes, at) else { return Frame::None };
    let start = at + HEADER;
    let end = start + length;
    let Some(foot) = bytes.get(end..end + FOOTER) else { return Frame::Unfinished };
    match masked_crc32c(&bytes[start..end]).to_le_bytes() == foot {
        true => Frame::Whole(start..end),
        false => Frame::WrongData(end + FOOTER),
    }
}

/// The length of the record at `at`; `None` if no header is there.
fn length(bytes: &[u8], at: usize) -> Option<usize> {
    let (length, sum) = bytes.get(at..at + HEADER)?.split_first_chunk::<8>()?;
    let number = u64::from_le_bytes(*length);
    let is_header = number <= MAX_RECORD && masked_crc32c(length).to_le_bytes() == sum;
    is_header.then_some(number as usize)
}

/// The first record that begins in `from..to`, or where a later search has to begin. `whole` asks
/// for one that is all there and intact; else its header is enough.
fn search(bytes: &[u8], from: usize, to: usize, whole: bool) -> Result<usize, usize> {
    let last = (bytes.len() + 1).saturating_sub(HEADER);
    let mut unfinished = None;
    for at in from..to.min(last) {
        if length(bytes, at).is_none() {
            continue;
        }
        match frame(bytes, at) {
            Frame::Whole(_) => return Ok(at),
            _ if !whole => return Ok(at),
            Frame::Unfinished => drop(unfinished.get_or_insert(at)),
            _ => {}
        }
    }
    Err(unfinished.unwrap_or(last.max(from)).min(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_rundir::events::record;

    /// Data of the records in `bytes`, and the kind and bytes of each damaged part.
    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<(Damage, usize)>) {
        let (mut records, mut at) = (Records::default(), 0);
        let (mut found, mut lost) = (Vec::new(), Vec::<(Damage, usize)>::new());
        loop {
            match records.next(bytes, at, 0) {
                Next::Record(data, end) => {
                    found.push(bytes[data].to_vec());
                    at = end;
                }
                Next::Damage { end, kind, goes_on } => {
                    assert!(end > at, "each step gets on");
                    match lost.last_mut().filter(|_| goes_on) {
                        Some(last) => last.1 += end - at,
                        None => lost.push((kind, end - at)),
                    }
                    at = end;
                }
                Next::Wait => break,
            }
        }
        if let Some((kind, goes_on)) = records.rest(bytes, at) {
            match lost.last_mut().filter(|_| goes_on) {
                Some(last) => last.1 += bytes.len() - at,
                None => lost.push((kind, bytes.len() - at)),
            }
        }
        (found, lost)
    }

    /// Records with 20 bytes each.
    fn file(count: u8) -> Vec<u8> {
        (0..count).flat_map(|i| record(&[b'a' + i; 4])).collect()
    }

    fn letters(found: &[Vec<u8>]) -> String {
        found.iter().map(|data| char::from(data[0])).collect()
    }

    #[test]
    fn each_kind_of_damage_costs_only_the_records_that_it_hits() {
        // The damage, the records that are left, what is counted.
        type Case = (fn(&mut Vec<u8>), &'static str, &'static [(Damage, usize)]);
        let cases: [Case; 10] = [
            (|_| {}, "abcdef", &[]),
            // The length, its checksum, the data, their checksum.
            (|f| f[40] ^= 1, "abdef", &[(Damage::Part, 20)]),
            (|f| f[48] ^= 1, "abdef", &[(Damage::Part, 20)]),
            (|f| f[53] ^= 1, "abdef", &[(Damage::Data, 20)]),
            (|f| f[57] ^= 1, "abdef", &[(Damage::Data, 20)]),
            // Zeros over four records.
            (|f| f[30..90].fill(0), "af", &[(Damage::Part, 80)]),
            // A hole in the data, and garbage in them.
            (|f| drop(f.drain(53..55)), "abdef", &[(Damage::Cut, 18)]),
            (
                |f| drop(f.splice(53..53, [7; 30])),
                "abdef",
                &[(Damage::Data, 20), (Damage::Part, 30)],
            ),
            // Garbage between two records.
            (|f| drop(f.splice(40..40, [7; 30])), "abcdef", &[(Damage::Part, 30)]),
            // The end is cut off.
            (|f| f.truncate(115), "abcde", &[(Damage::Cut, 15)]),
        ];
        for (i, (damage, left, lost)) in cases.into_iter().enumerate() {
            let mut bytes = file(6);
            damage(&mut bytes);
            let (found, counted) = read(&bytes);
            assert_eq!((letters(&found).as_str(), counted.as_slice()), (left, lost), "case {i}");
        }
    }

    #[test]
    fn a_length_beyond_all_sizes_is_damage() {
        for length in [u64::MAX, 1 << 63, MAX_RECORD + 1] {
            let mut bytes = length.to_le_bytes().to_vec();
            bytes.extend(masked_crc32c(&length.to_le_bytes()).to_le_bytes());
            bytes.extend(file(2));
            assert_eq!(letters(&read(&bytes).0), "ab", "{length}");
        }
    }

    #[test]
    fn a_record_that_was_cut_off_does_not_hide_those_that_were_appended() {
        let mut bytes = record(&[1; 1000])[..500].to_vec();
        bytes.extend(file(3));
        let (found, lost) = read(&bytes);
        assert_eq!((letters(&found).as_str(), lost), ("abc", vec![(Damage::Cut, 500)]));
    }

    #[test]
    fn half_a_record_waits() {
        let bytes = file(3);
        let mut records = Records::default();
        assert_eq!(records.next(&bytes[..25], 0, 0), Next::Record(12..16, 20));
        for upto in 20..40 {
            assert_eq!(records.next(&bytes[..upto], 20, 0), Next::Wait, "{upto}");
        }
        assert_eq!(records.next(&bytes[..40], 20, 0), Next::Record(32..36, 40));
    }

    #[test]
    fn damage_is_left_however_the_bytes_come() {
        let mut bytes = file(8);
        bytes[45..75].fill(9);
        for piece in 1..60 {
            let (mut records, mut at, mut found) = (Records::default(), 0, String::new());
            for upto in (0..bytes.len() + piece).step_by(piece) {
                let there = &bytes[..upto.min(bytes.len())];
                loop {
                    match records.next(there, at, 0) {
                        Next::Record(data, end) => {
                            found.push(char::from(there[data][0]));
                            at = end;
                        }
                        Next::Damage { end, .. } => at = end,
                        Next::Wait => break,
                    }
                }
            }
            assert_eq!(found, "abefgh", "{piece} bytes at a time");
        }
    }
}
