//! The real program in a pseudo-terminal, read from its screen.

use crate::common::pty::{Pty, Terminal};
use crate::common::{self, fresh_data, picture};

const READY: &str = "artgpt-smol";
const ESC: &str = "\u{1b}";
const CTRL_C: &str = "\u{3}";
const CTRL_G: &str = "\u{7}";
const CTRL_L: &str = "\u{c}";
const CTRL_N: &str = "\u{e}";
const CTRL_O: &str = "\u{f}";
const CTRL_Q: &str = "\u{11}";
const CTRL_T: &str = "\u{14}";

/// Starts at 80x24 and waits for the model.
fn ready(data: &std::path::Path, size: (u16, u16)) -> Pty {
    let pty = Pty::start(data, size, Terminal::Plain, &[]);
    pty.until_shows(READY);
    pty
}

#[test]
fn a_conversation_from_opening_a_picture_to_coming_back() {
    let data = fresh_data();
    let red = picture(data.path(), "crimson.png", [200, 20, 20]);
    let mut pty = ready(data.path(), (80, 24));
    pty.send(CTRL_O);
    pty.until_shows("Open an artwork");
    // The start of the name is enough: Tab does the rest.
    pty.send(&format!("{}/crim", data.path().display()));
    pty.until(" a candidate", |s| s.matches("crimson.png").count() == 1);
    pty.send("\t");
    pty.until("the whole path", |s| s.contains("/crimson.png"));
    pty.send("\r");
    pty.until_shows("no label");
    assert!(pty.text().contains('▀'), "{}", pty.text());
    pty.send("Are the colours warm or cool?\r");
    pty.until_shows("answered at");
    assert!(pty.text().contains("warm on the whole"), "{}", pty.text());
    // Round two reads only what is new.
    pty.send("Is the picture dark or light?\r");
    let screen = pty.until("two answers", |s| {
        s.matches("answered at").count() == 1 && !s.contains("(0 cached)")
    });
    let cached: usize = screen
        .split_once(" prompt tokens (")
        .and_then(|(_, rest)| rest.split_once(" cached"))
        .and_then(|(n, _)| n.parse().ok())
        .expect("a number");
    assert!(cached > 60, "{screen}");
    pty.send(CTRL_Q);
    assert_eq!(pty.ends(), 0);
    assert!(!pty.on_alternate_screen());

    // Next week, with the original gone.
    std::fs::remove_file(red).expect("removes");
    let mut pty = ready(data.path(), (80, 24));
    pty.send(CTRL_T);
    pty.until_shows("Are the colours warm or cool?");
    pty.send("\r");
    pty.until_shows("session resumed");
    pty.until("the picture", |s| s.contains('▀'));
    pty.send("How strong is the contrast?\r");
    pty.until_shows("answered at");
    pty.send(CTRL_Q);
    assert_eq!(pty.ends(), 0);
}

#[test]
fn esc_stops_an_answer_and_what_came_is_kept() {
    let data = fresh_data();
    let plain = common::plain_model();
    let mut pty = Pty::start(data.path(), (80, 24), Terminal::Plain, &["tui", "--model", &plain]);
    pty.until_shows("plain");
    pty.send("Write a very long story about a painter, with many chapters.\r");
    pty.until("some tokens", |s| s.contains("tokens/s") && !s.contains("  0 tokens"));
    pty.send(ESC);
    pty.until_shows("(stopped)");
    pty.send(CTRL_Q);
    assert_eq!(pty.ends(), 0);
    let opened = artgpt_store::Database::open(&data.path().join("sessions.sled")).expect("opens");
    let session = &opened.database.list().expect("lists")[0];
    let turns = opened.database.get(&session.id).expect("is there").turns;
    assert_eq!(turns[1].finish_reason, Some(artgpt_chat::FinishReason::Cancelled));
    assert!(!turns[1].text.is_empty());
}

#[test]
fn any_size_and_any_resize_is_clean() {
    let data = fresh_data();
    let blue = picture(data.path(), "blue.png", [20, 40, 220]).display().to_string();
    let mut pty = Pty::start(data.path(), (10, 3), Terminal::Plain, &["tui", &blue]);
    pty.send("hi");
    pty.until("typing at 10x3", |s| s.contains("hi"));
    for size in [(200, 50), (1, 1), (33, 9), (120, 30), (80, 24)] {
        let before = pty.bytes().len();
        pty.resize(size);
        pty.until("it is drawn anew", |_| pty.bytes().len() > before);
    }
    pty.send(CTRL_L);
    let screen =
        pty.until("all parts", |s| s.contains(READY) && s.contains('▀') && s.contains("hi"));
    assert!(screen.lines().count() <= 24);
    pty.send(CTRL_C);
    pty.until_shows("Ctrl-C again quits");
    pty.send(CTRL_C);
    assert_eq!(pty.ends(), 0);
}

