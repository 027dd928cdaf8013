//! What the files of a model hold and nothing uses, in sentences.

use std::path::Path;

use super::inspect::{Inspection, Part};

/// Parts whose files hold what they are named for and nothing else. The originals' files of the other parts
/// hold whole models, of which the program needs a piece.
const OWN_FILES: [&str; 2] = ["language model", "adapters"];

/// Tensors that many programs write and none needs: they can be computed, or are the embedding table again.
const HARMLESS: [&str; 5] =
    ["rotary_emb.inv_freq", "position_ids", "masked_bias", "lm_head.weight", "output.weight"];

/// What names of a language model's tensors hold in a file with all parts of a model.
const LANGUAGE: [&str; 2] = ["language_model.", "llama_model."];

/// How many names a sentence holds.
const NAMED: usize = 3;

impl Inspection {
    /// A sentence for each file of the language model or the adapters with tensors that nothing uses.
    pub fn unused_tensors(&self) -> Vec<String> {
        let holds = |part: &Part, file: &Path| {
            file == part.path || file.parent() == Some(part.path.as_path())
        };
        let own = |file: &str, name: &str| {
            let file = Path::new(file);
            let (own, others): (Vec<_>, Vec<_>) = self
                .parts
                .iter()
                .filter(|part| holds(part, file))
                .partition(|part| OWN_FILES.contains(&part.name));
            // Of a file with all parts, only the language model's.
            let language = LANGUAGE.iter().any(|part| name.contains(part));
            !own.is_empty() && (others.is_empty() || language)
        };
        let sentence = |(file, names): (&String, &Vec<String>)| {
            let harmless = |name: &str| HARMLESS.iter().any(|end| plain(name).ends_with(end));
            let told = |name: &&str| own(file, name) && !harmless(name);
            let names: Vec<&str> = names.iter().map(String::as_str).filter(told).collect();
            let (first, rest) = names.split_at(names.len().min(NAMED));
            let more = match rest.len() {
                0 => String::new(),
                n => format!(" and {n} more kinds of tensors"),
            };
            let lora = match names.iter().any(|name| name.contains(".lora_")) {
                true => "; no target module takes these factors",
                false => "",
            };
            (!first.is_empty())
                .then(|| format!("nothing uses {}{more} in {file}{lora}", first.join(", ")))
        };
        self.unused.iter().filter_map(sentence).collect()
    }
}

/// A name without the count of its layers: `a.*.b (2)` is `a.*.b`.
fn plain(name: &str) -> &str {
    match name.rsplit_once(" (") {
        Some((plain, count)) if count.ends_with(')') => plain,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn part(name: &'static str, path: &str) -> Part {
        Part {
            name,
            path: path.into(),
            parameters: 0,
            bytes: 0,
            dtypes: BTreeMap::new(),
            missing: Vec::new(),
            misshaped: Vec::new(),
        }
    }

    fn told(parts: Vec<Part>, file: &str, names: &[&str]) -> Vec<String> {
        let names = names.iter().map(|n| n.to_string()).collect();
        let inspection = Inspection {
            parts,
            unused: BTreeMap::from([(file.to_string(), names)]),
            trainable: BTreeMap::new(),
            memory_to_chat: 0,
            memory_to_train_adapters: 0,
        };
        inspection.unused_tensors()
    }

    #[test]
    fn only_what_could_change_answers_is_told() {
        let language = || vec![part("language model", "m")];
        let rotary = "model.layers.*.self_attn.rotary_emb.inv_freq (32)";
        let bias = "model.layers.*.self_attn.q_proj.bias (32)";
        assert!(told(language(), "m/a.safetensors", &[rotary, "lm_head.weight"]).is_empty());
        let found = told(language(), "m/a.safetensors", &[rotary, bias]);
        assert_eq!(found, [format!("nothing uses {bias} in m/a.safetensors")]);
        let many = told(language(), "m/a.safetensors", &["a", "b", "c", "d", "e"]);
        assert!(many[0].contains("a, b, c and 2 more kinds"), "{many:?}");
        // The originals' files hold more than the program needs.
        assert!(told(vec![part("vision encoder", "v.pth")], "v.pth", &["head.weight"]).is_empty());
        let joined = || vec![part("vision encoder", "m"), part("language model", "m")];
        let names = ["itm_head.weight", "language_model.model.layers.0.self_attn.q_proj.bias"];
        let found = told(joined(), "m/a.safetensors", &names);
        assert!(found[0].starts_with("nothing uses language_model."), "{found:?}");
        assert!(!found[0].contains("itm_head"), "{found:?}");
    }
}
