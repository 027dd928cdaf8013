//! `train CONFIG.toml [--resume RUN] [--set key=value]...`

use std::path::Path;
use std::process::ExitCode;

use candle_core::Device;

use super::args::TrainArgs;
use super::input::{cancel_on_signal, data_folder, ready};
use super::overrides::with_overrides;
use super::{Context, Failure, out};
use artgpt_app::settings::Paths;
use artgpt_art::{Paintings, Split};
use artgpt_chat::{Template, Tokenizer};
use artgpt_jobs::Job;
use artgpt_kernels::mode::Differentiable;
use artgpt_manifest::Manifest;
use artgpt_model::artgpt::{load_trainable, load_vision};
use artgpt_model::bridge::Bridge;
use artgpt_model::checkpoint::{LanguageFile, copy_trained};
use artgpt_model::device;
use artgpt_model::manifest::Model;
use artgpt_model::source::bridge_source;
use artgpt_rundir::DataConfig;
use artgpt_rundir::job::named;
use artgpt_rundir::{Metrics, RunDir, RunState, TrainConfig, run_id};
use artgpt_train::outcome;
use artgpt_train::{
    Alone, CaptionTask, MuseumTask, Network, Outcome, Params, Peers, Task, TrainError, Trainer,
    open_feed,
};

pub fn run(context: &Context, args: TrainArgs) -> Result<ExitCode, Failure> {
    if args.own_session {
        // One that leads a group already (a shell's job) stays; it has no session to leave.
        let _ = rustix::process::setsid();
    }
    let stop = cancel_on_signal()?;
    let stopped = || stop.is_cancelled();
    // One process with no device must not leave the others waiting: it joins them first.
    let device = device::open(&context.settings.device);
    let peers = join(&stopped, device.as_ref().ok())?;
    let device = device.map_err(Failure::from);
    match device.and_then(|device| train(context, args, &device, peers.as_ref(), &stopped)) {
        Err(failure) if peers.size() > 1 => {
            failure.report(context.json);
            // MPI's own end would wait for the others, and they for this one.
            std::process::exit(failure.code.into())
        }
        ended => ended,
    }
}

fn train(
    context: &Context,
    args: TrainArgs,
    device: &Device,
    peers: &dyn Peers,
    stopped: &dyn Fn() -> bool,
) -> Result<ExitCode, Failure> {
    let runs = context.paths.runs();
    let given = match &args.config_file {
        Some(path) => Some(read_config(path, &args.set)?),
        None => None,
    };
    let (config, resumed) = match (&args.resume, given) {
        (Some(run), given) => {
            let path = named(&runs, run)?;
            if !path.join("config.toml").is_file() {
                return Err(Failure::usage(
                    format!("{} is no training run of ours", path.display()),
                    format!("runs are kept in {}", runs.display()),
                ));
            }
            let id = run_id(&path);
            if !args.own_session && Job::read(&path)?.is_some() {
                return Err(Failure::usage(
                    format!("{id} is a job"),
                    format!("go on with it by `artgpt-tui jobs resume {id}`"),
                ));
            }
            let run = match peers.rank() {
                0 => RunDir::open(&path)?,
                _ => RunDir::follow(&path)?,
            };
            let kept = run.config()?;
            let config = match given {
                Some(given) => same(given, &kept, &run.path)?,
                None => resumable(with_overrides(kept.clone(), &args.set)?, &kept)?,
            };
            (config, Some(run))
        }
        (None, Some(config)) => (config, None),
        (None, None) => {
            return Err(Failure::usage("no configuration is named", "see train --help"));
        }
    };
    let (total, mut run) = (config.total_steps(), resumed);
    let stem = args.config_file.as_deref().and_then(Path::file_stem);
    let stem = stem.map(|stem| stem.to_string_lossy().into_owned());
    let name = args.name.filter(|name| !name.trim().is_empty()).or(stem).unwrap_or_default();
    let ended = go_on(context, config, &mut run, name.trim(), device, peers, stopped);
    // Whatever it failed of is told there, too.
    if let (Err(failure), Some(run)) = (&ended, &run) {
        let step = run.status().map_or(0, |status| status.step);
        let _ = run.set_status(RunState::Failed, step, total, Some(failure.to_string()));
    }
    ended
}

