//! The form for a new job: its fields, and what was typed into them.

use std::ops::{Index, IndexMut};

/// A field, in the order of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Configuration,
    Name,
    Changes,
    Sweep,
    Device,
    Priority,
    After,
    On,
}

/// One value a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields<T>([T; Field::ALL.len()]);

/// The values of the form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// What was typed.
    pub(super) values: Fields<String>,
}

impl Field {
    pub(crate) const ALL: [Self; 8] = [
        Self::Configuration,
        Self::Name,
        Self::Changes,
        Self::Sweep,
        Self::Device,
        Self::Priority,
        Self::After,
        Self::On,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Name => "name",
            Self::Changes => "changes",
            Self::Sweep => "sweep",
            Self::Device => "device",
            Self::Priority => "priority",
            Self::After => "after",
            Self::On => "on",
        }
    }

    /// The hint shown while the field is empty.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Configuration => "a TOML file, such as examples/train/artgpt-smol.toml",
            Self::Name => "default: the file name",
            Self::Changes => "key=value key=value, such as seed=3 stage.0.steps=200",
            Self::Sweep => "key=value,value: one job a value, such as seed=1,2,3",
            Self::Device => "auto",
            Self::Priority => "0",
            Self::After => "names or IDs of jobs that must finish first",
            Self::On => "local or slurm",
        }
    }

    /// The field so many lines further down, at most the last one.
    pub(crate) fn moved(self, by: isize) -> Self {
        let at = (self as usize).saturating_add_signed(by);
        Self::ALL[at.min(Self::ALL.len() - 1)]
    }
}

impl<T> Fields<T> {
    pub(super) fn map<U>(&self, change: impl FnMut(&T) -> U) -> Fields<U> {
        Fields(self.0.each_ref().map(change))
    }
}

impl<T> Index<Field> for Fields<T> {
    type Output = T;

    fn index(&self, field: Field) -> &T {
        &self.0[field as usize]
    }
}

impl<T> IndexMut<Field> for Fields<T> {
    fn index_mut(&mut self, field: Field) -> &mut T {
        &mut self.0[field as usize]
    }
}

impl Form {
    /// The value of a field, without white space around it.
    pub(crate) fn get(&self, field: Field) -> &str {
        self.values[field].trim()
    }

    /// The value of the field with this name.
    pub fn value(&self, name: &str) -> &str {
        let field = Field::ALL.into_iter().find(|field| field.name() == name);
        field.map_or("", |field| self.get(field))
    }

    /// The words of the field with this name, split at white space.
    pub fn words(&self, name: &str) -> Vec<String> {
        self.value(name).split_whitespace().map(String::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_in_the_order_of_the_form() {
        for (at, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, at);
        }
        assert_eq!(Field::Configuration.moved(-1), Field::Configuration);
        assert_eq!(Field::Configuration.moved(1), Field::Name);
        assert_eq!(Field::On.moved(1), Field::On);
    }

    #[test]
    fn a_value_is_trimmed_and_split_into_words() {
        let mut form = Form::default();
        form.values[Field::After] = " 01A  01B ".into();
        assert_eq!((form.get(Field::After), form.get(Field::Name)), ("01A  01B", ""));
        assert_eq!((form.value("after"), form.value("before")), ("01A  01B", ""));
        assert_eq!(form.words("after"), ["01A", "01B"]);
    }
}
