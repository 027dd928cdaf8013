//! Each error says what failed, and its hint what to do: neither repeats the other.

use std::io;

use super::*;
use crate::server::UnnamedServer;
use artgpt_base::foreign::Foreign;
use artgpt_chat::ChatError;
use artgpt_engine::RemoteError;
use artgpt_eval::talk::PlanError;
use artgpt_fetch::network::NetworkError;
use artgpt_model::Error as ModelError;
use artgpt_store::{StoreError, Unsaved, UnsavedItem};

/// All variants of an enum as errors of the application layer. One that is missing does not compile.
macro_rules! every {
    ($($variant:pat => $error:expr),+ $(,)?) => {{
        let errors = vec![$($error),+];
        errors.iter().for_each(|error| match error { $($variant => {}),+ });
        errors.into_iter().map(AppError::from).collect::<Vec<AppError>>()
    }};
}

fn text(text: &str) -> String {
    text.into()
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

fn of_questions() -> Vec<AppError> {
    every! {
        AskError::EmptyPrompt => AskError::EmptyPrompt,
        AskError::EmptyAnswer => AskError::EmptyAnswer,
        AskError::NoLength => AskError::NoLength,
        AskError::Sampling(_) => AskError::Sampling(text("top_p = 3 is above 1")),
        AskError::RemoteScore(_) => AskError::RemoteScore(text("openai:http://box#m")),
        AskError::UnnamedServer(_) => AskError::UnnamedServer(UnnamedServer {
            server: text("http://box:80"),
            reference: text("openai:http://box#m"),
        }),
    }
}

fn of_evaluations() -> Vec<AppError> {
    use artgpt_eval::peft::PlotError;
    use plotters::drawing::DrawingAreaErrorKind;
    use std::os::unix::process::ExitStatusExt;

    let not_json = || serde_json::from_str::<u8>("x").expect_err("is no JSON");
    let status = std::process::ExitStatus::from_raw(256);
    every! {
        EvalError::ReadSplit { .. } => EvalError::ReadSplit { path: "x".into(), source: full() },
        EvalError::Split(_) => EvalError::Split(not_json()),
        EvalError::NoHeldOut => EvalError::NoHeldOut,
        EvalError::ReadComparison { .. } =>
            EvalError::ReadComparison { path: "x".into(), source: full() },
        EvalError::NotAComparison { .. } =>
            EvalError::NotAComparison { path: "x".into(), reason: text("it needs a seed") },
        EvalError::OtherComparison(_) => EvalError::OtherComparison("x".into()),
        EvalError::Io { .. } => EvalError::Io { path: "x".into(), source: full() },
        EvalError::Unusable { .. } =>
            EvalError::Unusable { path: "x".into(), reason: text("cut short") },
        EvalError::RunFailed { .. } => EvalError::RunFailed { name: text("x"), status },
        EvalError::ReadConversations { .. } =>
            EvalError::ReadConversations { path: "x".into(), source: full() },
        EvalError::Talk(PlanError::NoConversation) => EvalError::Talk(PlanError::NoConversation),
        EvalError::Talk(PlanError::NoOther) => EvalError::Talk(PlanError::NoOther),
        EvalError::OtherAnswers { .. } =>
            EvalError::OtherAnswers { path: "x".into(), what: text("the model m") },
        EvalError::NotAnswers { .. } =>
            EvalError::NotAnswers { path: "x".into(), reason: text("it is a FIFO") },
        EvalError::Unidentified { .. } =>
            EvalError::Unidentified { path: "x".into(), reason: text("no weights") },
        EvalError::RemoteModel(_) => EvalError::RemoteModel(text("openai:http://box#m")),
        EvalError::AnswersInUse(_) => EvalError::AnswersInUse("x".into()),
        EvalError::Plot(_) => EvalError::Plot(PlotError::from(DrawingAreaErrorKind::LayoutError)),
    }
}

fn of_configurations() -> Vec<AppError> {
    let (path, line, reason) = (|| "a.toml".into(), Some(3), || text("unknown key"));
    let mut all = every! {
        ConfigFileError::Read { .. } => ConfigFileError::Read { path: path(), source: full() },
        ConfigFileError::Invalid { .. } =>
            ConfigFileError::Invalid { path: path(), line, reason: reason() },
        ConfigFileError::Comparison { .. } =>
            ConfigFileError::Comparison { path: path(), line, reason: reason() },
    };
    all.extend(every! {
        ConfigError::Invalid { .. } =>
            ConfigError::Invalid { file: text("config.toml"), reason: reason() },
        ConfigError::Missing(_) => ConfigError::Missing(text("config.toml")),
    });
    let instead = || "stage.0.lr=1".parse().expect("is an override");
    all.extend(every! {
        OverrideError::NotAPair(_) => OverrideError::NotAPair(text("seed")),
        OverrideError::NotASweep(_) => OverrideError::NotASweep(text("seed")),
        OverrideError::Nowhere(_) => OverrideError::Nowhere(text("stage.9.lr")),
        OverrideError::Config(_) => OverrideError::Config(reason()),
        OverrideError::StageKey { .. } =>
            OverrideError::StageKey { reason: reason(), instead: instead() },
    });
    all
}

fn of_runs() -> Vec<AppError> {
    let (path, reason) = (|| text("runs/01A"), || text("cut short"));
    let mut all = every! {
        ForegroundError::NoConfiguration => ForegroundError::NoConfiguration,
        ForegroundError::NotOurs { .. } =>
            ForegroundError::NotOurs { path: "x".into(), runs: "runs".into() },
        ForegroundError::IsJob(_) => ForegroundError::IsJob(text("01A")),
        ForegroundError::OtherConfiguration { .. } => ForegroundError::OtherConfiguration {
            run: "runs/01A".into(),
            differences: vec![text("seed: 1, 2")],
        },
        ForegroundError::Fixed(_) => ForegroundError::Fixed(vec![text("seed")]),
        ForegroundError::Incomplete { .. } =>
            ForegroundError::Incomplete { model: text("m"), part: "[vision]" },
        ForegroundError::NoMpi => ForegroundError::NoMpi,
        ForegroundError::NotJoined => ForegroundError::NotJoined,
        ForegroundError::NoData => ForegroundError::NoData,
    };
    all.extend(every! {
        RunsError::Missing(_) => RunsError::Missing("x".into()),
        RunsError::Several { .. } =>
            RunsError::Several { name: text("x"), count: 2, such_as: vec!["x/a".into()] },
        RunsError::NoMetrics { .. } => RunsError::NoMetrics { name: text("x"), unread: Vec::new() },
        RunsError::NoConfiguration(_) => RunsError::NoConfiguration(text("x")),
        RunsError::Partial(_) => RunsError::Partial(text("cannot read x: it is cut short")),
        RunsError::NotEmpty(_) => RunsError::NotEmpty("x".into()),
        RunsError::Io { .. } => RunsError::Io { path: "x".into(), source: full() },
        RunsError::Csv { .. } => RunsError::Csv { path: "x".into(), source: full().into() },
    });
    all.extend(every! {
        RunError::Config(_) => RunError::Config(reason()),
        RunError::Io { .. } => RunError::Io { path: path(), source: full() },
        RunError::Busy(_) => RunError::Busy(path()),
        RunError::Checkpoint { .. } => RunError::Checkpoint { path: path(), reason: reason() },
        RunError::OtherBase(_) => RunError::OtherBase(path()),
    });
    all
}

fn of_training() -> Vec<AppError> {
    let mut all = every! {
        TrainError::Diverged { .. } => TrainError::Diverged { step: 3, reason: text("loss NaN") },
        TrainError::Run(_) => TrainError::Run(RunError::Busy(text("x"))),
        TrainError::Data(_) => TrainError::Data(DataError::Config(text("no path"))),
        TrainError::LostPeer => TrainError::LostPeer,
        TrainError::Picture(_) => TrainError::Picture(text("a.png is empty (0 bytes)")),
        TrainError::Model(_) => TrainError::Model(of_a_model()),
        TrainError::Chat(_) => TrainError::Chat(ChatError::Encode(text("x"))),
        TrainError::Tensor(_) => TrainError::Tensor(candle_core::Error::Msg(text("x"))),
    };
    all.extend(every! {
        DataError::Io { .. } => DataError::Io { path: text("x"), source: full() },
        DataError::Format { .. } =>
            DataError::Format { path: text("x"), format: "JSON", reason: text("cut short") },
        DataError::Config(_) => DataError::Config(text("no path")),
        DataError::Foreign { .. } =>
            DataError::Foreign { path: text("x"), is: text("compressed"), hint: "unpack it first" },
        DataError::InlinePictures { .. } => DataError::InlinePictures { limit_mb: 2 },
        DataError::Empty { .. } => DataError::Empty { place: text("x"), why: text(": all bad") },
        DataError::NoConversation { .. } =>
            DataError::NoConversation { place: text("x"), why: text(": all bad") },
    });
    all
}

fn of_jobs() -> Vec<AppError> {
    let mut all = every! {
        SteerError::OtherDataFolder(_) => SteerError::OtherDataFolder("x".into()),
        SteerError::StillStopping(_) => SteerError::StillStopping(text("01A")),
        SteerError::InForeground(_) => SteerError::InForeground(text("01A")),
    };
    all.extend(every! {
        SubmitError::NoInit(_) => SubmitError::NoInit("x".into()),
        SubmitError::OtherPlace(_) => SubmitError::OtherPlace(text("01A")),
        SubmitError::Ended { .. } => SubmitError::Ended { id: text("01A"), state: "failed" },
    });
    all.extend(every! {
        JobError::Unknown(_) => JobError::Unknown(text("01A")),
        JobError::Start { .. } => JobError::Start { what: text("x"), reason: text("not found") },
        JobError::Slurm { .. } => JobError::Slurm { command: text("sbatch"), reason: text("x") },
        JobError::Unsure { .. } => JobError::Unsure { id: text("01A"), reason: text("timed out") },
        JobError::Silent { .. } => JobError::Silent { id: text("01A") },
        JobError::Refused { .. } =>
            JobError::Refused { id: text("01A"), state: "running", hint: "stop it first" },
        JobError::Needed { .. } => JobError::Needed { id: text("01A"), by: text("01B") },
        JobError::Record(_) => JobError::Record(RecordError::Run(RunError::Busy(text("x")))),
        JobError::Run(_) => JobError::Run(RunError::Busy(text("x"))),
    });
    all.extend(every! {
        RecordError::NoRun { .. } => RecordError::NoRun { name: text("x"), runs: text("runs") },
        RecordError::Ambiguous { .. } =>
            RecordError::Ambiguous { name: text("x"), ids: text("01A, 01B") },
        RecordError::Damaged { .. } =>
            RecordError::Damaged { path: text("x"), reason: text("cut short") },
        RecordError::Run(_) => RecordError::Run(RunError::Busy(text("x"))),
    });
    all
}

fn of_pictures() -> Vec<AppError> {
    let (path, reason) = (|| text("a.png"), || text("cut short"));
    every! {
        ArtError::Changed(_) => ArtError::Changed(path()),
        ArtError::Missing(_) => ArtError::Missing(path()),
        ArtError::Directory(_) => ArtError::Directory(path()),
        ArtError::NotAFile(_) => ArtError::NotAFile(path()),
        ArtError::Empty(_) => ArtError::Empty(path()),
        ArtError::FileTooLarge { .. } => ArtError::FileTooLarge { path: path(), bytes: 9, limit: 8 },
        ArtError::TooManyPixels { .. } => ArtError::TooManyPixels {
            path: path(),
            width: 9,
            height: 9,
            megapixels: 1,
            limit: 0,
        },
        ArtError::NotAnImage(_) => ArtError::NotAnImage(path()),
        ArtError::Unsupported { .. } => ArtError::Unsupported { path: path(), reason: reason() },
        ArtError::TooMuchMemory { .. } => ArtError::TooMuchMemory { path: path(), limit: 8 },
        ArtError::Pointer(_) => ArtError::Pointer(path()),
        ArtError::Damaged { .. } => ArtError::Damaged { path: path(), reason: reason() },
        ArtError::Io { .. } => ArtError::Io { path: path(), source: full() },
        ArtError::Museum { .. } => ArtError::Museum { path: path(), reason: reason() },
        ArtError::HeldOut { .. } => ArtError::HeldOut { held_out: 9, all: 8 },
        ArtError::Label { .. } => ArtError::Label { path: path(), reason: reason() },
    }
}

fn of_a_model() -> ModelError {
    let hint = text("convert it");
    ModelError::Unsupported { path: text("m.gguf"), what: text("kind x"), hint }
}

fn pointer() -> Foreign {
    Foreign::LfsPointer { bytes: Some(9) }
}

fn of_models() -> Vec<AppError> {
    let mut all = every! {
        ModelsError::NoDataSet(_) => ModelsError::NoDataSet(text("x")),
        ModelsError::BadTensor { .. } =>
            ModelsError::BadTensor { path: "x".into(), problem: text("missing: a") },
        ModelsError::Damaged { .. } =>
            ModelsError::Damaged { problem: text("x: a is NaN"), installed: None },
        ModelsError::Untrained(_) => ModelsError::Untrained(text("01A")),
        ModelsError::NotFinite { .. } =>
            ModelsError::NotFinite { model: text("m"), installed: Some(text("m")) },
    };
    all.extend(every! {
        ModelError::Io { .. } => ModelError::Io { path: text("x"), source: full() },
        ModelError::Corrupt { .. } =>
            ModelError::Corrupt { path: text("x"), reason: text("cut short") },
        ModelError::Foreign { .. } => ModelError::Foreign { path: text("x"), found: pointer() },
        ModelError::Missing { .. } => ModelError::Missing { path: text("x"), by: text("y") },
        ModelError::Unsupported { .. } => of_a_model(),
        ModelError::Tensor(_) => ModelError::Tensor(candle_core::Error::Msg(text("x"))),
    });
    all.extend(every! {
        FetchError::Source(_) => FetchError::Source(text("ftp:x")),
        FetchError::Io { .. } => FetchError::Io { path: text("x"), source: full() },
        FetchError::NoPip(_) => FetchError::NoPip(text("x==1")),
        FetchError::Pip { .. } => FetchError::Pip { package: text("x==1"), reason: text("x") },
        FetchError::HuggingFace { .. } =>
            FetchError::HuggingFace { file: text("a/b/c"), reason: text("x") },
        FetchError::Offline(_) => FetchError::Offline(text("a/b/c")),
        FetchError::Network(_) => FetchError::Network(NetworkError::Proxy(text("x"))),
        FetchError::Foreign { .. } =>
            FetchError::Foreign { record: text("r"), name: text("../x") },
        FetchError::Member { .. } => FetchError::Member { archive: text("a"), member: text("m") },
        FetchError::Archive { .. } => FetchError::Archive { archive: text("a"), reason: text("x") },
        FetchError::Sha256 { .. } => FetchError::Sha256 {
            file: text("f"),
            expected: text("1"),
            found: text("2"),
            aside: text("f.bad"),
            model: text("m"),
        },
        FetchError::Missing { .. } => FetchError::Missing { file: text("f"), model: text("m") },
        FetchError::Model(_) => FetchError::Model(of_a_model()),
    });
    all
}

fn of_inference() -> Vec<AppError> {
    let remote = |status| {
        let source = Box::new(RemoteError::Status { status, message: text("no") });
        InferenceError::Remote { url: text("http://box/v1"), source }
    };
    let image = || {
        let kind = image::error::ParameterErrorKind::DimensionMismatch;
        image::ImageError::Parameter(image::error::ParameterError::from_kind(kind))
    };
    let mut all = every! {
        InferenceError::Model(_) => InferenceError::Model(of_a_model()),
        InferenceError::Chat(_) => InferenceError::Chat(ChatError::Template(text("x"))),
        InferenceError::Fetch(_) => FetchError::NoPip(text("x")).into(),
        InferenceError::NoVision(_) => InferenceError::NoVision(text("m")),
        InferenceError::Incomplete { .. } =>
            InferenceError::Incomplete { model: text("m"), part: "language" },
        InferenceError::Sampling(_) => InferenceError::Sampling(text("top_p = 3 is above 1")),
        InferenceError::Remote { .. } => remote(401),
        InferenceError::Image(_) => InferenceError::Image(image()),
        InferenceError::EmptyAnswer => InferenceError::EmptyAnswer,
        InferenceError::NotFinite(_) => InferenceError::NotFinite(text("m")),
        InferenceError::Tensor(_) => InferenceError::Tensor(candle_core::Error::Msg(text("x"))),
    };
    all.push(remote(404).into());
    all.extend(every! {
        ChatError::Tokenizer { .. } => ChatError::Tokenizer {
            path: text("x"),
            reason: text("cut short"),
            hint: "copy it again",
        },
        ChatError::Foreign { .. } => ChatError::Foreign { path: text("x"), found: pointer() },
        ChatError::Template(_) => ChatError::Template(text("x")),
        ChatError::Encode(_) => ChatError::Encode(text("x")),
        ChatError::Markers { .. } => ChatError::Markers { markers: 1, images: 2 },
        ChatError::TooLong { .. } => ChatError::TooLong { tokens: 9, context: 8 },
    });
    all
}

fn of_sessions() -> Vec<AppError> {
    every! {
        StoreError::Locked(_) => StoreError::Locked(text("x")),
        StoreError::NoLocks { .. } => StoreError::NoLocks { path: text("x"), source: full() },
        StoreError::Copy { .. } => StoreError::Copy { path: text("x"), source: full().into() },
        StoreError::NotErased { .. } =>
            StoreError::NotErased { path: text("x"), source: full().into() },
        StoreError::Full(_) => StoreError::Full(text("01A")),
        StoreError::Newer { .. } => StoreError::Newer { path: text("x"), found: 9, known: 1 },
        StoreError::Io { .. } => StoreError::Io { path: text("x"), source: full().into() },
        StoreError::Unknown(_) => StoreError::Unknown(text("01A")),
        StoreError::Ambiguous(_) => StoreError::Ambiguous(text("01A")),
        StoreError::Import { .. } =>
            StoreError::Import { path: text("x"), reason: text("its id is no ULID") },
        StoreError::Unsaved(_) => StoreError::Unsaved(vec![Unsaved {
            item: UnsavedItem::Removal(text("01A")),
            reason: text("no space left"),
        }]),
    }
}

#[test]
fn a_message_says_what_failed_and_its_hint_what_to_do() {
    let all = [
        of_questions(),
        of_evaluations(),
        of_configurations(),
        of_runs(),
        of_training(),
        of_jobs(),
        of_pictures(),
        of_models(),
        of_inference(),
        of_sessions(),
        vec![
            AppError::Interrupted,
            AppError::WorkingFolder(full()),
            AppError::NotInstalled(text("m")),
            AppError::Tensor(candle_core::Error::Msg(text("x"))),
        ],
    ];
    let all: Vec<AppError> = all.into_iter().flatten().collect();
    for error in &all {
        let message = error.to_string();
        let shown = explain(error);
        assert!(!message.is_empty() && !message.ends_with([';', ' ']), "{message:?}");
        let Some(hint) = hint(error) else {
            assert_eq!(shown, message);
            continue;
        };
        assert!(!message.contains(&hint), "{message:?} ends in its hint");
        assert_eq!(shown, format!("{message}; {hint}"));
        // Words of advice have no place in a message.
        for advice in [" so ", "; use ", "; run ", "; check ", "; see ", "; try ", "; name "] {
            assert!(!message.contains(advice), "{message:?} gives advice");
        }
        let half = hint.split([',', ';']).next().unwrap_or_default();
        assert!(!message.contains(half), "{message:?} repeats {half:?}");
    }
    assert!(all.len() > 80, "{}", all.len());
}

#[test]
fn semicolons_of_a_message_are_its_own() {
    let error = AppError::from(StoreError::Unknown("01A".into()));
    assert_eq!(explain(&error), "there is no session 01A; `artgpt-tui sessions list` shows them");
    let error = AppError::from(AskError::Sampling("top_p; or so".into()));
    assert_eq!(error.to_string(), "top_p; or so");
}
