//! Persons, animals and things that a detector found in a picture, in words for a prompt.

/// A person counts as large from this share of the picture's height, and as small below the other.
const LARGE: f32 = 0.55;
const SMALL: f32 = 0.25;
/// More persons than these are `many`: neither detectors nor people agree on their number.
const COUNTED: usize = 9;
/// Other things than persons that a line names.
const THINGS: usize = 4;
/// The name of a person.
pub const PERSON: &str = "person";

/// One thing that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What it is, in the singular, such as `person`.
    pub name: String,
    /// How sure the detector is, 0 to 1.
    pub score: f32,
    /// Left, top, right and bottom edge, as shares of the picture's width and height; `None` if only its presence
    /// is known.
    pub edges: Option<[f32; 4]>,
}

impl Found {
    fn height(&self) -> Option<f32> {
        self.edges.map(|[_, top, _, bottom]| bottom - top)
    }

    /// The third in which its middle lies: left, middle, right.
    fn third(&self) -> Option<usize> {
        self.edges.map(|[left, _, right, _]| match (left + right) / 2.0 {
            x if x < 1.0 / 3.0 => 0,
            x if x > 2.0 / 3.0 => 2,
            _ => 1,
        })
    }
}

/// What a detector found in a picture, the surest first. It misses much of what is painted, so that a count is a
/// lower bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Objects(pub Vec<Found>);

impl Objects {
    /// Persons first, then the other things by how sure they are: `no person found`, `1 person found, large,
    /// middle`, `3 persons found, small, left and right; 2 horses, left; dog, middle`. Left and right are the
    /// viewer's.
    pub fn as_prompt(&self) -> String {
        let persons = self.named(PERSON);
        let mut line = match persons.len() {
            0 => "no person found".to_string(),
            1 => "1 person found".to_string(),
            2..=COUNTED => format!("{} persons found", persons.len()),
            _ => "many persons found".to_string(),
        };
        let largest = persons.iter().filter_map(|found| found.height()).reduce(f32::max);
        match largest {
            Some(height) if height >= LARGE => line.push_str(", large"),
            Some(height) if height < SMALL => line.push_str(", small"),
            _ => {}
        }
        line.push_str(&places(&persons));
        for name in self.things() {
            let all = self.named(name);
            let what = match all.len() {
                1 => name.to_string(),
                count => format!("{count} {}", plural(name)),
            };
            line.push_str(&format!("; {what}{}", places(&all)));
        }
        line
    }

    /// The number of persons; `None` if there are many.
    pub fn persons(&self) -> Option<usize> {
        Some(self.named(PERSON).len()).filter(|count| *count <= COUNTED)
    }

    /// The names of the other things that a prompt names.
    pub fn things(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for found in self.0.iter().filter(|found| found.name != PERSON) {
            if !names.contains(&found.name.as_str()) && names.len() < THINGS {
                names.push(&found.name);
            }
        }
        names
    }

    /// Where the things of a name are: `, left and middle`; empty if that is not known.
    pub fn places(&self, name: &str) -> String {
        places(&self.named(name))
    }

    /// The same with as many persons as there are, and with `things` that there are, too. What is added has no
    /// place.
    #[must_use]
    pub fn corrected(&self, persons: usize, things: &[String]) -> Self {
        let added = |name: &str| Found { name: name.into(), score: 1.0, edges: None };
        let mut all: Vec<Found> = self.named(PERSON).into_iter().take(persons).cloned().collect();
        let missing = persons.min(COUNTED + 1).saturating_sub(all.len());
        all.extend(std::iter::repeat_n(added(PERSON), missing));
        // They come first: what a person wrote down is surer.
        let missed = things.iter().filter(|name| self.named(name).is_empty());
        all.extend(missed.map(|name| added(name)));
        all.extend(self.0.iter().filter(|found| found.name != PERSON).cloned());
        Self(all)
    }

    fn named(&self, name: &str) -> Vec<&Found> {
        self.0.iter().filter(|found| found.name == name).collect()
    }
}

/// `, left and middle`.
fn places(all: &[&Found]) -> String {
    let names = ["left", "middle", "right"].into_iter().enumerate();
    let names = names.filter(|(third, _)| all.iter().any(|found| found.third() == Some(*third)));
    match names.map(|(_, name)| name).collect::<Vec<_>>() {
        names if names.is_empty() => String::new(),
        names => format!(", {}", names.join(" and ")),
    }
}

/// Of the names that detectors use.
fn plural(name: &str) -> String {
    match name {
        "sheep" => "sheep".into(),
        "wine glass" | "bus" | "couch" | "bench" => format!("{name}es"),
        _ => format!("{name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(found: &[(&str, [f32; 4])]) -> Objects {
        let found = found.iter();
        let found = found.map(|(name, edges)| Found {
            name: (*name).into(),
            score: 0.5,
            edges: Some(*edges),
        });
        Objects(found.collect())
    }

    fn line(found: &[(&str, [f32; 4])]) -> String {
        objects(found).as_prompt()
    }

    #[test]
    fn persons_are_counted_measured_and_placed() {
        assert_eq!(line(&[]), "no person found");
        let portrait = ("person", [0.2, 0.1, 0.8, 1.0]);
        assert_eq!(line(&[portrait]), "1 person found, large, middle");
        let far = ("person", [0.0, 0.5, 0.05, 0.6]);
        assert_eq!(line(&[far]), "1 person found, small, left");
        // The largest says the size.
        assert_eq!(line(&[far, portrait, far]), "3 persons found, large, left and middle");
        assert_eq!(line(&[far; 10]), "many persons found, small, left");
        assert_eq!((objects(&[far; 9]).persons(), objects(&[far; 10]).persons()), (Some(9), None));
    }

    #[test]
    fn other_things_follow_in_the_detector_s_order() {
        let at = |x: f32| [x, 0.4, x + 0.1, 0.7];
        assert_eq!(
            line(&[("horse", at(0.1)), ("person", at(0.9)), ("dog", at(0.45)), ("horse", at(0.8))]),
            "1 person found, right; 2 horses, left and right; dog, middle"
        );
        let many = ["vase", "bowl", "cup", "apple", "book"].map(|name| (name, at(0.4)));
        assert_eq!(
            line(&many),
            "no person found; vase, middle; bowl, middle; cup, middle; apple, middle"
        );
        let pairs = [("sheep", at(0.0)), ("sheep", at(0.0)), ("wine glass", at(0.9))];
        assert_eq!(line(&pairs), "no person found; 2 sheep, left; wine glass, right");
    }

    #[test]
    fn a_correction_adds_and_removes_persons_and_adds_things() {
        let at = |x: f32| [x, 0.4, x + 0.1, 0.7];
        let found = objects(&[("person", at(0.0)), ("person", at(0.9)), ("dog", at(0.45))]);
        let fixed = |persons, things: &[&str]| {
            let things: Vec<String> = things.iter().map(|name| (*name).into()).collect();
            found.corrected(persons, &things).as_prompt()
        };
        assert_eq!(fixed(0, &[]), "no person found; dog, middle");
        assert_eq!(fixed(1, &["dog"]), "1 person found, left; dog, middle");
        assert_eq!(fixed(5, &["horse"]), "5 persons found, left and right; horse; dog, middle");
        assert_eq!(fixed(1000, &[]), "many persons found, left and right; dog, middle");
        assert_eq!(Objects::default().corrected(2, &[]).as_prompt(), "2 persons found");
    }
}
