//! `docs/keys.md`, made from the table.

#![cfg(test)]

use super::keymap::name;
use super::{Context, Keymap};

const INTRODUCTION: &str = "\
# Keys

This page is generated from the keymap in `src/tui/keys/`; `F1` shows the same keys in the program.

To change a key, write `keys.toml` beside `config.toml` (by default in `~/.config/artgpt-tui/`):

```toml
[chat]
open = \"ctrl-f\"
help = [\"f1\", \"ctrl-h\"]
```

A heading names the context, each line an action with its key or a list of keys. These replace the default
keys of the action; an empty list removes them. Keys are spelled `ctrl-x`, `alt-enter`, `shift-up`, `f2`,
`pageup`, `space`, `a`, `A`. Names and keys that do not exist, and a key with two actions on one screen, are
reported when the program starts; the default keys then apply.
";

/// The whole page.
pub(super) fn page() -> String {
    let keymap = Keymap::default();
    let mut text = String::from(INTRODUCTION);
    for context in Context::ALL {
        text.push_str(&format!("\n## {}: `[{}]`\n\n", context.title(), name(*context)));
        text.push_str("| Key | Action | What it does |\n| --- | --- | --- |\n");
        for row in keymap.rows(*context) {
            let keys: Vec<String> = row.keys.iter().map(|key| format!("`{key}`")).collect();
            let keys = keys.join(", ").replace('|', "\\|");
            text.push_str(&format!("| {keys} | `{}` | {} |\n", row.name, row.help));
        }
    }
    text
}
