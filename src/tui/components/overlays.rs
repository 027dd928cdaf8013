//! Windows over a screen: a stack, of which the top one gets keys first.

/// The open windows, drawn from the bottom up.
pub(crate) struct Overlays<W>(Vec<W>);

impl<W> Default for Overlays<W> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<W> Overlays<W> {
    /// Opens a window over the others.
    pub(crate) fn push(&mut self, window: W) {
        self.0.push(window);
    }

    /// Closes the window on top.
    pub(crate) fn pop(&mut self) -> Option<W> {
        self.0.pop()
    }

    /// Closes the window on top, if it is one of these.
    pub(crate) fn pop_if(&mut self, closes: impl Fn(&W) -> bool) -> Option<W> {
        self.0.pop_if(|window| closes(window))
    }

    pub(crate) fn top(&self) -> Option<&W> {
        self.0.last()
    }

    pub(crate) fn top_mut(&mut self) -> Option<&mut W> {
        self.0.last_mut()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From the bottom up.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &W> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut W> {
        self.0.iter_mut()
    }

    /// Closes windows, wherever they are.
    pub(crate) fn close_where(&mut self, closes: impl Fn(&W) -> bool) {
        self.0.retain(|window| !closes(window));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_open_on_top_and_are_drawn_from_the_bottom_up() {
        let mut windows = Overlays::default();
        assert!(windows.is_empty() && windows.top().is_none() && windows.pop().is_none());
        for window in ["page", "form", "help"] {
            windows.push(window);
        }
        assert_eq!(windows.iter().copied().collect::<Vec<_>>(), ["page", "form", "help"]);
        assert_eq!(windows.top(), Some(&"help"));
        assert_eq!(windows.top_mut(), Some(&mut "help"));
        assert!(windows.pop_if(|window| *window == "page").is_none());
        // One below the top can close too, such as a form that was submitted.
        windows.close_where(|window| *window == "form");
        assert_eq!(
            (windows.pop_if(|window| *window == "help"), windows.pop()),
            (Some("help"), Some("page"))
        );
    }
}
