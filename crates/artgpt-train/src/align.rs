//! The align stage: query tokens learn to match the language model's embeddings of the true answers.
//! The language model does not run, so the stage is cheap.

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::loss;

use super::examples::kind_index;
use artgpt_art::{FormalFeatures, Painting, Question};
use artgpt_chat::Tokenizer;
use artgpt_kernels::matrix::Matrix;

/// Query tokens for each question type; the rest match tags.
pub(crate) const SLOTS_PER_QUESTION: usize = 2;
/// Logit of a perfect match.
const SCALE: f64 = 16.0;

/// The embeddings of all answers, computed once.
pub(crate) struct AlignTargets {
    /// For each question: unit rows (answers, hidden).
    questions: Vec<Tensor>,
    /// (tags, hidden), unit rows.
    tags: Option<Tensor>,
    tag_names: Vec<String>,
    /// Mean norm of an answer's embedding: the length a projected token should have.
    length: f64,
}

impl AlignTargets {
    pub(crate) fn new(
        embeddings: &Matrix,
        tokenizer: &Tokenizer,
        tags: &[String],
        device: &Device,
    ) -> super::Result<Self> {
        let embed = |words: &[&str]| -> super::Result<Tensor> {
            let rows = words
                .iter()
                .map(|word| {
                    let ids = tokenizer.encode(&format!(" {word}"))?;
                    Ok(embeddings.rows(&ids, device)?.mean(0)?.detach())
                })
                .collect::<super::Result<Vec<_>>>()?;
            Ok(Tensor::stack(&rows, 0)?)
        };
        let mut lengths = Vec::new();
        let mut questions = Vec::new();
        for q in Question::ALL {
            let e = embed(&q.answer_words())?;
            lengths.push(f64::from(norms(&e)?.mean_all()?.to_scalar::<f32>()?));
            questions.push(unit(&e)?);
        }
        let names: Vec<&str> = tags.iter().map(String::as_str).collect();
        let tag_rows = if names.is_empty() { None } else { Some(unit(&embed(&names)?)?) };
        Ok(Self {
            questions,
            tags: tag_rows,
            tag_names: tags.to_vec(),
            length: lengths.iter().sum::<f64>() / lengths.len() as f64,
        })
    }

    /// Loss (a scalar) and accuracy (0 to 1) of projected query tokens, (batch, queries, hidden).
    pub(crate) fn loss(
        &self,
        projected: &Tensor,
        truth: &[(&Painting, FormalFeatures)],
    ) -> Result<(Tensor, f64)> {
        let device = projected.device();
        let (batch, queries, _) = projected.dims3()?;
        let mut total = Tensor::zeros((), DType::F32, device)?;
        let (mut right, mut asked) = (0usize, 0usize);
        for (i, question) in Question::ALL.iter().enumerate() {
            let slots = projected.narrow(1, i * SLOTS_PER_QUESTION, SLOTS_PER_QUESTION)?;
            let (rows, answers): (Vec<u32>, Vec<u32>) = truth
                .iter()
                .enumerate()
                .filter_map(|(row, (painting, features))| {
                    let answer = match question {
                        Question::Kind => kind_index(painting.kind)?,
                        q => q.truth(features, None)?.0,
                    };
                    Some((row as u32, answer as u32))
                })
                .unzip();
            if rows.is_empty() {
                continue;
            }
            let index = Tensor::new(rows.as_slice(), device)?;
            let token = slots.mean(1)?.index_select(&index, 0)?; // (rows, hidden)
            let logits = (token.matmul(&self.questions[i].t()?)? * (SCALE / self.length))?;
            total =
                (total + loss::cross_entropy(&logits, &Tensor::new(answers.as_slice(), device)?)?)?;
            let best: Vec<u32> = logits.argmax(D::Minus1)?.to_vec1()?;
            right += best.iter().zip(&answers).filter(|(a, b)| a == b).count();
            asked += answers.len();
        }
        if let Some(tags) = &self.tags {
            let first = Question::ALL.len() * SLOTS_PER_QUESTION;
            let slots = projected.narrow(1, first, queries - first)?.contiguous()?;
            let (_, n, hidden) = slots.dims3()?;
            let similarity = slots
                .reshape((batch * n, hidden))?
                .matmul(&tags.t()?)?
                .reshape((batch, n, ()))?
                .max(1)?; // (batch, tags): any query may match a tag
            let logits = ((similarity * (SCALE / self.length))? - SCALE / 2.0)?;
            let wanted: Vec<f32> = truth
                .iter()
                .flat_map(|(p, _)| {
                    self.tag_names.iter().map(|t| if p.tags.contains(t) { 1.0 } else { 0.0 })
                })
                .collect();
            let wanted = Tensor::from_vec(wanted, logits.shape(), device)?;
            total = (total + (binary_cross_entropy(&logits, &wanted)? * 4.0)?)?;
        }
        // Tokens as long as real embeddings, whatever their direction.
        let excess = ((norms(projected)? / self.length)? - 1.0)?.sqr()?.mean_all()?;
        Ok(((total + excess)?, right as f64 / asked.max(1) as f64))
    }
}

fn norms(x: &Tensor) -> Result<Tensor> {
    (x.sqr()?.sum(D::Minus1)? + 1e-12)?.sqrt()
}

fn unit(x: &Tensor) -> Result<Tensor> {
    x.broadcast_div(&norms(x)?.unsqueeze(D::Minus1)?)
}

/// From logits, stable on both sides: max(x, 0) - x t + ln(1 + e^-|x|).
fn binary_cross_entropy(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    let soft = ((logits.abs()?.neg()?.exp()? + 1.0)?).log()?;
    ((logits.relu()? - (logits * target)?)? + soft)?.mean_all()
}
