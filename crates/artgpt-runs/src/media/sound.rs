//! Decodes a WAV file into a waveform for display.

use hound::{SampleFormat, WavReader};

use super::MediaError;

/// Limit on the points of a waveform.
const SLICES: usize = 2_000;

/// A sound's format and waveform.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Sample rate in Hz.
    pub rate: u32,
    /// Number of channels.
    pub channels: u16,
    /// Bits per sample.
    pub bits: u16,
    /// Duration in seconds.
    pub seconds: f64,
    /// Min and max of each slice's samples and 0; full scale is -1 to 1.
    pub wave: Vec<(f32, f32)>,
    /// Peak amplitude; 1 is full scale.
    pub peak: f32,
    /// RMS amplitude; 1 is full scale.
    pub rms: f32,
}

/// Decodes a WAV file, the format of TensorBoard and W&B.
///
/// # Errors
/// [`MediaError::Sound`] and [`MediaError::EmptyFormat`]
pub fn sound(bytes: &[u8]) -> Result<Sound, MediaError> {
    let reader = WavReader::new(bytes)?;
    let (spec, length) = (reader.spec(), reader.len() as usize);
    if spec.sample_rate == 0 || spec.channels == 0 {
        return Err(MediaError::EmptyFormat);
    }
    let slices = SLICES.min(length);
    let mut wave = vec![(0f32, 0f32); slices];
    let (mut peak, mut squares) = (0f32, 0f64);
    let mut add_sample = |at: usize, sample: f32| {
        // The length in the header may be wrong.
        let slot = wave.get_mut(at * slices / length.max(1));
        if let Some((low, high)) = slot.filter(|_| sample.is_finite()) {
            (*low, *high) = (low.min(sample), high.max(sample));
            peak = peak.max(sample.abs());
            squares += f64::from(sample).powi(2);
        }
    };
    match spec.sample_format {
        SampleFormat::Float => {
            for (at, sample) in reader.into_samples::<f32>().enumerate() {
                add_sample(at, sample?);
            }
        }
        SampleFormat::Int => {
            let full = (1u64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            for (at, sample) in reader.into_samples::<i32>().enumerate() {
                add_sample(at, sample? as f32 / full);
            }
        }
    }
    Ok(Sound {
        rate: spec.sample_rate,
        channels: spec.channels,
        bits: spec.bits_per_sample,
        seconds: length as f64 / f64::from(spec.channels) / f64::from(spec.sample_rate),
        wave,
        peak,
        rms: (squares / length.max(1) as f64).sqrt() as f32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_is_measured_and_other_files_are_refused() {
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut file = std::io::Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut file, spec).expect("writes");
        for at in 0..8_000 {
            // The left is a square wave at half the scale, the right is silent.
            let left = if at % 2 == 0 { 16_384i16 } else { -16_384 };
            writer.write_sample(left).expect("writes");
            writer.write_sample(0i16).expect("writes");
        }
        writer.finalize().expect("writes");
        let bytes = file.into_inner();
        let heard = sound(&bytes).expect("a sound");
        assert_eq!((heard.rate, heard.channels, heard.seconds), (8_000, 2, 1.0));
        assert_eq!((heard.wave.len(), heard.wave[7], heard.peak), (SLICES, (-0.5, 0.5), 0.5));
        assert!((heard.rms - 0.125f32.sqrt()).abs() < 1e-6);
        assert!(sound(&bytes[..60]).is_err());
        // Any size or count in the head may be beyond all files.
        for at in 0..44 {
            for other in [0, 1, 0x7f, 0xff] {
                for width in [1, 2, 4, 8] {
                    let mut odd = bytes.clone();
                    odd[at..(at + width).min(44)].fill(other);
                    if let Ok(heard) = sound(&odd) {
                        assert!(heard.wave.len() <= SLICES && heard.rms.is_finite(), "{at}");
                    }
                }
            }
        }
        let error = sound(b"OggS and more").expect_err("no WAV").to_string();
        assert!(error.contains("not a readable WAV file"), "{error}");
    }
}
