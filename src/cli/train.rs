//! `train CONFIG.toml [--resume RUN] [--set key=value]...`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use candle_core::Device;

use super::args::TrainArgs;
use super::input::{cancel_on_signal, data_folder, ready};
use super::{Context, Failure, out};
use crate::art::{Paintings, Split};
use crate::chat::{Template, Tokenizer};
use crate::config::Paths;
use crate::device;
use crate::model::artgpt::{load_trainable, load_vision};
use crate::model::bridge::Bridge;
use crate::model::checkpoint::{LanguageFile, copy_trained};
use crate::model::manifest::{Manifest, Model};
use crate::model::mode::Differentiable;
use crate::model::source::bridge_source;
use crate::training::outcome;
use crate::training::{
    Metrics, Outcome, Params, RunDir, RunState, TrainConfig, TrainError, Trainer, ViewPool,
};

pub fn run(context: &Context, args: TrainArgs) -> Result<ExitCode, Failure> {
    let device = device::open(&context.settings.device)?;
    let runs = context.paths.runs();
    let (config, resumed) = match &args.resume {
        Some(run) => {
            let path = find_run(&runs, run)?;
            let run = RunDir::open(&path)?;
            (with_overrides(run.config()?, &args.set)?, Some(run))
        }
        None => {
            let path = args.config_file.unwrap_or_default();
            let text = std::fs::read_to_string(&path).map_err(|e| {
                Failure::usage(
                    format!("cannot read {}: {e}", path.display()),
                    "name a training configuration, such as examples/train/artgpt-smol.toml",
                )
            })?;
            let config: TrainConfig = toml::from_str(&text)
                .map_err(|e| TrainError::Config(format!("{}: {}", path.display(), e.message())))?;
            (with_overrides(config, &args.set)?, None)
        }
    };
    config.check()?;
    let model = ready(context, &config.model)?;
    let folder = data_folder(context, &config.data)?;
    let paintings = Paintings::open(&folder)?;
    // A resumed run keeps its split, whatever has changed since.
    let split = match &resumed {
        Some(run) => run.split()?,
        None => paintings.split(config.split_seed.unwrap_or(config.seed), config.held_out)?,
    };
    let mut run = match resumed {
        Some(run) => {
            run.set_config(&config)?;
            run
        }
        None => {
            let id = ulid::Ulid::generate().to_string();
            RunDir::create(&runs, &id, &config, &split)?
        }
    };
    eprintln!("run {}", run.path.display());
    eprintln!("loading {}", model.manifest.name);

    let trainer_parts = Parts::load(&model, &config, &device)?;
    let trainer = trainer_parts.trainer(config.clone(), &paintings, split, &device)?;
    let stop = cancel_on_signal()?;
    let total = config.total_steps();
    let json = context.json;
    let ended = trainer.run(&mut run, &|| stop.is_cancelled(), |m| show(m, total, json));
    match ended {
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
        Ok(Outcome::Stopped) => {
            let usual = Paths::new(None, None).is_some_and(|p| p.data == context.paths.data);
            let home = match usual {
                true => String::new(),
                false => format!("--data-dir {} ", context.paths.data.display()),
            };
            let id = run_id(&run.path);
            eprintln!("stopped; go on with: artgpt-tui {home}train --resume {id}");
            Ok(ExitCode::from(130))
        }
        Err(e) => {
            // The reason goes into status.json too; a second failure there changes nothing.
            let step = run.status().map_or(0, |s| s.step);
            let _ = run.set_status(RunState::Failed, step, total, Some(e.to_string()));
            Err(e.into())
        }
    }
}

/// What a trainer borrows.
struct Parts {
    vision: Box<dyn crate::model::vision::VisionEncoder>,
    bridge: Bridge,
    language: crate::model::llama::Llama<Differentiable>,
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
        let (weights, precision) = (params.builder(), config.precision);
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

    fn trainer<'a>(
        &'a self,
        config: TrainConfig,
        paintings: &'a Paintings,
        split: Split,
        device: &Device,
    ) -> Result<Trainer<'a>, Failure> {
        Ok(Trainer {
            threads: config.thread_pool()?,
            views: ViewPool::new(config.view_pool),
            config,
            vision: self.vision.as_ref(),
            bridge: &self.bridge,
            language: &self.language,
            params: self.params.clone(),
            tokenizer: &self.tokenizer,
            template: self.template,
            paintings,
            split,
            device: device.clone(),
        })
    }
}

fn find_run(runs: &Path, run: &str) -> Result<PathBuf, Failure> {
    [PathBuf::from(run), runs.join(run)]
        .into_iter()
        .find(|p| p.join("config.toml").is_file())
        .ok_or_else(|| {
            Failure::usage(
                format!("there is no run {}", crate::text::printable(run)),
                format!("runs are kept in {}", runs.display()),
            )
        })
}

fn run_id(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Applies `--set a.b=c` on the TOML form of the configuration.
fn with_overrides(config: TrainConfig, set: &[String]) -> Result<TrainConfig, Failure> {
    let wrong = |e: &dyn std::fmt::Display| Failure::from(TrainError::Config(e.to_string()));
    let mut value = toml::Value::try_from(&config).map_err(|e| wrong(&e))?;
    for pair in set {
        let bad = || Failure::usage(format!("--set {pair} is not KEY=VALUE"), "try --set seed=3");
        let (key, text) = pair.split_once('=').ok_or_else(bad)?;
        // A bare word is a string.
        let parsed = format!("v = {text}").parse::<toml::Table>().ok();
        let new = parsed
            .and_then(|t| t.get("v").cloned())
            .unwrap_or_else(|| toml::Value::String(text.to_string()));
        let mut place = &mut value;
        for part in key.split('.') {
            place = match place {
                toml::Value::Array(items) => {
                    part.parse::<usize>().ok().and_then(|i| items.get_mut(i)).ok_or_else(bad)?
                }
                toml::Value::Table(table) => {
                    table.entry(part).or_insert(toml::Value::Boolean(false))
                }
                _ => return Err(bad()),
            };
        }
        *place = new;
    }
    value.try_into().map_err(|e: toml::de::Error| wrong(&e.message()))
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
    fn overrides_reach_into_stages() {
        let text = "model = \"m\"\ndata = \"d\"\n[[stage]]\nkind = \"align\"\nsteps = 1\nbatch = 1\nlr = 0.1\n";
        let config: TrainConfig = toml::from_str(text).expect("parses");
        let set = ["seed=3", "stage.0.lr=0.5", "data=other"].map(String::from);
        let new = with_overrides(config.clone(), &set).expect("sets");
        assert_eq!((new.seed, new.stage[0].lr, new.data.as_str()), (3, 0.5, "other"));
        assert!(with_overrides(config.clone(), &["sead=3".into()]).is_err());
        assert!(with_overrides(config, &["stage.9.lr=1.0".into()]).is_err());
    }
}