/// Trains to the end, or as far as it may; a new run, of this name, where none is given.
fn go_on(
    context: &Context,
    config: TrainConfig,
    known: &mut Option<RunDir>,
    name: &str,
    device: &Device,
    peers: &dyn Peers,
    stopped: &dyn Fn() -> bool,
) -> Result<ExitCode, Failure> {
    config.check()?;
    // Told before a model is loaded.
    let feed = open_feed(&config)?;
    let model = ready(context, &config.model)?;
    let base = model.base_hash()?;
    let paintings = match &config.data {
        DataConfig::Museum(name) => Some(Paintings::open(&data_folder(context, name)?)?),
        DataConfig::Pairs(_) => None,
    };
    if let (None, Some(paintings)) = (&known, &paintings) {
        // Nor is a run left that could not begin.
        paintings.split(config.split_drawn_by(), config.held_out)?;
    }
    let run = match known {
        Some(run) => {
            run.check_base(&base)?;
            if !run.follows() {
                run.set_config(&config)?;
            }
            run
        }
        None => {
            let runs = context.paths.runs();
            let id = common_id(peers)?;
            let own = match peers.rank() {
                0 => Some(RunDir::create(&runs, &id, &config)?),
                _ => None,
            };
            if let Some(run) = &own {
                run.set_name(name)?;
            }
            peers.total(0.0)?; // the folder is there
            known.insert(match own {
                Some(run) => run,
                None => RunDir::follow(&runs.join(&id))?,
            })
        }
    };
    // A resumed run keeps its split, whatever has changed since.
    let split = match (run.has_begun(), &paintings) {
        (true, _) => run.split()?,
        (false, Some(paintings)) => paintings.split(config.split_drawn_by(), config.held_out)?,
        (false, None) => Split { seed: config.seed, train: Vec::new(), held_out: Vec::new() },
    };
    peers.total(0.0)?; // all have looked
    if !run.follows() {
        artgpt_rundir::job::begun(&run.path);
    }
    if !run.has_begun() && !run.follows() {
        run.begin(&split, &base)?;
    }
    let first = peers.rank() == 0;
    if first {
        eprintln!("run {}", run.path.display());
        eprintln!("loading {}", model.manifest.name);
    }
    if peers.size() > 1 {
        run.note(&format!("{} processes train together", peers.size()));
    }

    let total = config.total_steps();
    run.set_phase(total, &format!("loading {}", model.manifest.name));
    let parts = Parts::load(&model, &config, device)?;
    // Nothing is lost by an end before the first step.
    if peers.any(stopped())? {
        let step = run.status().map_or(0, |status| status.step);
        run.set_status(RunState::Stopped, step, total, Some("asked to stop".into()))?;
        return after_stop(context, run);
    }
    let network = parts.network(&config, device);
    let task: Box<dyn Task> = match (&paintings, feed) {
        (Some(paintings), _) => {
            let cache = config.cache_mb << 20;
            Box::new(MuseumTask::new(network, paintings, split, config.view_pool, cache)?)
        }
        (None, Some(feed)) => Box::new(CaptionTask::new(network, &config, feed)?),
        (None, None) => return Err(Failure::new("training", "there is nothing to learn from")),
    };
    let trainer = Trainer {
        threads: artgpt_train::thread_pool(&config)?,
        params: parts.params.clone(),
        task: task.as_ref(),
        peers,
        config: config.clone(),
    };
    let json = context.json;
    let ended = trainer.run(run, stopped, |m| {
        if first {
            show(m, total, json);
        }
    });
    match ended {
        Ok(Outcome::Finished) if !first => Ok(ExitCode::SUCCESS),
        Ok(Outcome::Finished) => {
            let weights = run.path.join(outcome::WEIGHTS);
            let manifest = outcome::manifest(&model, &config, &run_id(&run.path));
            outcome::leave(&run.path, &manifest, &config, &config.model)?;
            eprintln!("talk to it: artgpt-tui --model {}", run.path.display());
            match context.json {
                true => {
                    out::line(serde_json::json!({"run": run_id(&run.path), "weights": weights}))
                }
                false => out::line(weights.display()),
            }
            Ok(ExitCode::SUCCESS)
        }
        Ok(Outcome::Stopped) => after_stop(context, run),
        Err(e) => Err(e.into()),
    }
}

