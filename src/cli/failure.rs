//! How a command fails: one clear sentence, what to do, the right exit code.

use std::process::ExitCode;

/// An error at the edge of the program.
#[derive(Debug)]
pub struct Failure {
    /// A stable word for scripts.
    pub kind: &'static str,
    pub message: String,
    pub hint: String,
    /// 1 failure, 2 wrong usage, 130 interrupted.
    pub code: u8,
}

impl Failure {
    /// `message` may hold its advice after a semicolon, as the library's errors do.
    pub fn new(kind: &'static str, message: impl std::fmt::Display) -> Self {
        let text = artgpt_base::text::printable(&message.to_string());
        let (message, hint) = match text.rsplit_once("; ") {
            Some((message, hint)) => (message.to_string(), hint.to_string()),
            None => (text, String::new()),
        };
        Self { kind, message, hint, code: 1 }
    }

    /// For errors that know their hint.
    fn with_hint(kind: &'static str, e: impl std::fmt::Display, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => {
                let clean = artgpt_base::text::printable;
                Self { kind, message: clean(&e.to_string()), hint: clean(&hint), code: 1 }
            }
            None => Self::new(kind, e),
        }
    }

    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let clean = |s: String| artgpt_base::text::printable(&s);
        Self { kind: "usage", message: clean(message.into()), hint: clean(hint.into()), code: 2 }
    }

    pub fn interrupted() -> Self {
        Self { kind: "interrupted", message: "interrupted".into(), hint: String::new(), code: 130 }
    }

    pub fn report(&self, json: bool) -> ExitCode {
        if json {
            let error = serde_json::json!({
                "error": { "kind": self.kind, "message": self.message, "hint": self.hint }
            });
            super::out::line(error);
        } else {
            eprintln!("artgpt-tui: {self}");
        }
        ExitCode::from(self.code)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self.hint.is_empty() {
            true => f.write_str(&self.message),
            false => write!(f, "{}; {}", self.message, self.hint),
        }
    }
}

impl From<candle_core::Error> for Failure {
    fn from(e: candle_core::Error) -> Self {
        Self::new("tensor", artgpt_base::text::first_line(&e))
    }
}

/// Library errors keep their words; the room gives the kind.
macro_rules! failure_from {
    ($($error:ty => $kind:literal),+ $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(e: $error) -> Self {
                Self::new($kind, e)
            }
        })+
    };
}

failure_from! {
    artgpt_art::ArtError => "artwork",
    artgpt_app::settings::ConfigError => "config",
    artgpt_fetch::FetchError => "fetch",
    artgpt_model::Error => "model",
    artgpt_jobs::JobError => "jobs",
    artgpt_rundir::RunError => "training",
    artgpt_rundir::job::RecordError => "jobs",
    artgpt_app::CheckError => "jobs",
    artgpt_train::data::DataError => "data",
}

macro_rules! hinted_failure_from {
    ($($error:ty => $kind:literal),+ $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(e: $error) -> Self {
                let hint = e.hint();
                Self::with_hint($kind, e, hint)
            }
        })+
    };
}

hinted_failure_from! {
    artgpt_chat::ChatError => "prompt",
    artgpt_engine::InferenceError => "inference",
    artgpt_store::StoreError => "sessions",
}

impl From<artgpt_train::TrainError> for Failure {
    fn from(e: artgpt_train::TrainError) -> Self {
        let hint = match &e {
            artgpt_train::TrainError::Chat(e) => e.hint(),
            _ => None,
        };
        Self::with_hint("training", e, hint)
    }
}

impl From<crate::tui::TuiError> for Failure {
    fn from(e: crate::tui::TuiError) -> Self {
        match e {
            crate::tui::TuiError::Store(e) => e.into(),
            e => Self::new("terminal", e),
        }
    }
}
