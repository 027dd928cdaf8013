//! Sessions, their turns, and the tree that the turns form: an edit or a second answer is a branch.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Answer, FinishReason, Role, Timings, Turn, Turns, Usage};
use artgpt_art::Label;
use artgpt_base::mask::mask_url;

/// What is stored of a conversation besides its turns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// A ULID, so that ids sort by creation time.
    pub id: String,
    /// Empty until the first question; see [`Conversation::derive_title`].
    pub title: String,
    /// The model's name, path or server, as `--model` takes it; without a password or key in it.
    pub model: String,
    /// Replaces the template's system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// When the session began.
    pub created: Timestamp,
    /// When its last turn was stored.
    pub updated: Timestamp,
    /// The artworks of all its turns.
    #[serde(default)]
    pub artworks: Vec<ArtworkRef>,
}

/// An artwork of a session. The image itself is a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtworkRef {
    /// The file that the user opened.
    pub path: PathBuf,
    /// SHA-256 of the file's bytes, in hex; names the copy in the data folder.
    pub sha256: String,
    /// Title, artist and so on, where a file gave them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
}

/// One stored turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnRecord {
    /// Sequence number in the session, from 0.
    pub seq: u64,
    /// The `seq` of the turn that this one follows; `None` for the first.
    pub parent: Option<u64>,
    /// Who wrote it.
    pub role: Role,
    /// The question or the answer.
    pub text: String,
    /// Artworks sent with this turn, as indices into the session's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artworks: Vec<usize>,
    /// When the turn was made.
    pub created: Timestamp,
    /// Token counts of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Timings of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
    /// Why an answer ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
    /// Why there is no answer, or no more of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The user's rating of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<i8>,
    /// False for an answer that was cut off: its process was killed, or the answer failed.
    #[serde(default = "complete_by_default")]
    pub complete: bool,
}

/// Characters that are kept of a failure's reason; a server may answer with a page.
const MAX_FAILURE: usize = 1_000;

fn complete_by_default() -> bool {
    true
}

/// A session with its turns, as export and import carry it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// The session's own record.
    #[serde(flatten)]
    pub session: Session,
    /// Its turns, sorted by `seq`.
    #[serde(default)]
    pub turns: Turns,
}

impl Session {
    /// An empty session with a new id, for `model`.
    pub fn new(model: &str, system: Option<String>) -> Self {
        let now = Timestamp::now();
        Self {
            id: ulid::Ulid::generate().to_string(),
            title: String::new(),
            model: mask_url(model).into_owned(),
            system,
            created: now,
            updated: now,
            artworks: Vec::new(),
        }
    }

    /// Returns the index of an artwork in this session; adds the artwork if it is new.
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
    /// Completes this turn with the generated answer.
    pub fn finished(mut self, answer: &Answer) -> Self {
        self.text.clone_from(&answer.text);
        self.usage = Some(answer.usage);
        self.timings = Some(answer.timings);
        self.finish_reason = Some(answer.finish_reason);
        self.complete = true;
        self
    }

    /// Ends this turn with the text that came before its failure, and the reason, safe to show.
    pub fn failed(mut self, text: &str, reason: &str) -> Self {
        let reason = artgpt_base::text::printable(reason);
        self.text = text.to_string();
        self.failure = Some(match reason.char_indices().nth(MAX_FAILURE) {
            Some((end, _)) => format!("{}…", &reason[..end]),
            None => reason,
        });
        self.complete = false;
        self
    }
}

impl Conversation {
    /// A conversation without turns.
    pub fn new(session: Session) -> Self {
        Self { session, turns: Turns::default() }
    }

    /// The next free sequence number.
    pub(crate) fn next_seq(&self) -> u64 {
        self.turns.last().map_or(0, |t| t.seq.saturating_add(1))
    }

    /// The turns from the root to `leaf` (the newest turn for `None`), oldest first. Takes time
    /// linear in the number of turns.
    pub fn path(&self, leaf: Option<u64>) -> Vec<&TurnRecord> {
        let leaf = leaf.or_else(|| self.turns.last().map(|t| t.seq));
        leaf.map_or_else(Vec::new, |seq| self.turns.path(seq))
    }

    /// A user's turn of now at the end of the current branch.
    pub fn user_turn(&self, text: &str, artworks: Vec<usize>) -> TurnRecord {
        self.user_turn_at(Timestamp::now(), text, artworks)
    }

    /// An assistant's turn of now at the end of the current branch.
    pub fn assistant_turn(&self, text: &str) -> TurnRecord {
        self.assistant_turn_at(Timestamp::now(), text)
    }

    /// A user's turn at the end of the current branch. Reads no clock.
    pub fn user_turn_at(&self, at: Timestamp, text: &str, artworks: Vec<usize>) -> TurnRecord {
        self.turn(at, Role::User, text, artworks)
    }

    /// An assistant's turn at the end of the current branch. Reads no clock.
    pub fn assistant_turn_at(&self, at: Timestamp, text: &str) -> TurnRecord {
        self.turn(at, Role::Assistant, text, Vec::new())
    }

    fn turn(&self, at: Timestamp, role: Role, text: &str, artworks: Vec<usize>) -> TurnRecord {
        TurnRecord {
            seq: self.next_seq(),
            parent: self.turns.last().map(|t| t.seq),
            role,
            text: text.to_string(),
            artworks,
            created: at,
            usage: None,
            timings: None,
            finish_reason: None,
            failure: None,
            rating: None,
            complete: true,
        }
    }

    /// The branch that ends in `leaf` as templates read it, without empty answers.
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
                caption: None,
            })
            .collect()
    }

    /// Sets a title from the first question and its artwork, at most 60 characters, unless the
    /// session has one.
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
        c.turns.update(2, |turn| turn.parent = Some(0)); // a branch beside b
        let texts: Vec<_> = c.path(None).iter().map(|t| t.text.as_str()).collect();
        assert_eq!(texts, ["a", "c"]);
        assert_eq!(c.path(Some(1)).len(), 2);
        c.turns.update(0, |turn| turn.parent = Some(2));
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

    #[test]
    fn a_failure_is_kept_in_its_turn_and_never_long_or_unsafe() {
        let c = Conversation::new(Session::new("m", None));
        let turn = c.assistant_turn("").failed("half", "HTTP 500: \u{1b}[31mno");
        assert_eq!((turn.text.as_str(), turn.complete), ("half", false));
        assert_eq!(turn.failure.as_deref(), Some("HTTP 500: \u{fffd}[31mno"));
        let json = serde_json::to_string(&turn).expect("JSON");
        assert_eq!(serde_json::from_str::<TurnRecord>(&json).expect("parses"), turn);
        let long = c.assistant_turn("").failed("", &"é".repeat(5_000)).failure.expect("a reason");
        assert_eq!(long.chars().count(), MAX_FAILURE + 1);
        // Turns of earlier versions have none.
        let old = json.replace("\"failure\":\"HTTP 500: \u{fffd}[31mno\",", "");
        assert_eq!(serde_json::from_str::<TurnRecord>(&old).expect("parses").failure, None);
    }
}
