//! The open chart as a picture for the terminal, made again only when it has changed.

use std::sync::Arc;

use image::RgbImage;
use ratatui::layout::Rect;

use super::drawing::Drawing;
use super::page::{Content, Part};
use super::picture::{Ground, pixels};
use super::state::Board;
use super::view::{page_picture_cells, picture_cells};

/// The logged picture on the page of a run, which is named by where it is.
fn of_page(board: &Board) -> Option<(String, Arc<RgbImage>, Rect)> {
    board.cell.filter(|_| board.pictures)?;
    let page = board.page.as_ref().filter(|page| page.part == Part::Pictures)?;
    let asked = board.asked()?;
    let Ok(Content::Picture(image, _)) = page.shown(&asked)? else { return None };
    let cells = page_picture_cells(board).filter(|cells| cells.width > 0 && cells.height > 0)?;
    Some((format!("{asked:?}"), image.clone(), cells))
}

#[derive(Default)]
pub struct ChartPicture {
    drawn: Option<Drawn>,
    /// Pictures made so far: the name of the last one.
    count: u64,
}

struct Drawn {
    drawing: Drawing,
    image: Arc<RgbImage>,
}

impl ChartPicture {
    /// With its name, and the cells that it covers. `None` where the chart is drawn in cells.
    pub fn of(&mut self, board: &Board) -> Option<(String, Arc<RgbImage>, Rect)> {
        if board.page.is_some() {
            return of_page(board);
        }
        let cells = picture_cells(board)?;
        let (width, height) = board.cell?;
        let size = (
            u32::from(cells.width) * u32::from(width),
            u32::from(cells.height) * u32::from(height),
        );
        let drawing = Drawing::of(board, board.metric()?, usize::from(cells.width) * 4)?;
        let known = self.drawn.as_ref();
        if known.is_none_or(|d| d.drawing != drawing || d.image.dimensions() != size) {
            let image = Arc::new(pixels(&drawing, size, Ground::Black).ok()?);
            self.drawn = Some(Drawn { drawing, image });
            self.count += 1;
        }
        let image = self.drawn.as_ref()?.image.clone();
        Some((self.count.to_string(), image, cells))
    }
}
