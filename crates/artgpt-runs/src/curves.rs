//! All metrics of one run.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::about::About;
use super::series::{Point, Series};

/// Prefix of metrics of the machine, such as the load of a GPU.
pub const SYSTEM: &str = "system/";

/// Metrics of one run. A clone shares each curve until one of the two changes.
#[derive(Debug, Clone, Default)]
pub struct Curves {
    /// What the same files tell besides numbers.
    pub about: Arc<About>,
    /// Position of each name in `all`.
    places: Arc<HashMap<Arc<str>, usize>>,
    /// In the order in which their names appeared.
    all: Vec<(Arc<str>, Arc<Series>)>,
    /// Put before the names that come next, with a slash, unless it is empty.
    prefix: String,
    /// A name with its prefix.
    key: String,
    /// Of all curves, computed when somebody asks: every chart does.
    began: OnceLock<Option<f64>>,
    /// Some points stand at the numbers of their rows, for want of steps.
    by_row: bool,
    last_step: OnceLock<Option<f64>>,
}

impl Curves {
    /// For changes of [`Self::about`].
    pub fn about_mut(&mut self) -> &mut About {
        Arc::make_mut(&mut self.about)
    }

    /// Sets the prefix of the points that come next, which keeps files with the same names apart.
    pub fn set_prefix(&mut self, prefix: &str) {
        self.prefix.clear();
        self.prefix.push_str(prefix);
    }

    /// Appends a point to a metric, which begins with its first point.
    pub fn push(&mut self, name: &str, point: Point) {
        self.prefix_key(name);
        let place = match self.places.get(self.key.as_str()) {
            Some(place) => *place,
            None => {
                let name: Arc<str> = self.key.as_str().into();
                Arc::make_mut(&mut self.places).insert(name.clone(), self.all.len());
                self.all.push((name, Arc::default()));
                self.all.len() - 1
            }
        };
        if let Some((_, series)) = self.all.get_mut(place) {
            // Copies the last chunk if a snapshot shares the curve.
            let series = Arc::make_mut(series);
            series.push(point);
            self.last_step = OnceLock::new();
            // Its first point may be the first of all.
            if series.len() == 1 {
                self.began = OnceLock::new();
            }
        }
    }

    fn prefix_key(&mut self, name: &str) {
        self.key.clear();
        if !self.prefix.is_empty() {
            self.key.push_str(&self.prefix);
            self.key.push('/');
        }
        self.key.push_str(name);
    }

    /// The last point of a metric of the file that is being read.
    pub(crate) fn last(&mut self, name: &str) -> Option<Point> {
        self.prefix_key(name);
        self.get(&self.key)?.last()
    }

    /// Removes the curves of the file that is being read, which has a prefix unless it is the only one.
    pub(crate) fn forget_file(&mut self) {
        let prefix = std::mem::take(&mut self.prefix);
        let is_own = |name: &str| {
            prefix.is_empty()
                || name.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with('/'))
        };
        self.all.retain(|(name, _)| !is_own(name));
        let places = self.all.iter().enumerate().map(|(at, (name, _))| (name.clone(), at));
        self.places = Arc::new(places.collect());
        (self.began, self.last_step) = (OnceLock::new(), OnceLock::new());
        (self.prefix, self.by_row) = (prefix, false);
    }

    /// Notes that rows without steps and epochs are placed by their numbers.
    pub(crate) fn place_by_row(&mut self) {
        self.by_row = true;
    }

    /// Whether some points stand at the numbers of their rows.
    pub(crate) fn has_row_numbers(&self) -> bool {
        self.by_row
    }

    /// Sets the number of steps that the run goes to.
    pub(crate) fn set_total(&mut self, total: u64) {
        if self.about.total != Some(total) {
            self.about_mut().total = Some(total);
        }
    }

    /// Removes everything logged at this step and later ones, because the run restarts from there.
    pub fn restart(&mut self, step: f64) {
        let later = |series: &Series| series.last().is_some_and(|last| last.step >= step);
        for (_, series) in self.all.iter_mut().filter(|(_, series)| later(series)) {
            Arc::make_mut(series).forget_from(step);
        }
        (self.began, self.last_step) = (OnceLock::new(), OnceLock::new());
        self.about_mut().restart(step.ceil() as u64);
    }

    /// Removes all curves.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The curve of a metric.
    pub fn get(&self, name: &str) -> Option<&Series> {
        self.all.get(*self.places.get(name)?).map(|(_, series)| &**series)
    }

    /// All curves with their metrics, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Series)> {
        self.all.iter().map(|(name, series)| (&**name, &**series))
    }

    /// Whether both have curves of the same names.
    pub fn has_same_names(&self, other: &Self) -> bool {
        let names = || self.all.iter().map(|(name, _)| name);
        Arc::ptr_eq(&self.places, &other.places)
            || names().eq(other.all.iter().map(|(name, _)| name))
    }

    /// Whether no metric was logged.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The earliest known time, in seconds since 1970.
    pub fn began(&self) -> Option<f64> {
        *self.began.get_or_init(|| {
            let firsts = self.all.iter().filter_map(|(_, s)| s.get(0)).map(|p| p.wall);
            firsts.filter(|wall| wall.is_finite()).reduce(f64::min)
        })
    }

    /// The largest step of any metric.
    pub fn last_step(&self) -> Option<f64> {
        *self.last_step.get_or_init(|| {
            let lasts = self.all.iter().filter_map(|(_, s)| s.last()).map(|p| p.step);
            lasts.reduce(f64::max)
        })
    }
}
