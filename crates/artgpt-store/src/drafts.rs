//! An answer on disk while it streams: a header and pieces of text, appended about once a second. No
//! value is rewritten, because sled keeps every version of one.

use super::database::{Database, encode, turn_key};
use super::{Result, io};
use artgpt_chat::{Session, TurnRecord};

/// The turn that a draft becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftKey {
    /// The session's id.
    pub session: String,
    /// The turn's number in the session.
    pub seq: u64,
}

impl Database {
    /// Begins a draft. `turn` has no text yet.
    ///
    /// # Errors
    /// [`super::StoreError::Io`].
    pub fn begin_draft(&self, session: &Session, turn: &TurnRecord) -> Result<DraftKey> {
        let key = DraftKey { session: session.id.clone(), seq: turn.seq };
        self.trees()?.drafts.insert(key.piece(0), encode(turn)).map_err(io(&self.path))?;
        self.flush()?;
        Ok(key)
    }

    /// Appends piece `number` (from 1). Durable on return.
    ///
    /// # Errors
    /// [`super::StoreError::Io`].
    pub fn append_draft(&self, key: &DraftKey, number: u32, text: &str) -> Result<()> {
        self.trees()?.drafts.insert(key.piece(number), text.as_bytes()).map_err(io(&self.path))?;
        self.flush()
    }

    /// Turns the drafts of a killed process into turns marked incomplete. Returns how many.
    pub(super) fn recover_drafts(&self) -> Result<usize> {
        let mut found: Vec<(DraftKey, TurnRecord)> = Vec::new();
        for (key, value) in self.trees()?.drafts.iter().flatten() {
            let Some((key, number)) = parse(&key) else { continue };
            if number == 0 {
                let Ok(turn) = serde_json::from_slice::<TurnRecord>(&value) else { continue };
                found.push((key, TurnRecord { text: String::new(), complete: false, ..turn }));
            } else if let Some((_, turn)) = found.last_mut().filter(|(last, _)| *last == key) {
                turn.text.push_str(&String::from_utf8_lossy(&value));
            }
        }
        let mut kept = 0;
        for (key, turn) in found {
            // A session that was removed takes its drafts with it.
            if let Ok(conversation) = self.get(&key.session) {
                self.put_turn(&conversation.session, &turn)?;
                kept += 1;
            }
        }
        self.trees()?.drafts.clear().map_err(io(&self.path))?;
        self.flush()?;
        Ok(kept)
    }
}

impl DraftKey {
    fn piece(&self, number: u32) -> Vec<u8> {
        let mut key = turn_key(&self.session, self.seq);
        key.extend_from_slice(&number.to_be_bytes());
        key
    }
}

/// Whose piece it is, and its number.
fn parse(key: &[u8]) -> Option<(DraftKey, u32)> {
    let (head, number) = key.split_last_chunk::<4>()?;
    let (id, seq) = head.split_last_chunk::<8>()?;
    let session = String::from_utf8(id.to_vec()).ok()?;
    Some((DraftKey { session, seq: u64::from_be_bytes(*seq) }, u32::from_be_bytes(*number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_chat::Conversation;

    #[test]
    fn a_draft_without_its_end_is_kept_as_incomplete() {
        let dir = tempfile::tempdir().expect("temp dir");
        let folder = dir.path().join("sessions.sled");
        let mut c = Conversation::new(Session::new("m", None));
        let db = Database::open(&folder).expect("opens").database;
        let question = c.user_turn("what?", vec![]);
        c.turns.push(question.clone());
        db.put_turn(&c.session, &question).expect("writes");
        let answer = c.assistant_turn("");
        let key = db.begin_draft(&c.session, &answer).expect("begins");
        db.append_draft(&key, 1, "A por").expect("appends");
        db.append_draft(&key, 2, "trait").expect("appends");
        drop(db);
        let opened = Database::open(&folder).expect("opens");
        assert!(opened.notice.is_some());
        let turn = &opened.database.get(&c.session.id).expect("is there").turns[1];
        assert_eq!((turn.text.as_str(), turn.complete), ("A portrait", false));
        // A turn that was finished leaves no draft.
        let next = TurnRecord { seq: 2, ..answer };
        let key = opened.database.begin_draft(&c.session, &next).expect("begins");
        opened.database.append_draft(&key, 1, "x").expect("appends");
        opened.database.put_turn(&c.session, &next).expect("writes");
        assert!(opened.database.trees().expect("is open").drafts.is_empty());
    }
}
