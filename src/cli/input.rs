//! What several commands read: text from stdin, and Ctrl-C.

use std::io::Read;

use super::Failure;
use artgpt_engine::Cancel;

/// Far beyond any context window.
const MAX_STDIN: u64 = 16 << 20;

/// `-` reads stdin. A raw prompt is used as it comes; of any other, trailing line breaks are dropped.
pub(crate) fn text_or_stdin(text: &str, raw: bool) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text.to_string());
    }
    let mut read = String::new();
    std::io::stdin()
        .take(MAX_STDIN)
        .read_to_string(&mut read)
        .map_err(|e| Failure::usage(format!("cannot read stdin: {e}"), "send UTF-8 text"))?;
    Ok(match raw {
        true => read,
        false => read.trim_end_matches(['\n', '\r']).to_string(),
    })
}

/// The first Ctrl-C or SIGTERM cancels, so that what was made is kept; the second ends at once.
pub(crate) fn cancel_on_signal() -> Result<Cancel, Failure> {
    let cancel = Cancel::default();
    let seen = cancel.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new("system", format!("cannot wait for signals: {e}"), ""))?;
    std::thread::spawn(move || {
        runtime.block_on(artgpt_machine::signals::terminate());
        seen.cancel();
        runtime.block_on(artgpt_machine::signals::terminate());
        std::process::exit(130);
    });
    Ok(cancel)
}
