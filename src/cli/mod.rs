//! The command line: one file per subcommand. Results go to stdout, all else to stderr.

mod args;
mod ask;
mod data;
#[cfg(test)]
mod docs;
mod eval;
mod failure;
mod input;
mod invocation;
mod jobs;
mod models;
mod observer;
mod runs;
mod score;
mod sessions;
mod steering;
mod train;
mod tui;
mod words;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

pub use failure::Failure;

use args::{Args, Command};
use artgpt_app::App;
use artgpt_app::settings::{Paths, Settings};
use artgpt_base::output;
use artgpt_kernels::process::{self, SetUpError, Workload};
use observer::Printer;

/// What a command runs with.
#[derive(Clone)]
pub struct Context {
    /// The application layer.
    pub app: App,
    /// Whether results are printed as JSON.
    pub json: bool,
    /// How often `-v` was given.
    pub verbose: u8,
}

/// Parses the command line and runs it.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => return usage_error(&e),
    };
    // Before anything starts a thread; parsing the arguments starts none.
    let own_variables = process::set_up(match args.command {
        Some(Command::Train(_)) => Workload::Training,
        _ => Workload::Chat,
    });
    let json = args.common.json;
    // A library that panics on a file must not answer with another exit code than ours.
    let code = match std::panic::catch_unwind(|| run(args, own_variables)) {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => failure.report(json),
        Err(_) => Failure::new("internal", "internal error", "please report it").report(json),
    };
    finish(code)
}

/// A command whose results did not reach stdout has failed.
fn finish(code: ExitCode) -> ExitCode {
    match Failure::of_output() {
        Some(failure) if code == ExitCode::SUCCESS => failure.report(false),
        _ => code,
    }
}

fn run(
    args: Args,
    own_variables: Result<Vec<&'static str>, SetUpError>,
) -> Result<ExitCode, Failure> {
    let named = args.common.config.is_some();
    let paths = Paths::new(args.common.data_dir, args.common.config).ok_or_else(|| {
        Failure::usage("no home directory is known", "set HOME, or give --data-dir and --config")
    })?;
    // Whoever asks for `auto` is told what was chosen.
    let asked_auto = args.common.device.as_deref() == Some("auto");
    let mut settings = Settings::load(&paths.config_file, named)?;
    if let Some(device) = args.common.device {
        settings.device = device;
    }
    let (json, verbose) = (args.common.json, args.common.verbose);
    paths.make_private();
    artgpt_app::log::start(&paths.logs(), settings.log.with_verbosity(verbose));
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        command = invocation::invocation(words),
        "started"
    );
    let own_variables = own_variables.unwrap_or_else(|e| {
        tracing::warn!("thread counts are not set: {e}");
        Vec::new()
    });
    let observer = Arc::new(Printer::new(json, verbose > 0 || asked_auto));
    let app = App { settings, paths, own_variables, observer };
    dispatch(Context { app, json, verbose }, args.command, args.tui)
}

fn dispatch(
    context: Context,
    command: Option<Command>,
    before: args::TuiArgs,
) -> Result<ExitCode, Failure> {
    if command.is_some() && before != args::TuiArgs::default() {
        return Err(Failure::usage(
            "an option of the terminal interface stands before a command",
            "write the command first, and its options after it",
        ));
    }
    match command {
        Some(Command::Models(command)) => models::run(&context, command),
        Some(Command::Watch(command)) => runs::watch(&context, command),
        Some(Command::Runs(command)) => runs::run(&context, command),
        Some(Command::Jobs(command)) => jobs::run(&context, command),
        Some(Command::Train(command)) => train::run(&context, command),
        Some(Command::Data(command)) => data::run(&context, command),
        Some(Command::Ask(command)) => ask::run(&context, *command),
        Some(Command::Score(command)) => score::run(&context, command),
        Some(Command::Sessions(command)) => sessions::run(&context, command),
        Some(Command::Eval(command)) => eval::run(&context, command),
        Some(Command::Tui(command)) => tui::run(context, command),
        None => tui::without_command(context, before),
    }
}

/// clap prints help and its own errors; with `--json` an error becomes an object.
fn usage_error(e: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|a| a == "--json");
    if json && e.use_stderr() {
        let text = e.to_string();
        // The first paragraph; what follows is usage.
        let first = text.split("\n\n").next().unwrap_or_default();
        let words: Vec<&str> = first.trim_start_matches("error: ").split_whitespace().collect();
        return Failure::usage(words.join(" "), "see --help").report(true);
    }
    if e.use_stderr() {
        let plain = e.render().to_string();
        output::note(plain.trim_end());
        return ExitCode::from(2);
    }
    output::write(e.render());
    finish(ExitCode::SUCCESS)
}
