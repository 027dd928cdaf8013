//! What the KV cache holds, position by position, so that a next prompt computes only what is new.

use std::sync::Arc;

use artgpt_chat::Piece;

/// What stands at one position of the sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Position {
    /// A token of the vocabulary.
    Token(u32),
    /// An image token, by the key of its image and its index there.
    Query(Arc<str>, usize),
}

/// The positions of a prompt. `keys` are those of the pictures, `queries` is the number of tokens
/// of one image.
pub(crate) fn positions(pieces: &[Piece], keys: &[Arc<str>], queries: usize) -> Vec<Position> {
    pieces
        .iter()
        .flat_map(|piece| -> Vec<Position> {
            match piece {
                Piece::Tokens(ids) => ids.iter().map(|id| Position::Token(*id)).collect(),
                Piece::Image(i) => match keys.get(*i) {
                    Some(key) => (0..queries).map(|q| Position::Query(key.clone(), q)).collect(),
                    None => Vec::new(),
                },
            }
        })
        .collect()
}

/// How many of the cached positions the prompt begins with. The last position of a prompt is
/// always computed again: its output gives the first token of the answer.
pub(crate) fn reusable(cached: &[Position], prompt: &[Position]) -> usize {
    let same = cached.iter().zip(prompt).take_while(|(a, b)| a == b).count();
    same.min(prompt.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_prompt_keeps_its_beginning_and_another_picture_does_not() {
        let pieces = [Piece::Tokens(vec![1, 2]), Piece::Image(0), Piece::Tokens(vec![3])];
        let cached = positions(&pieces, &["a".into()], 2);
        assert_eq!(cached.len(), 5);
        assert_eq!(reusable(&cached, &cached), 4);
        let mut longer = cached.clone();
        longer.push(Position::Token(9));
        assert_eq!(reusable(&cached, &longer), 5);
        assert_eq!(reusable(&cached, &positions(&pieces, &["b".into()], 2)), 2);
        assert_eq!(reusable(&[], &cached), 0);
    }
}
