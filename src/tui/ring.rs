//! A notice that reaches somebody who looks elsewhere.

use std::io::{self, Write};

use artgpt_app::settings::{NoticeSettings, TerminalNotice};

/// Rings the bell, and sends what the terminal shows on the desktop, as the settings say.
pub(crate) fn ring(settings: &NoticeSettings, text: &str, out: &mut impl Write) -> io::Result<()> {
    // A control character would end the sequence, or begin another.
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    match settings.terminal {
        TerminalNotice::None => {}
        TerminalNotice::Osc9 => write!(out, "\x1b]9;{text}\x1b\\")?,
        TerminalNotice::Osc777 => {
            write!(out, "\x1b]777;notify;artgpt-tui;{}\x1b\\", text.replace(';', ","))?;
        }
    }
    if settings.bell {
        out.write_all(b"\x07")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bell_and_the_sequences_are_as_terminals_know_them() {
        let rung = |bell, terminal, text: &str| {
            let mut out = Vec::new();
            let settings = NoticeSettings { bell, terminal, command: vec![] };
            ring(&settings, text, &mut out).expect("writes");
            String::from_utf8(out).expect("text")
        };
        assert_eq!(rung(true, TerminalNotice::None, "x"), "\x07");
        assert_eq!(rung(false, TerminalNotice::Osc9, "a\x1b]b"), "\x1b]9;a]b\x1b\\");
        assert_eq!(
            rung(false, TerminalNotice::Osc777, "a;b"),
            "\x1b]777;notify;artgpt-tui;a,b\x1b\\"
        );
    }
}
