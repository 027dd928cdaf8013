//! Real pictures, drawn by viuer over cells that ratatui leaves alone.

use std::io::{self, Write};
use std::sync::Arc;

use image::{DynamicImage, RgbImage};
use ratatui::layout::Rect;

use super::Protocol;

/// Kitty: delete all images and free their memory.
const KITTY_DELETE: &[u8] = b"\x1b_Ga=d,d=A\x1b\\";

/// What is on the screen now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Printed {
    key: String,
    area: Rect,
}

/// Prints a picture when it or its place has changed, and takes it away again.
pub(crate) struct PicturePrinter {
    protocol: Protocol,
    printed: Option<Printed>,
}

impl PicturePrinter {
    /// Lets viuer ask the terminal, which has just answered our own probe. Returns the protocol
    /// that viuer agrees to.
    ///
    /// Only [`Protocol::Kitty`] and [`Protocol::Sixel`] ask. Call before anything reads events.
    pub(crate) fn new(protocol: Protocol) -> (Self, Protocol) {
        let agreed = match protocol {
            Protocol::Kitty => {
                // viuer's local way waits on stdin at every print, where it would fight with the
                // event reader; with no place for its temporary file it takes the remote way,
                // which needs no answer.
                tempfile::env::override_temp_dir(std::path::Path::new("/dev/null/none")).ok();
                match viuer::get_kitty_support() {
                    viuer::KittySupport::Remote => Protocol::Kitty,
                    _ => Protocol::Blocks,
                }
            }
            Protocol::Sixel if !viuer::is_sixel_supported() => Protocol::Blocks,
            p => p,
        };
        (Self { protocol: agreed, printed: None }, agreed)
    }

    /// Brings the screen to show `wanted`: a picture (named by its key, already scaled) and its
    /// cells, or nothing. Returns the area that has to be drawn as text again, if any.
    pub(crate) fn show(
        &mut self,
        wanted: Option<(&str, &Arc<RgbImage>, Rect)>,
        screen: Rect,
    ) -> io::Result<Option<Rect>> {
        if self.protocol.in_buffer() {
            return Ok(None);
        }
        let next = wanted.map(|(key, _, area)| Printed { key: key.to_string(), area });
        if next == self.printed {
            return Ok(None);
        }
        let stale = self.printed.take().map(|p| p.area);
        let mut out = io::stdout().lock();
        if let Some(area) = stale {
            self.erase(area, &mut out)?;
        }
        if let Some((_, image, area)) = wanted
            // viuer ends with a newline, which would scroll the screen from its last row.
            && area.bottom() < screen.bottom()
        {
            out.flush()?;
            drop(out);
            self.print(image, area)?;
            self.printed = next;
        }
        // The same cells are covered again at once.
        Ok(stale.filter(|s| self.printed.as_ref().is_none_or(|p| p.area != *s)))
    }

    /// Brings the picture over what ratatui has just drawn; `view` draws it again where a picture that
    /// went has left blank cells. Whether one was printed.
    pub(crate) fn over<B: ratatui::backend::Backend<Error = io::Error>>(
        &mut self,
        terminal: &mut ratatui::Terminal<B>,
        screen: Rect,
        wanted: Option<(&str, &Arc<RgbImage>, Rect)>,
        view: impl Fn(&mut ratatui::Frame),
    ) -> io::Result<bool> {
        let before = self.printed.clone();
        if self.show(wanted, screen)?.is_some() {
            // Not `Terminal::clear`, which asks the terminal where its cursor is and waits.
            terminal.resize(screen)?;
            terminal.draw(view)?;
            self.forget()?;
            self.show(wanted, screen)?;
        }
        Ok(self.printed.is_some() && self.printed != before)
    }

    /// Forgets what is on the screen, so that the next [`Self::show`] prints again (Ctrl-L).
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        if let Some(printed) = self.printed.take() {
            let mut out = io::stdout().lock();
            self.erase(printed.area, &mut out)?;
            out.flush()?;
        }
        Ok(())
    }

    fn print(&self, image: &Arc<RgbImage>, area: Rect) -> io::Result<()> {
        let config = viuer::Config {
            x: area.x,
            y: i16::try_from(area.y).unwrap_or(0),
            width: Some(area.width.into()),
            height: Some(area.height.into()),
            absolute_offset: true,
            restore_cursor: true,
            use_kitty: self.protocol == Protocol::Kitty,
            use_iterm: self.protocol == Protocol::Iterm,
            use_sixel: self.protocol == Protocol::Sixel,
            truecolor: true,
            ..viuer::Config::default()
        };
        viuer::print(&DynamicImage::ImageRgb8(image.as_ref().clone()), &config)
            .map(|_| ())
            .map_err(|e| io::Error::other(e.to_string()))
    }

    fn erase(&self, area: Rect, out: &mut impl Write) -> io::Result<()> {
        if self.protocol == Protocol::Kitty {
            out.write_all(KITTY_DELETE)?;
        }
        let blank = " ".repeat(area.width.into());
        for y in area.top()..area.bottom() {
            write!(out, "\x1b[{};{}H\x1b[0m{blank}", y + 1, area.x + 1)?;
        }
        out.flush()
    }
}
