//! Which columns the table has.

use crate::tui::panel::state::Panel;

/// The table of runs.
#[derive(Debug, Default)]
pub(crate) struct RunTable {
    pub open: bool,
    /// Configuration keys in which the listed runs differ. Derived, while the table is open.
    pub keys: Vec<String>,
    /// The runs that `keys` was computed from, with the versions of their configurations.
    keys_of: Vec<(usize, u64)>,
    /// Columns scrolled off the left edge.
    pub column: usize,
}

/// Width of a configuration value.
pub(crate) const VALUE: u16 = 14;
/// The columns between name and configuration, with their widths.
pub(crate) const HEADS: [(&str, u16); 7] = [
    ("state", 9),
    ("step", 13),
    ("left", 8),
    ("last", 11),
    ("min", 11),
    ("max", 11),
    ("tags, note", VALUE),
];

/// Limit of configuration columns.
const MAX_KEYS: usize = 1_000;

impl RunTable {
    /// How many columns can be scrolled: all but the name.
    pub(crate) fn columns(&self) -> usize {
        HEADS.len() + self.keys.len()
    }
}

impl Panel {
    /// Computes the configuration keys in which the listed runs differ, if they may have changed.
    pub(crate) fn refresh_keys(&mut self) {
        let listed = if self.table.open { self.listed() } else { &[] };
        let of: Vec<(usize, u64)> = listed.iter().map(|i| (*i, self.run(*i).configured)).collect();
        if of == self.table.keys_of {
            return;
        }
        let configs = listed.iter().map(|i| &self.run(*i).config);
        let mut keys = artgpt_runs::differing_keys(configs);
        keys.truncate(MAX_KEYS);
        (self.table.keys, self.table.keys_of) = (keys, of);
    }
}
