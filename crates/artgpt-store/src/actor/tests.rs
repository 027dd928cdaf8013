//! What is written, what is named, and what is tried again.

use super::*;
use crate::Unsaved;

fn round() -> (Session, TurnRecord) {
    let conversation = Conversation::new(Session::new("m", None));
    let turn = conversation.user_turn("what?", Vec::new());
    (conversation.session, turn)
}

fn unsaved(result: Result<()>) -> Vec<Unsaved> {
    match result {
        Err(StoreError::Unsaved(all)) => all,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_close_waits_for_what_was_asked() {
    let dir = tempfile::tempdir().expect("temp dir");
    let folder = dir.path().join("sessions.sled");
    let pictures = Pictures::new(dir.path().join("pictures"));
    let store = Store::spawn(folder.clone(), pictures, |_| ()).expect("starts");
    let (session, turn) = round();
    store.put_turn(session.clone(), turn.clone());
    store.close().expect("saves");
    let database = Database::open(&folder).expect("opens").database;
    assert_eq!(*database.get(&session.id).expect("is there").turns, [turn]);
}

#[test]
fn a_close_names_what_a_slow_disk_did_not_take() {
    let dir = tempfile::tempdir().expect("temp dir");
    let pictures = Pictures::new(dir.path().join("pictures"));
    // The thread hangs in its first event, as it would in a write.
    let (release, hold) = channel::<()>();
    let mut store = Store::spawn(dir.path().join("sessions.sled"), pictures, move |_| {
        let _ = hold.recv();
    })
    .expect("starts");
    let (session, turn) = round();
    store.put_turn(session.clone(), turn);
    store.append_draft("text".into());
    store.list();
    let unsaved = unsaved(store.finish(Duration::from_millis(20)));
    let item = UnsavedItem::Turn { session: session.id.clone(), seq: 0 };
    assert_eq!(unsaved.iter().map(|u| &u.item).collect::<Vec<_>>(), [&item]);
    let text = StoreError::Unsaved(unsaved).to_string();
    assert!(text.contains(&format!("turn 1 of session {}", session.id)), "{text}");
    drop(release);
}

#[test]
fn a_close_names_what_failed_unless_it_was_written_later() {
    let dir = tempfile::tempdir().expect("temp dir");
    let pictures = Pictures::new(dir.path().join("pictures"));
    let (events, failures) = channel();
    let store = Store::spawn(dir.path().join("sessions.sled"), pictures, move |event| {
        if let StoreEvent::Failed(reason) = event {
            let _ = events.send(reason);
        }
    })
    .expect("starts");
    let (gone, back) = (dir.path().join("gone.png"), dir.path().join("back.png"));
    store.keep_picture(gone.clone(), "a".into());
    store.keep_picture(back.clone(), "b".into());
    failures.recv().expect("the first fails");
    failures.recv().expect("the second fails");
    std::fs::write(&back, b"pixels").expect("writes");
    store.keep_picture(back, "b".into());
    let unsaved = unsaved(store.close());
    assert_eq!(unsaved.len(), 1, "{unsaved:?}");
    assert_eq!(unsaved[0].item, UnsavedItem::Image(gone));
}

#[test]
fn what_could_not_be_written_is_saved_as_soon_as_it_can() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mirror = dir.path().join("sessions.jsonl");
    // In its way, as a full disk is.
    std::fs::create_dir(&mirror).expect("makes");
    let folder = dir.path().join("sessions.sled");
    let pictures = Pictures::new(dir.path().join("pictures"));
    let (events, seen) = channel();
    let store = Store::spawn(folder.clone(), pictures, move |event| {
        let _ = events.send(event);
    })
    .expect("starts");
    let mut conversation = Conversation::new(Session::new("m", None));
    let session = conversation.session.clone();
    let mut turns = Vec::new();
    for text in ["one", "two", "three"] {
        turns.push(conversation.user_turn(text, Vec::new()));
        conversation.turns.push(turns[turns.len() - 1].clone());
    }
    for turn in &turns[..2] {
        store.put_turn(session.clone(), turn.clone());
        store.list();
    }
    // That of the start, and one for each request.
    for _ in 0..5 {
        let event = seen.recv().expect("an event");
        assert!(matches!(event, StoreEvent::Failed(_)), "{event:?}");
    }
    std::fs::remove_dir(&mirror).expect("removes");
    store.put_turn(session.clone(), turns[2].clone());
    let mut saved = Vec::new();
    for event in &seen {
        match event {
            StoreEvent::Saved { seq, .. } => saved.push(seq),
            StoreEvent::Recovered => continue,
            other => panic!("{other:?}"),
        }
        if saved.len() == turns.len() {
            break;
        }
    }
    assert_eq!(saved, [0, 1, 2]);
    store.close().expect("has saved everything");
    assert_eq!(read_mirror(&mirror).expect("reads")[0].turns, conversation.turns);
    let database = Database::open(&folder).expect("opens").database;
    assert_eq!(database.get(&session.id).expect("is there"), conversation);
}

#[test]
fn a_removed_session_does_not_come_back() {
    let dir = tempfile::tempdir().expect("temp dir");
    let pictures = Pictures::new(dir.path().join("pictures"));
    let folder = dir.path().join("sessions.sled");
    let writes = Arc::new(Mutex::new(Writes::default()));
    let mut task = Task::open(folder, pictures, writes, |_| ());
    let mut conversation = Conversation::new(Session::new("m", None));
    let mut next = |text: &str| {
        let turn = conversation.user_turn(text, Vec::new());
        conversation.turns.push(turn.clone());
        Box::new((conversation.session.clone(), turn))
    };
    let (first, second, third) = (next("one"), next("two"), next("three"));
    let (other, turn) = round();
    let id = first.0.id.clone();
    task.run(Command::Turn(first));
    task.run(Command::BeginDraft(third));
    // The first of these still fails when the session is removed, so that the others wait.
    let picture = dir.path().join("late.png");
    let waiting = [
        Command::KeepPicture(picture.clone(), "a".into()),
        Command::Turn(second),
        Command::Turn(Box::new((other.clone(), turn))),
    ];
    for command in &waiting {
        let mut writes = lock(&task.writes);
        writes.queue(command.writes().expect("is a write"));
        writes.complete(Some("the disk is full".into()));
    }
    task.pending.extend(waiting);
    task.run(Command::Remove(id.to_ascii_lowercase()));
    assert!(task.draft.is_none());
    assert!(!lock(&task.writes).unsaved("").iter().any(|u| u.item.to_string().contains(&id)));
    std::fs::write(&picture, b"pixels").expect("writes");
    task.retry();
    let State::Open(database) = &task.state else { panic!("is open") };
    let left = database.list().expect("lists");
    assert_eq!(left.iter().map(|s| &s.id).collect::<Vec<_>>(), [&other.id]);
}

#[test]
fn a_session_that_only_waits_can_be_removed() {
    let dir = tempfile::tempdir().expect("temp dir");
    let pictures = Pictures::new(dir.path().join("pictures"));
    let writes = Arc::new(Mutex::new(Writes::default()));
    let mut failures = Vec::new();
    let (session, turn) = round();
    let mut task = Task::open(dir.path().join("sessions.sled"), pictures, writes, |event| {
        if let StoreEvent::Failed(reason) = event {
            failures.push(reason);
        }
    });
    let picture = Command::KeepPicture(dir.path().join("gone.png"), "a".into());
    task.pending.extend([picture, Command::Turn(Box::new((session.clone(), turn)))]);
    task.run(Command::Remove(session.id));
    assert_eq!(task.pending.len(), 1);
    drop(task);
    assert!(failures.is_empty(), "{failures:?}");
}
