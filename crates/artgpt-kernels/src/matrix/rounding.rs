//! Activations rounded to signed bytes, in the layout of the integer products.

/// The scale of a block (its largest absolute value / 127), and the factor from values to bytes.
#[inline(always)]
pub(crate) fn scale(x: &[f32]) -> (f32, f32) {
    let largest = x.iter().fold(0f32, |m, v| m.max(v.abs()));
    let to_bytes = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    (largest / 127.0, to_bytes)
}

/// Rounds values to groups of four bytes, the first one lowest, and returns the sum of the bytes.
#[inline(always)]
pub(crate) fn quads(x: &[f32], to_bytes: f32, quads: &mut [i32]) -> i32 {
    let mut sum = 0;
    for (quad, x) in quads.iter_mut().zip(x.chunks_exact(4)) {
        let bytes = [0, 1, 2, 3].map(|i| (x[i] * to_bytes).round_ties_even() as i8);
        sum += bytes.iter().map(|b| i32::from(*b)).sum::<i32>();
        *quad = i32::from_le_bytes(bytes.map(|b| b as u8));
    }
    sum
}
