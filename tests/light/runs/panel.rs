//! The training panel on a terminal, with runs of other programs.

use std::io::Write;
use std::time::Duration;

use crate::common::pty::{Pty, Terminal};
use crate::common::wait;

#[test]
fn the_panel_follows_a_run_and_leaves_the_terminal_as_it_was() {
    let data = tempfile::tempdir().expect("a folder");
    let run = data.path().join("logs/first");
    std::fs::create_dir_all(&run).expect("makes");
    let line = |step: u64| format!("{{\"step\":{step},\"loss\":{}}}\n", 8.0 / step as f64);
    let file = run.join("metrics.jsonl");
    std::fs::write(&file, (1..=20).map(line).collect::<String>()).expect("writes");
    let logs = data.path().join("logs").display().to_string();
    let mut pty = Pty::start(data.path(), (120, 40), Terminal::Plain, &["watch", &logs]);
    pty.until_shows("20 live");
    assert!(pty.text().chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{}", pty.text());
    // It grows, and another one begins.
    let mut grown = std::fs::OpenOptions::new().append(true).open(&file).expect("opens");
    grown.write_all((21..=64).map(line).collect::<String>().as_bytes()).expect("writes");
    pty.until_shows("64 live");
    let second = data.path().join("logs/second");
    std::fs::create_dir_all(&second).expect("makes");
    std::fs::write(second.join("metrics.csv"), "step,loss\n1,5.5\n2,4.5\n").expect("writes");
    pty.until_shows("second");
    pty.send("\t\r");
    pty.until_shows("0.125 at step 64");
    pty.until_shows("4.5 at step 2");
    pty.resize((80, 24));
    pty.until_shows("Enter open");
    pty.send("e");
    pty.until_shows("66 points are in");
    pty.send("q");
    assert_eq!(pty.ends(), 0);
    assert!(!pty.on_alternate_screen());
}

/// The open chart is sent as kitty's picture, once for what it shows, and taken away again.
#[test]
fn a_terminal_that_shows_pictures_gets_the_open_chart_as_one() {
    let data = tempfile::tempdir().expect("a folder");
    let run = data.path().join("logs/first");
    std::fs::create_dir_all(&run).expect("makes");
    let line = |step: u64| format!("{{\"step\":{step},\"loss\":{}}}\n", 8.0 / step as f64);
    std::fs::write(run.join("metrics.jsonl"), (1..=20).map(line).collect::<String>())
        .expect("writes");
    let logs = data.path().join("logs").display().to_string();
    let mut pty = Pty::start(data.path(), (100, 30), Terminal::Kitty, &["watch", &logs]);
    pty.until_shows("20 live");
    let count = |pty: &Pty, part: &[u8]| {
        pty.bytes().windows(part.len()).filter(|window| *window == part).count()
    };
    let (picture, delete) = (b"\x1b_Gf=", b"\x1b_Ga=d");
    assert_eq!(count(&pty, picture), 0);
    pty.send("\t\r");
    pty.until_shows("0.4 at step 20");
    pty.until("the picture", |_| count(&pty, picture) > 0);
    // What the last key changed is drawn; then time goes on, and nothing is sent again.
    let mut drawn = 0;
    wait::until("the last picture", || {
        let before = std::mem::replace(&mut drawn, pty.bytes().len());
        if before == drawn { Ok(()) } else { Err(pty.text()) }
    });
    let sent = count(&pty, picture);
    wait::stays("the picture", Duration::from_secs(3), || count(&pty, picture) == sent);
    let before = count(&pty, delete);
    pty.send("\x1b");
    pty.until("its end", |_| count(&pty, delete) > before);
    pty.send("q");
    assert_eq!(pty.ends(), 0);
}
