//! Question lists, from `sessions/*.toml`.

use serde::Deserialize;

const FILES: &[&str] =
    &[include_str!("../../sessions/first-look.toml"), include_str!("../../sessions/feldman.toml")];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListFile {
    name: String,
    /// The group of the questions without a step.
    #[serde(default)]
    group: String,
    question: Vec<QuestionFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuestionFile {
    /// Heading and group.
    #[serde(default)]
    step: String,
    text: String,
}

/// One question with the heading it stands under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Suggestion {
    /// What a manifest's `questions` names.
    pub group: String,
    pub heading: String,
    pub text: String,
}

/// The shipped questions of these groups, in order; all if there are none.
pub(crate) fn suggestions(groups: &[String]) -> Vec<Suggestion> {
    let all = FILES.iter().filter_map(|text| toml::from_str::<ListFile>(text).ok());
    all.flat_map(|list| {
        let (name, group) = (list.name, list.group);
        list.question.into_iter().map(move |q| match q.step.is_empty() {
            true => Suggestion { group: group.clone(), heading: name.clone(), text: q.text },
            false => Suggestion { group: q.step.clone(), heading: q.step, text: q.text },
        })
    })
    .filter(|question| groups.is_empty() || groups.contains(&question.group))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_list_parses_and_every_question_has_a_group() {
        for text in FILES {
            toml::from_str::<ListFile>(text).expect("parses");
        }
        let all = suggestions(&[]);
        assert!(all.len() > 10 && all.iter().all(|q| !q.group.is_empty()), "{all:?}");
    }

    #[test]
    fn the_default_model_s_groups_exist() {
        let text = include_str!("../../models/artgpt-smol.toml");
        let manifest: artgpt_manifest::Manifest = toml::from_str(text).expect("parses");
        for group in manifest.prompt.expect("has a prompt").questions {
            assert!(!suggestions(std::slice::from_ref(&group)).is_empty(), "{group}");
        }
    }

    #[test]
    fn a_model_gets_the_questions_that_it_can_answer() {
        let some = suggestions(&["look".into(), "judge".into()]);
        assert!(some.iter().any(|q| q.group == "look") && some.iter().any(|q| q.group == "judge"));
        assert!(some.iter().all(|q| q.group == "look" || q.group == "judge"), "{some:?}");
    }
}
