//! The language model and its tokenizer against llama.cpp (token ids) and transformers
//! (log-probabilities) on the same GGUF; `tests/reference/make_llama.py`.

use serde::Deserialize;

use crate::common;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
    /// For the tokenizer alone.
    texts: Vec<(String, Vec<u32>)>,
}

#[derive(Deserialize)]
struct Case {
    prompt: String,
    prompt_ids: Vec<u32>,
    token_ids: Vec<u32>,
    logprobs: Vec<f64>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("../reference/llama.json")).expect("parses")
}

fn cases() -> Vec<Case> {
    reference().cases
}

#[test]
fn prompts_have_llama_cpps_token_ids() {
    let model = common::model("artgpt-smol");
    let path = model.language_path().expect("has one");
    let mut file = artgpt_model::checkpoint::GgufFile::open(&path).expect("opens");
    let tokenizer =
        artgpt_chat::Tokenizer::new(&artgpt_model::checkpoint::gguf_tokenizer_data(&mut file))
            .expect("reads");
    let prompts = cases().into_iter().map(|c| (c.prompt, c.prompt_ids));
    for (text, ids) in prompts.chain(reference().texts) {
        assert_eq!(tokenizer.encode_with_special(&text).expect("encodes"), ids, "{text}");
    }
}

#[test]
fn greedy_answers_are_llama_cpps() {
    let plain = common::plain_model();
    for case in cases() {
        let out = common::json(&[
            "ask",
            "--model",
            &plain,
            "--json",
            "--greedy",
            "--raw-prompt",
            "--max-new-tokens",
            &case.token_ids.len().to_string(),
            &case.prompt,
        ]);
        let ids: Vec<u32> = serde_json::from_value(out["token_ids"].clone()).expect("ids");
        assert_eq!(out["prompt_tokens"], case.prompt_ids.len());
        assert_eq!(ids, case.token_ids, "{}", case.prompt);
    }
}

/// `score` computes in f32, as the reference does.
#[test]
fn log_probabilities_are_transformers() {
    let plain = common::plain_model();
    for case in cases() {
        let tokenizer = common::tokenizer();
        let answer = tokenizer.decode(&case.token_ids);
        assert_eq!(tokenizer.encode(&answer).expect("encodes"), case.token_ids);
        let out = common::json(&[
            "score",
            "--model",
            &plain,
            "--json",
            "--raw-prompt",
            "--prompt",
            &case.prompt,
            "--answer",
            &answer,
        ]);
        let ours: Vec<f64> = serde_json::from_value(out["logprobs"].clone()).expect("numbers");
        for (i, (a, b)) in ours.iter().zip(&case.logprobs).enumerate() {
            assert!((a - b).abs() < 0.005, "{} token {i}: {a} {b}", case.prompt);
        }
    }
}
