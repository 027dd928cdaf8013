//! Certificate authorities: those of the system, and those of the user.

use std::path::{Path, PathBuf};

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use super::{NetworkError, variable};
use artgpt_base::files::read_limited;

/// Where distributions keep the authorities of the system, private ones among them.
const SYSTEM: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Bytes of the largest certificate file.
const MAX_BYTES: u64 = 16 << 20;

/// The file of the setting, or of `SSL_CERT_FILE`.
fn own_file(setting: Option<&Path>) -> Option<PathBuf> {
    setting.map(Path::to_path_buf).or_else(|| variable(&["SSL_CERT_FILE"]).map(PathBuf::from))
}

/// The authorities of the system and of the user's file; Mozilla's where there are none.
pub(super) fn certificates(setting: Option<&Path>) -> Result<RootCerts, NetworkError> {
    let mut all = match own_file(setting) {
        Some(path) => read(&path)?,
        None => Vec::new(),
    };
    let system = SYSTEM.iter().find_map(|path| read(Path::new(path)).ok());
    let known = system.is_some() || !all.is_empty();
    all.extend(system.unwrap_or_default());
    Ok(if known { RootCerts::new_with_certs(&all) } else { RootCerts::WebPki })
}

/// A file's certificates and those of the system, as one PEM file.
pub(super) fn bundle(own: &Path) -> Result<Vec<u8>, NetworkError> {
    read(own)?;
    let mut all = bytes(own)?;
    let system = SYSTEM.iter().find_map(|path| bytes(Path::new(path)).ok());
    all.push(b'\n');
    all.extend(system.unwrap_or_default());
    Ok(all)
}

fn bytes(path: &Path) -> Result<Vec<u8>, NetworkError> {
    let path_shown = path.display().to_string();
    read_limited(path, MAX_BYTES)
        .map_err(|source| NetworkError::Certificates { path: path_shown, source })
}

fn read(path: &Path) -> Result<Vec<Certificate<'static>>, NetworkError> {
    let found: Vec<_> = parse_pem(&bytes(path)?)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    match found.is_empty() {
        true => Err(NetworkError::NoCertificates(path.display().to_string())),
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_told() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("ca.pem");
        assert!(matches!(certificates(Some(&path)), Err(NetworkError::Certificates { .. })));
        std::fs::write(&path, "no certificate").expect("writes");
        assert!(matches!(certificates(Some(&path)), Err(NetworkError::NoCertificates(_))));
    }
}
