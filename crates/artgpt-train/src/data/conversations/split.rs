//! Which pictures train: a museum's split for its paintings, a draw by name for all others.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Conversations, PictureSource};
use crate::name_hash;
use artgpt_art::Split;

/// What a picture is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Training.
    Train,
    /// It never trains. It gives the validation loss, unless the split sets paintings aside for that.
    HeldOut,
    /// It gives the validation loss, beside held-out paintings that nothing looks at.
    SetAside,
    /// Nothing: the museum's split does not name it.
    Unused,
}

impl Side {
    /// The side that gives the validation loss.
    pub(crate) fn validation(split: &Split) -> Self {
        if split.set_aside.is_empty() { Self::HeldOut } else { Self::SetAside }
    }
}

impl Conversations {
    /// The side of a picture. `split` is the museum's, empty without one; of the pictures outside the museum
    /// `seed` draws the share `held_out` for the validation loss.
    pub(crate) fn side(&self, picture: usize, split: &Split, seed: u64, held_out: f64) -> Side {
        let Some(shown) = self.pictures.get(picture) else { return Side::Train };
        let PictureSource::Painting(id) = shown.source else {
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ name_hash(&shown.key));
            let drawn = rng.random::<f64>() < held_out;
            return if drawn { Side::validation(split) } else { Side::Train };
        };
        match id {
            _ if split.train.binary_search(&id).is_ok() => Side::Train,
            _ if split.set_aside.contains(&id) => Side::SetAside,
            _ if split.held_out.contains(&id) => Side::HeldOut,
            _ => Side::Unused,
        }
    }
}
