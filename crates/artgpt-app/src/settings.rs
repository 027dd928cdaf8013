//! Layered settings: defaults, then the file, then `ARTGPT_*`, then flags.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::log::LogLevel;
use artgpt_fetch::network::Network;
use artgpt_manifest::SamplingConfig;

/// Everything a user can set. `config.toml` has these names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The model: a manifest's name or path, a directory, or `openai:URL#NAME`.
    pub model: String,
    /// `cpu`, `cuda`, `cuda:N` or `auto`.
    pub device: String,
    /// A shipped theme's name, or the path of a theme file.
    pub theme: String,
    /// How pictures are drawn.
    pub graphics: GraphicsChoice,
    /// Maximum length of an answer in tokens.
    pub max_new_tokens: usize,
    /// Replaces the template's system text.
    pub system: Option<String>,
    /// Sampling.
    pub sampling: SamplingConfig,
    /// Background jobs.
    pub jobs: JobSettings,
    /// Notices about runs.
    pub notices: NoticeSettings,
    /// Proxy, certificates, mirrors.
    pub network: Network,
    /// How much goes into the log file: off, error, warn, info, debug or trace.
    pub log: LogLevel,
}

/// Jobs that run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobSettings {
    /// On the processors.
    pub per_cpu: usize,
    /// On each GPU.
    pub per_gpu: usize,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self { per_cpu: 1, per_gpu: 1 }
    }
}

/// What happens when a run finishes, fails or diverges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoticeSettings {
    /// Ring the terminal's bell.
    pub bell: bool,
    /// Have the terminal show it, where it can.
    pub terminal: TerminalNotice,
    /// A program and its arguments, in which `{run}`, `{what}` and `{text}` are filled in. The
    /// supervisor of jobs calls it, so that it comes once, and with no terminal open, too.
    pub command: Vec<String>,
}

impl Default for NoticeSettings {
    fn default() -> Self {
        Self { bell: true, terminal: TerminalNotice::None, command: Vec::new() }
    }
}

/// Escape sequences for notices of the desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TerminalNotice {
    /// No notice.
    None,
    /// iTerm2, kitty, WezTerm, Windows Terminal.
    Osc9,
    /// urxvt, foot, Ghostty, WezTerm.
    Osc777,
}

/// How pictures are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GraphicsChoice {
    /// The best that the terminal answers to.
    Auto,
    /// kitty's protocol.
    Kitty,
    /// iTerm2's protocol.
    Iterm,
    /// Sixel.
    Sixel,
    /// Half-block characters.
    Blocks,
    /// No pictures.
    None,
}

impl GraphicsChoice {
    /// The words of all choices, in the order in which help lists them.
    pub const WORDS: [&str; 6] = ["auto", "kitty", "iterm", "sixel", "blocks", "none"];
}

impl std::str::FromStr for GraphicsChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "kitty" => Ok(Self::Kitty),
            "iterm" => Ok(Self::Iterm),
            "sixel" => Ok(Self::Sixel),
            "blocks" => Ok(Self::Blocks),
            "none" => Ok(Self::None),
            other => Err(format!("{other:?} is none of {}", Self::WORDS.join(", "))),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: "artgpt-smol".into(),
            device: "auto".into(),
            theme: "gallery".into(),
            graphics: GraphicsChoice::Auto,
            max_new_tokens: 300,
            system: None,
            // Asked again, a question gets another answer; hotter, a small model loses its thread.
            sampling: SamplingConfig { temperature: 0.5, ..SamplingConfig::default() },
            jobs: JobSettings::default(),
            notices: NoticeSettings::default(),
            network: Network::default(),
            log: LogLevel::default(),
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A key or value is wrong.
    #[error("the configuration is wrong: {reason}")]
    Invalid {
        /// The settings file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The file that the user named is missing.
    #[error("there is no configuration file at {0}")]
    Missing(String),
}

impl Settings {
    /// Reads the layers. `file` must exist when it was named by the user.
    pub fn load(file: &Path, named: bool) -> Result<Self, ConfigError> {
        Self::layers(file, named, environment())
    }

    fn layers(file: &Path, named: bool, env: config::Environment) -> Result<Self, ConfigError> {
        if named && !file.is_file() {
            return Err(ConfigError::Missing(file.display().to_string()));
        }
        let invalid = |e: config::ConfigError| ConfigError::Invalid {
            file: file.display().to_string(),
            reason: artgpt_base::text::printable(&e.to_string()),
        };
        let defaults = config::Config::try_from(&Self::default()).map_err(invalid)?;
        let settings: Self = config::Config::builder()
            .add_source(defaults)
            .add_source(config::File::from(file).format(config::FileFormat::Toml).required(named))
            .add_source(env.try_parsing(true))
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(invalid)?;
        match settings.sampling.problem() {
            Some(reason) => Err(ConfigError::Invalid { file: file.display().to_string(), reason }),
            None => Ok(settings),
        }
    }
}

/// `ARTGPT_MAX_NEW_TOKENS=9`, `ARTGPT_SAMPLING__TOP_K=3`.
fn environment() -> config::Environment {
    config::Environment::with_prefix("ARTGPT").prefix_separator("_").separator("__")
}

/// The folders of DESIGN section 4. Nothing is written anywhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The data directory.
    pub data: PathBuf,
    /// The settings file.
    pub config_file: PathBuf,
}

