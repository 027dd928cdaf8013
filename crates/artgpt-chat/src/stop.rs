//! Stop strings in a stream of text.

/// Passes text on until a stop string comes; holds back what may be the beginning of one.
#[derive(Debug)]
pub struct StopFilter {
    stops: Vec<String>,
    held: String,
}

impl StopFilter {
    /// A filter for these stop strings; empty ones are ignored.
    pub fn new(stops: impl IntoIterator<Item = String>) -> Self {
        let stops = stops.into_iter().filter(|s| !s.is_empty()).collect();
        Self { stops, held: String::new() }
    }

    /// Adds text; returns what can be shown, and whether a stop string came.
    pub fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        if let Some(at) = self.stops.iter().filter_map(|s| self.held.find(s.as_str())).min() {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        // The longest end of the text that begins a stop string waits.
        let keep = self
            .held
            .char_indices()
            .map(|(at, _)| &self.held[at..])
            .find(|tail| self.stops.iter().any(|s| s.starts_with(tail)))
            .map_or(0, str::len);
        let rest = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// Returns what was held back, at the end of the stream.
    pub fn finish(self) -> String {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_string_in_pieces_is_never_shown() {
        let mut f = StopFilter::new(["###".to_string()]);
        assert_eq!(f.push("Oil #"), ("Oil ".into(), false));
        assert_eq!(f.push("1 #"), ("#1 ".into(), false));
        assert_eq!(f.push("##Human"), (String::new(), true));
        let mut f = StopFilter::new(["###".to_string()]);
        assert_eq!(f.push("end ##"), ("end ".into(), false));
        assert_eq!(f.finish(), "##");
    }
}
