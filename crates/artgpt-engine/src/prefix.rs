//! What the KV cache holds, place by place, so that a next prompt reads only what is new.

use std::sync::Arc;

use artgpt_chat::Piece;

/// One place in the sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Token(u32),
    /// A query token of the picture with this key.
    Query(Arc<str>, usize),
}

/// A prompt as places. `keys` are the pictures' keys, `queries` the tokens of one picture.
pub fn places(pieces: &[Piece], keys: &[Arc<str>], queries: usize) -> Vec<Place> {
    pieces
        .iter()
        .flat_map(|piece| -> Vec<Place> {
            match piece {
                Piece::Tokens(ids) => ids.iter().map(|id| Place::Token(*id)).collect(),
                Piece::Image(i) => match keys.get(*i) {
                    Some(key) => (0..queries).map(|q| Place::Query(key.clone(), q)).collect(),
                    None => Vec::new(),
                },
            }
        })
        .collect()
}

/// How many places of `held` the prompt begins with. The last place of a prompt is always read
/// again: its output says the first token of the answer.
pub fn reusable(held: &[Place], prompt: &[Place]) -> usize {
    let same = held.iter().zip(prompt).take_while(|(a, b)| a == b).count();
    same.min(prompt.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_prompt_keeps_its_beginning_and_another_picture_does_not() {
        let pieces = [Piece::Tokens(vec![1, 2]), Piece::Image(0), Piece::Tokens(vec![3])];
        let held = places(&pieces, &["a".into()], 2);
        assert_eq!(held.len(), 5);
        assert_eq!(reusable(&held, &held), 4);
        let mut longer = held.clone();
        longer.push(Place::Token(9));
        assert_eq!(reusable(&held, &longer), 5);
        assert_eq!(reusable(&held, &places(&pieces, &["b".into()], 2)), 2);
        assert_eq!(reusable(&[], &held), 0);
    }
}
