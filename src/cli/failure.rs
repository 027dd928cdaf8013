//! How a command fails: what went wrong, what to do, and the exit code.

use std::fmt::{self, Display};
use std::io::ErrorKind;
use std::process::ExitCode;

use artgpt_app::ask::AskError;
use artgpt_app::eval::EvalError;
use artgpt_app::jobs::{SteerError, SubmitError};
use artgpt_app::overrides::OverrideError;
use artgpt_app::runs::RunsError;
use artgpt_app::train::ForegroundError;
use artgpt_app::train_config::ConfigFileError;
use artgpt_app::{AppError, hint};
use artgpt_base::mask::mask_url;
use artgpt_base::output;
use artgpt_base::text::printable;

/// An error at the edge of the program.
#[derive(Debug)]
pub struct Failure {
    /// A stable word for scripts.
    pub kind: &'static str,
    /// What failed, on which file or value.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
    /// 1 failure, 2 wrong usage, 130 interrupted.
    pub code: u8,
}

impl Failure {
    /// A failure with exit code 1.
    pub fn new(kind: &'static str, message: impl Display, hint: impl Display) -> Self {
        let [message, hint] =
            [message.to_string(), hint.to_string()].map(|s| printable(&mask_url(&s)));
        Self { kind, message, hint, code: 1 }
    }

    /// Wrong usage: exit code 2.
    pub fn usage(message: impl Display, hint: impl Display) -> Self {
        Self { code: 2, ..Self::new("usage", message, hint) }
    }

    /// The user ended the command: exit code 130.
    pub fn interrupted() -> Self {
        Self { code: 130, ..Self::new("interrupted", "interrupted", "") }
    }

    /// An error of the application layer as a command reports it.
    pub fn of(error: &AppError) -> Self {
        match kind(error) {
            "usage" => Self::usage(error, hint(error).unwrap_or_default()),
            "interrupted" => Self::interrupted(),
            kind => Self::new(kind, error, hint(error).unwrap_or_default()),
        }
    }

    /// Prints the failure, as JSON to stdout or as text to stderr, and returns its exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        tracing::error!(kind = self.kind, code = self.code, "{}", self.message);
        if json && output::stdout_error().is_none() {
            let error = serde_json::json!({
                "error": { "kind": self.kind, "message": self.message, "hint": self.hint }
            });
            output::line(error);
        } else {
            output::note(format_args!("artgpt-tui: {self}"));
        }
        ExitCode::from(self.code)
    }

    /// Why the results of a command did not reach stdout. A reader that has gone (`| head`) wants no
    /// more, and that is no failure.
    pub(crate) fn of_output() -> Option<Self> {
        let error = output::stdout_error().filter(|e| e.kind() != ErrorKind::BrokenPipe)?;
        let hint = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space",
            _ => "check where the output goes",
        };
        Some(Self::new("output", format!("cannot write to stdout: {error}"), hint))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.hint.is_empty() {
            true => f.write_str(&self.message),
            false => write!(f, "{}; {}", self.message, self.hint),
        }
    }
}

/// All errors pass [`AppError`] on their way here.
macro_rules! failure_from {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(&error.into())
            }
        })+
    };
}

failure_from! {
    AppError,
    OverrideError,
    RunsError,
    artgpt_art::ArtError,
    artgpt_app::settings::ConfigError,
    artgpt_engine::InferenceError,
    artgpt_jobs::JobError,
    artgpt_model::Error,
    artgpt_rundir::RunError,
    artgpt_rundir::job::RecordError,
    artgpt_app::CheckError,
    artgpt_store::StoreError,
    artgpt_train::TrainError,
    artgpt_train::data::DataError,
    AskError,
}

/// A stable word for what failed. `usage` is what a user can only fix on the command line.
fn kind(error: &AppError) -> &'static str {
    match error {
        AppError::Ask(e) => match e {
            AskError::EmptyPrompt
            | AskError::EmptyAnswer
            | AskError::NoLength
            | AskError::Sampling(_)
            | AskError::RemoteScore(_) => "usage",
            AskError::UnnamedServer(_) => "inference",
        },
        AppError::ConfigFile(ConfigFileError::Read { .. }) => "usage",
        AppError::ConfigFile(_) => "training",
        AppError::Eval(e) => match e {
            EvalError::RunFailed { .. } => "training",
            EvalError::Io { .. }
            | EvalError::Unusable { .. }
            | EvalError::AnswersInUse(_)
            | EvalError::Plot(_) => "evaluation",
            _ => "usage",
        },
        AppError::Foreground(e) => match e {
            ForegroundError::Incomplete { .. } | ForegroundError::NoData => "training",
            _ => "usage",
        },
        AppError::Models(_) | AppError::Model(_) => "model",
        AppError::Override(e) => match e {
            OverrideError::Config(_) | OverrideError::StageKey { .. } => "training",
            _ => "usage",
        },
        AppError::Runs(e) => match e {
            RunsError::Partial(_) | RunsError::Io { .. } | RunsError::Csv { .. } => "runs",
            _ => "usage",
        },
        AppError::Steer(SteerError::OtherDataFolder(_)) => "usage",
        AppError::Steer(_) => "jobs",
        AppError::Submit(SubmitError::NoInit(_)) => "training",
        AppError::Submit(_) => "usage",
        AppError::Interrupted => "interrupted",
        AppError::WorkingFolder(_) => "system",
        AppError::Art(_) => "artwork",
        AppError::Chat(_) => "prompt",
        AppError::Config(_) => "config",
        AppError::Data(_) => "data",
        AppError::Fetch(_) => "fetch",
        AppError::Inference(_) => "inference",
        AppError::Jobs(_) | AppError::Record(_) | AppError::NotInstalled(_) => "jobs",
        AppError::Store(_) => "sessions",
        AppError::Tensor(_) => "tensor",
        AppError::Training(_) | AppError::Run(_) => "training",
    }
}

/// The terminal interface belongs to the edge, so its errors do not pass the application layer.
pub(crate) fn of_terminal(error: crate::tui::TuiError) -> Failure {
    use crate::tui::TuiError::{Signals, Store, Terminal, Theme, Thread};
    let hint = match &error {
        Theme(e) => e.hint(),
        Terminal(_) => "run this in a terminal, or use `artgpt-tui ask`".into(),
        Thread(_) => "close other programs".into(),
        Store(_) | Signals(_) => String::new(),
    };
    match error {
        Store(e) => e.into(),
        error => Failure::new("terminal", error, hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_jobs::JobError;
    use artgpt_store::StoreError;

    #[test]
    fn an_unknown_id_exits_with_1_in_every_command_and_wrong_usage_with_2() {
        let run = artgpt_rundir::job::RecordError::NoRun { name: "x".into(), runs: "runs".into() };
        let failures: [Failure; 3] = [
            run.into(),
            JobError::Unknown("x".into()).into(),
            StoreError::Unknown("x".into()).into(),
        ];
        for failure in failures {
            assert_eq!(failure.code, 1, "{failure:?}");
            assert!(!failure.hint.is_empty() && !failure.message.contains("; "), "{failure:?}");
        }
        assert_eq!(Failure::from(AskError::EmptyPrompt).code, 2);
        assert_eq!(Failure::from(AppError::Interrupted).code, 130);
    }
}
