//! Copies of the images that sessions are about, named by their SHA-256, so that a session can be
//! resumed after the original has moved.

use std::path::{Path, PathBuf};

use super::{Result, io};
use artgpt_base::private;
use artgpt_chat::{ArtworkRef, Session};

/// The folder `pictures/` in the data folder.
#[derive(Debug, Clone)]
pub struct Pictures(PathBuf);

impl Pictures {
    /// The copies in this folder, which need not exist.
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Copies the image at `path`, unless there is a copy already.
    ///
    /// # Errors
    /// [`super::StoreError::Io`].
    pub fn keep(&self, path: &Path, sha256: &str) -> Result<()> {
        let target = self.0.join(sha256);
        if target.exists() {
            return Ok(());
        }
        private::folder(&self.0).map_err(io(&self.0))?;
        let mut source = std::fs::File::open(path).map_err(io(path))?;
        let mut copy = tempfile::NamedTempFile::new_in(&self.0).map_err(io(&self.0))?;
        std::io::copy(&mut source, &mut copy).map_err(io(&self.0))?;
        copy.persist(&target).map_err(|e| io(&target)(e.error))?;
        Ok(())
    }

    /// Deletes what a killed copy left. Only the process that has the sessions open calls this, so that no
    /// copy is being made.
    pub fn tidy(&self) {
        for entry in std::fs::read_dir(&self.0).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(".tmp") {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Deletes the copies that no session uses.
    ///
    /// # Errors
    /// [`super::StoreError::Io`].
    pub fn drop_unused(&self, sessions: &[Session]) -> Result<()> {
        let Ok(entries) = std::fs::read_dir(&self.0) else { return Ok(()) };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let used = sessions.iter().flat_map(|s| &s.artworks).any(|a| *a.sha256 == *name);
            if !used {
                std::fs::remove_file(entry.path()).map_err(io(&entry.path()))?;
            }
        }
        Ok(())
    }

    /// The file of an artwork's image: the copy if there is one, else the original.
    pub fn locate(&self, artwork: &ArtworkRef) -> PathBuf {
        let copy = self.0.join(&artwork.sha256);
        if copy.exists() { copy } else { artwork.path.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_outlives_its_original() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("a.png");
        std::fs::write(&path, b"pixels").expect("write");
        let pictures = Pictures::new(dir.path().join("pictures"));
        let artwork = ArtworkRef { path: path.clone(), sha256: "abc".into(), label: None };
        assert_eq!(pictures.locate(&artwork), path);
        pictures.keep(&path, "abc").expect("keeps");
        let left = dir.path().join("pictures/.tmpA1b2C3");
        std::fs::write(&left, b"pix").expect("write");
        pictures.tidy();
        assert!(!left.exists());
        std::fs::remove_file(&path).expect("remove");
        assert_eq!(std::fs::read(pictures.locate(&artwork)).expect("reads"), b"pixels");
        let mut session = Session::new("m", None);
        session.artworks.push(artwork.clone());
        pictures.drop_unused(&[session]).expect("keeps");
        assert_ne!(pictures.locate(&artwork), path);
        pictures.drop_unused(&[]).expect("drops");
        assert_eq!(pictures.locate(&artwork), path);
    }
}
