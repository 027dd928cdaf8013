//! Reads edited configuration, theme and key files again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::chat::{Message as ChatMessage, Reloaded};
use super::keys::Keymap;
use super::message::Message;
use super::theme::Theme;
use artgpt_app::settings::Settings;
use artgpt_base::text::with_hint;

/// Editors write a file in several steps; they are done after this.
const SETTLE: Duration = Duration::from_millis(150);

/// The watched files. They need not exist.
pub(crate) struct Files {
    pub(crate) config: PathBuf,
    pub(crate) theme: PathBuf,
    pub(crate) keys: PathBuf,
}

/// How they are read.
pub(crate) struct Reload {
    /// Makes settings from the file and the flags.
    pub(crate) settings: Box<dyn Fn() -> Result<Settings, String> + Send>,
    pub(crate) colour: bool,
}

/// Sends what the files say whenever they change, until the result is dropped. `None` where the
/// system cannot watch files; they are then read at the next start.
pub(crate) fn reload_on_change(
    files: Files,
    reload: Reload,
    messages: UnboundedSender<Message>,
) -> Option<RecommendedWatcher> {
    // A folder that is made later could not be watched.
    if let Some(folder) = files.config.parent() {
        let _ = std::fs::create_dir_all(folder);
    }
    let (sender, mut changes) = unbounded_channel();
    let watched = [files.config, files.theme, files.keys.clone()];
    let compared = watched.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An editor replaces the file, so its folder is watched and its name compared.
        if let Ok(event) = event
            && !event.kind.is_access()
            && event.paths.iter().any(|p| compared.iter().any(|w| same_file(p, w)))
        {
            let _ = sender.send(());
        }
    })
    .ok()?;
    let mut folders: Vec<&Path> = watched
        .iter()
        .filter_map(|file| file.parent())
        .filter(|folder| !folder.as_os_str().is_empty() && folder.is_dir())
        .collect();
    folders.dedup();
    for folder in folders {
        let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
    }
    tokio::spawn(async move {
        while changes.recv().await.is_some() {
            tokio::time::sleep(SETTLE).await;
            while changes.try_recv().is_ok() {}
            let message = match reload.read(&files.keys) {
                Ok(reloaded) => ChatMessage::Reloaded(Box::new(reloaded)),
                Err(reason) => ChatMessage::Error(reason),
            };
            if messages.send(message.into()).is_err() {
                return;
            }
        }
    });
    Some(watcher)
}

impl Reload {
    fn read(&self, keys: &Path) -> Result<Reloaded, String> {
        let settings = (self.settings)()?;
        let theme = Theme::load(&settings.theme, self.colour);
        let theme = theme.map_err(|e| with_hint(&e, Some(e.hint())))?;
        let keymap = Keymap::load(keys).map_err(|e| e.to_string())?;
        Ok(Reloaded { settings, theme, keymap })
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    a.file_name() == b.file_name() && a.file_name().is_some()
}
