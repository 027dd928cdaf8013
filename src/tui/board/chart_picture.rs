//! The open chart as a picture for the terminal, made again only when it has changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// Paints apart from the screen's own thread: a picture takes milliseconds to draw, and over a slow line
/// much longer to print.
pub struct ChartPicture {
    orders: Sender<Order>,
    made: Arc<Mutex<Option<Made>>>,
    asked: Option<(Drawing, Size)>,
    /// Keys that had been pressed then.
    keys: u64,
    /// Milliseconds between two pictures of which the user asked for neither.
    pause: Arc<AtomicU64>,
}

type Size = (u32, u32);

struct Order {
    drawing: Drawing,
    size: Size,
    /// The user waits for it.
    urgent: bool,
}

struct Made {
    metric: String,
    image: Arc<RgbImage>,
    /// Pictures made so far: the name of this one.
    count: u64,
}

/// Of the time at most one part in so many goes into printing curves that grow.
const SHARE: u32 = 5;
/// Bounds of the pause, in milliseconds.
const PAUSE: (u64, u64) = (100, 10_000);

impl ChartPicture {
    /// `wake` is told when another picture is there, or why there is none.
    pub fn spawn(wake: impl Fn(Result<(), String>) + Send + 'static) -> std::io::Result<Self> {
        let (orders, received) = channel();
        let made = Arc::new(Mutex::new(None));
        let pause = Arc::new(AtomicU64::new(PAUSE.0));
        let (keep, rest) = (made.clone(), pause.clone());
        let work = move || paint(&received, &keep, &rest, &wake);
        std::thread::Builder::new().name("charts".into()).spawn(work)?;
        Ok(Self { orders, made, asked: None, keys: 0, pause })
    }

    /// How long it took to print the last one.
    pub fn took(&self, time: Duration) {
        let pause = u64::try_from((time * SHARE).as_millis()).unwrap_or(u64::MAX);
        self.pause.store(pause.clamp(PAUSE.0, PAUSE.1), Ordering::Relaxed);
    }

    /// With its name, and the cells that it covers. `None` where the chart is drawn in cells, and until
    /// its first picture is there.
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
        let metric = drawing.metric.clone();
        if self.asked.as_ref().is_none_or(|(known, of)| *known != drawing || *of != size) {
            self.asked = Some((drawing.clone(), size));
            let urgent = self.keys != board.pressed;
            // Without its thread there is no picture.
            self.orders.send(Order { drawing, size, urgent }).ok()?;
        }
        self.keys = board.pressed;
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let made = made.as_ref().filter(|m| m.metric == metric && m.image.dimensions() == size)?;
        Some((made.count.to_string(), made.image.clone(), cells))
    }
}

fn paint(
    orders: &Receiver<Order>,
    made: &Mutex<Option<Made>>,
    pause: &AtomicU64,
    wake: &dyn Fn(Result<(), String>),
) {
    let mut count = 0;
    let mut next = orders.recv().ok();
    while let Some(mut order) = next.take() {
        // Of several, the last one is wanted.
        while let Ok(later) = orders.try_recv() {
            order = later;
        }
        count += 1;
        let painted = std::panic::catch_unwind(|| {
            pixels(&order.drawing, order.size, Ground::Black).map_err(|e| e.to_string())
        });
        let painted = painted.unwrap_or_else(|_| Err("the chart cannot be drawn".into()));
        let (picture, told) = match painted {
            Err(why) => (None, Err(why)),
            Ok(image) => {
                let (metric, image) = (order.drawing.metric, Arc::new(image));
                (Some(Made { metric, image, count }), Ok(()))
            }
        };
        *made.lock().unwrap_or_else(PoisonError::into_inner) = picture;
        wake(told);
        let rested = Instant::now() + Duration::from_millis(pause.load(Ordering::Relaxed));
        loop {
            let left = rested.saturating_duration_since(Instant::now());
            let received = match next {
                // What came meanwhile has waited long enough.
                Some(_) if left.is_zero() => break,
                Some(_) => orders.recv_timeout(left),
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match received {
                Ok(order) => {
                    let urgent = order.urgent;
                    next = Some(order);
                    if urgent {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_runs::XAxis;

    fn order(metric: &str, urgent: bool) -> Order {
        let drawing = Drawing {
            metric: metric.into(),
            title: metric.into(),
            lines: Vec::new(),
            marks: Vec::new(),
            axis: XAxis::Step,
            log: false,
            low: 0.0,
            high: 1.0,
            bottom: 0.0,
            top: 1.0,
        };
        Order { drawing, size: (320, 200), urgent }
    }

    #[test]
    fn curves_that_grow_wait_and_what_the_user_asks_for_does_not() {
        let (orders, received) = channel();
        let made = Arc::new(Mutex::new(None));
        let pause = AtomicU64::new(3_600_000);
        let (woken, wakes) = channel();
        let keep = made.clone();
        let painter = std::thread::spawn(move || {
            paint(&received, &keep, &pause, &|told| woken.send(told).expect("listens"));
        });
        let shown = |made: &Mutex<Option<Made>>| {
            made.lock().expect("is whole").as_ref().map(|made| (made.metric.clone(), made.count))
        };
        let soon = Duration::from_secs(120);
        orders.send(order("a", false)).expect("paints");
        assert_eq!(wakes.recv_timeout(soon), Ok(Ok(())));
        assert_eq!(shown(&made), Some(("a".into(), 1)));
        // An hour's pause: this one would not come today, the next one comes at once instead.
        orders.send(order("b", false)).expect("paints");
        orders.send(order("c", true)).expect("paints");
        assert_eq!(wakes.recv_timeout(soon), Ok(Ok(())));
        assert_eq!(shown(&made), Some(("c".into(), 2)));
        drop(orders);
        painter.join().expect("ends");
    }
}