/// Says how a run that was stopped goes on.
fn after_stop(context: &Context, run: &RunDir) -> Result<ExitCode, Failure> {
    let usual = Paths::new(None, None).is_some_and(|p| p.data == context.paths.data);
    let home = match usual {
        true => String::new(),
        false => format!("--data-dir {} ", context.paths.data.display()),
    };
    let id = run_id(&run.path);
    let how = if Job::read(&run.path)?.is_some() { "jobs resume" } else { "train --resume" };
    eprintln!("stopped; go on with: artgpt-tui {home}{how} {id}");
    Ok(ExitCode::from(130))
}

/// The other processes of this run, where `mpirun` started some.
#[cfg(feature = "mpi")]
fn join<'a>(
    stop: &'a dyn Fn() -> bool,
    device: Option<&Device>,
) -> Result<Box<dyn Peers + 'a>, Failure> {
    let Some(peers) = artgpt_train::MpiPeers::join(stop) else {
        return match started_together() {
            true => Err(Failure::usage(
                "srun started several processes that do not know of each other",
                "say how they meet: `mpi = \"pmix\"` in [slurm], or another of `srun --mpi=list`",
            )),
            false => Ok(Box::new(Alone)),
        };
    };
    #[cfg(feature = "nccl")]
    {
        // All of them go the same way, or they wait for each other for ever.
        let has = matches!(device, Some(Device::Cuda(_)));
        let all = peers.total(f64::from(u8::from(has)))? as usize == peers.size();
        if let Some(Device::Cuda(gpu)) = device
            && all
            && peers.size() > 1
        {
            return Ok(Box::new(artgpt_train::NcclPeers::join(peers, gpu)?));
        }
    }
    let _ = device;
    Ok(Box::new(peers))
}

/// Without MPI several processes would each train a run of their own.
#[cfg(not(feature = "mpi"))]
fn join(_: &dyn Fn() -> bool, _: Option<&Device>) -> Result<Box<dyn Peers>, Failure> {
    match started_together() {
        true => Err(Failure::usage(
            "this program was built without MPI",
            "build it with `--features mpi`, or start it without mpirun",
        )),
        false => Ok(Box::new(Alone)),
    }
}

/// Whether `mpirun` or `srun` started more than this process.
fn started_together() -> bool {
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"].iter().any(|name| {
        std::env::var(name).is_ok_and(|size| size.parse::<usize>().is_ok_and(|n| n > 1))
    })
}

/// A new run's id, the same in all its processes.
fn common_id(peers: &dyn Peers) -> Result<String, Failure> {
    let id = u128::from(ulid::Ulid::generate());
    // A number that f64 holds exactly is shared at a time.
    let mut shared = 0u128;
    for shift in [0, 32, 64, 96] {
        let part = peers.first(((id >> shift) & 0xffff_ffff) as usize)?;
        shared |= (part as u128) << shift;
    }
    Ok(ulid::Ulid::from(shared).to_string())
}

