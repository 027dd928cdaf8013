//! What fits into the context window.

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
        // The oldest round is a question and the answer to it; the last question is never dropped.
        let last = kept.len().saturating_sub(1);
        let Some(at) =
            kept[..last].iter().position(|t| t.images.is_empty() && t.role != Role::System)
        else {
            return Err(ChatError::TooLong { tokens, context: room });
        };
        kept.remove(at);
    }
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
        let tiny = Budget { context: 45, answer: 8, image: 32 };
        assert!(matches!(fit(&turns, tiny, render), Err(ChatError::TooLong { .. })));
    }
}
