//! Lines of measured features of the most recent pictures.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use crate::Picture;
use artgpt_art::measured_line;
use artgpt_chat::Turn;

/// Entries, of about 300 bytes each.
const CAPACITY: NonZeroUsize = match NonZeroUsize::new(64) {
    Some(capacity) => capacity,
    None => NonZeroUsize::MIN,
};

/// The line of a picture, by its key. It depends on the pixels alone, so that every model shares it.
#[derive(Debug)]
pub(crate) struct MeasuredCache(LruCache<Arc<str>, String>);

impl Default for MeasuredCache {
    fn default() -> Self {
        Self(LruCache::new(CAPACITY))
    }
}

impl MeasuredCache {
    /// The lines of the pictures that `turns` show, by their index in the request.
    pub(crate) fn lines(&mut self, turns: &[Turn], pictures: &[Picture]) -> Vec<Option<String>> {
        let mut lines = vec![None; pictures.len()];
        for (index, _) in turns.iter().flat_map(|turn| &turn.images) {
            if let (Some(picture), Some(line @ None)) =
                (pictures.get(*index), lines.get_mut(*index))
            {
                *line = Some(self.line(picture));
            }
        }
        lines
    }

    fn line(&mut self, picture: &Picture) -> String {
        let measure = || measured_line(&picture.image);
        self.0.get_or_insert(picture.key.clone(), measure).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_chat::Role;
    use image::{Rgb, RgbImage};

    #[test]
    fn only_pictures_that_are_shown_are_measured_and_each_once() {
        let picture = |key: &str, rgb| Picture {
            key: key.into(),
            image: Arc::new(RgbImage::from_pixel(20, 30, Rgb(rgb))),
        };
        let pictures = [picture("a", [200, 20, 30]), picture("b", [30, 60, 180])];
        let mut turn = Turn::new(Role::User, "Which?");
        turn.images = vec![(1, "none".into()), (7, "none".into())];
        let mut cache = MeasuredCache::default();
        let lines = cache.lines(std::slice::from_ref(&turn), &pictures);
        assert_eq!(lines[0], None);
        assert!(lines[1].as_deref().is_some_and(|l| l.starts_with("mostly blue;")), "{lines:?}");
        // The key identifies the pixels: a second look measures nothing.
        let other = [picture("a", [0; 3]), picture("b", [200, 20, 30])];
        assert_eq!(cache.lines(&[turn], &other), lines);
    }
}
