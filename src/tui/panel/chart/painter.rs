//! Renders the open chart as a picture on a thread of its own, only when it has changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use image::RgbImage;
use ratatui::layout::Rect;

use super::drawing::Drawing;
use super::picture::{Ground, pixels};
use crate::tui::panel::layout;
use crate::tui::panel::page::{MediaContent, Tab};
use crate::tui::panel::state::Panel;

/// The logged picture on the page of a run, with the request as its name.
fn of_page(panel: &Panel) -> Option<(String, Arc<RgbImage>, Rect)> {
    panel.cell.filter(|_| panel.pictures)?;
    let page = panel.overlays.page().filter(|page| page.tab == Tab::Pictures)?;
    let request = panel.media_request()?;
    let Ok(MediaContent::Picture(image, _)) = page.media(&request)? else { return None };
    let body = layout::page_body(layout::page(panel.screen));
    let cells = layout::picture_cells(panel, body)?;
    let visible = cells.width > 0 && cells.height > 0;
    visible.then(|| (format!("{request:?}"), image.clone(), cells))
}

/// Paints on its own thread: rendering takes milliseconds, and printing over a slow line takes much
/// longer.
pub(crate) struct ChartPicture {
    orders: Sender<Order>,
    made: Arc<Mutex<Option<Made>>>,
    asked: Option<(Drawing, Size)>,
    /// [`Panel::pressed`] at the last order.
    keys: u64,
    /// Milliseconds between two pictures that no key asked for.
    pause: Arc<AtomicU64>,
}

type Size = (u32, u32);

struct Order {
    drawing: Drawing,
    size: Size,
    /// A key asked for it.
    urgent: bool,
}

struct Made {
    metric: String,
    image: Arc<RgbImage>,
    /// Number of the picture, which is its name.
    count: u64,
}

/// Printing growing curves takes at most this fraction of the time (one in `SHARE`).
const SHARE: u32 = 5;
/// Minimum and maximum pause in milliseconds.
const PAUSE: (u64, u64) = (100, 10_000);

impl ChartPicture {
    /// Calls `wake` when a new picture is ready or painting failed.
    pub(crate) fn spawn(
        wake: impl Fn(Result<(), String>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (orders, received) = channel();
        let made = Arc::new(Mutex::new(None));
        let pause = Arc::new(AtomicU64::new(PAUSE.0));
        let (keep, rest) = (made.clone(), pause.clone());
        let work = move || paint(&received, &keep, &rest, &wake);
        std::thread::Builder::new().name("charts".into()).spawn(work)?;
        Ok(Self { orders, made, asked: None, keys: 0, pause })
    }

    /// Reports how long printing the last picture took.
    pub(crate) fn took(&self, time: Duration) {
        let pause = u64::try_from((time * SHARE).as_millis()).unwrap_or(u64::MAX);
        self.pause.store(pause.clamp(PAUSE.0, PAUSE.1), Ordering::Relaxed);
    }

    /// The current picture with its name and cells. `None` if the chart is drawn in cells, and until the
    /// first picture is ready.
    pub(crate) fn of(&mut self, panel: &Panel) -> Option<(String, Arc<RgbImage>, Rect)> {
        if panel.overlays.page().is_some() {
            return of_page(panel);
        }
        let cells = layout::chart_picture(panel)?;
        let (width, height) = panel.cell?;
        let size = (
            u32::from(cells.width) * u32::from(width),
            u32::from(cells.height) * u32::from(height),
        );
        let drawing = Drawing::new(panel, panel.metric()?, usize::from(cells.width) * 4)?;
        let metric = drawing.metric.clone();
        if self.asked.as_ref().is_none_or(|(known, of)| *known != drawing || *of != size) {
            self.asked = Some((drawing.clone(), size));
            let urgent = self.keys != panel.pressed;
            // Fails if the thread has ended.
            self.orders.send(Order { drawing, size, urgent }).ok()?;
        }
        self.keys = panel.pressed;
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
        // Only the last one counts.
        while let Ok(later) = orders.try_recv() {
            order = later;
        }
        count += 1;
        let painted = artgpt_base::panics::guarded(|| {
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
                // The next order has waited long enough.
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
            zone: jiff::tz::TimeZone::UTC,
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
