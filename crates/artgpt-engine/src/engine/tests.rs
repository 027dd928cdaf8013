//! What goes through the network, on the small reference checkpoints.

use std::path::Path;

use candle_core::Device;

use super::*;
use crate::Picture;
use artgpt_art::Artwork;
use artgpt_chat::{Caption, ChatError, FinishReason, Piece, Role, Turn};
use artgpt_manifest::{PromptPart, SamplingConfig};

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/checkpoints")
}

fn load(name: &str) -> Engine {
    let model = Model::find(&root().join(name).display().to_string(), &root()).expect("finds");
    Engine::load(&model, &Device::Cpu, |_, _| {}).expect("loads")
}

fn picture(name: &str) -> Picture {
    Picture::of(&Artwork::open(&root().join(name)).expect("opens"))
}

fn values(t: &candle_core::Tensor) -> Vec<f32> {
    t.flatten_all().expect("flattens").to_vec1().expect("values")
}

#[test]
fn only_what_the_cache_lacks_is_embedded() {
    let mut engine = load("blip2");
    let pictures = [picture("picture.png")];
    let prompt = Prompt::Raw("a <image> b c".into());
    let prepared = engine.prepare(&prompt, &pictures, 4).expect("prepares");
    let count = prepared.positions.len();
    let all = engine.embed_from(&prepared, 0).expect("embeds");
    assert_eq!(all.dim(1).expect("positions"), count);
    // From the middle of text, of the image's tokens, and the last position alone.
    for from in 1..count {
        let rest = engine.embed_from(&prepared, from).expect("embeds");
        assert_eq!(rest.dim(1).expect("positions"), count - from, "from {from}");
        let expected = all.narrow(1, from, count - from).expect("narrows");
        assert_eq!(values(&rest), values(&expected), "from {from}");
    }
}

#[test]
fn a_second_round_continues_as_a_fresh_engine_does() {
    let mut engine = load("blip2");
    let request = |text: &str| Request {
        prompt: Prompt::Raw(text.into()),
        pictures: vec![picture("picture.png")],
        sampling: SamplingConfig::greedy(),
        max_new_tokens: 3,
    };
    let cancel = Cancel::default();
    engine.generate(&request("a <image> b"), &cancel, |_| {}).expect("answers");
    let next = request("a <image> b c d");
    let second = engine.generate(&next, &cancel, |_| {}).expect("answers");
    let fresh = load("blip2").generate(&next, &cancel, |_| {}).expect("answers");
    assert!(second.usage.cached_tokens > second.usage.image_tokens);
    assert_eq!(second.token_ids, fresh.token_ids);
}

#[test]
fn a_score_does_not_depend_on_what_went_before() {
    let cancel = Cancel::default();
    let pictures = [picture("picture.png")];
    let prompt = |text: &str| Prompt::Raw(text.into());
    let request = |text: &str| Request {
        prompt: prompt(text),
        pictures: pictures.to_vec(),
        sampling: SamplingConfig::greedy(),
        max_new_tokens: 3,
    };
    let prompts = ["a <image> b", "a <image> b c d", "a <image> c", "a <image> b c"];
    let fresh: Vec<Vec<f32>> = prompts
        .iter()
        .map(|text| {
            let score = load("blip2").score(&prompt(text), &pictures, "d c b a");
            score.expect("scores").logprobs
        })
        .collect();
    let mut engine = load("blip2");
    engine.generate(&request("a <image> b c"), &cancel, |_| {}).expect("answers");
    for (text, expected) in prompts.iter().zip(&fresh) {
        let score = engine.score(&prompt(text), &pictures, "d c b a").expect("scores");
        for (found, expected) in score.logprobs.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{text}: {found} instead of {expected}");
        }
        assert_eq!(
            engine.cached.len(),
            engine.prepare(&prompt(text), &pictures, 4).expect("prepares").positions.len()
        );
    }
    // An answer begins anew: its precision is another one.
    let answer = engine.generate(&request("a <image> b c"), &cancel, |_| {}).expect("answers");
    let alone = load("blip2").generate(&request("a <image> b c"), &cancel, |_| {});
    assert_eq!(
        (answer.usage.cached_tokens, answer.token_ids),
        (Some(0), alone.expect("answers").token_ids)
    );
}

