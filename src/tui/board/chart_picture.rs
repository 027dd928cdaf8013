//! The open chart as a picture for the terminal, made again only when it has changed.

use std::sync::Arc;

use image::RgbImage;
use ratatui::layout::Rect;

use super::drawing::Drawing;
use super::picture::{Ground, pixels};
use super::state::Board;
use super::view::picture_cells;

#[derive(Default)]
pub struct ChartPicture {
    drawn: Option<(String, Arc<RgbImage>)>,
}

impl ChartPicture {
    /// With its name, and the cells that it covers. `None` where the chart is drawn in cells.
    pub fn of(&mut self, board: &Board) -> Option<(String, Arc<RgbImage>, Rect)> {
        let cells = picture_cells(board)?;
        let (width, height) = board.cell?;
        let size = (
            u32::from(cells.width) * u32::from(width),
            u32::from(cells.height) * u32::from(height),
        );
        let drawing = Drawing::of(board, board.metric()?, usize::from(cells.width) * 4)?;
        let key = format!("{size:?} {drawing:?}");
        if self.drawn.as_ref().is_none_or(|(known, _)| *known != key) {
            let image = pixels(&drawing, size, Ground::Black).ok()?;
            self.drawn = Some((key, Arc::new(image)));
        }
        let (key, image) = self.drawn.as_ref()?;
        Some((key.clone(), image.clone(), cells))
    }
}
