//! What fits into the context window.

use std::ops::Range;

use super::{ChatError, Piece, Role, Turn};

/// How the tokens of the context window are used.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Tokens of the model's context window.
    pub context: usize,
    /// Tokens that stay free for the answer.
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

/// Up to this many turns are rendered whole first; longer conversations hardly ever fit.
const SHORT: usize = 64;

/// Renders as many of `turns` as fit, and drops old ones: first the oldest rounds without an image,
/// then the oldest answers about images. Returns the pieces and the number of dropped turns.
///
/// The reference cuts tokens off the left and can lose the image (`conversation.py`); here the
/// system prompt, the images and the last question always stay. The number of renderings grows with
/// the logarithm of the turns, because each one tokenises all that is left.
///
/// # Errors
/// [`ChatError::TooLong`], if what always stays does not fit; errors of `render`.
pub fn fit(
    turns: &[Turn],
    budget: Budget,
    mut render: impl FnMut(&[Turn]) -> Result<Vec<Piece>, ChatError>,
) -> Result<(Vec<Piece>, usize), ChatError> {
    let room = budget.context.saturating_sub(budget.answer);
    let order = drop_order(turns);
    // Without the first `drops` ranges: the pieces, their tokens, the number of dropped turns.
    let mut without = |drops: usize| -> Result<(Vec<Piece>, usize, usize), ChatError> {
        let mut dropped = vec![false; turns.len()];
        order[..drops].iter().cloned().flatten().for_each(|i| dropped[i] = true);
        let kept: Vec<Turn> =
            turns.iter().zip(&dropped).filter(|(_, d)| !**d).map(|(t, _)| t.clone()).collect();
        let pieces = render(&kept)?;
        let tokens = budget.count(&pieces);
        Ok((pieces, tokens, turns.len() - kept.len()))
    };
    let mut too_few = None;
    if turns.len() <= SHORT {
        let (pieces, tokens, dropped) = without(0)?;
        if tokens <= room {
            return Ok((pieces, dropped));
        }
        too_few = Some(0);
    }
    let (pieces, tokens, dropped) = without(order.len())?;
    if tokens > room {
        return Err(ChatError::TooLong { tokens, context: room });
    }
    // From the newest rounds back in growing steps, then by bisection: `fits` drops are enough,
    // `too_few` are not.
    let (mut best, mut fits) = ((pieces, dropped), order.len());
    let mut step = 1;
    while too_few.is_none_or(|few| few + 1 < fits) && fits > 0 {
        let next = match too_few {
            Some(few) => few + (fits - few) / 2,
            None => fits.saturating_sub(step),
        };
        step *= 2;
        let (pieces, tokens, dropped) = without(next)?;
        match tokens <= room {
            true => (best, fits) = ((pieces, dropped), next),
            false => too_few = Some(next),
        }
    }
    Ok(best)
}

/// What can be dropped, as ranges of turns in the order of dropping. The last question, images,
/// captions and system turns never are.
fn drop_order(turns: &[Turn]) -> Vec<Range<usize>> {
    let last = turns.len().saturating_sub(1);
    // A round is a question with the answers to it.
    let starts: Vec<usize> = (0..turns.len())
        .filter(|&i| i == 0 || i == last || turns[i].role != Role::Assistant)
        .collect();
    let shows = |t: &Turn| !t.images.is_empty() || t.caption.is_some();
    let droppable =
        |r: &Range<usize>| turns[r.clone()].iter().all(|t| !shows(t) && t.role != Role::System);
    let rounds = starts.windows(2).map(|w| w[0]..w[1]);
    let (mut order, kept): (Vec<_>, Vec<_>) = rounds.partition(droppable);
    let is_answer = |i: &usize| turns[*i].role == Role::Assistant && !shows(&turns[*i]);
    order.extend(kept.into_iter().flatten().filter(is_answer).map(|i| i..i + 1));
    order
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

    /// One token a character.
    fn render(turns: &[Turn]) -> Result<Vec<Piece>, ChatError> {
        let pieces = turns.iter().flat_map(|t| {
            let images = t.images.iter().map(|i| Piece::Image(i.0));
            images.chain([Piece::Tokens(vec![0; t.text.len()])])
        });
        Ok(pieces.collect())
    }

    #[test]
    fn as_few_turns_as_possible_are_dropped_whatever_the_room() {
        let turn = |i: usize| {
            let mut turn = Turn::new([Role::User, Role::Assistant][i % 2], "x".repeat(1 + i % 7));
            if i % 20 == 4 {
                turn.images.push((0, "none".into()));
            }
            turn
        };
        for count in [1, 2, 9, 41, 101, 203] {
            let turns: Vec<Turn> = (0..count).map(turn).collect();
            let order = drop_order(&turns);
            for context in (1..1300).step_by(37) {
                let budget = Budget { context, answer: 1, image: 5 };
                // One range after the other, until the rest fits.
                let fits = |drops: &usize| {
                    let kept =
                        (0..count).filter(|i| !order[..*drops].iter().any(|r| r.contains(i)));
                    let kept: Vec<Turn> = kept.map(turn).collect();
                    budget.count(&render(&kept).expect("renders")) < context
                };
                let expected = (0..=order.len()).find(fits);
                let expected =
                    expected.map(|d| order[..d].iter().map(ExactSizeIterator::len).sum::<usize>());
                let found = fit(&turns, budget, render).ok().map(|(_, dropped)| dropped);
                assert_eq!(found, expected, "{count} turns, {context} tokens");
            }
        }
    }

    #[test]
    fn a_long_conversation_is_rendered_a_few_times() {
        let turns: Vec<Turn> = (0..10_001)
            .map(|i| Turn::new([Role::User, Role::Assistant][i % 2], "x".repeat(10)))
            .collect();
        let budget = Budget { context: 2000, answer: 300, image: 32 };
        let (mut calls, mut tokenised) = (0, 0);
        let count = |turns: &[Turn]| {
            calls += 1;
            tokenised += turns.len();
            render(turns)
        };
        let (_, dropped) = fit(&turns, budget, count).expect("fits");
        assert_eq!(turns.len() - dropped, 169);
        assert!(calls < 20 && tokenised < 5000, "{calls} renderings of {tokenised} turns");
    }
}
