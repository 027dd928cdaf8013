//! Termination signals.

/// Returns at the first Ctrl-C, SIGTERM or SIGHUP.
pub async fn terminate() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let wait = async |kind: SignalKind| match signal(kind) {
            Ok(mut s) => {
                s.recv().await;
            }
            Err(_) => std::future::pending().await,
        };
        tokio::select! {
            () = wait(SignalKind::interrupt()) => {}
            () = wait(SignalKind::terminate()) => {}
            () = wait(SignalKind::hangup()) => {}
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What a signal asks of a program with a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScreenSignal {
    /// SIGINT, SIGTERM or SIGHUP: end.
    Terminate,
    /// SIGTSTP: give the terminal back and stop.
    Suspend,
    /// SIGCONT: the program runs again after a stop.
    Resume,
    /// SIGWINCH: the terminal has another size.
    Resize,
}

/// Sends the signals of this process to `tell`, in the order in which they are seen, until it
/// returns false. From this call on none of them has its usual effect.
///
/// # Errors
/// If the system refuses a handler.
#[cfg(unix)]
pub fn on_screen_signals(
    mut tell: impl FnMut(ScreenSignal) -> bool + Send + 'static,
) -> std::io::Result<()> {
    use rustix::process::Signal;
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |one: Signal| signal(SignalKind::from_raw(one.as_raw()));
    let mut interrupt = listen(Signal::INT)?;
    let mut term = listen(Signal::TERM)?;
    let mut hangup = listen(Signal::HUP)?;
    let mut stop = listen(Signal::TSTP)?;
    let mut cont = listen(Signal::CONT)?;
    let mut resize = listen(Signal::WINCH)?;
    tokio::spawn(async move {
        loop {
            let seen = tokio::select! {
                biased;
                _ = interrupt.recv() => ScreenSignal::Terminate,
                _ = term.recv() => ScreenSignal::Terminate,
                _ = hangup.recv() => ScreenSignal::Terminate,
                _ = stop.recv() => ScreenSignal::Suspend,
                _ = cont.recv() => ScreenSignal::Resume,
                _ = resize.recv() => ScreenSignal::Resize,
            };
            if !tell(seen) {
                return;
            }
        }
    });
    Ok(())
}

/// The same where Ctrl-C is the only signal.
#[cfg(not(unix))]
pub fn on_screen_signals(
    mut tell: impl FnMut(ScreenSignal) -> bool + Send + 'static,
) -> std::io::Result<()> {
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() && tell(ScreenSignal::Terminate) {}
    });
    Ok(())
}

/// Stops this process and those that share the terminal with it in its group, such as a wrapper
/// that waits for it, so that the shell gets the terminal back. Returns when the process runs again,
/// or a moment earlier.
///
/// SIGSTOP, because SIGTSTP has a handler here and means nothing in a group without a shell.
///
/// # Errors
/// If the system refuses.
#[cfg(unix)]
pub fn stop_group() -> std::io::Result<()> {
    use rustix::process::{Signal, kill_current_process_group};
    kill_current_process_group(Signal::STOP).map_err(Into::into)
}

/// There is no such thing here.
#[cfg(not(unix))]
pub fn stop_group() -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Lets writes to stdout succeed without a terminal, also one that a thread waits in: what it has
/// not written is lost. For a terminal that is there but takes no bytes any more.
#[cfg(unix)]
pub fn abandon_stdout() -> std::io::Result<()> {
    use rustix::process::{Signal, getpid, kill_process};
    let nowhere = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    // A write that a signal interrupts begins again, now with the new file. The main thread gets
    // signals first, and this one has a handler or no effect.
    kill_process(getpid(), Signal::WINCH)?;
    Ok(())
}

/// The same where a signal cannot interrupt a write.
#[cfg(not(unix))]
pub fn abandon_stdout() -> std::io::Result<()> {
    Ok(())
}