#[test]
fn a_kitty_gets_one_small_picture_and_is_cleaned() {
    let data = fresh_data();
    let red = picture(data.path(), "red.png", [200, 20, 20]).display().to_string();
    let mut pty = Pty::start(data.path(), (120, 40), Terminal::Kitty, &["tui", &red]);
    pty.until_shows(READY);
    pty.until_shows("no label");
    pty.until("kitty graphics", |_| pictures(&pty.bytes()) > 0);
    let sent = pictures(&pty.bytes());
    pty.send("typing does not send it again");
    pty.until_shows("send it again");
    assert_eq!(pictures(&pty.bytes()), sent);
    // Downscaled to the cells: far below the 4 MB of a full screen.
    assert!(pty.bytes().len() < 2_500_000, "{}", pty.bytes().len());
    assert!(!pty.text().contains('▀'));
    pty.send(CTRL_G);
    pty.until_shows("Keys (Esc closes)");
    pty.until("delete", |_| contains(&pty.bytes(), b"\x1b_Ga=d,d=A"));
    pty.send(ESC);
    pty.until("again", |_| pictures(&pty.bytes()) > sent);
    pty.send(CTRL_Q);
    assert_eq!(pty.ends(), 0);
}

/// Kitty pictures that were begun (`a=T`).
fn pictures(bytes: &[u8]) -> usize {
    bytes.windows(3).filter(|w| w == b"a=T").count()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|w| w == part)
}

#[test]
fn silent_terminals_multiplexers_and_no_color_get_text_only() {
    let data = fresh_data();
    let red = picture(data.path(), "red.png", [200, 20, 20]).display().to_string();
    for (terminal, env) in [
        (Terminal::Silent, vec![]),
        (Terminal::Kitty, vec![("TMUX", "/tmp/x,1,0"), ("LC_TERMINAL", "iTerm2")]),
        (Terminal::Kitty, vec![("NO_COLOR", "1")]),
    ] {
        let mut pty = Pty::start_with(data.path(), (80, 24), terminal, &["tui", &red], &env);
        pty.until_shows(READY);
        pty.until_shows("no label");
        pty.send("typed");
        pty.until_shows("typed");
        let bytes = pty.bytes();
        assert!(!contains(&bytes, b"a=T") && !contains(&bytes, b"1337"));
        if env.first().is_some_and(|e| e.0 == "NO_COLOR") {
            assert!(!contains(&bytes, b"\x1b[38;") && !contains(&bytes, b"\x1b[48;"));
        }
        pty.send(CTRL_Q);
        assert_eq!(pty.ends(), 0);
    }
}

#[test]
fn a_store_in_use_is_told_and_the_conversation_goes_on() {
    let data = fresh_data();
    let held = artgpt_store::Database::open(&data.path().join("sessions.sled")).expect("opens");
    let mut pty = Pty::start(data.path(), (120, 24), Terminal::Plain, &[]);
    pty.until_shows("not saved");
    pty.send("hello\r");
    pty.until_shows("answered at");
    pty.send(CTRL_Q);
    assert_eq!(pty.ends(), 0);
    drop(held);
}

#[test]
fn edited_settings_and_themes_are_read_again() {
    let data = fresh_data();
    let folder = data.path().join("config/artgpt-tui");
    std::fs::create_dir_all(&folder).expect("dir");
    let config = folder.join("config.toml");
    std::fs::write(&config, "theme = \"gallery\"\n").expect("write");
    let mut pty = ready(data.path(), (80, 24));
    std::fs::write(&config, "theme = \"paper\"\n").expect("write");
    pty.until_shows("settings read again");
    // Paper's background, #f6f1e7.
    pty.until("paper's colours", |_| contains(&pty.bytes(), b"48;2;246;241;231"));
    std::fs::write(&config, "theme = \"no-such\"\n").expect("write");
    pty.until_shows("no theme `no-such`");
    pty.send(CTRL_Q);
    assert_eq!(pty.ends(), 0);
}

#[test]
fn signals_restore_the_terminal() {
    let data = fresh_data();
    let mut pty = ready(data.path(), (80, 24));
    assert!(pty.on_alternate_screen());
    let pid = pty.child.process_id().expect("a pid").to_string();
    std::process::Command::new("kill").args(["-TERM", &pid]).status().expect("kill");
    assert_eq!(pty.ends(), 130);
    assert!(!pty.on_alternate_screen());
}

#[test]
fn a_new_session_begins_empty_and_a_bad_path_is_told() {
    let data = fresh_data();
    let mut pty = ready(data.path(), (80, 24));
    pty.send(CTRL_N);
    pty.until_shows("new session");
    pty.send(CTRL_O);
    pty.until_shows("Open an artwork");
    pty.send("/no/such/picture.png\r");
    pty.until_shows("no file at");
    pty.send(CTRL_Q);
    assert_eq!(pty.ends(), 0);
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let data = fresh_data();
    common::program(data.path())
        .assert()
        .code(1)
        .stderr(predicates::str::contains("artgpt-tui ask"));
}
