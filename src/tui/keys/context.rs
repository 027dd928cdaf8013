//! The contexts of the keymap, and which of them apply at the same time.

use serde::{Deserialize, Serialize};

use super::keymap::{Binding, bindings};
use super::panel_table::{
    ChartAction, ChartsAction, ExportAction, FilterAction, FormAction, JobsAction, MachineAction,
    NoteAction, PageAction, PanelAction, QuestionAction, RunListAction, RunsAction, TableAction,
};
use super::table::{
    ChatAction, ComposerAction, GlobalAction, HelpAction, ListAction, ModelsAction, OpenAction,
    QuestionsAction, SessionsAction,
};

/// Where a key is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Context {
    Global,
    Chat,
    Composer,
    Help,
    List,
    Open,
    Sessions,
    Questions,
    Models,
    Panel,
    PanelRuns,
    PanelList,
    PanelCharts,
    PanelChart,
    PanelExport,
    PanelTable,
    PanelJobs,
    PanelFilter,
    PanelPage,
    PanelForm,
    PanelQuestion,
    PanelNote,
    PanelMachine,
}

impl Context {
    /// In the order of the documentation.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Chat,
        Self::Composer,
        Self::Open,
        Self::Sessions,
        Self::Questions,
        Self::Models,
        Self::List,
        Self::Panel,
        Self::PanelRuns,
        Self::PanelList,
        Self::PanelCharts,
        Self::PanelChart,
        Self::PanelExport,
        Self::PanelTable,
        Self::PanelJobs,
        Self::PanelFilter,
        Self::PanelPage,
        Self::PanelForm,
        Self::PanelQuestion,
        Self::PanelNote,
        Self::PanelMachine,
        Self::Help,
        Self::Global,
    ];

    /// Contexts that get a key together: no key may have two actions in one of these.
    pub(crate) const SCREENS: &'static [&'static [Self]] = &[
        &[Self::Chat, Self::Composer, Self::Global],
        &[Self::Open, Self::Global],
        &[Self::Sessions, Self::List, Self::Global],
        &[Self::Questions, Self::List, Self::Global],
        &[Self::Models, Self::List, Self::Global],
        &[
            Self::PanelList,
            Self::PanelChart,
            Self::Panel,
            Self::PanelRuns,
            Self::PanelExport,
            Self::PanelJobs,
            Self::Global,
        ],
        &[
            Self::PanelCharts,
            Self::PanelChart,
            Self::Panel,
            Self::PanelRuns,
            Self::PanelExport,
            Self::PanelJobs,
            Self::Global,
        ],
        &[
            Self::PanelTable,
            Self::Panel,
            Self::PanelRuns,
            Self::PanelExport,
            Self::PanelJobs,
            Self::Global,
        ],
        &[Self::PanelFilter, Self::Global],
        &[Self::PanelPage, Self::Global],
        &[Self::PanelForm, Self::Global],
        &[Self::PanelQuestion, Self::Global],
        &[Self::PanelNote, Self::Global],
        &[Self::PanelMachine, Self::Global],
        &[Self::Help, Self::Global],
    ];

    /// A heading for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::Chat => "Chat",
            Self::Composer => "Writing a question",
            Self::Help => "Help window",
            Self::List => "Lists in windows",
            Self::Open => "Window: open an artwork",
            Self::Sessions => "Window: sessions",
            Self::Questions => "Window: questions",
            Self::Models => "Window: models and runs",
            Self::Panel => "Training panel",
            Self::PanelRuns => "Panel: runs",
            Self::PanelList => "Panel: list of runs",
            Self::PanelCharts => "Panel: charts",
            Self::PanelChart => "Panel: how charts are drawn",
            Self::PanelExport => "Panel: export",
            Self::PanelTable => "Panel: table of runs",
            Self::PanelJobs => "Panel: jobs",
            Self::PanelFilter => "Panel: typing a filter",
            Self::PanelPage => "Panel: page of a run",
            Self::PanelForm => "Window: new job",
            Self::PanelQuestion => "Windows: a question with yes or no",
            Self::PanelNote => "Window: note",
            Self::PanelMachine => "Window: machine",
        }
    }

    /// The rows of this context with their default keys.
    pub(crate) fn defaults(self) -> Vec<Binding> {
        match self {
            Self::Global => bindings::<GlobalAction>(),
            Self::Chat => bindings::<ChatAction>(),
            Self::Composer => bindings::<ComposerAction>(),
            Self::Help => bindings::<HelpAction>(),
            Self::List => bindings::<ListAction>(),
            Self::Open => bindings::<OpenAction>(),
            Self::Sessions => bindings::<SessionsAction>(),
            Self::Questions => bindings::<QuestionsAction>(),
            Self::Models => bindings::<ModelsAction>(),
            Self::Panel => bindings::<PanelAction>(),
            Self::PanelRuns => bindings::<RunsAction>(),
            Self::PanelList => bindings::<RunListAction>(),
            Self::PanelCharts => bindings::<ChartsAction>(),
            Self::PanelChart => bindings::<ChartAction>(),
            Self::PanelExport => bindings::<ExportAction>(),
            Self::PanelTable => bindings::<TableAction>(),
            Self::PanelJobs => bindings::<JobsAction>(),
            Self::PanelFilter => bindings::<FilterAction>(),
            Self::PanelPage => bindings::<PageAction>(),
            Self::PanelForm => bindings::<FormAction>(),
            Self::PanelQuestion => bindings::<QuestionAction>(),
            Self::PanelNote => bindings::<NoteAction>(),
            Self::PanelMachine => bindings::<MachineAction>(),
        }
    }
}
