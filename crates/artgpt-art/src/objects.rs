//! Persons, animals and things that a detector found in a picture, in words for a prompt.

/// A person counts as large from this share of the picture's height, and as small below the other.
const LARGE: f32 = 0.55;
const SMALL: f32 = 0.25;
/// Other things than persons that a line names.
const THINGS: usize = 4;

/// One thing that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What it is, in the singular, such as `person`.
    pub name: &'static str,
    /// How sure the detector is, 0 to 1.
    pub score: f32,
    /// Left, top, right and bottom edge, as shares of the picture's width and height.
    pub edges: [f32; 4],
}

impl Found {
    fn height(&self) -> f32 {
        self.edges[3] - self.edges[1]
    }

    /// The third in which its middle lies: left, middle, right.
    fn third(&self) -> usize {
        match (self.edges[0] + self.edges[2]) / 2.0 {
            x if x < 1.0 / 3.0 => 0,
            x if x > 2.0 / 3.0 => 2,
            _ => 1,
        }
    }
}

/// What a detector found in a picture. It misses much of what is painted, so that a count is a lower bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Objects(pub Vec<Found>);

impl Objects {
    /// Persons first, then the other things by how sure they are: `no person found`, `1 person found, large,
    /// middle`, `3 persons found, small, left and right; 2 horses, left; dog, middle`. Left and right are the
    /// viewer's.
    pub fn as_prompt(&self) -> String {
        let mut persons: Vec<&Found> = self.named("person");
        persons.sort_by(|a, b| b.height().total_cmp(&a.height()));
        let mut line = match persons[..] {
            [] => "no person found".to_string(),
            [largest, ..] => {
                let size = match largest.height() {
                    h if h >= LARGE => "large, ",
                    h if h < SMALL => "small, ",
                    _ => "",
                };
                let many = if persons.len() == 1 { "" } else { "s" };
                format!("{} person{many} found, {size}{}", persons.len(), places(&persons))
            }
        };
        let mut names: Vec<&'static str> = Vec::new();
        for found in self.0.iter().filter(|found| found.name != "person") {
            if !names.contains(&found.name) && names.len() < THINGS {
                names.push(found.name);
            }
        }
        for name in names {
            let all = self.named(name);
            let what = match all.len() {
                1 => name.to_string(),
                count => format!("{count} {}", plural(name)),
            };
            line.push_str(&format!("; {what}, {}", places(&all)));
        }
        line
    }

    fn named(&self, name: &str) -> Vec<&Found> {
        self.0.iter().filter(|found| found.name == name).collect()
    }
}

/// `left and middle`.
fn places(all: &[&Found]) -> String {
    let names = ["left", "middle", "right"].into_iter().enumerate();
    let names = names.filter(|(third, _)| all.iter().any(|found| found.third() == *third));
    names.map(|(_, name)| name).collect::<Vec<_>>().join(" and ")
}

/// Of the names that detectors use.
fn plural(name: &str) -> String {
    match name {
        "sheep" => "sheep".into(),
        "knife" => "knives".into(),
        "wine glass" | "bus" | "couch" | "bench" | "toothbrush" => format!("{name}es"),
        _ => format!("{name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(found: &[(&'static str, [f32; 4])]) -> String {
        let found = found.iter().map(|(name, edges)| Found { name, score: 0.5, edges: *edges });
        Objects(found.collect()).as_prompt()
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
}
