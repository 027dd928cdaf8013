//! What terminals send, by xterm's "Control Sequences" (ctlseqs), rxvt's, kitty's and the Linux
//! console's documentation.

use super::*;
use crossterm::event::KeyEventKind;

const NONE: KeyModifiers = KeyModifiers::NONE;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;
const ALT: KeyModifiers = KeyModifiers::ALT;
const CONTROL: KeyModifiers = KeyModifiers::CONTROL;

fn pressed(code: KeyCode, modifiers: KeyModifiers) -> Input {
    key(code, modifiers)
}

fn typed(text: &str) -> Vec<Input> {
    text.chars().map(|c| character(c, NONE)).collect()
}

/// What bytes are once nothing more comes.
fn read(bytes: &[u8]) -> Vec<Input> {
    let mut decoder = Decoder::default();
    let mut inputs = decoder.feed(bytes);
    if decoder.wait().is_some() {
        inputs.extend(decoder.expire());
    }
    inputs
}

#[test]
fn keys_are_what_terminals_send_for_them() {
    for (bytes, code, modifiers) in [
        (&b"a"[..], KeyCode::Char('a'), NONE),
        (b"A", KeyCode::Char('A'), SHIFT),
        ("é".as_bytes(), KeyCode::Char('é'), NONE),
        ("画".as_bytes(), KeyCode::Char('画'), NONE),
        ("🎨".as_bytes(), KeyCode::Char('🎨'), NONE),
        (b"\r", KeyCode::Enter, NONE),
        (b"\n", KeyCode::Char('j'), CONTROL),
        (b"\t", KeyCode::Tab, NONE),
        (b"\x7f", KeyCode::Backspace, NONE),
        (b"\x08", KeyCode::Char('h'), CONTROL),
        (b"\x00", KeyCode::Char(' '), CONTROL),
        (b"\x11", KeyCode::Char('q'), CONTROL),
        (b"\x1f", KeyCode::Char('7'), CONTROL),
        (b"\x1b", KeyCode::Esc, NONE),
        (b"\x1bm", KeyCode::Char('m'), ALT),
        (b"\x1bM", KeyCode::Char('M'), ALT | SHIFT),
        (b"\x1b\r", KeyCode::Enter, ALT),
        (b"\x1b\x7f", KeyCode::Backspace, ALT),
        ("\u{1b}é".as_bytes(), KeyCode::Char('é'), ALT),
        (b"\x1b[", KeyCode::Char('['), ALT),
        (b"\x1bO", KeyCode::Char('O'), ALT | SHIFT),
        (b"\x1b]", KeyCode::Char(']'), ALT),
        (b"\x1b[A", KeyCode::Up, NONE),
        (b"\x1bOB", KeyCode::Down, NONE),
        (b"\x1b[1;5C", KeyCode::Right, CONTROL),
        (b"\x1b[1;2D", KeyCode::Left, SHIFT),
        (b"\x1b\x1b[A", KeyCode::Up, ALT),
        (b"\x1b[H", KeyCode::Home, NONE),
        (b"\x1b[1~", KeyCode::Home, NONE),
        (b"\x1b[7~", KeyCode::Home, NONE),
        (b"\x1b[4~", KeyCode::End, NONE),
        (b"\x1b[3;5~", KeyCode::Delete, CONTROL),
        (b"\x1b[5~", KeyCode::PageUp, NONE),
        (b"\x1b[6;3~", KeyCode::PageDown, ALT),
        (b"\x1b[Z", KeyCode::BackTab, SHIFT),
        (b"\x1bOP", KeyCode::F(1), NONE),
        (b"\x1b[P", KeyCode::F(1), NONE),
        (b"\x1b[11~", KeyCode::F(1), NONE),
        (b"\x1b[[A", KeyCode::F(1), NONE),
        (b"\x1b[[E", KeyCode::F(5), NONE),
        (b"\x1b[15~", KeyCode::F(5), NONE),
        (b"\x1b[17~", KeyCode::F(6), NONE),
        (b"\x1b[24~", KeyCode::F(12), NONE),
        (b"\x1b[34~", KeyCode::F(20), NONE),
        (b"\x1b[1;2R", KeyCode::F(3), SHIFT),
        (b"\x1b[24;5~", KeyCode::F(12), CONTROL),
        (b"\x1b[27;2;13~", KeyCode::Enter, SHIFT),
        (b"\x1b[13;2u", KeyCode::Enter, SHIFT),
        (b"\x1b[27u", KeyCode::Esc, NONE),
        (b"\x1b[9;2u", KeyCode::BackTab, SHIFT),
        (b"\x1b[106;5u", KeyCode::Char('j'), CONTROL),
        (b"\x1b[97;2u", KeyCode::Char('A'), SHIFT),
        (b"\x1b[49:33;2u", KeyCode::Char('!'), NONE),
    ] {
        assert_eq!(read(bytes), [pressed(code, modifiers)], "{:?}", String::from_utf8_lossy(bytes));
    }
    let released = KeyEvent::new_with_kind(KeyCode::Char('a'), NONE, KeyEventKind::Release);
    assert_eq!(read(b"\x1b[97;1:3u"), [Input::Key(released)]);
}

