//! All metrics of one run.

use std::collections::HashMap;

use super::about::About;
use super::series::{Point, Series};

/// Names of what was measured of the machine begin so.
pub const SYSTEM: &str = "system/";

#[derive(Debug, Default)]
pub struct Curves {
    /// What the same files tell besides.
    pub about: About,
    places: HashMap<String, usize>,
    /// In the order in which their names came up.
    all: Vec<(String, Series)>,
    /// Stands before the names that come, with a slash, where it is not empty.
    prefix: String,
    /// A name with its prefix.
    key: String,
}

impl Curves {
    /// Of whom the points that come next are told: files that say the same names are kept apart.
    pub fn set_prefix(&mut self, prefix: &str) {
        self.prefix.clear();
        self.prefix.push_str(prefix);
    }

    pub fn push(&mut self, name: &str, point: Point) {
        self.key.clear();
        if !self.prefix.is_empty() {
            self.key.push_str(&self.prefix);
            self.key.push('/');
        }
        self.key.push_str(name);
        let place = match self.places.get(&self.key) {
            Some(place) => *place,
            None => {
                self.places.insert(self.key.clone(), self.all.len());
                self.all.push((self.key.clone(), Series::default()));
                self.all.len() - 1
            }
        };
        if let Some((_, series)) = self.all.get_mut(place) {
            series.push(point);
        }
    }

    /// Forgets what was said of this step and later ones: the run began again from there.
    pub fn restart(&mut self, step: u64) {
        self.all.iter_mut().for_each(|(_, series)| series.forget_from(step));
        self.about.restart(step);
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub fn get(&self, name: &str) -> Option<&Series> {
        Some(&self.all.get(*self.places.get(name)?)?.1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Series)> {
        self.all.iter().map(|(name, series)| (name.as_str(), series))
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The first moment that is known, seconds since 1970.
    pub fn began(&self) -> Option<f64> {
        let firsts = self.all.iter().filter_map(|(_, s)| s.get(0)).map(|p| p.wall);
        firsts.filter(|wall| wall.is_finite()).reduce(f64::min)
    }

    pub fn last_step(&self) -> Option<u64> {
        self.all.iter().filter_map(|(_, s)| s.last()).map(|p| p.step).max()
    }
}
