//! The request as the server expects it: sampling settings, messages, images as data URIs.

use base64::Engine as _;
use image::RgbImage;
use serde_json::{Value, json};

use super::{Remote, RemoteError};
use crate::{InferenceError, Picture, Prompt, Request, Result};
use artgpt_art::within;
use artgpt_chat::{IMAGE_MARKER, Role, Turn, count_markers};

/// Images with a longer side are scaled down to it before they are sent.
const LONG_SIDE: u32 = 1536;

impl Remote {
    /// The path below the server's root, and the JSON body.
    pub(super) fn body(&self, request: &Request) -> Result<(&'static str, Value)> {
        let s = &request.sampling;
        if s.beams > 1 {
            return Err(InferenceError::Sampling("a server has no beam search".into()));
        }
        let mut body = json!({
            "model": self.model,
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_tokens": request.max_new_tokens,
            "temperature": s.temperature,
            "top_p": s.top_p,
        });
        let mut set = |key: &str, value: Value| {
            if let Some(map) = body.as_object_mut() {
                map.insert(key.into(), value);
            }
        };
        if let Some(seed) = s.seed {
            set("seed", json!(seed));
        }
        if !s.stop.is_empty() {
            set("stop", json!(s.stop));
        }
        if s.presence_penalty != 0.0 {
            set("presence_penalty", json!(s.presence_penalty));
        }
        // Extensions of vLLM, SGLang and llama-server: sent only when used.
        if s.top_k > 0 {
            set("top_k", json!(s.top_k));
        }
        if s.min_p > 0.0 {
            set("min_p", json!(s.min_p));
        }
        if (s.repetition_penalty - 1.0).abs() > f32::EPSILON {
            set("repetition_penalty", json!(s.repetition_penalty));
            set("repeat_penalty", json!(s.repetition_penalty)); // llama-server's name
        }
        if s.min_new_tokens > 0 {
            set("min_tokens", json!(s.min_new_tokens));
        }
        match &request.prompt {
            Prompt::Raw(_) if !request.pictures.is_empty() => {
                Err(self.error(RemoteError::RawPromptWithImages))
            }
            Prompt::Raw(text) => {
                set("prompt", json!(text));
                Ok(("/completions", body))
            }
            Prompt::Chat { system, turns, measured: _ } => {
                let mut messages: Vec<Value> =
                    system.iter().map(|text| json!({"role": "system", "content": text})).collect();
                for turn in turns {
                    messages.push(message(turn, &request.pictures)?);
                }
                set("messages", json!(messages));
                Ok(("/chat/completions", body))
            }
        }
    }
}

/// A turn as the server reads it: images as data URIs, their labels as text.
fn message(turn: &Turn, pictures: &[Picture]) -> Result<Value> {
    let role = match turn.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    if turn.images.is_empty() {
        return Ok(json!({"role": role, "content": turn.text}));
    }
    // Markers place the images if there is one for each, as in a local model's template.
    let placed = count_markers(&turn.text) == turn.images.len();
    let mut texts = match placed {
        true => turn.text.split(IMAGE_MARKER).collect::<Vec<_>>(),
        false => vec![turn.text.as_str()],
    }
    .into_iter();
    let mut parts = Vec::new();
    let text = |text: &str| json!({"type": "text", "text": text});
    if placed {
        parts.extend(texts.next().filter(|t| !t.is_empty()).map(text));
    }
    for (index, label) in &turn.images {
        let Some(picture) = pictures.get(*index) else { continue };
        parts.push(json!({"type": "image_url", "image_url": {"url": data_uri(&picture.image)?}}));
        if label != "none" {
            parts.push(text(&format!("Label: {label}")));
        }
        if placed {
            parts.extend(texts.next().filter(|t| !t.is_empty()).map(text));
        }
    }
    parts.extend(texts.filter(|t| !t.is_empty()).map(text));
    Ok(json!({"role": role, "content": parts}))
}

/// The image as a PNG in a data URI.
fn data_uri(image: &RgbImage) -> Result<String> {
    let scaled =
        within(image.dimensions(), LONG_SIDE).map(|(w, h)| image::imageops::thumbnail(image, w, h));
    let mut png = std::io::Cursor::new(Vec::new());
    scaled
        .as_ref()
        .unwrap_or(image)
        .write_to(&mut png, image::ImageFormat::Png)
        .map_err(InferenceError::Image)?;
    let text = base64::engine::general_purpose::STANDARD.encode(png.into_inner());
    Ok(format!("data:image/png;base64,{text}"))
}
