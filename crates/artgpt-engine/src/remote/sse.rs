//! Server-sent events, as the WHATWG specification defines the format.
//!
//! Bytes go in as they arrive, cut anywhere; events come out. Two deviations: an event that the end of
//! the stream cuts off before its blank line is reported by [`Decoder::finish`], because some servers
//! leave out the last line break; and a line or an event beyond [`MAX_EVENT`] is an error.

/// Bytes of the largest event, and of the longest line.
pub(super) const MAX_EVENT: usize = 4 << 20;

/// The byte order mark in UTF-8.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// One event with data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// The field `event`; empty for the type `message`.
    pub(super) name: String,
    /// The fields `data`, joined with line feeds.
    pub(super) data: String,
}

/// A line or an event is larger than [`MAX_EVENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Splits a stream into events.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The line up to now, without its end.
    line: Vec<u8>,
    /// Whether the first line is complete, which may begin with a byte order mark.
    begun: bool,
    /// Whether the last byte was a carriage return: a line feed after it ends no second line.
    after_cr: bool,
    name: String,
    /// `None` until a `data` field comes.
    data: Option<String>,
}

impl Decoder {
    /// Takes the next bytes; adds the events that they complete.
    pub(super) fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), TooLarge> {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r'));
            let part = &rest[..end.unwrap_or(rest.len())];
            if self.line.len() + part.len() > MAX_EVENT {
                return Err(TooLarge);
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else { return Ok(()) };
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            events.extend(self.end_of_line()?);
        }
        Ok(())
    }

    /// The event that the end of the stream cuts off, if there is one.
    pub(super) fn finish(mut self) -> Option<Event> {
        if !self.line.is_empty() {
            // A line beyond the limit cannot be complete.
            self.end_of_line().ok()?;
        }
        self.dispatch()
    }

    fn dispatch(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        self.data.take().map(|data| Event { name, data })
    }

    fn end_of_line(&mut self) -> Result<Option<Event>, TooLarge> {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(BOM) {
            line.drain(..BOM.len());
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => {
                let all = match &mut self.data {
                    Some(all) => {
                        all.push('\n');
                        all
                    }
                    none => none.insert(String::new()),
                };
                if all.len() + value.len() > MAX_EVENT {
                    return Err(TooLarge);
                }
                all.push_str(&String::from_utf8_lossy(value));
            }
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            // A comment has no name; `id` and `retry` are for clients that reconnect.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.into(), data: data.into() }
    }

    /// All events of a stream that arrives in parts of `size` bytes.
    fn decode(stream: &[u8], size: usize) -> Vec<Event> {
        let (mut decoder, mut events) = (Decoder::default(), Vec::new());
        for part in stream.chunks(size) {
            decoder.push(part, &mut events).expect("is small");
        }
        events.extend(decoder.finish());
        events
    }

    #[test]
    fn the_specifications_examples_are_read_as_it_says() {
        let cases: [(&str, Vec<Event>); 9] = [
            ("data: YHOO\ndata: +2\ndata: 10\n\n", vec![event("", "YHOO\n+2\n10")]),
            (
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third\n\n",
                vec![event("", "first event"), event("", "second event"), event("", " third")],
            ),
            ("data\n\ndata\ndata\n\ndata:\n", vec![event("", ""), event("", "\n"), event("", "")]),
            ("data:test\n\ndata: test\n\n", vec![event("", "test"), event("", "test")]),
            (
                "event: add\ndata: 7\n\nevent: x\n\ndata: 8\n\n",
                vec![event("add", "7"), event("", "8")],
            ),
            (
                "\u{feff}data: a\n\ndata: \u{feff}b\n\n",
                vec![event("", "a"), event("", "\u{feff}b")],
            ),
            (
                "data: a\r\n\r\ndata: b\r\rdata: c\n\n",
                vec![event("", "a"), event("", "b"), event("", "c")],
            ),
            ("retry: 10\nfoo: bar\n: data: no\ndatax: 1\n\n", vec![]),
            ("data: é€😀\n\ndata: the last", vec![event("", "é€😀"), event("", "the last")]),
        ];
        for (stream, events) in cases {
            for size in 1..=stream.len() {
                assert_eq!(
                    decode(stream.as_bytes(), size),
                    events,
                    "{stream:?} in parts of {size}"
                );
            }
        }
    }

    #[test]
    fn a_line_or_an_event_without_end_is_an_error() {
        let part = vec![b'a'; 1 << 20];
        let (mut decoder, mut events) = (Decoder::default(), Vec::new());
        let ended = (0..5).find_map(|_| decoder.push(&part, &mut events).err());
        assert_eq!(ended, Some(TooLarge));
        let line = [b"data: ", part.as_slice(), b"\n"].concat();
        let mut decoder = Decoder::default();
        let ended = (0..5).find_map(|_| decoder.push(&line, &mut events).err());
        assert_eq!(ended, Some(TooLarge));
        assert!(events.is_empty());
    }
}
