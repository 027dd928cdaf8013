//! The reference conversations: JSON Lines of `{"image": ID, "kind": …, "turns": […], "source": …}`.

use std::collections::BTreeMap;

use serde::Deserialize;

use artgpt_base::text::printable;

/// Examples that are kept of each reason for skipping.
const EXAMPLES: usize = 3;

/// A question and its reference answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// The question.
    pub question: String,
    /// The reference answer.
    pub reference: String,
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The line's number, from 1.
    pub line: usize,
    /// The painting's number in its museum.
    pub painting: u64,
    /// What kind of question it is, such as `mood`; `other` where the line does not say.
    pub kind: String,
    /// Whether it shares its reference with questions of its kind: the line names the kind.
    pub pooled: bool,
    /// At least one.
    pub rounds: Vec<Round>,
}

/// Why lines were not used: for each reason their number, and the first of them in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped(pub BTreeMap<&'static str, (usize, Vec<String>)>);

/// Why a line is not used, and what is special about it.
struct Reason(&'static str, Option<String>);

impl From<&'static str> for Reason {
    fn from(reason: &'static str) -> Self {
        Self(reason, None)
    }
}

/// The conversations of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Corpus {
    /// In the order of the file.
    pub conversations: Vec<Conversation>,
    /// Lines that hold none.
    pub skipped: Skipped,
}

#[derive(Deserialize)]
struct RawLine {
    image: serde_json::Value,
    kind: Option<String>,
    turns: Vec<RawTurn>,
}

#[derive(Deserialize)]
struct RawTurn {
    role: String,
    text: String,
}

impl Corpus {
    /// Reads a file's text. Lines that are no conversation about a painting of `known` are counted.
    pub fn read(text: &str, known: impl Fn(u64) -> bool) -> Self {
        let mut corpus = Self::default();
        for (i, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            match conversation(i + 1, line, &known) {
                Ok(conversation) => corpus.conversations.push(conversation),
                Err(reason) => corpus.skipped.add(reason, i + 1),
            }
        }
        corpus
    }
}

impl Skipped {
    fn add(&mut self, Reason(reason, detail): Reason, line: usize) {
        let (count, lines) = self.0.entry(reason).or_default();
        *count += 1;
        if lines.len() < EXAMPLES {
            lines.push(match detail {
                Some(detail) => format!("line {line}: {}", printable(&detail)),
                None => format!("line {line}"),
            });
        }
    }

    /// One sentence for each reason.
    pub fn sentences(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(reason, (count, lines))| {
            let what = if *count == 1 { "line" } else { "lines" };
            let more = if *count > lines.len() { ", …" } else { "" };
            format!("skipped {count} {what}: {reason} ({}{more})", lines.join(", "))
        })
    }
}

fn conversation(
    line: usize,
    text: &str,
    known: impl Fn(u64) -> bool,
) -> Result<Conversation, Reason> {
    let damaged = |e| Reason("damaged", Some(without_place(&e)));
    let raw: RawLine = serde_json::from_str(text).map_err(damaged)?;
    let painting = match &raw.image {
        serde_json::Value::Null => return Err("no picture".into()),
        image => image.as_u64().ok_or("the picture is no number of a painting")?,
    };
    if !known(painting) {
        return Err(Reason("not in the museum", Some(format!("painting {painting}"))));
    }
    let mut turns = raw.turns.into_iter().peekable();
    if turns.peek().is_some_and(|turn| turn.role == "system") {
        turns.next();
    }
    let turns: Vec<RawTurn> = turns.collect();
    if turns.is_empty() || turns.len() % 2 == 1 {
        return Err("questions and answers do not alternate".into());
    }
    let round = |pair: &[RawTurn]| {
        let [question, answer] = pair else { return None };
        let (q, a) = (question.text.trim(), answer.text.trim());
        let fits = question.role == "user" && answer.role == "assistant";
        (fits && !q.is_empty() && !a.is_empty())
            .then(|| Round { question: q.to_string(), reference: a.to_string() })
    };
    let rounds: Option<Vec<Round>> = turns.chunks(2).map(round).collect();
    let rounds = rounds.ok_or("questions and answers do not alternate, or one is empty")?;
    let pooled = raw.kind.is_some();
    let kind = raw.kind.map_or_else(|| "other".into(), |kind| printable(&kind));
    Ok(Conversation { line, painting, kind, pooled, rounds })
}

/// The parser's message without its place, which counts lines from the beginning of this one.
fn without_place(e: &serde_json::Error) -> String {
    let message = e.to_string();
    message.split(" at line ").next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_counted_by_reason() {
        let turns = r#"[{"role":"user","text":"Why?"},{"role":"assistant","text":"So."}]"#;
        let text = [
            format!(r#"{{"image":1,"kind":"mood","turns":{turns},"source":"s"}}"#),
            format!(r#"{{"image":9,"kind":"mood","turns":{turns}}}"#),
            format!(r#"{{"image":null,"turns":{turns}}}"#),
            format!(r#"{{"image":"a.jpg","turns":{turns}}}"#),
            "{\"image\":".into(),
            String::new(),
            r#"{"image":1,"turns":[{"role":"user","text":"Why?"}]}"#.into(),
            r#"{"image":1,"turns":[{"role":"user","text":"Why?"},{"role":"user","text":"?"}]}"#
                .into(),
            "{\"image\":".into(),
            "{\"image\":".into(),
            "{\"image\":".into(),
        ]
        .join("\n");
        let corpus = Corpus::read(&text, |id| id == 1);
        let [only] = &corpus.conversations[..] else { panic!("{corpus:?}") };
        assert_eq!((only.line, only.painting, only.kind.as_str()), (1, 1, "mood"));
        assert!(only.pooled);
        let kindless = format!(r#"{{"image":1,"turns":{turns}}}"#);
        let kindless = Corpus::read(&kindless, |id| id == 1).conversations;
        assert!(matches!(&kindless[..], [one] if one.kind == "other" && !one.pooled));
        assert_eq!(only.rounds, [Round { question: "Why?".into(), reference: "So.".into() }]);
        let sentences: Vec<String> = corpus.skipped.sentences().collect();
        assert_eq!(
            sentences,
            [
                "skipped 4 lines: damaged (line 5: EOF while parsing a value, line 9: EOF while parsing a value, line 10: EOF while parsing a value, …)",
                "skipped 1 line: no picture (line 3)",
                "skipped 1 line: not in the museum (line 2: painting 9)",
                "skipped 1 line: questions and answers do not alternate (line 7)",
                "skipped 1 line: questions and answers do not alternate, or one is empty (line 8)",
                "skipped 1 line: the picture is no number of a painting (line 4)",
            ]
        );
    }
}
