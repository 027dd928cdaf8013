//! Questions about persons and things, whose answers the measured line holds: what teaches a model to read it.

use rand::Rng;
use rand::seq::IndexedRandom;

use crate::examples::{Example, pick};
use artgpt_art::{Found, Objects, PERSON};
use artgpt_chat::{Role, Turn};

const PERSONS: &[&str] = &[
    "How many people do you see?",
    "How many persons are in this picture?",
    "Is there anybody in it?",
    "Are there people in the painting?",
    "Count the figures.",
    "how many figures",
    "Who is in it, and where?",
    "Is anyone there?",
];
const THING: &[&str] = &["Is there {} in it?", "Do you see {} anywhere?", "Can you find {}?"];
/// Things that are asked about where there are none.
const ASKED: &[&str] = &[
    "horse", "dog", "cat", "bird", "boat", "sheep", "cow", "book", "vase", "bottle", "apple",
    "chair", "bowl", "umbrella",
];
/// The most persons of made-up contents.
const MOST: usize = 12;
const NUMBERS: [&str; 10] =
    ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// Made-up contents, in two of five without a person: they teach the model to read the line whatever the picture is.
pub(super) fn made(rng: &mut impl Rng) -> Objects {
    let persons = if rng.random_bool(0.4) { 0 } else { rng.random_range(1..=MOST) };
    let things = rng.random_range(0..3);
    let names = std::iter::repeat_n(PERSON, persons);
    let names: Vec<&str> = names.chain((0..things).map(|_| pick(ASKED, rng))).collect();
    let mut found = |name: &str| {
        let (x, top) = (rng.random::<f32>(), rng.random_range(0.0..0.9));
        let edges = Some([x, top, x, rng.random_range(top..1.0)]);
        Found { name: name.into(), score: 1.0, edges }
    };
    Objects(names.into_iter().map(&mut found).collect())
}

/// One question about what was found in a picture, and its answer.
pub(super) fn draw(objects: &Objects, rng: &mut impl Rng) -> Example {
    let (asked, answer) = match rng.random_range(0..3) {
        0 => thing(objects, rng),
        _ => (pick(PERSONS, rng).to_string(), persons(objects, rng.random())),
    };
    let mut turn = Turn::new(Role::User, asked);
    turn.images = vec![(0, artgpt_art::Label::as_prompt(None))];
    Example { turns: vec![turn], answer }
}

fn persons(objects: &Objects, other: bool) -> String {
    let places = spoken(&objects.places(PERSON));
    match (objects.persons(), other) {
        (Some(0), false) => "Nobody is in it, as far as I can see.".into(),
        (Some(0), true) => "I see no one in this picture.".into(),
        (Some(1), false) => format!("There is one person{places}."),
        (Some(1), true) => format!("I see one person{places}."),
        (Some(count), false) => format!("There are {} people{places}.", number(count)),
        (Some(count), true) => format!("I count {} people{places}.", number(count)),
        (None, false) => format!("There are many people{places}, too many for me to count."),
        (None, true) => format!("I see a crowd{places}, and cannot give a number."),
    }
}

fn number(count: usize) -> String {
    NUMBERS.get(count).map_or_else(|| count.to_string(), |word| (*word).to_string())
}

/// A thing that was found, or one that was not.
fn thing(objects: &Objects, rng: &mut impl Rng) -> (String, String) {
    let there = objects.things();
    let absent: Vec<&str> = ASKED.iter().copied().filter(|name| !there.contains(name)).collect();
    let present = there.choose(rng).copied().filter(|_| rng.random());
    let name = present.or_else(|| absent.choose(rng).copied()).unwrap_or("horse");
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    let asked = pick(THING, rng).replace("{}", &format!("{article} {name}"));
    let answer = match present {
        Some(_) => format!("Yes, there is {article} {name}{}.", spoken(&objects.places(name))),
        None => format!("No, I do not see {article} {name}."),
    };
    (asked, answer)
}

/// `, left and middle` as a part of a sentence.
fn spoken(places: &str) -> String {
    let Some(places) = places.strip_prefix(", ") else { return String::new() };
    let each = places.split(" and ").map(|place| match place {
        "middle" => "in the middle".to_string(),
        side => format!("on the {side}"),
    });
    match each.collect::<Vec<_>>() {
        all if all.len() == 3 => " all across it".into(),
        all => format!(" {}", all.join(" and ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn objects(all: &[(&str, Option<f32>)]) -> Objects {
        let found = |(name, x): &(&str, Option<f32>)| Found {
            name: (*name).into(),
            score: 1.0,
            edges: x.map(|x| [x, 0.4, x, 0.8]),
        };
        Objects(all.iter().map(found).collect())
    }

    #[test]
    fn persons_are_told_with_their_number_and_place() {
        let told = |all: &[(&str, Option<f32>)]| persons(&objects(all), false);
        assert_eq!(told(&[]), "Nobody is in it, as far as I can see.");
        assert_eq!(told(&[("person", Some(0.5))]), "There is one person in the middle.");
        let two = [("person", Some(0.1)), ("dog", None), ("person", Some(0.9))];
        assert_eq!(told(&two), "There are two people on the left and on the right.");
        assert_eq!(told(&[("person", None); 9]), "There are nine people.");
        let across = [("person", Some(0.1)), ("person", Some(0.5)), ("person", Some(0.9))];
        assert_eq!(told(&across), "There are three people all across it.");
        assert!(told(&[("person", None); 10]).contains("too many"));
    }

    #[test]
    fn made_up_contents_have_no_person_in_two_of_five() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let all: Vec<Objects> = (0..400).map(|_| made(&mut rng)).collect();
        let without = all.iter().filter(|objects| objects.persons() == Some(0)).count();
        assert!((120..200).contains(&without), "{without}");
        assert!(all.iter().any(|objects| objects.persons().is_none()));
        assert!(all.iter().any(|objects| !objects.things().is_empty()));
    }

    #[test]
    fn a_thing_that_was_found_is_there_and_any_other_is_not() {
        let all = objects(&[("person", None), ("apple", Some(0.1)), ("kite", None)]);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut yes, mut no) = (0, 0);
        for _ in 0..300 {
            let (asked, answer) = thing(&all, &mut rng);
            let there = asked.contains(" an apple") || asked.contains(" a kite");
            assert_eq!(answer.starts_with("Yes"), there, "{asked} {answer}");
            assert_eq!(asked.contains("apple"), answer.contains("apple"), "{asked} {answer}");
            if there { yes += 1 } else { no += 1 }
        }
        assert!(yes > 100 && no > 100, "{yes} {no}");
    }
}
