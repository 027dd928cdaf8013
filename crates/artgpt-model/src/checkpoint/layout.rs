//! Folders without a manifest: derives one from their files.

use std::path::{Path, PathBuf};

use super::hf::HfConfig;
use super::tensors::Tensors;
use crate::manifest::{
    AdaptersPart, LanguageKind, LanguagePart, PathPart, PeftMethod, PromptPart, QFormerPart,
    VisionKind, VisionPart,
};
use crate::qformer::QFormerConfig;
use crate::vision::vit::VitConfig;
use crate::{Error, Result};
use artgpt_base::files::read_text;
use artgpt_manifest::Manifest;

const MAX_CONFIG: u64 = 16 << 20;

/// The reference's LLaMA block keeps this many heads' worth of width in ViT-g.
const VIT_HEAD_WIDTH: usize = 88;
/// Blocks that the reference keeps of ViT-g's 40.
const VIT_BLOCKS: usize = 39;
/// Heads of BERT-base, whatever the width.
const QFORMER_HEADS: usize = 12;

/// Derives a folder's manifest. `None` if the folder has no known layout.
pub(crate) fn recognise(dir: &Path) -> Result<Option<Manifest>> {
    let mut manifest = named(dir);
    if let Some(parts) = Originals::find(dir)? {
        parts.fill(dir, &mut manifest)?;
        return Ok(Some(manifest));
    }
    if dir.join("config.json").is_file() {
        hugging_face(dir, &mut manifest)?;
        return Ok(Some(manifest));
    }
    match first_file(dir, |n| n.ends_with(".gguf"))? {
        Some(path) => {
            manifest.language = Some(language(dir, &path));
            Ok(Some(manifest))
        }
        None => Ok(None),
    }
}

/// The manifest of a single GGUF file.
pub(crate) fn of_gguf(path: &Path) -> Manifest {
    let dir = path.parent().unwrap_or(Path::new(""));
    let mut manifest = named(&super::gguf::model_name(path));
    manifest.language = Some(language(dir, path));
    manifest
}

/// A manifest with the name of a file or folder.
fn named(path: &Path) -> Manifest {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    let name = match name.trim_start_matches('.') {
        "" => "model",
        name => name,
    };
    Manifest { name: name.into(), ..Manifest::default() }
}

fn hugging_face(dir: &Path, manifest: &mut Manifest) -> Result<()> {
    let config = HfConfig::open(dir)?;
    let here = || ".".to_string();
    if config.vision_config.is_some() {
        manifest.vision =
            Some(VisionPart { kind: VisionKind::EvaVit, path: here(), num_attention_heads: None });
        let qformer = config.qformer(dir)?.ok_or_else(|| Error::Unsupported {
            path: dir.display().to_string(),
            what: "a vision-language model without a Q-Former".into(),
            hint: "use a BLIP-2 or InstructBLIP folder whose language model is LLaMA".into(),
        })?;
        manifest.qformer = Some(QFormerPart { path: here(), config: qformer });
        manifest.projection = Some(PathPart { path: here() });
    }
    // A GGUF file in the folder replaces the folder's own language model.
    let gguf = first_file(dir, |n| n.ends_with(".gguf"))?;
    manifest.language = Some(language(dir, gguf.as_deref().unwrap_or(dir)));
    let tokenizer = read_text(&dir.join("tokenizer_config.json"), MAX_CONFIG).unwrap_or_default();
    let template = if tokenizer.contains("<|im_start|>") { "chatml" } else { "vicuna" };
    manifest.prompt = Some(PromptPart { template: template.into(), ..PromptPart::default() });
    Ok(())
}

/// The files of the reference project.
struct Originals {
    vit: PathBuf,
    qformer: PathBuf,
    /// `ArtGPT-4.pth`, or MiniGPT-4's, which has no adapters.
    trained: PathBuf,
    language: PathBuf,
}

