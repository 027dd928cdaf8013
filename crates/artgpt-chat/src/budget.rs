//! What fits into the context window.

use std::ops::Range;

use super::{ChatError, Piece, Role, Turn};

/// Tokens available.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// The model's window.
    pub context: usize,
    /// Kept free for the answer.
    pub answer: usize,
    /// Tokens of one image.
    pub image: usize,
}

impl Budget {
    /// Tokens of rendered pieces.
    pub fn count(&self, pieces: &[Piece]) -> usize {
        pieces
            .iter()
            .map(|p| match p {
                Piece::Tokens(ids) => ids.len(),
                Piece::Image(_) => self.image,
            })
            .sum()
    }
}

/// Renders `turns`, leaving out the oldest rounds that hold no image until the rest fits.
///
/// The reference cuts tokens off the left and can lose the image (`conversation.py`); here the
/// system text, the images and the last question always stay. Returns the pieces and how many
/// turns were left out.
pub fn fit(
    turns: &[Turn],
    budget: Budget,
    mut render: impl FnMut(&[Turn]) -> Result<Vec<Piece>, ChatError>,
) -> Result<(Vec<Piece>, usize), ChatError> {
    let mut kept = turns.to_vec();
    let room = budget.context.saturating_sub(budget.answer);
    loop {
        let pieces = render(&kept)?;
        let tokens = budget.count(&pieces);
        if tokens <= room {
            return Ok((pieces, turns.len() - kept.len()));
        }
        let Some(oldest) = droppable(&kept) else {
            return Err(ChatError::TooLong { tokens, context: room });
        };
        kept.drain(oldest);
    }
}

/// The oldest round, a question and the answers to it, that holds no image; else the oldest answer
/// about one. The last question always stays.
fn droppable(turns: &[Turn]) -> Option<Range<usize>> {
    let last = turns.len().saturating_sub(1);
    let starts: Vec<usize> = (0..turns.len())
        .filter(|&i| i == 0 || i == last || turns[i].role != Role::Assistant)
        .collect();
    let rounds = || starts.windows(2).map(|w| w[0]..w[1]);
    let plain = |r: &Range<usize>| {
        turns[r.clone()].iter().all(|t| t.images.is_empty() && t.role != Role::System)
    };
    let answer = || {
        let spoken = |i: &usize| turns[*i].role == Role::Assistant && turns[*i].images.is_empty();
        (0..last).find(spoken).map(|i| i..i + 1)
    };
    rounds().find(plain).or_else(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_rounds_go_and_the_image_stays() {
        let mut first = Turn::new(Role::User, "a".repeat(10));
        first.images.push((0, "none".into()));
        let turns: Vec<_> = std::iter::once(first)
            .chain((0..6).map(|i| Turn::new([Role::Assistant, Role::User][i % 2], "b".repeat(10))))
            .collect();
        let render = |turns: &[Turn]| {
            Ok(turns
                .iter()
                .flat_map(|t| {
                    let text = Piece::Tokens(vec![0; t.text.len()]);
                    t.images.iter().map(|i| Piece::Image(i.0)).chain([text]).collect::<Vec<_>>()
                })
                .collect())
        };
        let budget = Budget { context: 70, answer: 8, image: 32 };
        let (pieces, dropped) = fit(&turns, budget, render).expect("fits");
        assert_eq!((dropped, budget.count(&pieces)), (4, 62));
        assert!(pieces.contains(&Piece::Image(0)));
        // Whole rounds go: what is left answers what is asked before it.
        let mut seen = Vec::new();
        let odd = Budget { context: 80, answer: 8, image: 32 };
        let note = |turns: &[Turn]| {
            seen = turns.iter().map(|t| t.role).collect();
            render(turns)
        };
        let (_, dropped) = fit(&turns, odd, note).expect("fits");
        use Role::{Assistant, User};
        assert_eq!((dropped, seen), (4, vec![User, Assistant, User]));
        let tiny = Budget { context: 45, answer: 8, image: 32 };
        assert!(matches!(fit(&turns, tiny, render), Err(ChatError::TooLong { .. })));
    }
}
