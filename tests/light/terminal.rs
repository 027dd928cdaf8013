//! A terminal that goes away, says half of something, or is given back for a while.

use std::path::Path;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;

use crate::common::pty::{Pty, Terminal};
use crate::common::server::{endless_answers, last_word};
use crate::common::{picture, wait};

const ESC: &str = "\u{1b}";
const CTRL_Q: &str = "\u{11}";
const CTRL_Z: &str = "\u{1a}";

/// Far more than it takes, because a test machine may be busy; what loops or waits does so for ever.
const SOON: Duration = Duration::from_secs(20);
/// A model that is there at once and is never asked.
const MUTE: &str = "openai:http://127.0.0.1:9#mute";
const EMPTY_PANEL: &str = "No runs yet";

fn chat(data: &Path, terminal: Terminal, more: &[&str]) -> Pty {
    let args = [&["tui", "--model", MUTE], more].concat();
    let pty = Pty::start(data, (120, 40), terminal, &args);
    // The model is there, which changes the last line.
    pty.until_shows("openai:");
    pty
}

fn panel(data: &Path) -> Pty {
    let pty = Pty::start(data, (100, 30), Terminal::Plain, &["watch"]);
    pty.until_shows(EMPTY_PANEL);
    pty
}

#[test]
fn a_terminal_that_closes_while_it_starts_ends_it() {
    at_random_moments(1200, |round, data, moment| {
        let mut pty = match round % 2 {
            0 => Pty::start(data, (80, 24), Terminal::Plain, &["--model", MUTE]),
            _ => Pty::start(data, (80, 24), Terminal::Silent, &["watch"]),
        };
        std::thread::sleep(moment);
        pty.hang_up();
        pty.ends_within(SOON).unwrap_or_else(|state| panic!("{round}: {state}"));
    });
}

#[test]
fn a_terminal_that_closes_during_an_answer_ends_it_with_all_that_was_shown() {
    let model = &endless_answers();
    at_random_moments(1500, |round, data, moment| {
        let args = ["tui", "--model", model.as_str()];
        let mut pty = Pty::start(data, (80, 24), Terminal::Plain, &args);
        pty.until_shows("openai:");
        pty.send("What is it?\r");
        pty.until("an answer", |screen| last_word(screen).is_some());
        std::thread::sleep(moment);
        pty.hang_up();
        let code = pty.ends_within(SOON);
        assert_eq!(code, Ok(130), "{round}");
        let shown = last_word(&pty.text()).expect("an answer");
        let stored = answers(data);
        let kept = last_word(&stored).unwrap_or(0);
        // The last word on the screen may have been cut by its end.
        assert!(kept + 1 >= shown, "{kept} of {shown}: {stored}");
    });
}

/// Calls `test` 25 times, five at once, each with a data folder of its own and a random time below
/// `longest` milliseconds.
#[allow(clippy::print_stderr)] // the seed repeats a failure
fn at_random_moments(longest: u64, test: impl Fn(u64, &Path, Duration) + Sync) {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let test = &test;
    std::thread::scope(|scope| {
        for worker in 0..5 {
            scope.spawn(move || {
                let mut random = ChaCha8Rng::seed_from_u64(seed + worker);
                for round in 0..5 {
                    let data = tempfile::tempdir().expect("a folder");
                    // The moment itself is what is random.
                    let moment = Duration::from_millis(random.random_range(0..longest));
                    test(round, data.path(), moment);
                }
            });
        }
    });
}

/// The text of the answer to the only question in a data folder.
fn answers(data: &Path) -> String {
    let opened = artgpt_store::Database::open(&data.join("sessions.sled")).expect("opens");
    let session = &opened.database.list().expect("lists")[0];
    let turns = opened.database.get(&session.id).expect("is there").turns;
    assert_eq!(turns[0].text, "What is it?");
    turns[1].text.clone()
}

