//! The loop: events become messages, messages change the state, effects go out, the screen follows.

use std::time::Duration;

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Interval, MissedTickBehavior};

use super::app::{App, update};
use super::display::Display;
use super::effect::{Effect, Ended};
use super::message::Message;
use super::moment::Moment;
use super::run::TuiError;
use super::services::Services;

/// Messages handled before the screen is drawn again.
const BATCH: usize = 256;
const TICK: Duration = Duration::from_secs(1);

/// Runs the interface until it ends. The terminal is restored when this returns.
pub(crate) async fn event_loop(
    mut app: App,
    mut display: Display,
    mut services: Services,
    mut inbox: UnboundedReceiver<Message>,
) -> Result<Ended, TuiError> {
    let mut events = EventStream::new();
    let mut ticks = tokio::time::interval(TICK);
    // Ticks that were missed while nothing ran must not all come at once.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        display.draw(&app).map_err(TuiError::Terminal)?;
        let mut next = wait(&mut events, &mut inbox, &mut ticks, app.ticks()).await;
        let mut handled = 0;
        while let Some(message) = next {
            for effect in update(&mut app, &Moment::now(), message) {
                match effect {
                    Effect::Quit(ended) => {
                        return services.finish().await.map(|()| ended);
                    }
                    Effect::Redraw => display.redraw(),
                    Effect::Ring(text) => display.ring(app.notices(), &text),
                    effect => services.run(effect)?,
                }
            }
            handled += 1;
            next = if handled < BATCH { inbox.try_recv().ok() } else { None };
        }
    }
}

/// The next message: of the terminal, of a thread, or of the clock.
async fn wait(
    events: &mut EventStream,
    inbox: &mut UnboundedReceiver<Message>,
    ticks: &mut Interval,
    ticking: bool,
) -> Option<Message> {
    tokio::select! {
        event = events.next() => match event {
            Some(Ok(event)) => from_terminal(event),
            // The terminal is gone: nothing more can come or be shown.
            Some(Err(_)) | None => Some(Message::Terminate),
        },
        message = inbox.recv() => message,
        _ = ticks.tick(), if ticking => Some(Message::Tick),
    }
}

fn from_terminal(event: Event) -> Option<Message> {
    match event {
        Event::Key(key) => Some(Message::Key(key)),
        Event::Paste(text) => Some(Message::Paste(text)),
        Event::Resize(width, height) => Some(Message::Resize(width, height)),
        _ => None,
    }
}
