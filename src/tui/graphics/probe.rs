//! Asks the terminal what it can show, with a time limit, and keeps all that came meanwhile.
//!
//! One question goes out for each capability, and last the primary device attributes, which every
//! terminal answers: when that answer is here, no other will come.

use std::io::Write;
use std::time::{Duration, Instant};

/// A terminal over a slow line answers within this; one that never answers costs only this.
const TIMEOUT: Duration = Duration::from_millis(400);
const QUERY: &[u8] = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[16t\x1b[c";

/// What the terminal said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Replies {
    /// It said anything at all.
    pub answered: bool,
    pub kitty: bool,
    pub sixel: bool,
    /// Width and height of a cell in pixels.
    pub cell: Option<(u16, u16)>,
    /// All that came: the replies, and keys typed while waiting.
    pub bytes: Vec<u8>,
}

/// Sends the questions and reads until the device attributes come or time is up. The terminal is
/// in raw mode and nothing else reads from it.
#[cfg(unix)]
pub(crate) fn probe() -> std::io::Result<Replies> {
    let mut out = std::io::stdout().lock();
    out.write_all(QUERY)?;
    out.flush()?;
    let stdin = rustix::stdio::stdin();
    let deadline = Instant::now() + TIMEOUT;
    let mut bytes = Vec::new();
    loop {
        let replies = parse(&bytes);
        if replies.answered {
            return Ok(replies);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(replies);
        }
        let wait = rustix::event::Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut polled = [rustix::event::PollFd::new(&stdin, rustix::event::PollFlags::IN)];
        match rustix::event::poll(&mut polled, Some(&wait)) {
            Ok(0) => return Ok(replies),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        }
        let mut buffer = [0u8; 1024];
        match rustix::io::read(stdin, &mut buffer) {
            Ok(0) => return Ok(replies),
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

#[cfg(not(unix))]
pub fn probe() -> std::io::Result<Replies> {
    Ok(Replies::default())
}

/// Finds the replies in what came.
pub(crate) fn parse(bytes: &[u8]) -> Replies {
    let mut replies = Replies { bytes: bytes.to_vec(), ..Replies::default() };
    let mut rest = bytes;
    while !rest.is_empty() {
        if let Some((body, after)) = enclosed(rest, b"\x1b_G", b"\x1b\\") {
            replies.kitty |= body.ends_with(b";OK");
            rest = after;
        } else if let Some((body, last, after)) = csi(rest) {
            match (body, last) {
                ([b'?', attributes @ ..], b'c') => {
                    replies.answered = true;
                    replies.sixel |= attributes.split(|b| *b == b';').any(|a| a == b"4");
                }
                ([b'6', b';', size @ ..], b't') => replies.cell = cell(size),
                // A key.
                _ => {}
            }
            rest = after;
        } else if rest[0] == 0x1b {
            break; // the beginning of something that has not come whole
        } else {
            rest = &rest[1..];
        }
    }
    replies
}

fn enclosed<'a>(bytes: &'a [u8], start: &[u8], end: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let inner = bytes.strip_prefix(start)?;
    let at = inner.windows(end.len()).position(|w| w == end)?;
    Some((&inner[..at], &inner[at + end.len()..]))
}

/// `ESC [ parameters final`.
fn csi(bytes: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let inner = bytes.strip_prefix(b"\x1b[")?;
    let at = inner.iter().position(|b| (0x40..=0x7e).contains(b))?;
    Some((&inner[..at], inner[at], &inner[at + 1..]))
}

/// `height;width`, within what a screen can have.
fn cell(size: &[u8]) -> Option<(u16, u16)> {
    let text = std::str::from_utf8(size).ok()?;
    let (height, width) = text.split_once(';')?;
    let (width, height) = (width.parse().ok()?, height.parse().ok()?);
    ((1..=200).contains(&width) && (1..=400).contains(&height)).then_some((width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_found_between_keys() {
        let all = parse(b"h\x1b_Gi=31;OK\x1b\\i\x1b[6;20;10t\x1b[?62;4;22c!");
        assert!(all.answered && all.kitty && all.sixel);
        assert_eq!(all.cell, Some((10, 20)));
    }

    #[test]
    fn other_terminals_say_less_and_nonsense_is_no_size() {
        let plain = parse(b"\x1b[?1;2c");
        assert!(plain.answered && !plain.kitty && !plain.sixel);
        assert!(!parse(b"\x1b_Gi=31;ENOTSUP\x1b\\").kitty);
        assert_eq!(parse(b"\x1b[6;0;0t").cell, None);
        assert_eq!(parse(b"\x1b[6;99999;5t").cell, None);
        assert!(!parse(b"\x1b[?62;4").answered);
    }
}