/// A run's configuration.
pub fn read_config(path: &Path, set: &[String]) -> Result<TrainConfig, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Failure::usage(
            format!("cannot read {}: {e}", path.display()),
            "name a training configuration, such as examples/train/artgpt-smol.toml",
        )
    })?;
    let config: TrainConfig = toml::from_str(&text).map_err(|e| {
        let line = e.span().and_then(|at| Some(text.get(..at.start)?.matches('\n').count() + 1));
        let place = line.map_or(String::new(), |line| format!(", line {line}"));
        let failure = Failure::from(TrainError::Config(format!(
            "{}{place}: {}",
            path.display(),
            e.message()
        )));
        // A comparison of methods holds a run's configuration as a table.
        let compares = text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("train"));
        match compares {
            true => Failure {
                hint: "this looks like a comparison, which `artgpt-tui eval peft` runs".into(),
                ..failure
            },
            false => failure,
        }
    })?;
    rooted(with_overrides(config, set)?)
}

/// With paths that hold in any working folder.
pub fn rooted(config: TrainConfig) -> Result<TrainConfig, Failure> {
    let here = std::env::current_dir()
        .map_err(|e| Failure::new("training", format!("the working folder is gone: {e}")))?;
    let data = config.data.absolute(&here);
    Ok(TrainConfig { data, init: config.init.map(|init| here.join(init)), ..config })
}

/// A resumed run goes on by its own configuration; another one is refused.
fn same(given: TrainConfig, kept: &TrainConfig, run: &Path) -> Result<TrainConfig, Failure> {
    let other = differing(&given, kept)?;
    match other.is_empty() {
        true => Ok(given),
        false => Err(Failure::usage(
            format!("{} has another configuration: {}", run.display(), other.join(", ")),
            "leave the configuration out to go on as it began, or start a new run",
        )),
    }
}

/// What a resumed run may not change: its checkpoints would mean something else.
const FIXED: &[&str] = &[
    "model",
    "data",
    "init",
    "seed",
    "split_seed",
    "held_out",
    "method",
    "train_norms",
    "bridge",
    "ema",
];

fn resumable(new: TrainConfig, kept: &TrainConfig) -> Result<TrainConfig, Failure> {
    let mut changed = differing(&new, kept)?;
    changed.retain(|key| FIXED.iter().any(|fixed| key.split([' ', '.']).next() == Some(fixed)));
    match changed.is_empty() {
        true => Ok(new),
        false => Err(Failure::usage(
            format!("a run cannot be resumed with another {}", changed.join(", ")),
            "start a new run for that",
        )),
    }
}

/// Keys whose values differ, with both.
fn differing(new: &TrainConfig, kept: &TrainConfig) -> Result<Vec<String>, Failure> {
    let value = |config: &TrainConfig| {
        toml::Value::try_from(config).map_err(|e| Failure::from(TrainError::Config(e.to_string())))
    };
    let (new, kept) = (value(new)?, value(kept)?);
    let mut out = Vec::new();
    compare("", Some(&new), Some(&kept), &mut out);
    Ok(out)
}

fn compare(
    key: &str,
    new: Option<&toml::Value>,
    kept: Option<&toml::Value>,
    out: &mut Vec<String>,
) {
    use toml::Value::{Array, Table};
    let below =
        |part: &str| if key.is_empty() { part.to_string() } else { format!("{key}.{part}") };
    match (new, kept) {
        (Some(Table(new)), Some(Table(kept))) => {
            let keys: std::collections::BTreeSet<&String> = new.keys().chain(kept.keys()).collect();
            for part in keys {
                compare(&below(part), new.get(part), kept.get(part), out);
            }
        }
        (Some(Array(new)), Some(Array(kept))) if new.iter().chain(kept).all(|v| v.is_table()) => {
            for i in 0..new.len().max(kept.len()) {
                compare(&below(&i.to_string()), new.get(i), kept.get(i), out);
            }
        }
        (new, kept) if new == kept => {}
        (new, kept) => {
            let show = |v: Option<&toml::Value>| v.map_or("none".into(), ToString::to_string);
            out.push(format!("{key} ({} instead of {})", show(new), show(kept)));
        }
    }
}