#[test]
fn replies_and_nonsense_are_no_keys_and_take_none_with_them() {
    for bytes in [
        &b"\x1b[?62;22c"[..],
        b"\x1b[6;20;10t",
        b"\x1b[12;40R",
        b"\x1b[I\x1b[O",
        b"\x1b[<0;3;4M\x1b[<0;3;4m",
        b"\x1b_Gi=31;OK\x1b\\",
        b"\x1b]11;rgb:0000/0000/0000\x07",
        b"\x1bP>|kitty(0.40)\x1b\\",
        b"\x1b[57358u",
        b"\x1b[99999999999999u\x1b[4294967296~",
        b"\xff\xfe\x80\xc0\xf5",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
    ] {
        let bytes = [bytes, b"x"].concat();
        assert_eq!(read(&bytes), typed("x"), "{:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_key_after_something_unfinished_is_heard_at_once() {
    let quit = || pressed(KeyCode::Char('q'), CONTROL);
    for unfinished in [
        &b"\xc3"[..],
        b"\xe2\x82",
        b"\xf0\x9f",
        b"\x1b[",
        b"\x1b[1;",
        b"\x1b]0;ti",
        b"\x1b_Gi",
        b"\x1bP",
    ] {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(unfinished), []);
        assert_eq!(decoder.feed(b"\x11"), [quit()], "{unfinished:?}");
        assert_eq!(decoder.wait(), None);
    }
}

#[test]
fn what_has_begun_is_waited_for_and_then_given_up() {
    let mut decoder = Decoder::default();
    assert_eq!((decoder.feed(b"\x1b"), decoder.wait()), (vec![], Some(ESC_WAIT)));
    assert_eq!(decoder.feed(b"[A"), [pressed(KeyCode::Up, NONE)]);
    // Another key after Esc is no key with Alt.
    assert_eq!(decoder.feed(b"\x1b"), []);
    let quit = pressed(KeyCode::Char('q'), CONTROL);
    assert_eq!(decoder.feed(b"\x11"), [pressed(KeyCode::Esc, NONE), quit]);
    assert_eq!(decoder.feed(b"\x1b\x1b"), []);
    assert_eq!(decoder.expire(), [pressed(KeyCode::Esc, NONE), pressed(KeyCode::Esc, NONE)]);
    assert_eq!((decoder.feed(b"\x1b[1;"), decoder.wait()), (vec![], Some(SEQUENCE_WAIT)));
    assert_eq!((decoder.expire(), decoder.wait()), (vec![], None));
    // Half a character costs nothing while it waits: the other half may be slow.
    assert_eq!((decoder.feed(b"\xc3"), decoder.wait()), (vec![], None));
    assert_eq!(decoder.feed(b"\xa9"), typed("é"));
    // A paste whose end never comes.
    assert_eq!((decoder.feed(b"\x1b[200~ab"), decoder.wait()), (vec![], Some(PASTE_WAIT)));
    assert_eq!(decoder.expire(), [Input::Paste("ab".into())]);
    assert_eq!(decoder.feed(b"c\x1b[201~"), typed("c"));
}

#[test]
fn it_does_not_matter_how_a_stream_is_cut() {
    let stream = "a\u{1b}[1;5Cé\u{1b}[200~two\nlines \u{1b}[31m é\u{1b}[201~\u{1b}OP\u{1b}]0;x\u{7}🎨\u{1b}\r\u{11}";
    let mut wanted = typed("a");
    wanted.push(pressed(KeyCode::Right, CONTROL));
    wanted.extend(typed("é"));
    wanted.push(Input::Paste("two\nlines \u{1b}[31m é".into()));
    wanted.push(pressed(KeyCode::F(1), NONE));
    wanted.extend(typed("🎨"));
    wanted.push(pressed(KeyCode::Enter, ALT));
    wanted.push(pressed(KeyCode::Char('q'), CONTROL));
    let alt_enter = stream.find("\u{1b}\r").expect("is in it");
    for size in 1..=stream.len() {
        if (alt_enter + 1).is_multiple_of(size) {
            // Cut between Esc and Enter, these are two keys.
            continue;
        }
        let mut decoder = Decoder::default();
        let inputs: Vec<Input> =
            stream.as_bytes().chunks(size).flat_map(|piece| decoder.feed(piece)).collect();
        assert_eq!(inputs, wanted, "{size}");
    }
}

#[test]
fn a_long_paste_comes_in_pieces_and_whole() {
    let text = "é画🎨x".repeat(300_000);
    let mut decoder = Decoder::default();
    let stream = [PASTE_START, text.as_bytes(), PASTE_END].concat();
    let mut pasted = String::new();
    for piece in stream.chunks(4096) {
        for input in decoder.feed(piece) {
            let Input::Paste(piece) = input else { panic!("{input:?}") };
            pasted.push_str(&piece);
        }
        assert!(decoder.pending.len() <= MAX_PASTE + 4096);
    }
    assert!(pasted == text);
    assert_eq!(decoder.feed(b"k"), typed("k"));
}

#[test]
fn nothing_grows_without_limit_or_panics() {
    let mut decoder = Decoder::default();
    for start in [&b"\x1b["[..], b"\x1b]", b"\x1b_"] {
        decoder.feed(start);
        for _ in 0..100 {
            decoder.feed(&[b'0'; 4096]);
            assert!(decoder.pending.len() <= MAX_STRING + 2 * 4096);
        }
        decoder.expire();
    }
    // Every pair and triple of bytes that mean something, after one another.
    let bytes = b"\x1b[O]P_\\M~u:;?09A\x07\x18\x00\r\x80\xc3\xe2\xf0\xffx";
    for a in bytes {
        for b in bytes {
            for c in bytes {
                decoder.feed(&[0x1b, *a, *b, *c]);
            }
        }
        decoder.expire();
    }
}