#[test]
fn many_instructions_about_one_image_leave_another_image_in_memory() {
    let mut engine = load("instructblip");
    let (asked, other) = (picture("picture.png"), picture("other.png"));
    let encode = |engine: &mut Engine, picture: &Picture, instruction: u32| {
        let key = encode::query_key(&picture.key, &[instruction]);
        engine.encode(picture, &key, &[instruction]).expect("encodes").1
    };
    assert!(encode(&mut engine, &other, 5));
    for instruction in 5..30 {
        assert!(encode(&mut engine, &asked, instruction));
    }
    assert!(!encode(&mut engine, &other, 5), "its tokens were evicted");
}

/// An engine whose manifest has this `[prompt]`.
fn with_prompt(prompt: PromptPart) -> Engine {
    let mut model =
        Model::find(&root().join("blip2").display().to_string(), &root()).expect("finds");
    model.manifest.prompt = Some(prompt);
    Engine::load(&model, &Device::Cpu, |_, _| {}).expect("loads")
}

#[test]
fn measured_features_and_the_manifest_s_system_prompt_are_in_the_prompt_and_its_count() {
    let vicuna = |measured, system: Option<&str>| PromptPart {
        template: "vicuna".into(),
        system: system.map(Into::into),
        measured,
        ..PromptPart::default()
    };
    let pictures = [picture("picture.png")];
    let chat = |rounds: usize, measured| {
        let mut turns = vec![Turn::new(Role::User, "a b")];
        turns[0].images.push((0, "none".into()));
        for _ in 0..rounds {
            turns.extend([Turn::new(Role::Assistant, "c"), Turn::new(Role::User, "d")]);
        }
        Prompt::Chat { system: None, turns, measured }
    };
    let mut engine = with_prompt(vicuna(true, Some("a c")));
    // The small checkpoint's own window is too short for the line, and the budget sees that.
    let refused = engine.prepare(&chat(0, true), &pictures, 4).err();
    assert!(matches!(refused, Some(InferenceError::Chat(ChatError::TooLong { .. }))));
    engine.prepare(&chat(0, false), &pictures, 4).expect("fits without it");
    engine.model.language.config.context_length = 256;
    let mut text = |prompt: &Prompt| {
        let prepared = engine.prepare(prompt, &pictures, 4).expect("prepares");
        let ids = prepared.pieces.iter().flat_map(|piece| match piece {
            Piece::Tokens(ids) => ids.clone(),
            Piece::Image(_) => Vec::new(),
        });
        (engine.tokenizer.decode(&ids.collect::<Vec<_>>()), prepared.positions.len())
    };
    let ((with, long), (without, short)) = (text(&chat(0, true)), text(&chat(0, false)));
    assert!(with.contains("(mostly ") && !without.contains("mostly"), "{with:?}");
    assert!(with.contains("a c") && without.contains("a c"), "{without:?}");
    assert!(long > short + 10, "{long} {short}");
    // The line stays where it was when the conversation goes on, so the cache serves it.
    let request = |rounds| Request {
        prompt: chat(rounds, true),
        pictures: pictures.to_vec(),
        sampling: SamplingConfig::greedy(),
        max_new_tokens: 1,
    };
    let cancel = Cancel::default();
    engine.generate(&request(0), &cancel, |_| {}).expect("answers");
    let second = engine.generate(&request(1), &cancel, |_| {}).expect("answers");
    assert!(second.usage.cached_tokens.is_some_and(|n| n + 8 > long), "{:?}", second.usage);
    // A manifest that says nothing has neither.
    let mut plain = with_prompt(vicuna(false, None));
    plain.model.language.config.context_length = 256;
    let prepared = plain.prepare(&chat(0, true), &pictures, 4).expect("prepares");
    assert_ne!(prepared.positions.len(), long);
}

#[test]
fn an_answer_that_goes_round_in_circles_ends_where_the_manifest_says_so() {
    let request = Request {
        prompt: Prompt::Chat {
            system: None,
            turns: vec![Turn::new(Role::User, "a b")],
            measured: true,
        },
        pictures: Vec::new(),
        sampling: SamplingConfig::greedy(),
        max_new_tokens: 200,
    };
    let answer = |stop_loops| {
        let prompt = PromptPart { template: "vicuna".into(), stop_loops, ..PromptPart::default() };
        let mut engine = with_prompt(prompt);
        engine.model.language.config.context_length = 512;
        engine.generate(&request, &Cancel::default(), |_| {}).expect("answers")
    };
    // Random weights repeat themselves until the limit.
    let (endless, ended) = (answer(false), answer(true));
    assert_eq!(endless.finish_reason, FinishReason::Length);
    assert_eq!(ended.finish_reason, FinishReason::Stop, "{}", endless.text);
    assert!(endless.text.starts_with(&ended.text) && ended.token_ids.len() < 150);
}

