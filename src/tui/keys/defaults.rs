//! Default keys that many windows share: those that move through lines.

type Keys = &'static [&'static str];

pub(super) const UP: Keys = &["up"];
pub(super) const DOWN: Keys = &["down"];
/// Where letters are no text.
pub(super) const UP_OR_K: Keys = &["up", "k"];
pub(super) const DOWN_OR_J: Keys = &["down", "j"];
pub(super) const PAGE_UP: Keys = &["pageup"];
pub(super) const PAGE_DOWN: Keys = &["pagedown"];
pub(super) const FIRST: Keys = &["home"];
pub(super) const LAST: Keys = &["end"];
pub(super) const ENTER: Keys = &["enter"];
pub(super) const ESC: Keys = &["esc"];
