//! The loop: messages change the state, effects go out, the screen follows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Interval, MissedTickBehavior};

use super::app::{App, update};
use super::display::Display;
use super::effect::{Effect, Ended};
use super::guard::is_gone;
use super::message::Message;
use super::moment::Moment;
use super::run::TuiError;
use super::services::Services;

/// Messages handled before the screen is drawn again.
const BATCH: usize = 256;
const TICK: Duration = Duration::from_secs(1);

/// Where messages come from.
pub(crate) struct Events {
    /// Keys and signals. They come before all else, so that a flood of other messages delays none.
    terminal: UnboundedReceiver<Message>,
    /// Threads and finished effects.
    inbox: UnboundedReceiver<Message>,
    ticks: Interval,
    /// The loop has taken over; before, nothing hears messages.
    begun: Arc<AtomicBool>,
}

impl Events {
    /// In the context of a tokio runtime.
    pub(crate) fn new(
        terminal: UnboundedReceiver<Message>,
        inbox: UnboundedReceiver<Message>,
        begun: Arc<AtomicBool>,
    ) -> Self {
        let mut ticks = tokio::time::interval(TICK);
        // Ticks that were missed while nothing ran must not all come at once.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { terminal, inbox, ticks, begun }
    }

    /// Waits for the next message.
    async fn next(&mut self, ticking: bool) -> Option<Message> {
        tokio::select! {
            biased;
            message = self.terminal.recv() => message,
            _ = self.ticks.tick(), if ticking => Some(Message::Tick),
            message = self.inbox.recv() => message,
        }
    }

    /// A message that is there already.
    fn ready(&mut self) -> Option<Message> {
        self.terminal.try_recv().or_else(|_| self.inbox.try_recv()).ok()
    }
}

/// Runs the interface until it ends, and waits until everything is saved. The terminal is restored
/// when this returns.
pub(crate) async fn event_loop(
    mut app: App,
    mut display: Display,
    mut services: Services,
    mut events: Events,
) -> Result<Ended, TuiError> {
    events.begun.store(true, Ordering::Relaxed);
    let ended = until_quit(&mut app, &mut display, &mut services, &mut events).await;
    // Whoever waits at the terminal has it at once; a slow disk may take longer.
    drop(display);
    drop(events);
    services.finish().await?;
    ended
}

async fn until_quit(
    app: &mut App,
    display: &mut Display,
    services: &mut Services,
    events: &mut Events,
) -> Result<Ended, TuiError> {
    loop {
        if let Err(e) = display.draw(app) {
            return give_up(app, services, TuiError::Terminal(e));
        }
        let mut next = events.next(app.ticks()).await;
        let mut handled = 0;
        while let Some(message) = next {
            for effect in update(app, &Moment::now(), message) {
                let done = match effect {
                    Effect::Quit(ended) => return Ok(ended),
                    Effect::Redraw => {
                        display.redraw();
                        Ok(())
                    }
                    Effect::Ring(text) => {
                        display.ring(app.notices(), &text);
                        Ok(())
                    }
                    Effect::Suspend => display.suspend().map_err(TuiError::Terminal),
                    Effect::Resume => display.resume().map_err(TuiError::Terminal),
                    effect => services.run(effect),
                };
                if let Err(e) = done {
                    return give_up(app, services, e);
                }
            }
            handled += 1;
            next = if handled < BATCH { events.ready() } else { None };
        }
    }
}

/// Ends the interface after an error, with what a signal would have saved.
fn give_up(app: &mut App, services: &mut Services, error: TuiError) -> Result<Ended, TuiError> {
    for effect in update(app, &Moment::now(), Message::Terminate) {
        // The first error is the one to report.
        let _ = services.run(effect);
    }
    match &error {
        // Nobody is there to read about it.
        TuiError::Terminal(_) if is_gone() => Ok(Ended::BySystem),
        _ => Err(error),
    }
}
