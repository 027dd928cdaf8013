//! How much a step changed a tensor.

/// What a step did to a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    pub name: String,
    /// Sum of the squares of its change.
    pub change: f64,
    /// Sum of the squares of its values before.
    pub size: f64,
}
