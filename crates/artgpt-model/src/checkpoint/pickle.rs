//! Pickles as plain data: candle's machine parses them, and nothing in them runs. A pickle that constructs
//! anything but tensors and containers is refused.

use std::io::Cursor;
use std::path::Path;

use artgpt_base::panics;
use candle_core::pickle::{Object, Stack};

use crate::{Error, Result};

/// Maximum nesting of objects; no checkpoint is deeper.
pub(super) const MAX_DEPTH: usize = 64;

const TOO_DEEP: &str = "(nested too deeply)";

/// Number of objects that a pickle of `bytes` bytes may copy out of its memo. A real pickle repeats only
/// small ones; one that doubles a tuple again and again would fill the memory.
fn memo_budget(bytes: usize) -> usize {
    (1 << 20) + 16 * bytes.min(64 << 20)
}

/// Reads one pickle.
pub(super) fn parse(path: &Path, reader: &mut Cursor<&[u8]>) -> Result<Object> {
    let mut stack = Stack::empty();
    // The machine is not ours, and a damaged pickle may make it panic.
    let read = panics::guarded(|| run(&mut stack, reader)).unwrap_or_else(Err);
    if let Err(e) = read {
        // Objects nested a million deep would overflow the stack when they are dropped.
        std::mem::forget(stack);
        return Err(Error::corrupt(path, e));
    }
    let object = stack.finalize().map_err(|e| Error::corrupt(path, e))?;
    let Some(name) = foreign_call(&object, MAX_DEPTH) else { return Ok(object) };
    std::mem::forget(object);
    match name {
        name if name == TOO_DEEP => Err(Error::corrupt(path, "its objects are nested too deeply")),
        name => Err(Error::Unsupported {
            path: path.display().to_string(),
            what: format!(
                "a file that makes Python call `{}`",
                artgpt_base::text::printable(&name)
            ),
            hint: "checkpoints hold tensors only; do not open this one with PyTorch either".into(),
        }),
    }
}

/// Runs the pickle machine to the end of one pickle.
fn run(stack: &mut Stack, reader: &mut Cursor<&[u8]>) -> std::result::Result<(), String> {
    const COPIES: &[u8] = b"hjqr"; // BINGET, LONG_BINGET, BINPUT, LONG_BINPUT
    let mut left = memo_budget(rest(reader).len());
    loop {
        let code = rest(reader).first().copied();
        if let [b'X', a, b, c, d, text @ ..] = rest(reader) {
            // The machine allocates what BINUNICODE says before it reads it.
            let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
            if length > text.len() {
                return Err(format!(
                    "the length of a text, {length}, is beyond the end of the file"
                ));
            }
        }
        let done = stack.read(reader).map_err(|e| short(&e))?;
        let copies = code.is_some_and(|c| COPIES.contains(&c));
        if let (true, Some(object)) = (copies, stack.stack().last())
            && !spend(object, &mut left)
        {
            return Err("it copies the same objects again and again".into());
        }
        if done {
            return Ok(());
        }
    }
}

fn rest<'a>(reader: &Cursor<&'a [u8]>) -> &'a [u8] {
    reader.get_ref().get(reader.position() as usize..).unwrap_or_default()
}

/// The beginning of an error's message, which may hold a whole object of the pickle.
fn short(e: &candle_core::Error) -> String {
    artgpt_base::text::first_line(e).chars().take(200).collect()
}

/// Subtracts one from `left` for each object in this one; false if `left` does not suffice.
fn spend(object: &Object, left: &mut usize) -> bool {
    // A work list instead of recursion, as nesting may be deep.
    let mut open = vec![object];
    while let Some(object) = open.pop() {
        let Some(less) = left.checked_sub(1) else { return false };
        *left = less;
        match object {
            Object::List(items) | Object::Tuple(items) => open.extend(items),
            Object::Dict(items) => open.extend(items.iter().flat_map(|(k, v)| [k, v])),
            Object::Reduce { callable, args } | Object::Build { callable, args } => {
                open.extend([callable.as_ref(), args.as_ref()]);
            }
            Object::PersistentLoad(id) => open.push(id),
            _ => {}
        }
    }
    true
}

/// The first callable that constructs neither a tensor nor a plain container.
fn foreign_call(object: &Object, depth: usize) -> Option<String> {
    const ALLOWED: &[&str] = &["torch", "collections", "numpy", "_codecs", "omegaconf", "argparse"];
    let Some(depth) = depth.checked_sub(1) else { return Some(TOO_DEEP.into()) };
    let inside = |o: &Object| foreign_call(o, depth);
    match object {
        Object::Class { module_name, class_name } => {
            let top = module_name.split('.').next().unwrap_or_default();
            // Names that reach the interpreter from inside an allowed module.
            let reaches = ["load", "hub", "system", "eval", "exec", "runstring"];
            let known = ALLOWED.contains(&top) && !reaches.contains(&class_name.as_str());
            (!known).then(|| format!("{module_name}.{class_name}"))
        }
        Object::List(items) | Object::Tuple(items) => items.iter().find_map(inside),
        Object::Dict(items) => items.iter().find_map(|(k, v)| inside(k).or_else(|| inside(v))),
        Object::Reduce { callable, args } => inside(callable).or_else(|| inside(args)),
        Object::Build { callable, args } => inside(callable).or_else(|| inside(args)),
        Object::PersistentLoad(id) => inside(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_longer_than_the_pickle_is_refused_before_it_is_allocated() {
        let mut pickle = b"\x80\x02X".to_vec();
        pickle.extend(u32::MAX.to_le_bytes());
        pickle.extend(b"abc.");
        let error = parse(Path::new("m.pth"), &mut Cursor::new(&pickle)).expect_err("is refused");
        assert!(error.to_string().contains("4294967295"), "{error}");
    }
}
