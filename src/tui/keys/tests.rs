//! The table is complete, and `keys.toml` is read as it says.

use std::path::Path;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::docs::page;
use super::overrides::parse;
use super::*;

fn load(text: &str) -> Result<Keymap, String> {
    let file = Path::new("/config/keys.toml");
    let read = parse(file, text).and_then(|overrides| Keymap::with(file, overrides));
    read.map_err(|e| e.to_string())
}

#[test]
fn every_action_has_a_key_and_help_and_no_screen_binds_a_key_twice() {
    let keymap = Keymap::default();
    for context in Context::ALL {
        let rows = keymap.rows(*context);
        assert!(!rows.is_empty(), "{context:?}");
        assert!(Context::SCREENS.iter().any(|screen| screen.contains(context)), "{context:?}");
        for row in rows {
            assert!(!row.name.is_empty() && !row.keys.is_empty(), "{row:?}");
            assert!(!row.help.is_empty() && !row.help.ends_with('.'), "{row:?}");
            let same = rows.iter().filter(|other| other.name == row.name).count();
            assert_eq!(same, 1, "{row:?}");
        }
    }
    assert_eq!(keymap.conflict(), None);
}

/// A default key that is misspelled would be dropped without a word.
#[test]
fn every_default_key_is_spelled_as_in_the_file() {
    fn check<A: Action>() {
        for row in A::ROWS {
            for text in row.keys {
                assert_eq!(
                    Key::parse(text).map(Key::spelled).as_deref(),
                    Some(*text),
                    "{row:?}",
                    row = row.help
                );
            }
        }
    }
    check::<GlobalAction>();
    check::<ChatAction>();
    check::<ComposerAction>();
    check::<HelpAction>();
    check::<ListAction>();
    check::<OpenAction>();
    check::<SessionsAction>();
    check::<QuestionsAction>();
    check::<ModelsAction>();
    check::<PanelAction>();
    check::<RunsAction>();
    check::<RunListAction>();
    check::<ChartsAction>();
    check::<ChartAction>();
    check::<ExportAction>();
    check::<TableAction>();
    check::<JobsAction>();
    check::<FilterAction>();
    check::<PageAction>();
    check::<FormAction>();
    check::<QuestionAction>();
    check::<NoteAction>();
    check::<MachineAction>();
}

#[test]
fn the_documentation_is_made_from_the_table() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/keys.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, page()).expect("writes");
    }
    let written = std::fs::read_to_string(&file).expect("docs/keys.md");
    assert!(written == page(), "docs/keys.md is out of date; run the tests with UPDATE_DOCS=1");
}

#[test]
fn keys_are_compared_as_terminals_send_them() {
    let key = |code, modifiers| Key::from(&KeyEvent::new(code, modifiers));
    assert_eq!(Some(key(KeyCode::BackTab, KeyModifiers::SHIFT)), Key::parse("shift-tab"));
    assert_eq!(Some(key(KeyCode::BackTab, KeyModifiers::NONE)), Key::parse("shift-tab"));
    assert_eq!(Some(key(KeyCode::Char('A'), KeyModifiers::SHIFT)), Key::parse("A"));
    assert_eq!(Some(key(KeyCode::Char('-'), KeyModifiers::CONTROL)), Key::parse("ctrl--"));
    assert_eq!(Some(key(KeyCode::Char('-'), KeyModifiers::NONE)), Key::parse("-"));
    for text in ["", "ctrl-", "hyper-x", "f0", "f99", "pagup", "ctrl-é?"] {
        assert_eq!(Key::parse(text), None, "{text}");
    }
    let shown = |text: &str| Key::parse(text).expect("a key").to_string();
    assert_eq!(shown("ctrl-o"), "Ctrl-O");
    assert_eq!((shown("a"), shown("A"), shown("space")), ("a".into(), "A".into(), "Space".into()));
}

#[test]
fn the_file_changes_keys() {
    let keymap = load("[chat]\nopen = \"ctrl-f\"\nhelp = [\"f1\", \"alt-h\"]\n").expect("loads");
    let pressed =
        |c, modifiers| keymap.action::<ChatAction>(&KeyEvent::new(KeyCode::Char(c), modifiers));
    assert_eq!(pressed('f', KeyModifiers::CONTROL), Some(ChatAction::Open));
    assert_eq!(pressed('o', KeyModifiers::CONTROL), None);
    assert_eq!(pressed('h', KeyModifiers::ALT), Some(ChatAction::Help));
    assert!(keymap.hint_line(&[Context::Chat], 80).starts_with("Ctrl-F open"));
    // Two actions may change places.
    load("[chat]\nopen = \"ctrl-p\"\nquestions = \"ctrl-o\"\n").expect("loads");
    assert_eq!(load("").expect("loads"), Keymap::default());
    assert_eq!(Keymap::load(Path::new("/no/such/keys.toml")).expect("loads"), Keymap::default());
}

#[test]
fn a_wrong_line_is_named_with_what_was_meant() {
    let wrong = |text: &str, told: &str| {
        let error = load(text).expect_err(text);
        let told = format!("cannot read keys.toml: {told}; the default keys apply");
        assert_eq!(error, told);
    };
    wrong("[chta]\n", "line 1: unknown context [chta]; did you mean [chat]?");
    wrong(
        "# mine\n[chat]\nstpo = \"x\"\n",
        "line 3: unknown action \"stpo\" in [chat]; did you mean \"stop\"?",
    );
    wrong(
        "[list]\nup = [\"u\", \"upp\"]\n",
        "line 2: unknown key \"upp\"; spell it like \"ctrl-x\", \"alt-enter\", \"f2\" or \"pageup\"",
    );
    wrong("[list]\nup = 3\n", "line 2: \"up\" must be a key or a list of keys");
    wrong("list = 3\n", "line 1: \"list\" must be a table");
    wrong(
        "[chat]\nopen = \"ctrl-p\"\n",
        "line 2: the key ctrl-p already has the action \"open\"; change one of \"questions\" and \"open\"",
    );
    let told = load("[chat\n").expect_err("no TOML");
    assert!(told.starts_with("cannot read keys.toml: line 1: "), "{told}");
    assert!(!load("[\"\\u001b[2J\"]\n").expect_err("unknown").contains('\u{1b}'));
}

#[test]
fn a_file_that_cannot_be_used_leaves_the_defaults() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("keys.toml");
    std::fs::write(&file, "[chat]\nopen = \"alt-o\"\n").expect("writes");
    let (keymap, error) = Keymap::load_or_default(&file);
    assert!(error.is_none());
    assert_eq!(keymap.shown(ChatAction::Open), "Alt-O");
    std::fs::write(&file, "[chat]\nopen = \"alt-o\"\nquit = \"x\"\n").expect("writes");
    let (keymap, error) = Keymap::load_or_default(&file);
    assert!(error.is_some_and(|error| error.to_string().contains("line 3: unknown action")));
    assert_eq!(keymap, Keymap::default());
    // A folder is no file of keys.
    assert!(Keymap::load(dir.path()).is_err());
}