impl Originals {
    /// `None` if the folder holds none of the files; an error that names the missing ones if it holds
    /// some.
    fn find(dir: &Path) -> Result<Option<Self>> {
        let pth = |n: &str| n.ends_with(".pth") || n.ends_with(".pt");
        let vit = first_file(dir, |n| pth(n) && n.contains("eva_vit"))?;
        let qformer = first_file(dir, |n| pth(n) && n.contains("blip2"))?;
        let trained = match first_file(dir, |n| pth(n) && n.to_lowercase().contains("artgpt"))? {
            Some(path) => Some(path),
            None => first_file(dir, |n| pth(n) && n.contains("minigpt4"))?,
        };
        let (Some(vit), Some(qformer), Some(trained)) = (&vit, &qformer, &trained) else {
            let found = [&vit, &qformer, &trained];
            if found.iter().all(|f| f.is_none()) {
                return Ok(None);
            }
            let names = ["eva_vit_g.pth", "blip2_pretrained_flant5xxl.pth", "ArtGPT-4.pth"];
            let missing: Vec<_> =
                names.iter().zip(found).filter(|(_, f)| f.is_none()).map(|(n, _)| *n).collect();
            return Err(Error::Unsupported {
                path: dir.display().to_string(),
                what: format!("a folder of the originals without {}", missing.join(" and ")),
                hint: "put all three .pth files and the Vicuna folder side by side".into(),
            });
        };
        let language = match first_file(dir, |n| n.ends_with(".gguf"))? {
            Some(gguf) => gguf,
            None => entries(dir)?
                .into_iter()
                .filter(|p| p.join("config.json").is_file())
                // A `bert-base-uncased` may lie beside it.
                .max_by_key(|p| HfConfig::open(p).is_ok_and(|c| c.model_type == "llama"))
                .or_else(|| dir.join("config.json").is_file().then(|| dir.to_path_buf()))
                .ok_or_else(|| Error::Unsupported {
                    path: dir.display().to_string(),
                    what: "a folder of the originals without a language model".into(),
                    hint: "put the Vicuna folder or a GGUF file of Vicuna into it".into(),
                })?,
        };
        Ok(Some(Self {
            vit: vit.clone(),
            qformer: qformer.clone(),
            trained: trained.clone(),
            language,
        }))
    }

    fn fill(&self, dir: &Path, manifest: &mut Manifest) -> Result<()> {
        let path = |p: &Path| relative(dir, p);
        manifest.vision = Some(VisionPart {
            kind: VisionKind::EvaVit,
            path: path(&self.vit),
            num_attention_heads: None,
        });
        let config = qformer_config(&Tensors::open(&self.qformer)?)?;
        manifest.qformer = Some(QFormerPart { path: path(&self.qformer), config });
        manifest.projection = Some(PathPart { path: path(&self.trained) });
        let trained = Tensors::open(&self.trained)?;
        if trained.names().any(|n| n.contains(".self_attn.1.")) {
            manifest.adapters = Some(AdaptersPart {
                method: PeftMethod::Bottleneck,
                path: path(&self.trained),
                alpha: None,
            });
        }
        manifest.language = Some(language(dir, &self.language));
        manifest.prompt = Some(PromptPart { template: "minigpt4".into(), ..PromptPart::default() });
        Ok(())
    }
}

fn language(dir: &Path, path: &Path) -> LanguagePart {
    LanguagePart {
        kind: LanguageKind::Llama,
        path: relative(dir, path),
        tokenizer: None,
        requantise: None,
    }
}

