//! A conversation: artworks, and turns that form a tree (an edit or a second answer is a branch).

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Answer, FinishReason, Role, Timings, Turn, Usage};
use artgpt_art::Label;

/// All of a conversation but its turns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// A ULID: sorts by the time of its making.
    pub id: String,
    pub title: String,
    pub model: String,
    /// Replaces the template's system text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
    #[serde(default)]
    pub artworks: Vec<ArtworkRef>,
}

/// An artwork of a session. The picture itself is a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtworkRef {
    /// Where it was opened.
    pub path: PathBuf,
    /// Of the file's bytes; names the copy in the data folder.
    pub sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
}

/// One stored turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnRecord {
    /// Position in the session, from 0.
    pub seq: u64,
    /// The turn this one follows; `None` for the first.
    pub parent: Option<u64>,
    pub role: Role,
    pub text: String,
    /// Artworks shown with this turn, as indices into the session's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artworks: Vec<usize>,
    pub created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<i8>,
    /// False for an answer whose process ended while it was written.
    #[serde(default = "yes")]
    pub complete: bool,
}

fn yes() -> bool {
    true
}

/// A session with its turns, as export and import carry it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    #[serde(flatten)]
    pub session: Session,
    #[serde(default)]
    pub turns: Vec<TurnRecord>,
}

impl Session {
    pub fn new(model: &str, system: Option<String>) -> Self {
        let now = Timestamp::now();
        Self {
            id: ulid::Ulid::generate().to_string(),
            title: String::new(),
            model: model.to_string(),
            system,
            created: now,
            updated: now,
            artworks: Vec::new(),
        }
    }

    /// The number of an artwork in this session, which is added if it is new.
    pub fn add_artwork(&mut self, artwork: ArtworkRef) -> usize {
        let known = self
            .artworks
            .iter()
            .position(|a| a.sha256 == artwork.sha256 && a.label == artwork.label);
        known.unwrap_or_else(|| {
            self.artworks.push(artwork);
            self.artworks.len() - 1
        })
    }
}

impl TurnRecord {
    /// This turn with the answer that was made for it.
    pub fn finished(mut self, answer: &Answer) -> Self {
        self.text.clone_from(&answer.text);
        self.usage = Some(answer.usage);
        self.timings = Some(answer.timings);
        self.finish_reason = Some(answer.finish_reason);
        self.complete = true;
        self
    }
}

impl Conversation {
    pub fn new(session: Session) -> Self {
        Self { session, turns: Vec::new() }
    }

    /// The next free position.
    pub fn next_seq(&self) -> u64 {
        self.turns.last().map_or(0, |t| t.seq + 1)
    }

    /// The turns that lead to `leaf` (the newest turn for `None`), oldest first.
    pub fn path(&self, leaf: Option<u64>) -> Vec<&TurnRecord> {
        let mut out = Vec::new();
        let mut next = leaf.or_else(|| self.turns.last().map(|t| t.seq));
        while let Some(seq) = next {
            let Some(turn) = self.turns.iter().find(|t| t.seq == seq) else { break };
            out.push(turn);
            // A parent comes before its child, so a damaged file cannot make a circle.
            next = turn.parent.filter(|p| *p < seq);
        }
        out.reverse();
        out
    }

    /// A user's turn at the end of the current branch.
    pub fn user_turn(&self, text: &str, artworks: Vec<usize>) -> TurnRecord {
        self.turn(Role::User, text, artworks)
    }

    /// An assistant's turn at the end of the current branch.
    pub fn assistant_turn(&self, text: &str) -> TurnRecord {
        self.turn(Role::Assistant, text, Vec::new())
    }

    fn turn(&self, role: Role, text: &str, artworks: Vec<usize>) -> TurnRecord {
        TurnRecord {
            seq: self.next_seq(),
            parent: self.turns.last().map(|t| t.seq),
            role,
            text: text.to_string(),
            artworks,
            created: Timestamp::now(),
            usage: None,
            timings: None,
            finish_reason: None,
            rating: None,
            complete: true,
        }
    }

    /// The branch that ends in `leaf` as templates see it, empty answers left out.
    pub fn template_turns(&self, leaf: Option<u64>) -> Vec<Turn> {
        self.path(leaf)
            .into_iter()
            .filter(|t| t.role != Role::Assistant || !t.text.is_empty())
            .map(|t| Turn {
                role: t.role,
                text: t.text.clone(),
                images: t
                    .artworks
                    .iter()
                    .filter_map(|i| {
                        let art = self.session.artworks.get(*i)?;
                        Some((*i, Label::as_prompt(art.label.as_ref())))
                    })
                    .collect(),
            })
            .collect()
    }

    /// A title from the first question and what it is about, at most 60 characters.
    pub fn derive_title(&mut self) {
        if !self.session.title.is_empty() {
            return;
        }
        let Some(first) = self.turns.iter().find(|t| t.role == Role::User) else { return };
        let shown = first.artworks.first().and_then(|i| self.session.artworks.get(*i));
        let name = shown.and_then(|a| a.label.as_ref()?.title.as_deref());
        let question = first.text.trim();
        let text = name.map_or(question.to_string(), |name| format!("{}: {question}", name.trim()));
        let text = artgpt_base::text::printable(&text);
        let mut title: String = text.chars().take(60).collect();
        if text.chars().count() > 60 {
            title.push('…');
        }
        self.session.title = title;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_follows_parents_and_ends_in_damaged_files() {
        let mut c = Conversation::new(Session::new("m", None));
        for text in ["a", "b", "c"] {
            let t = c.user_turn(text, vec![]);
            c.turns.push(t);
        }
        c.turns[2].parent = Some(0); // a branch beside b
        let texts: Vec<_> = c.path(None).iter().map(|t| t.text.as_str()).collect();
        assert_eq!(texts, ["a", "c"]);
        assert_eq!(c.path(Some(1)).len(), 2);
        c.turns[0].parent = Some(2);
        assert_eq!(c.path(None).len(), 2);
    }

    #[test]
    fn a_long_question_makes_a_short_title() {
        let mut c = Conversation::new(Session::new("m", None));
        let t = c.user_turn(&"é".repeat(80), vec![]);
        c.turns.push(t);
        c.derive_title();
        assert_eq!(c.session.title.chars().count(), 61);

        let mut c = Conversation::new(Session::new("m", None));
        let label = Label { title: Some("View of Toledo".into()), ..Label::default() };
        let (path, sha256) = ("/t.jpg".into(), "t".into());
        let number = c.session.add_artwork(ArtworkRef { path, sha256, label: Some(label) });
        let t = c.user_turn("Is it dark?", vec![number]);
        c.turns.push(t);
        c.derive_title();
        assert_eq!(c.session.title, "View of Toledo: Is it dark?");
    }
}
