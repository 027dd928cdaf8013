//! Accepts the turns of a record: roles that alternate, text in each, at most two pictures.

use super::formats::{Raw, RawTurn, Reference};
use super::{Dialogue, Round};
use artgpt_chat::Role;

/// Max rounds of a conversation.
const MAX_ROUNDS: usize = 64;
/// Longest turn, in bytes.
const MAX_TURN: usize = 32 << 10;
/// Max pictures of a conversation.
const MAX_PICTURES: usize = 2;

/// The conversation of a record; `find` gives the index of a picture.
///
/// # Errors
/// Why it cannot train, for people.
pub(super) fn dialogue(
    place: &str,
    raw: Raw,
    mut find: impl FnMut(&Reference) -> Result<usize, String>,
) -> Result<Dialogue, String> {
    let Raw { kind, mut turns, pictures } = raw;
    let system = match turns.first() {
        Some(first) if first.role == Role::System => Some(turns.remove(0)),
        _ => None,
    };
    if system.as_ref().is_some_and(|turn| turn.markers > 0 || !turn.pictures.is_empty()) {
        return Err("its system turn shows a picture".into());
    }
    let system = system.map(|turn| turn.text).filter(|text| !text.is_empty());
    if system.as_ref().is_some_and(|text| text.len() > MAX_TURN) {
        return Err(format!("its system prompt is longer than {} kB", MAX_TURN >> 10));
    }
    let (references, second_at) = placed(&turns, pictures)?;
    let rounds = rounds(turns)?;
    let mut found = Vec::new();
    for reference in &references {
        found.push(find(reference)?);
    }
    // The same picture twice is one picture.
    found.dedup();
    Ok(Dialogue { place: place.to_string(), pictures: found, second_at, kind, system, rounds })
}

/// All pictures in their order, and the round that shows the second one.
fn placed(turns: &[RawTurn], beside: Vec<Reference>) -> Result<(Vec<Reference>, usize), String> {
    if let Some(turn) = turns.iter().position(|t| t.role != Role::User && !t.pictures.is_empty()) {
        return Err(format!("turn {} shows a picture and is not the user's", turn + 1));
    }
    // The turn of each picture, where a marker or a part says it.
    let places: Vec<usize> = turns
        .iter()
        .enumerate()
        .filter(|(_, turn)| turn.role == Role::User)
        .flat_map(|(i, turn)| std::iter::repeat_n(i, turn.markers.max(turn.pictures.len())))
        .collect();
    let within = turns.iter().flat_map(|turn| turn.pictures.iter().cloned());
    let all: Vec<Reference> = beside.into_iter().chain(within).collect();
    if all.len() > MAX_PICTURES {
        return Err(format!("it shows {} pictures, and at most two are read", all.len()));
    }
    if places.len() > all.len() {
        return Err(format!(
            "its text has places for {} pictures, and it names {}",
            places.len(),
            all.len()
        ));
    }
    let second = if places.len() == all.len() { places.get(1) } else { None };
    Ok((all, second.map_or(0, |turn| turn / 2)))
}

fn rounds(turns: Vec<RawTurn>) -> Result<Vec<Round>, String> {
    if turns.is_empty() {
        return Err("it has no turns".into());
    }
    for (i, turn) in turns.iter().enumerate() {
        let (wanted, name) = [(Role::User, "user"), (Role::Assistant, "assistant")][i % 2];
        if turn.role != wanted {
            return Err(format!("turn {} should be the {name}'s", i + 1));
        }
        if turn.text.is_empty() {
            return Err(format!("turn {} is empty", i + 1));
        }
        if turn.text.len() > MAX_TURN {
            return Err(format!("turn {} is longer than {} kB", i + 1, MAX_TURN >> 10));
        }
    }
    if turns.len() % 2 == 1 {
        return Err("its last question has no answer".into());
    }
    if turns.len() / 2 > MAX_ROUNDS {
        return Err(format!("it has {} rounds, more than {MAX_ROUNDS}", turns.len() / 2));
    }
    let mut turns = turns.into_iter().map(|turn| turn.text);
    let mut rounds = Vec::new();
    while let (Some(asked), Some(said)) = (turns.next(), turns.next()) {
        rounds.push(Round { asked, said });
    }
    Ok(rounds)
}