/// What a trainer borrows.
struct Parts {
    vision: Box<dyn artgpt_model::vision::VisionEncoder>,
    bridge: Bridge,
    language: artgpt_model::llama::Llama<Differentiable>,
    params: Params,
    tokenizer: Tokenizer,
    template: Template,
}

impl Parts {
    fn load(model: &Model, config: &TrainConfig, device: &Device) -> Result<Self, Failure> {
        let lacks = |what: &str| {
            Failure::new("training", format!("{} has no {what}; name another model", config.model))
        };
        let manifest: &Manifest = &model.manifest;
        let qformer = manifest.qformer.as_ref().ok_or_else(|| lacks("[qformer]"))?;
        let path = model.language_path().ok_or_else(|| lacks("[language]"))?;
        let mut file = LanguageFile::open(&path)?;
        let chosen = config.clone();
        let params = Params::new(config.seed, device).training(move |name| chosen.trains(name));
        let (method, norms) = (&config.method, config.opens_norms());
        copy_trained(file.weights(), method, norms, |name, t| params.set(name, t), device)?;
        let (weights, precision) = (params.builder(), artgpt_train::precision(config));
        let language =
            load_trainable(&mut file, weights, method.clone(), precision, device, |_, _| {})?;
        let tokenizer = Tokenizer::of(model, &mut file)?;
        let bridge = Bridge::load(&qformer.config, language.config.hidden_size, params.builder())?;
        // What is frozen is the base model's; a base without weights of its own leaves new ones.
        if let Ok(base) = bridge_source(model, qformer) {
            params.freeze_from(&base.tensors, |name| (base.rename)(name))?;
        }
        config.check_trains(&params.trainable())?;
        let vision = load_vision(model, device)?.ok_or_else(|| lacks("[vision]"))?;
        let template = Template::of(manifest, &tokenizer)?;
        Ok(Self { vision, bridge, language, params, tokenizer, template })
    }

    fn network(&self, config: &TrainConfig, device: &Device) -> Network<'_> {
        Network {
            vision: self.vision.as_ref(),
            bridge: &self.bridge,
            language: &self.language,
            tokenizer: &self.tokenizer,
            template: self.template,
            device: device.clone(),
            seed: config.seed,
        }
    }
}

fn show(m: &Metrics, total: usize, json: bool) {
    if json {
        if let Ok(line) = serde_json::to_string(m) {
            out::line(line);
        }
    } else if m.split != "train" || m.step.is_multiple_of(10) || m.step == 1 {
        let accuracy = m.accuracy.map_or(String::new(), |a| format!(" accuracy {:.1}%", a * 100.0));
        eprintln!(
            "{:>6}/{total} {:<6} {:<8} loss {:.4}{accuracy} lr {:.2e} grad norm {:.2} {:.1} tokens/s {:.0} s, {:.0} s left",
            m.step,
            m.stage,
            m.split,
            m.loss,
            m.lr,
            m.grad_norm,
            m.tokens_per_second,
            m.elapsed_s,
            m.elapsed_s / m.step as f64 * (total - m.step.min(total)) as f64
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_tells_what_differs_and_may_change_only_the_pace() {
        let text = "model = \"m\"\ndata = \"d\"\n[[stage]]\nkind = \"align\"\nsteps = 1\nbatch = 1\nlr = 0.1\n";
        let kept: TrainConfig = toml::from_str(text).expect("parses");
        let with = |set: &str| with_overrides(kept.clone(), &[set.to_string()]).expect("sets");
        let run = Path::new("runs/R");
        let refused = same(with("stage.0.lr=0.2"), &kept, run).expect_err("is refused");
        assert!(refused.message.contains("stage.0.lr (0.2 instead of 0.1)"), "{}", refused.message);
        assert!(same(kept.clone(), &kept, run).is_ok());
        assert!(resumable(with("stage.0.lr=0.2"), &kept).is_ok());
        let refused =
            resumable(with("method={kind=\"lora\", rank=2}"), &kept).expect_err("is refused");
        assert!(refused.message.contains("method.kind"), "{}", refused.message);
    }
}
