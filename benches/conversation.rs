//! The path through a session of 10,000 turns, which each frame of the chat asks for:
//! `cargo bench --bench conversation`.

use artgpt_chat::{Conversation, Session, TurnRecord};
use divan::Bencher;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

const TURNS: u64 = 10_000;

/// Each turn follows the one before; with `branches`, every tenth question has two answers.
fn conversation(branches: bool) -> Conversation {
    let mut conversation = Conversation::new(Session::new("model", None));
    let first = conversation.user_turn("What is the palette?", Vec::new());
    for seq in 0..TURNS {
        let back = if branches && seq % 10 == 0 { 2 } else { 1 };
        let parent = seq.checked_sub(back);
        conversation.turns.push(TurnRecord { seq, parent, ..first.clone() });
    }
    conversation
}

#[divan::bench(args = [false, true])]
fn path_of_ten_thousand_turns(bencher: Bencher, branches: bool) {
    let conversation = conversation(branches);
    bencher.bench_local(|| conversation.path(None).len());
}

#[divan::bench(args = [false, true])]
fn template_turns_of_ten_thousand_turns(bencher: Bencher, branches: bool) {
    let conversation = conversation(branches);
    bencher.bench_local(|| conversation.template_turns(None).len());
}
