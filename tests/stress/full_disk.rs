//! A disk that is full for a while: the open store saves everything as soon as there is room.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use artgpt_chat::{Conversation, Session};
use artgpt_store::{Database, Pictures, Store, StoreEvent};

/// A small file system, gone at the end.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None` for users who may not mount one.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("temp dir");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "none"])
            .arg(dir.path())
            .status()
            .ok()?;
        status.success().then(|| Self(dir))
    }

    /// Fills it up; removing the file makes room.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("filler");
        let mut file = std::fs::File::create(&path).expect("creates");
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn event(events: &Receiver<StoreEvent>) -> StoreEvent {
    events.recv_timeout(Duration::from_secs(60)).expect("an event in time")
}

fn start(folder: &Path) -> (Store, Receiver<StoreEvent>) {
    let (sender, events) = channel();
    let pictures = Pictures::new(folder.with_file_name("pictures"));
    let store = Store::spawn(folder.to_path_buf(), pictures, move |event| {
        let _ = sender.send(event);
    })
    .expect("starts");
    (store, events)
}

#[test]
fn an_open_store_saves_again_as_soon_as_there_is_room() {
    let Some(disk) = Disk::mount() else {
        println!("skipped: this user may not mount a file system");
        return;
    };
    let folder = disk.0.path().join("sessions.sled");
    let (store, events) = start(&folder);
    let mut conversation = Conversation::new(Session::new("m", None));
    let session = conversation.session.clone();
    let mut put = |text: &str| {
        let turn = conversation.user_turn(text, Vec::new());
        conversation.turns.push(turn.clone());
        store.put_turn(session.clone(), turn);
        conversation.clone()
    };
    put("before");
    let filler = disk.fill();
    let mut failed = 0;
    // Enough for what sled and the file system hold in reserve.
    for _ in 0..200 {
        put(&"while it is full ".repeat(2000));
        loop {
            match event(&events) {
                StoreEvent::Saved { .. } => break,
                StoreEvent::Failed(reason) => {
                    failed += 1;
                    assert!(reason.contains("space"), "{reason}");
                    break;
                }
                _ => {}
            }
        }
        if failed == 3 {
            break;
        }
    }
    assert_eq!(failed, 3, "the disk was never full");
    std::fs::remove_file(filler).expect("removes");
    // Without another turn.
    while !matches!(event(&events), StoreEvent::Recovered) {}
    let expected = put("after");
    store.close().expect("has saved everything");
    let database = Database::open(&folder).expect("opens").database;
    assert_eq!(database.get(&expected.session.id).expect("is there"), expected);
}
