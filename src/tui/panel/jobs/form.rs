//! The form for a new job: its fields, what was typed into them, and the request that it makes.

use std::ops::{Index, IndexMut};
use std::str::FromStr;

use crate::tui::complete::expand;
use artgpt_app::explain;
use artgpt_app::jobs::SubmitRequest;
use artgpt_app::overrides::OverrideError;
use artgpt_rundir::job::Place;

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

    /// The device, if one is named.
    pub fn device(&self) -> Option<&str> {
        Some(self.get(Field::Device)).filter(|device| !device.is_empty())
    }

    /// The jobs to submit.
    ///
    /// # Errors
    /// Names the value that cannot be used, and says what to type.
    pub fn request(&self) -> Result<SubmitRequest, String> {
        let (configuration, name) = (self.get(Field::Configuration), self.get(Field::Name));
        if configuration.is_empty() {
            return Err("no configuration is named; type the path of one".into());
        }
        let priority = match self.get(Field::Priority) {
            "" => 0,
            text => {
                let wrong = |_| self.wrong(Field::Priority, "a whole number, such as 5");
                text.parse().map_err(wrong)?
            }
        };
        let on = match self.get(Field::On) {
            "" | "local" => Place::Local,
            "slurm" => Place::Slurm,
            _ => return Err(self.wrong(Field::On, "local or slurm")),
        };
        Ok(SubmitRequest {
            config_file: expand(configuration),
            set: self.overrides(Field::Changes)?,
            sweep: self.overrides(Field::Sweep)?,
            name: Some(name.to_string()).filter(|name| !name.is_empty()),
            priority,
            after: self.words(Field::After).map(String::from).collect(),
            retries: SubmitRequest::RETRIES,
            on,
        })
    }

    fn words(&self, field: Field) -> impl Iterator<Item = &str> {
        self.get(field).split_whitespace()
    }

    fn overrides<T: FromStr<Err = OverrideError>>(&self, field: Field) -> Result<Vec<T>, String> {
        let all: Result<Vec<T>, OverrideError> = self.words(field).map(str::parse).collect();
        all.map_err(|e| explain(&e.into()))
    }

    fn wrong(&self, field: Field, hint: &str) -> String {
        format!("{} `{}` cannot be used; {hint}", field.name(), self.get(field))
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

    fn form<const N: usize>(values: [(Field, &str); N]) -> Form {
        let mut form = Form::default();
        for (field, value) in values {
            form.values[field] = value.into();
        }
        form
    }

    #[test]
    fn an_empty_field_means_the_default() {
        let form = form([(Field::Configuration, " a.toml ")]);
        let request = form.request().expect("is complete");
        assert_eq!((request.config_file, form.device()), ("a.toml".into(), None));
        assert_eq!((request.name, request.priority, request.on), (None, 0, Place::Local));
        assert_eq!(request.retries, SubmitRequest::RETRIES);
        assert!(request.set.is_empty() && request.sweep.is_empty() && request.after.is_empty());
    }

    #[test]
    fn all_fields_reach_the_request() {
        let form = form([
            (Field::Configuration, "a.toml"),
            (Field::Name, "try one"),
            (Field::Changes, " seed=3  stage.0.steps=200"),
            (Field::Sweep, "lr=1,2"),
            (Field::Device, "cuda:1 "),
            (Field::Priority, "-2"),
            (Field::After, " 01A  01B "),
            (Field::On, "slurm"),
        ]);
        let request = form.request().expect("is complete");
        assert_eq!((request.name.as_deref(), form.device()), (Some("try one"), Some("cuda:1")));
        let set = ["seed=3", "stage.0.steps=200"].map(|text| text.parse().expect("a pair"));
        assert_eq!(request.set, set);
        assert_eq!(request.sweep, ["lr=1,2".parse().expect("a sweep")]);
        assert_eq!((request.priority, request.on), (-2, Place::Slurm));
        assert_eq!(request.after, ["01A", "01B"]);
    }

    #[test]
    fn a_value_that_cannot_be_used_is_named() {
        let with = |field: Field, value: &str| {
            let form = form([(Field::Configuration, "a.toml"), (field, value)]);
            form.request().expect_err("cannot be used")
        };
        let empty = "no configuration is named; type the path of one";
        assert_eq!(with(Field::Configuration, " "), empty);
        let priority = "priority `high` cannot be used; a whole number, such as 5";
        assert_eq!(with(Field::Priority, "high"), priority);
        assert_eq!(with(Field::On, "moon"), "on `moon` cannot be used; local or slurm");
        assert!(with(Field::Changes, "seed").contains("seed"));
        assert!(with(Field::Sweep, "seed").contains("seed"));
    }
}
