//! A question and its answer in a stored session: the question's turn, the draft, the answer's turn.

use std::time::{Duration, Instant};

use super::{AskRequest, SessionChoice};
use crate::sessions::open_to_write;
use crate::{App, AppError, Event, Result};
use artgpt_art::{ArtError, Artwork};
use artgpt_base::mask::mask_url;
use artgpt_chat::{Answer, ArtworkRef, Conversation, Session, TurnRecord};
use artgpt_engine::Picture;
use artgpt_store::{Database, DraftKey, Pictures, StoreError};

/// A killed process loses at most this much of an answer.
const DRAFT_EVERY: Duration = Duration::from_secs(1);

/// A session before its next question.
pub(super) struct OpenSession {
    database: Database,
    copies: Pictures,
    conversation: Conversation,
    /// The pictures of earlier questions.
    pictures: Vec<Picture>,
}

impl OpenSession {
    /// Opens or creates the session and reads its pictures.
    pub(super) fn open(
        app: &App,
        choice: &SessionChoice,
        request: &AskRequest,
        system: &Option<String>,
    ) -> Result<Self> {
        let database = open_to_write(app)?;
        let copies = Pictures::new(app.paths.pictures());
        let mut conversation = match choice {
            SessionChoice::New => {
                let model = request.model.as_deref().unwrap_or(&app.settings.model);
                Conversation::new(Session::new(&mask_url(model), system.clone()))
            }
            SessionChoice::Existing(id) => database.get(id)?,
        };
        if request.system.is_some() {
            conversation.session.system.clone_from(system);
        }
        let read = |known: &ArtworkRef| {
            let artwork = Artwork::open(&copies.locate(known))?;
            match artwork.sha256 == known.sha256 {
                true => Ok(Picture::of(&artwork)),
                false => Err(ArtError::Changed(known.path.display().to_string())),
            }
        };
        let artworks = conversation.session.artworks.iter();
        let pictures =
            artworks.map(read).collect::<std::result::Result<_, _>>().map_err(AppError::Art)?;
        Ok(Self { database, copies, conversation, pictures })
    }

    pub(super) fn model(&self) -> &str {
        &self.conversation.session.model
    }

    /// Stores the question and begins the answer's draft.
    pub(super) fn question(mut self, app: &App, text: &str, art: &[Artwork]) -> Result<Round> {
        let conversation = &mut self.conversation;
        let mut numbers = Vec::new();
        for a in art {
            self.copies.keep(&a.path, &a.sha256)?;
            let number = conversation.session.add_artwork(ArtworkRef {
                path: std::path::absolute(&a.path).unwrap_or_else(|_| a.path.clone()),
                sha256: a.sha256.clone(),
                label: a.label.clone(),
            });
            if number == self.pictures.len() {
                self.pictures.push(Picture::of(a));
            }
            numbers.push(number);
        }
        if conversation.turns.is_empty() {
            app.tell(&Event::SessionCreated(&conversation.session.id));
        }
        let question = conversation.user_turn(text, numbers);
        conversation.turns.push(question.clone());
        conversation.derive_title();
        conversation.session.updated = question.created;
        self.database.put_turn(&conversation.session, &question)?;
        let answer = conversation.assistant_turn("");
        let draft = self.database.begin_draft(&conversation.session, &answer)?;
        Ok(Round {
            database: self.database,
            conversation: self.conversation,
            pictures: self.pictures,
            answer,
            draft,
            pieces: 0,
            text: String::new(),
            drafted: 0,
            last: Instant::now(),
        })
    }
}

/// A stored question whose answer is on its way.
pub(super) struct Round {
    database: Database,
    conversation: Conversation,
    pictures: Vec<Picture>,
    answer: TurnRecord,
    draft: DraftKey,
    /// Pieces of the draft that are stored.
    pieces: u32,
    /// The answer so far.
    text: String,
    /// Bytes of it that are in the draft.
    drafted: usize,
    last: Instant,
}

impl Round {
    pub(super) fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    pub(super) fn pictures(&self) -> &[Picture] {
        &self.pictures
    }

    /// New text of the answer; it is stored once a second.
    pub(super) fn draft(&mut self, text: &str) -> std::result::Result<(), StoreError> {
        self.text.push_str(text);
        if self.last.elapsed() >= DRAFT_EVERY {
            self.pieces += 1;
            let new = &self.text[self.drafted..];
            self.database.append_draft(&self.draft, self.pieces, new)?;
            self.drafted = self.text.len();
            self.last = Instant::now();
        }
        Ok(())
    }

    /// The answer failed: the question stays, and so do the text that came before the failure and its
    /// reason.
    pub(super) fn give_up(&self, reason: &str) -> std::result::Result<(), StoreError> {
        self.put(self.answer.clone().failed(&self.text, reason))
    }

    /// Stores the answer's turn in place of the draft.
    pub(super) fn finish(&self, answer: &Answer) -> std::result::Result<(), StoreError> {
        self.put(self.answer.clone().finished(answer))
    }

    fn put(&self, turn: TurnRecord) -> std::result::Result<(), StoreError> {
        let mut session = self.conversation.session.clone();
        session.updated = jiff::Timestamp::now();
        self.database.put_turn(&session, &turn)
    }
}