#[test]
fn a_model_s_repetition_penalty_holds_in_chats_unless_the_settings_have_one() {
    let tokens = |own: Option<f32>, asked: f32, raw: bool| {
        let prompt = PromptPart {
            template: "vicuna".into(),
            repetition_penalty: own,
            ..PromptPart::default()
        };
        let mut engine = with_prompt(prompt);
        engine.model.language.config.context_length = 512;
        let turns = vec![Turn::new(Role::User, "a b")];
        let request = Request {
            prompt: match raw {
                true => Prompt::Raw("a b".into()),
                false => Prompt::Chat { system: None, turns, measured: true },
            },
            pictures: Vec::new(),
            sampling: SamplingConfig { repetition_penalty: asked, ..SamplingConfig::greedy() },
            max_new_tokens: 30,
        };
        engine.generate(&request, &Cancel::default(), |_| {}).expect("answers").token_ids
    };
    let distinct = |ids: &[u32]| ids.iter().collect::<std::collections::BTreeSet<_>>().len();
    let (plain, own) = (tokens(None, 1.0, false), tokens(Some(5.0), 1.0, false));
    assert!(distinct(&own) > distinct(&plain), "{own:?} {plain:?}");
    assert_eq!(tokens(Some(5.0), 1.05, false), tokens(None, 1.05, false), "the settings' holds");
    assert_eq!(tokens(Some(5.0), 1.0, true), tokens(None, 1.0, true), "a raw prompt has none");
}

#[test]
fn a_caption_reads_the_same_with_and_without_its_picture() {
    let facts = "mostly blue; low key";
    let pictures = [picture("picture.png")];
    let turns = |label: &str, shown: bool| {
        let mut turn = Turn::new(Role::User, "a b");
        turn.images.extend(shown.then(|| (0, label.to_string())));
        turn.caption = Some(Caption { label: label.into(), measured: Some(facts.into()) });
        vec![turn, Turn::new(Role::Assistant, "c"), Turn::new(Role::User, "d")]
    };
    for (template, known, unknown) in [
        ("minigpt4", format!("(by a) ({facts}) a b"), format!("({facts}) a b")),
        ("vicuna", format!("(by a)\n({facts})\na b"), format!("({facts})\na b")),
    ] {
        for measured in [false, true] {
            let template = template.into();
            let mut engine =
                with_prompt(PromptPart { template, measured, ..PromptPart::default() });
            engine.model.language.config.context_length = 512;
            let mut text = |label: &str, shown: bool| {
                let turns = turns(label, shown);
                // The engine's own line, where the manifest has one, gives way to the caption.
                let prompt = Prompt::Chat { system: Some("a".into()), turns, measured: true };
                let prepared = engine.prepare(&prompt, &pictures, 4).expect("prepares");
                let ids = prepared.pieces.iter().flat_map(|piece| match piece {
                    Piece::Tokens(ids) => ids.clone(),
                    Piece::Image(_) => Vec::new(),
                });
                engine.tokenizer.decode(&ids.collect::<Vec<_>>())
            };
            for shown in [true, false] {
                let (labelled, bare) = (text("by a", shown), text("none", shown));
                assert!(labelled.contains(&known), "{labelled:?}");
                assert!(bare.contains(&unknown) && !bare.contains("by a"), "{bare:?}");
                assert_eq!(labelled.matches("mostly").count(), 1, "{labelled:?}");
            }
        }
    }
    // The caption stays when old turns do not fit.
    let mut engine = with_prompt(PromptPart { template: "vicuna".into(), ..PromptPart::default() });
    engine.model.language.config.context_length = 512;
    let mut turns = turns("by a", false);
    let rounds = (0..400).map(|i| Turn::new([Role::Assistant, Role::User][i % 2], "c d"));
    turns.splice(1..1, rounds);
    let prompt = Prompt::Chat { system: Some("a".into()), turns, measured: false };
    let prepared = engine.prepare(&prompt, &[], 4).expect("prepares");
    assert!(prepared.dropped_turns > 0);
    let [Piece::Tokens(ids)] = &prepared.pieces[..] else { panic!("{:?}", prepared.pieces) };
    assert!(engine.tokenizer.decode(ids).contains(facts));
}