fn relative(dir: &Path, path: &Path) -> String {
    let rest = path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned();
    if rest.is_empty() { ".".into() } else { rest }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| Error::Io { path: dir.display().to_string(), source };
    let mut all = std::fs::read_dir(dir)
        .map_err(io)?
        .map(|e| e.map(|e| e.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(io)?;
    all.sort();
    Ok(all)
}

/// The first file, in order of names, that `is` accepts.
fn first_file(dir: &Path, is: impl Fn(&str) -> bool) -> Result<Option<PathBuf>> {
    Ok(entries(dir)?
        .into_iter()
        .find(|p| p.is_file() && p.file_name().and_then(|n| n.to_str()).is_some_and(&is)))
}

/// A Q-Former's configuration from the shapes of the originals' file.
fn qformer_config(tensors: &Tensors) -> Result<QFormerConfig> {
    let shape = |name: &str| dims(tensors, name);
    let query = shape("query_tokens")?;
    let key = shape("Qformer.bert.encoder.layer.0.crossattention.self.key.weight")?;
    let inner = shape("Qformer.bert.encoder.layer.0.intermediate_query.dense.weight")?;
    let (&[_, num_query_tokens, hidden_size], &[_, encoder_width], &[intermediate_size, _]) =
        (&query[..], &key[..], &inner[..])
    else {
        return Err(Error::corrupt(&tensors.path, "its query_tokens are not (1, queries, hidden)"));
    };
    let layer = "Qformer.bert.encoder.layer.";
    let num_hidden_layers = count(tensors, layer, ".attention.self.query.weight");
    let crossed: Vec<usize> = (0..num_hidden_layers)
        .filter(|i| tensors.info(&format!("{layer}{i}.crossattention.self.key.weight")).is_some())
        .collect();
    let num_attention_heads = match hidden_size.is_multiple_of(QFORMER_HEADS) {
        true => QFORMER_HEADS,
        false => (hidden_size / 64).max(1),
    };
    Ok(QFormerConfig {
        num_query_tokens,
        hidden_size,
        num_hidden_layers,
        num_attention_heads,
        intermediate_size,
        cross_attention_freq: crossed.get(1).copied().unwrap_or(num_hidden_layers.max(1)),
        encoder_width,
        layer_norm_eps: 1e-12,
        image_grid: 0,
        relation_channels: 0,
        standardise: false,
        text: None,
    })
}

/// A vision transformer's configuration from the shapes of the originals' file.
pub(crate) fn vit_config(tensors: &Tensors, heads: Option<usize>) -> Result<VitConfig> {
    let patches = dims(tensors, "patch_embed.proj.weight")?;
    let position_shape = dims(tensors, "pos_embed")?;
    let inner = dims(tensors, "blocks.0.mlp.fc1.weight")?;
    let (&[hidden_size, _, patch_size, _], &[_, positions, _], &[intermediate_size, _]) =
        (&patches[..], &position_shape[..], &inner[..])
    else {
        return Err(Error::corrupt(&tensors.path, "its patch_embed or pos_embed has a wrong rank"));
    };
    let trained_grid = positions.saturating_sub(1).isqrt();
    if trained_grid == 0 || trained_grid * trained_grid + 1 != positions || patch_size == 0 {
        let reason =
            format!("pos_embed has {positions} positions, which is no square and a class token");
        return Err(Error::corrupt(&tensors.path, reason));
    }
    let heads = heads.or_else(|| {
        [VIT_HEAD_WIDTH, 64]
            .into_iter()
            .find(|w| hidden_size.is_multiple_of(*w))
            .map(|w| hidden_size / w)
    });
    let num_attention_heads = heads
        .filter(|h| *h > 0 && hidden_size.is_multiple_of(*h))
        .ok_or_else(|| Error::Unsupported {
            path: tensors.path.display().to_string(),
            what: format!("a vision encoder of width {hidden_size} and unknown heads"),
            hint: "write a manifest.toml with num_attention_heads under [vision]".into(),
        })?;
    Ok(VitConfig {
        image_size: trained_grid * patch_size,
        patch_size,
        hidden_size,
        num_hidden_layers: count(tensors, "blocks.", ".norm1.weight").min(VIT_BLOCKS),
        num_attention_heads,
        intermediate_size,
        trained_grid,
        ..VitConfig::eva_g()
    })
}

fn dims(tensors: &Tensors, name: &str) -> Result<Vec<usize>> {
    tensors
        .info(name)
        .map(|i| i.shape.clone())
        .ok_or_else(|| Error::corrupt(&tensors.path, format!("the key {name} is missing")))
}

/// Number of consecutive tensors `PREFIX 0 SUFFIX`, `PREFIX 1 SUFFIX` ….
fn count(tensors: &Tensors, prefix: &str, suffix: &str) -> usize {
    (0..).take_while(|i| tensors.info(&format!("{prefix}{i}{suffix}")).is_some()).count()
}
