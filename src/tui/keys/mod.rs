//! The keymap: one table of named actions for each context.
//!
//! The help window, the hint line, `docs/keys.md` and the overrides in `keys.toml` all come from it,
//! so none of them can disagree with what a key does.

mod context;
mod defaults;
mod docs;
mod hints;
mod key;
mod keymap;
mod overrides;
mod panel_table;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use context::Context;
pub(crate) use hints::Hints;
pub(crate) use key::Key;
pub(crate) use keymap::Keymap;
pub(crate) use panel_table::{
    ChartAction, ChartsAction, ExportAction, FilterAction, FormAction, JobsAction, MachineAction,
    NoteAction, PageAction, PanelAction, QuestionAction, RunListAction, RunsAction, TableAction,
};
pub(crate) use table::{
    ChatAction, ComposerAction, GlobalAction, HelpAction, ListAction, ModelsAction, OpenAction,
    QuestionsAction, SessionsAction,
};

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The actions of one context. [`actions!`] implements it.
pub(crate) trait Action: Copy + Eq + Debug + Serialize + DeserializeOwned + 'static {
    /// Where the actions apply.
    const CONTEXT: Context;
    /// All of them, in the order of the help window.
    const ROWS: &'static [Row<Self>];
}

/// One row of the table.
pub(crate) struct Row<A> {
    /// Its serde name is its name in `keys.toml`.
    pub(crate) action: A,
    /// Default keys, spelled as in `keys.toml`.
    pub(crate) keys: &'static [&'static str],
    /// What it does, for the help window and the documentation.
    pub(crate) help: &'static str,
    pub(crate) hint: Option<Hint>,
}

/// A word for the hint line or a window's title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hint {
    /// Where room is short, hints with a lower rank stay.
    pub(crate) rank: u8,
    pub(crate) text: &'static str,
}

/// Defines the actions of a context with their rows: name, default keys (a list, or the name of one in
/// `defaults`), help, and a hint if any.
macro_rules! actions {
    ($name:ident in $context:expr; $(
        $action:ident $keys:tt $help:literal $(hint $rank:literal $hint:literal)?;
    )*) => {
        #[doc = concat!("Actions of the context `", stringify!($context), "`.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub(crate) enum $name {
            $(#[doc = $help] $action,)*
        }

        impl $crate::tui::keys::Action for $name {
            const CONTEXT: $crate::tui::keys::Context = $context;
            const ROWS: &'static [$crate::tui::keys::Row<Self>] = &[$(
                $crate::tui::keys::Row {
                    action: $name::$action,
                    keys: actions!(@keys $keys),
                    help: $help,
                    hint: actions!(@hint $($rank $hint)?),
                },
            )*];
        }
    };
    (@keys [$($key:literal),*]) => { &[$($key),*] };
    (@keys $shared:ident) => { $crate::tui::keys::defaults::$shared };
    (@hint) => { None };
    (@hint $rank:literal $hint:literal) => {
        Some($crate::tui::keys::Hint { rank: $rank, text: $hint })
    };
}
use actions;
