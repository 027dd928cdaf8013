//! Reads edited configuration and theme files again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::UnboundedSender;

use super::message::Message;
use super::theme::Theme;
use artgpt_app::settings::Settings;

/// Editors write a file in several steps; they are done after this.
const SETTLE: Duration = Duration::from_millis(150);

/// Keeps the watcher alive. Where the system cannot watch, files are read at the next start.
pub struct Watch(#[expect(dead_code)] RecommendedWatcher);

impl Watch {
    /// `reload` makes settings from the files and the flags.
    pub fn start(
        config_file: &Path,
        theme: &str,
        colour: bool,
        reload: impl Fn() -> Result<Settings, String> + Send + 'static,
        messages: UnboundedSender<Message>,
    ) -> Option<Self> {
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let files = [config_file.to_path_buf(), PathBuf::from(theme)];
        let watched = files.clone();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // An editor replaces the file, so its folder is watched and its name compared.
                if let Ok(event) = event
                    && !event.kind.is_access()
                    && event.paths.iter().any(|p| watched.iter().any(|w| same_file(p, w)))
                {
                    let _ = sender.send(());
                }
            })
            .ok()?;
        for file in &files {
            let folder = file.parent().filter(|p| !p.as_os_str().is_empty());
            if let Some(folder) = folder.filter(|f| f.is_dir()) {
                let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
            }
        }
        tokio::spawn(async move {
            while events.recv().await.is_some() {
                tokio::time::sleep(SETTLE).await;
                while events.try_recv().is_ok() {}
                let read = reload().and_then(|settings| {
                    let theme = Theme::load(&settings.theme, colour).map_err(|e| e.to_string())?;
                    Ok((settings, theme))
                });
                let message = match read {
                    Ok(pair) => Message::Settings(Box::new(pair)),
                    Err(reason) => Message::Notice(reason),
                };
                if messages.send(message).is_err() {
                    return;
                }
            }
        });
        Some(Self(watcher))
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    a.file_name() == b.file_name() && a.file_name().is_some()
}