#[test]
fn a_panel_that_loses_its_terminal_saves_what_was_chosen() {
    let data = tempfile::tempdir().expect("a folder");
    let mut pty = panel(data.path());
    pty.send("/lamp");
    pty.until_shows("filter runs: lamp");
    pty.hang_up();
    assert_eq!(pty.ends_within(SOON), Ok(130));
    let saved = std::fs::read_to_string(data.path().join("runs/.panel.json")).expect("is there");
    assert!(saved.contains(r#""filter": "lamp""#), "{saved}");
}

/// Beginnings of what a terminal sends.
const UNFINISHED: [&[u8]; 9] = [
    b"\xc3",
    b"\xf0\x9f\x8e",
    b"\x1b",
    b"\x1b[",
    b"\x1b[1;",
    b"\x1bO",
    b"\x1b]11;rgb:",
    b"\x1b_Gi=31;",
    b"\x1b[200~pasted",
];

#[test]
fn it_hears_sigterm_after_half_of_something() {
    let data = tempfile::tempdir().expect("a folder");
    for unfinished in UNFINISHED {
        let mut pty = panel(data.path());
        pty.send_bytes(unfinished);
        pty.signal(Signal::TERM);
        assert_eq!(pty.ends_within(SOON), Ok(130), "{unfinished:?}");
        wait::until("the first screen", || match pty.on_alternate_screen() {
            true => Err(pty.text()),
            false => Ok(()),
        });
        assert!(pty.has_first_modes());
    }
}

#[test]
fn it_draws_and_hears_keys_after_half_of_something() {
    let data = tempfile::tempdir().expect("a folder");
    for unfinished in UNFINISHED {
        let mut pty = chat(data.path(), Terminal::Plain, &[]);
        pty.send_bytes(unfinished);
        if unfinished.starts_with(b"\x1b[200~") {
            // Whatever comes belongs to the paste, until its end is not waited for any more.
            pty.until_shows("pasted");
        } else if unfinished.len() > 1 {
            pty.resize((90, 30));
            pty.until("it is drawn", |screen| screen.lines().count() <= 30);
        }
        // Sent at once, Esc and Ctrl-Q would be Ctrl-Alt-Q.
        let quit = || {
            pty.send(CTRL_Q);
            pty.ends_within(Duration::from_millis(500))
        };
        assert_eq!(wait::until("its end", quit), 0, "{unfinished:?}");
    }
}

#[test]
fn sigterm_ends_it_where_the_terminal_takes_nothing_any_more() {
    let data = tempfile::tempdir().expect("a folder");
    let mut pty = panel(data.path());
    pty.stop_reading();
    // Each opens or closes a window, which is drawn, so that the line is full sooner or later.
    for _ in 0..150 {
        pty.send("?");
        std::thread::sleep(Duration::from_millis(10));
    }
    pty.signal(Signal::TERM);
    assert_eq!(pty.ends_within(SOON), Ok(130));
}

#[test]
fn sigterm_ends_it_while_it_waits_for_the_terminals_answer() {
    let data = tempfile::tempdir().expect("a folder");
    let mut pty = Pty::start(data.path(), (80, 24), Terminal::KittyOnce, &["--model", MUTE]);
    // viuer asks once more, and waits.
    let asked = |pty: &Pty| pty.bytes().windows(3).filter(|w| w == b"\x1b[c").count();
    pty.until("the second question", |_| asked(&pty) > 1);
    pty.signal(Signal::TERM);
    assert_eq!(pty.ends_within(SOON), Ok(130));
    assert!(!pty.on_alternate_screen() && pty.has_first_modes());
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_fg_takes_it_again() {
    let data = tempfile::tempdir().expect("a folder");
    for start in [panel as fn(&Path) -> Pty, |data| {
        let pty = chat(data, Terminal::Plain, &[]);
        pty.send("half a question");
        pty.until_shows("half a question");
        pty
    }] {
        let mut pty = start(data.path());
        for stop in [None, Some(Signal::TSTP), Some(Signal::STOP)] {
            let before = shown(&pty.text());
            assert!(pty.cursor_is_hidden() && !pty.has_first_modes());
            match stop {
                None => pty.send(CTRL_Z),
                Some(signal) => pty.signal(signal),
            }
            until_stopped(&pty);
            if stop == Some(Signal::STOP) {
                // Nobody can leave the screen then; the shell writes over it.
                pty.show(b"\x1b[?1049l\x1b[?25h\x1b[Hstopped");
            } else {
                assert!(!pty.on_alternate_screen() && !pty.cursor_is_hidden());
                assert!(pty.has_first_modes());
            }
            pty.signal(Signal::CONT);
            pty.until("the same screen", |screen| shown(screen) == before);
            assert!(pty.on_alternate_screen() && pty.cursor_is_hidden());
            assert!(!pty.has_first_modes());
            // Keys are heard.
            pty.send("\u{1b}OP");
            pty.until_shows("Keys (");
            pty.send(ESC);
            pty.until("the same screen", |screen| shown(screen) == before);
        }
        pty.send(CTRL_Q);
        assert_eq!(pty.ends(), 0);
    }
}

/// What can be seen: a blank that was written looks as one that was not.
fn shown(screen: &str) -> String {
    screen.lines().map(|line| line.trim_end().to_string() + "\n").collect()
}

fn until_stopped(pty: &Pty) {
    wait::until("it stops", || if pty.is_stopped() { Ok(()) } else { Err(pty.text()) });
    // What it wrote before may still be on its way.
    wait::until("the rest of its output", || {
        let before = pty.bytes().len();
        std::thread::sleep(Duration::from_millis(50));
        if pty.bytes().len() == before { Ok(()) } else { Err(pty.text()) }
    });
}

#[test]
fn a_picture_comes_back_with_the_screen() {
    let data = tempfile::tempdir().expect("a folder");
    let red = picture(data.path(), "red.png", [200, 20, 20]).display().to_string();
    let sent = |pty: &Pty| pty.bytes().windows(3).filter(|w| w == b"a=T").count();
    let mut pty = chat(data.path(), Terminal::Kitty, &[&red]);
    pty.until("a picture", |_| sent(&pty) == 1);
    pty.send(CTRL_Z);
    until_stopped(&pty);
    assert_eq!(sent(&pty), 1);
    pty.signal(Signal::CONT);
    pty.until("the picture again", |_| sent(&pty) == 2);
    pty.send(CTRL_Q);
    assert_eq!(pty.ends(), 0);

    let mut pty = chat(data.path(), Terminal::Plain, &[&red]);
    pty.until("half-blocks", |screen| screen.contains('▀'));
    let before = shown(&pty.text());
    pty.send(CTRL_Z);
    until_stopped(&pty);
    pty.signal(Signal::CONT);
    pty.until("the same screen", |screen| shown(screen) == before);
    pty.send(CTRL_Q);
    assert_eq!(pty.ends(), 0);
}
