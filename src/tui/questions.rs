//! Question lists, from `sessions/*.toml`.

use serde::Deserialize;

const FILES: &[&str] =
    &[include_str!("../../sessions/first-look.toml"), include_str!("../../sessions/feldman.toml")];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListFile {
    name: String,
    question: Vec<QuestionFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuestionFile {
    #[serde(default)]
    step: String,
    text: String,
}

/// One question with the heading it stands under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Suggestion {
    pub heading: String,
    pub text: String,
}

/// All shipped questions, in order.
pub(crate) fn suggestions() -> Vec<Suggestion> {
    FILES
        .iter()
        .filter_map(|text| toml::from_str::<ListFile>(text).ok())
        .flat_map(|list| {
            let name = list.name;
            list.question.into_iter().map(move |q| Suggestion {
                heading: if q.step.is_empty() { name.clone() } else { q.step },
                text: q.text,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_list_parses() {
        for text in FILES {
            toml::from_str::<ListFile>(text).expect("parses");
        }
        assert!(suggestions().len() > 10);
    }
}
