//! How byte-level vocabularies split a text into words before they merge: the pre-tokenizers that
//! `tokenizer.ggml.pre` of a GGUF file names as llama.cpp does (`llama-vocab.cpp`).
//!
//! A rule is a list of regular expressions. Each splits the pieces that the one before has left: a match is
//! a piece of its own, and so is what lies between matches. The expressions are those of the models'
//! `tokenizer.json`, or llama.cpp's where it differs; `tests/reference/make_pretokenizers.py` compares the
//! rules with llama.cpp.

use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::normalizer::SplitDelimiterBehavior;

/// A pre-tokenizer, and what its name says of the vocabulary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    splits: &'static [&'static str],
    /// A piece that is a token becomes that token, whatever the merges say.
    pub(super) ignores_merges: bool,
    /// A text begins with BOS, unless the file says otherwise.
    pub(super) adds_bos: bool,
}

/// Which rule a name stands for.
enum Named {
    Rule(&'static [&'static str]),
    /// With a token for a whole piece.
    Whole(&'static [&'static str]),
    /// With a token for a whole piece, and BOS.
    WholeAndBos(&'static [&'static str]),
    Bos(&'static [&'static str]),
}

impl Rule {
    /// The rule of this name in llama.cpp; `None` for an unknown name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let (splits, ignores_merges, adds_bos) = match named(name)? {
            Named::Rule(splits) => (splits, false, false),
            Named::Whole(splits) => (splits, true, false),
            Named::WholeAndBos(splits) => (splits, true, true),
            Named::Bos(splits) => (splits, false, true),
        };
        Some(Self { splits, ignores_merges, adds_bos })
    }

    /// Its splits, then bytes as characters.
    pub(super) fn pre_tokenizer(&self) -> Result<Sequence, tokenizers::Error> {
        let split = |pattern: &&str| {
            let pattern = SplitPattern::Regex((*pattern).into());
            Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map(Into::into)
        };
        let mut steps: Vec<PreTokenizerWrapper> =
            self.splits.iter().map(split).collect::<Result<_, _>>()?;
        steps.push(ByteLevel::new(false, true, false).into());
        Ok(Sequence::new(steps))
    }
}

/// English contractions.
macro_rules! contraction {
    () => {
        "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
    };
}

