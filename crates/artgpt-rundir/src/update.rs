//! The size of a tensor's update.

/// The size of a tensor's update in one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The tensor's name.
    pub name: String,
    /// Sum of the squares of the change.
    pub change: f64,
    /// Sum of the squares of the values before the step.
    pub size: f64,
}
