//! An answer as clauses.

/// Words that begin another clause.
const CONJUNCTIONS: &[&str] = &[
    "and", "but", "while", "though", "although", "whereas", "with", "because", "so", "yet",
    "which", "where", "when", "since", "that",
];

/// A part of a sentence, in lower case.
#[derive(Debug)]
pub(super) struct Clause<'a> {
    pub(super) words: Vec<&'a str>,
    /// All words of the sentence.
    pub(super) sentence: Vec<&'a str>,
    /// The first clause of its sentence.
    pub(super) first: bool,
    /// The first clause of the answer.
    pub(super) opens: bool,
}

impl Clause<'_> {
    /// Whether the clause denies or weakens what it says.
    pub(super) fn is_negated(&self) -> bool {
        const NEGATIONS: &[&str] = &[
            "not", "no", "never", "neither", "nor", "hardly", "barely", "scarcely", "without",
            "nothing", "less", "cannot", "if", "unless", "almost", "nearly", "partly", "half",
            "somewhat", "slightly", "than", "perhaps", "maybe", "might", "may", "would", "could",
        ];
        self.words.iter().any(|word| NEGATIONS.contains(word) || word.ends_with("n't"))
    }
}

/// The clauses of a text in lower case with typewriter apostrophes; questions are left out.
pub(super) fn clauses(text: &str) -> Vec<Clause<'_>> {
    let mut out = Vec::new();
    for sentence in text.split_inclusive(['.', '!', '?', ';', ':', '\n']) {
        if sentence.ends_with('?') {
            continue;
        }
        let all: Vec<&str> = sentence.split(separates).filter(|word| !word.is_empty()).collect();
        let mut first = true;
        for part in sentence.split([',', '–', '—', '(', ')']) {
            let words: Vec<&str> = part.split(separates).filter(|word| !word.is_empty()).collect();
            for words in words.split(|w| CONJUNCTIONS.contains(w)).filter(|w| !w.is_empty()) {
                let opens = out.is_empty();
                out.push(Clause { words: words.to_vec(), sentence: all.clone(), first, opens });
                first = false;
            }
        }
    }
    out
}

fn separates(c: char) -> bool {
    !c.is_alphanumeric() && !matches!(c, '\'' | '-')
}