/// The rule of GPT-4 and its kin. `$digits` matches a number, `$marks` the punctuation.
macro_rules! gpt4 {
    ($digits:literal, $marks:literal) => {
        concat!(
            contraction!(),
            r"|[^\r\n\p{L}\p{N}]?\p{L}+|",
            $digits,
            "|",
            $marks,
            r"|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

/// The rule of GPT-4o and its kin: a word changes once from capitals to small letters. `$upper` and `$lower`
/// match a letter of each, `$ending` what may follow a word.
macro_rules! gpt4o {
    ($upper:literal, $lower:literal, $ending:expr, $digits:literal) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?",
            $upper,
            "*",
            $lower,
            "+",
            $ending,
            r"|[^\r\n\p{L}\p{N}]?",
            $upper,
            "+",
            $lower,
            "*",
            $ending,
            "|",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

const DEFAULT: &[&str] = &[r"[\p{P}$+<=>^~|]+", GPT2_WORDS, r"\p{N}+", r"[0-9][0-9][0-9]"];
const GPT2_WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)";
const GPT2: &[&str] = &[GPT2_WORDS];
/// GPT-2's, after each digit is alone.
const DIGIT_GPT2: &[&str] = &[r"\p{N}", GPT2_WORDS];
const FALCON: &[&str] = &[r"[\p{P}$+<=>^~|`]+", GPT2_WORDS, r"[0-9][0-9][0-9]"];
const LLAMA3: &[&str] = &[gpt4!(r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n]*")];
const QWEN2: &[&str] = &[gpt4!(r"\p{N}", r" ?[^\s\p{L}\p{N}]+[\r\n]*")];
const SEED_CODER: &[&str] = &[gpt4!(r"\p{N}", r" ?[^\s\p{L}\p{N}\r\n]+")];
const MINICPM5: &[&str] = &[r"\p{N}{1,3}", gpt4!(r"\p{N}+", r" ?[^\s\p{L}\p{N}]+[\r\n]*")];
const QWEN35: &[&str] = &[concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)];
const K2_HORIZON: &[&str] = &[concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}",
    "\u{200c}\u{200d}",
    r"]+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)];
const JAIS2: &[&str] = &[concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+",
    r"|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)",
    r"|\s{4}(?!\S)|\s{1,2}(?!\S)|\s"
)];
const BAILING: &[&str] = &[concat!(
    r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)];
const EXAONE_MOE: &[&str] = &[concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?",
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)];
/// A letter that is no small letter of ASCII, and one that is no capital: llama.cpp's reading of the classes
/// in `tokenizer.json`.
const TEKKEN: &[&str] = &[gpt4o!(r"(?:(?=\p{L})[^a-z])", r"(?:(?=\p{L})[^A-Z])", "", r"\p{N}")];
const GPT4O: &[&str] = &[gpt4o!(
    r"(?:(?=\p{L})[^a-z])",
    r"(?:(?=\p{L})[^A-Z])",
    concat!("(?:", contraction!(), ")?"),
    r"\p{N}{1,3}"
)];
const GRANITE_EMBED: &[&str] = &[gpt4o!(
    r"(?:(?=[\p{L}\p{M}])[^a-z])",
    r"(?:(?=[\p{L}\p{M}])[^A-Z])",
    concat!("(?:", contraction!(), ")?"),
    r"\p{N}{1,3}"
)];
const TINY_AYA: &[&str] = &[
    GROUPS,
    gpt4o!(r"[\p{L}\p{M}]", r"[\p{L}\p{M}]", concat!("(?:", contraction!(), ")?"), r"\p{N}{1,3}"),
];
const YOUTU: &[&str] = &[
    "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥\u{3040}-ゟ゠-ヿ]+",
    gpt4o!(r"[\p{L}\p{M}]", r"[\p{L}\p{M}]", concat!("(?:", contraction!(), ")?"), r"\p{N}"),
];
const KIMI_K2: &[&str] = &[concat!(
    r"\p{Han}+",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}&&[^\p{Han}]]+(?:",
    contraction!(),
    r")?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}&&[^\p{Han}]]*(?:",
    contraction!(),
    r")?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)];
const DEEPSEEK_WORDS: &str = concat!(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const DEEPSEEK3: &[&str] = &[r"\p{N}{1,3}", "[一-龥\u{3040}-ゟ゠-ヿ]+", DEEPSEEK_WORDS];
const DEEPSEEK_LLM: &[&str] = &[
    r"[\r\n]",
    // Cased letters as in the model's `tokenizer.json`, in code points: some of these characters change
    // when a text is normalised.
    concat!(
        "\\s?[A-Za-z",
        "\u{b5}\u{c0}-\u{d6}\u{d8}-\u{f6}\u{f8}-\u{1ba}\u{1bc}-\u{1bf}\u{1c4}-\u{293}",
        "\u{295}-\u{2af}\u{370}-\u{373}\u{376}\u{377}\u{37b}-\u{37d}\u{37f}\u{386}",
        "\u{388}-\u{38a}\u{38c}\u{38e}-\u{3a1}\u{3a3}-\u{3f5}\u{3f7}-\u{481}",
        "\u{48a}-\u{52f}\u{531}-\u{556}\u{10a0}-\u{10c5}\u{13a0}-\u{13f5}",
        "\u{13f8}-\u{13fd}\u{1c90}-\u{1cba}\u{1cbd}-\u{1cbf}\u{1d00}-\u{1d2b}",
        "\u{1d6b}-\u{1d77}\u{1d79}-\u{1d9a}\u{1e00}-\u{1f15}\u{1f18}-\u{1f1d}",
        "\u{1f20}-\u{1f45}\u{1f48}-\u{1f4d}\u{1f50}-\u{1f57}\u{1f59}\u{1f5b}\u{1f5d}",
        "\u{1f5f}-\u{1f7d}\u{1f80}-\u{1fb4}\u{1fb6}-\u{1fbc}\u{1fbe}\u{1fc2}-\u{1fc4}",
        "\u{1fc6}-\u{1fcc}\u{1fd0}-\u{1fd3}\u{1fd6}-\u{1fdb}\u{1fe0}-\u{1fec}",
        "\u{1ff2}-\u{1ff4}\u{1ff6}-\u{1ffc}\u{2102}\u{2107}\u{210a}-\u{2113}\u{2115}",
        "\u{2119}-\u{211d}\u{2124}\u{2126}\u{2128}\u{212a}-\u{212d}\u{212f}-\u{2134}",
        "\u{2139}\u{213c}-\u{213f}\u{2145}-\u{2149}\u{214e}\u{2183}\u{2184}",
        "\u{2c00}-\u{2c7b}\u{2c7e}-\u{2ce4}\u{2ceb}-\u{2cee}\u{2cf2}\u{2cf3}",
        "\u{a640}-\u{a66d}\u{a680}-\u{a69b}\u{a722}-\u{a76f}\u{a771}-\u{a787}",
        "\u{a78b}-\u{a78e}\u{ab70}-\u{abbf}\u{fb00}-\u{fb06}\u{fb13}-\u{fb17}",
        "\u{ff21}-\u{ff3a}\u{ff41}-\u{ff5a}\u{10400}-\u{1044f}\u{104b0}-\u{104d3}",
        "\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}\u{10cc0}-\u{10cf2}\u{118a0}-\u{118df}",
        "\u{1e900}-\u{1e943}",
        "]+"
    ),
    "\\s?[!-/:-~！-／：-～‘-‟、-。]+",
    r"\s+\z",
    DEEPSEEK_CJK,
    r"\p{N}+",
];
/// Its middle range has spaces, which llama.cpp does not take for what they are.
const DEEPSEEK_CJK: &str = "[[一-龥ࠀ-一가-\u{d7ff}]&&[^\\s]]+";
const DEEPSEEK_CODER: &[&str] = &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", DEEPSEEK_CJK, r"\p{N}"];
const BLOOM_WORDS: &str = " ?[^(\\s|.,!?…。，、।۔،)]+";
const BLOOM: &[&str] = &[BLOOM_WORDS];
const VIKING: &[&str] = &[BLOOM_WORDS, r"\p{N}"];
const CHAMELEON: &[&str] = &[
    "<sentinel:[0-9]+>",
    "IMGIMG[A-I]{1,4}Z",
    r"[\t\n]|    |  ",
    r"\p{N}",
    r"[\p{P}!-/:-@\[-`{-~]",
    GPT2_WORDS,
];
const SUPERBPE: &[&str] = &[r"\p{N}+", r"(?=([0-9]{3})+(?![0-9]))"];
/// Digits in groups of three, from the right.
const GROUPS: &str = r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))";
const AFMOE: &[&str] = &[
    GROUPS,
    concat!(
        "[一-鿿㐀-䶿\u{f900}-\u{faff}\u{3040}-ゟ゠-ヿ･-ﾟ⼀-\u{2fdf}เ-\u{0e7f}\u{0e80}-\u{0eff}ក-\u{17ff}က-႟ꩠ-ꩿꧠ-\u{a9ff}",
        "가-\u{d7af}ᄀ-ᇿ]+"
    ),
    DEEPSEEK_WORDS,
];
/// Qwen2's without English contractions.
const UFAKZEKA: &[&str] =
    &[r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"];
const LAGUNA: &[&str] = &[r"[^\n]+|[\n]+", QWEN2[0]];
const SPARK: &[&str] = &[
    r"\p{N}{1,3}",
    "[一-龥\u{3040}-ゟ゠-ヿ]+",
    concat!(
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
        r"| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+"
    ),
    r"\p{N}",
];

fn named(name: &str) -> Option<Named> {
    use Named::{Bos, Rule, Whole, WholeAndBos};
    Some(match name {
        "default" => Rule(DEFAULT),
        "gpt-2" | "gpt2" | "phi-2" | "jina-es" | "jina-de" | "gigachat" | "jina-v2-es"
        | "jina-v2-de" | "a.x-4.0" | "mellum" | "modern-bert" | "mpt" | "olmo" | "jais"
        | "trillion" | "jina-v1-en" | "jina-v2-code" | "roberta-bpe" | "exaone4"
        | "granite-docling" => Rule(GPT2),
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b"
        | "mellum2" => Rule(DIGIT_GPT2),
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0"
        | "lfm2" | "jina-v5-nano" => WholeAndBos(LLAMA3),
        "dbrx" | "smaug-bpe" | "chatglm4" | "chatglm-bpe" => Rule(LLAMA3),
        "glm4" | "glm5" => Whole(LLAMA3),
        "minicpm5" => Whole(MINICPM5),
        "qwen2" | "deepseek-r1-qwen" | "kormo" | "f2llmv2" | "stablelm2" | "hunyuan" | "megrez"
        | "solar-open" | "grok-2" => Rule(QWEN2),
        "qwen35" => Rule(QWEN35),
        "k2-horizon" => Rule(K2_HORIZON),
        "jais-2" => Rule(JAIS2),
        "bailingmoe" | "bailingmoe2" | "llada-moe" => Rule(BAILING),
        "seed-coder" => Rule(SEED_CODER),
        "exaone-moe" => Rule(EXAONE_MOE),
        "ufakzeka" => Rule(UFAKZEKA),
        "laguna" => Rule(LAGUNA),
        "falcon" => Rule(FALCON),
        "deepseek-llm" => Rule(DEEPSEEK_LLM),
        "deepseek-coder" => Rule(DEEPSEEK_CODER),
        "deepseek-v3" | "hunyuan-dense" | "joyai-llm" | "hy_v4" => Rule(DEEPSEEK3),
        "spark2_5" => Rule(SPARK),
        "youtu" => Whole(YOUTU),
        "bloom" | "poro-chat" | "gpt3-finnish" => Rule(BLOOM),
        "viking" => Rule(VIKING),
        "tekken" => WholeAndBos(TEKKEN),
        "chameleon" => Bos(CHAMELEON),
        "gpt-4o" | "llama4" | "kanana2" | "talkie" | "minimax-m2" => Rule(GPT4O),
        "granite-embed-multi-97m" => Whole(GRANITE_EMBED),
        "tiny_aya" | "cohere2moe" => Rule(TINY_AYA),
        "kimi-k2" => Rule(KIMI_K2),
        "superbpe" => Rule(SUPERBPE),
        "afmoe" => Rule(AFMOE),
        _ => return None,
    })
}