impl Paths {
    /// From the environment (XDG), unless flags say otherwise.
    pub fn new(data: Option<PathBuf>, config_file: Option<PathBuf>) -> Option<Self> {
        let base = directories::BaseDirs::new();
        let data = data.or_else(|| base.as_ref().map(|b| b.data_dir().join("artgpt-tui")))?;
        let config_file = config_file
            .or_else(|| base.as_ref().map(|b| b.config_dir().join("artgpt-tui/config.toml")))?;
        Some(Self { data, config_file })
    }

    /// Makes what earlier versions left readable for others private: sessions with their copies, pictures,
    /// caches and logs. The data folder itself, models and runs may be shared on purpose. `main` calls it once at the
    /// start: what is made later is private from the beginning.
    pub fn make_private(&self) {
        let sessions = self.sessions();
        let mut all = vec![
            self.pictures(),
            self.logs(),
            self.data.join("cache"),
            artgpt_store::mirror_path(&sessions),
        ];
        all.extend(artgpt_store::backups(&sessions));
        all.push(sessions);
        all.iter().for_each(|path| artgpt_base::private::tree_unless_private(path));
    }

    /// The user's own keys for the terminal interface.
    pub fn keys_file(&self) -> PathBuf {
        self.config_file.with_file_name("keys.toml")
    }

    /// Installed models and data sets.
    pub fn models(&self) -> PathBuf {
        self.data.join("models")
    }

    /// Training runs.
    pub fn runs(&self) -> PathBuf {
        self.data.join("runs")
    }

    /// What the supervisor of jobs says.
    pub fn jobs_log(&self) -> PathBuf {
        self.data.join("logs/jobs.log")
    }

    /// The folder of log files.
    pub fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }

    /// Query tokens of pictures; may be deleted at any time.
    pub fn embeddings(&self) -> PathBuf {
        self.data.join("cache/embeddings")
    }

    /// The store of the sessions.
    pub fn sessions(&self) -> PathBuf {
        self.data.join("sessions.sled")
    }

    /// Copies of the sessions' pictures, named by content.
    pub fn pictures(&self) -> PathBuf {
        self.data.join("pictures")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> config::Environment {
        let map = pairs.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect();
        environment().source(Some(map))
    }

    #[test]
    fn each_layer_overrides_the_one_before() {
        let dir = tempfile::tempdir().expect("temp dir");
        let file = dir.path().join("config.toml");
        std::fs::write(&file, "theme = \"paper\"\nmax_new_tokens = 50\n[sampling]\ntop_k = 3\n")
            .expect("write");
        let s = Settings::layers(
            &file,
            true,
            env(&[("ARTGPT_MAX_NEW_TOKENS", "9"), ("ARTGPT_SAMPLING__TOP_P", "0.5")]),
        )
        .expect("loads");
        assert!((s.sampling.top_p - 0.5).abs() < 1e-9);
        assert_eq!((s.theme.as_str(), s.max_new_tokens, s.sampling.top_k), ("paper", 9, 3));
        assert_eq!(s.model, Settings::default().model);
        let none = Settings::layers(&dir.path().join("no.toml"), false, env(&[])).expect("loads");
        assert_eq!(none, Settings::default());
    }

    #[test]
    fn a_wrong_name_or_value_is_told() {
        let dir = tempfile::tempdir().expect("temp dir");
        let file = dir.path().join("config.toml");
        for text in ["them = \"paper\"", "max_new_tokens = \"many\"", "[sampling]\ntop_p = 3.0"] {
            std::fs::write(&file, text).expect("write");
            assert!(Settings::layers(&file, true, env(&[])).is_err(), "{text}");
        }
        assert!(Settings::layers(&dir.path().join("no.toml"), true, env(&[])).is_err());
    }

    #[test]
    fn old_sessions_become_private_and_shared_folders_stay_shared() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("temp dir");
        let data = dir.path().join("data");
        let paths = Paths { data: data.clone(), config_file: data.join("config.toml") };
        let files = [
            "sessions.sled/db",
            "sessions.sled.damaged-1/db",
            "sessions.jsonl",
            "pictures/a",
            "cache/embeddings/a",
            "logs/jobs.log",
            "models/m/a",
        ];
        for file in files {
            let path = data.join(file);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("makes");
            std::fs::write(&path, "text").expect("writes");
        }
        let set = |path: &Path, mode| {
            let rights = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path, rights).expect("sets");
        };
        for file in files {
            let path = data.join(file);
            set(&path, 0o644);
            set(path.parent().expect("has one"), 0o755);
        }
        paths.make_private();
        let others =
            |path: &Path| std::fs::metadata(path).expect("is there").permissions().mode() & 0o077;
        for file in files {
            let shared = if file.starts_with("models") { 0o044 } else { 0 };
            assert_eq!(others(&data.join(file)), shared, "{file}");
        }
        assert_eq!(others(&data.join("models")), 0o055);
        assert_eq!(others(&data), 0o055);
    }

    #[test]
    fn the_network_has_keys_and_variables() {
        let dir = tempfile::tempdir().expect("temp dir");
        let file = dir.path().join("config.toml");
        std::fs::write(&file, "[network]\nproxy = \"http://p:3128\"\noffline = true\n")
            .expect("writes");
        let variables = env(&[("ARTGPT_NETWORK__CA_FILE", "/etc/ca.pem")]);
        let network = Settings::layers(&file, true, variables).expect("loads").network;
        assert_eq!(network.proxy.as_deref(), Some("http://p:3128"));
        assert_eq!(network.ca_file.as_deref(), Some(Path::new("/etc/ca.pem")));
        assert_eq!(network.offline, Some(true));
        std::fs::write(&file, "[network]\nproxi = \"http://p\"\n").expect("writes");
        assert!(Settings::layers(&file, true, env(&[])).is_err());
    }
}
