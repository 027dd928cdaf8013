//! Answers that repeat: an earlier answer, the question, or themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::words::words;

/// Words in a row that two answers about one painting must not share.
const RUN: usize = 12;
/// A sequence of this length said [`TIMES`] times is a loop.
const LOOP: usize = 6;
/// See [`LOOP`].
const TIMES: usize = 3;
/// A question of fewer words may be said again.
const SHORT_QUESTION: usize = 4;

/// What was said about one painting so far.
#[derive(Debug, Default)]
pub(super) struct Said {
    whole: BTreeSet<Vec<String>>,
    runs: BTreeSet<Vec<String>>,
}

impl Said {
    /// Whether `answer` repeats what was said before, or `question`, or itself; then remembers it.
    pub(super) fn repeats(&mut self, question: &str, answer: &str) -> bool {
        let (question, answer) = (words(question), words(answer));
        let runs: BTreeSet<Vec<String>> = answer.windows(RUN).map(<[String]>::to_vec).collect();
        let known = self.whole.contains(&answer) || runs.iter().any(|r| self.runs.contains(r));
        let repeats = known || echoes(&question, &answer) || loops(&answer);
        self.runs.extend(runs);
        self.whole.insert(answer);
        repeats
    }
}

/// Whether the answer holds the whole question.
fn echoes(question: &[String], answer: &[String]) -> bool {
    question.len() >= SHORT_QUESTION && answer.windows(question.len()).any(|part| part == question)
        || (!question.is_empty() && question == answer)
}

fn loops(answer: &[String]) -> bool {
    let mut counts: BTreeMap<&[String], usize> = BTreeMap::new();
    answer.windows(LOOP).any(|sequence| {
        let count = counts.entry(sequence).or_default();
        *count += 1;
        *count == TIMES
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_given_before_is_a_repetition() {
        let mut said = Said::default();
        assert!(!said.repeats("Why?", "Because it is dark."));
        assert!(said.repeats("How so?", "because it is DARK"));
        assert!(!said.repeats("How so?", "Because it is dark and cold."));
        // Another painting, another memory.
        assert!(!Said::default().repeats("How so?", "Because it is dark."));
    }

    #[test]
    fn twelve_words_in_a_row_are_a_repetition_and_eleven_are_not() {
        let twelve = "one two three four five six seven eight nine ten eleven twelve";
        let (eleven, _) = twelve.rsplit_once(' ').expect("has spaces");
        let mut said = Said::default();
        assert!(!said.repeats("a", &format!("{twelve} and more")));
        assert!(!said.repeats("b", &format!("{eleven} but not that")));
        assert!(said.repeats("c", &format!("So {twelve}.")));
    }

    #[test]
    fn the_question_and_loops_are_repetitions() {
        let said = |question: &str, answer: &str| Said::default().repeats(question, answer);
        assert!(said("Where does the light come from?", "Where does the light come from"));
        assert!(said("Where is the light?", "Well, where is the light? On the left."));
        assert!(!said("Is it sad?", "Is it sad? No, it is calm."));
        let once = "the man in the red coat ";
        assert!(said("Who?", &once.repeat(3)) && !said("Who?", &once.repeat(2)));
    }
}
