//! What the files of a model hold and nothing uses, in sentences.

use std::path::Path;

use super::inspect::Inspection;

/// Parts whose files hold what they are named for and nothing else. The originals' files of the other parts
/// hold whole models, of which the program needs a piece.
const OWN_FILES: [&str; 2] = ["language model", "adapters"];

/// Tensors that many programs write and none needs: they can be computed, or are the embedding table again.
const HARMLESS: [&str; 5] =
    ["rotary_emb.inv_freq", "position_ids", "masked_bias", "lm_head.weight", "output.weight"];

/// How many names a sentence holds.
const NAMED: usize = 3;

impl Inspection {
    /// A sentence for each file of the language model or the adapters with tensors that nothing uses.
    pub fn unused_tensors(&self) -> Vec<String> {
        let own = |file: &str| {
            let file = Path::new(file);
            self.parts
                .iter()
                .filter(|part| OWN_FILES.contains(&part.name))
                .any(|part| file == part.path || file.parent() == Some(&part.path))
        };
        let sentence = |(file, names): (&String, &Vec<String>)| {
            let harmless = |name: &str| HARMLESS.iter().any(|end| plain(name).ends_with(end));
            let names: Vec<&str> =
                names.iter().map(String::as_str).filter(|name| !harmless(name)).collect();
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
        self.unused.iter().filter(|(file, _)| own(file)).filter_map(sentence).collect()
    }
}

/// A name without the count of its layers: `a.*.b (2)` is `a.*.b`.
fn plain(name: &str) -> &str {
    match name.rsplit_once(" (") {
        Some((plain, count)) if count.ends_with(')') => plain,
        _ => name,
    }
}
