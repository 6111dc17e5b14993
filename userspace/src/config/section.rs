//! The walk over a file by the declarations of its keys.
//!
//! A [`Section`] hands out the value of each declared key, and the [`Walk`]
//! behind it records the declarations, the problems, and the keys that nobody
//! declared. A walk over nothing gives the defaults and the record.

use toml_edit::{Item, Key, TableLike};

use super::error::{InvalidValue, Problem};
use super::kind::{Choice, Fault, Kind, type_phrase};
use super::nearest::{enumerated, nearest, printable};

/// Declares a section: its struct, its keys, and its [`Default`].
///
/// The doc comment of a field is its meaning in the reference, too.
macro_rules! settings {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])*
                pub $field:ident: $type:ty = ($kind:expr, $default:expr),
            )*
            $( section pub $section:ident: $section_type:ident, )*
            $( tables pub $tables:ident: $tables_type:ident = $tables_name:literal, )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[doc = $field_doc])* pub $field: $type, )*
            $(
                #[doc = concat!("The section `[", stringify!($section), "]`.")]
                pub $section: $section_type,
            )*
            $(
                #[doc = concat!("The tables `[[", $tables_name, "]]`.")]
                pub $tables: Vec<$tables_type>,
            )*
        }

        impl Declare for $name {
            const DOC: &'static [&'static str] = &[$($doc),*];

            fn declare(section: &mut Section<'_>) -> Self {
                Self {
                    $( $field: section.field(stringify!($field), &[$($field_doc),*], $kind, $default), )*
                    $( $section: section.nested(stringify!($section)), )*
                    $( $tables: section.tables($tables_name), )*
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Section::top(&mut Walk::default(), None).settings()
            }
        }
    };
}
pub(super) use settings;

/// A struct of settings that can be read from a section.
pub(super) trait Declare: Sized {
    /// The lines of its doc comment.
    const DOC: &'static [&'static str];

    fn declare(section: &mut Section<'_>) -> Self;
}

/// What a walk has met.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) sections: Vec<SectionRecord>,
    problems: Vec<Problem>,
    /// The paths of the keys that the file has, and where.
    present: Vec<(String, usize)>,
    undeclared: Vec<Undeclared>,
}

/// A section as it was declared; the nameless one is the top of the file.
#[derive(Debug)]
pub(super) struct SectionRecord {
    pub(super) name: &'static str,
    pub(super) multiplicity: Multiplicity,
    pub(super) doc: String,
    pub(super) fields: Vec<FieldRecord>,
}

/// How often a section may stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Multiplicity {
    /// `[section]`.
    Once,
    /// `[[section]]`: this one is the n-th, from 0.
    Many(usize),
}

/// A key as it was declared.
#[derive(Debug)]
pub(super) struct FieldRecord {
    pub(super) key: &'static str,
    pub(super) doc: String,
    pub(super) kind: String,
    /// In TOML.
    pub(super) default: String,
    pub(super) choices: Vec<Choice>,
}

/// A key of the file that no declaration asked for.
#[derive(Debug)]
struct Undeclared {
    section: usize,
    key: String,
    at: usize,
    is_section: bool,
}

impl Walk {
    /// Reports a relation between keys that does not hold, at the first of
    /// them that the file has. A key with a problem of its own has no value
    /// that could be compared.
    pub(super) fn require(
        &mut self,
        keys: &[&str],
        holds: bool,
        invalid: impl FnOnce() -> InvalidValue,
    ) {
        let is_faulty = |key: &&str| self.problems.iter().any(|problem| problem.key == *key);
        if holds || keys.iter().any(is_faulty) {
            return;
        }
        let places = keys.iter().filter_map(|key| self.position(key));
        let at = places.min().unwrap_or(0);
        if let Some(subject) = keys.first() {
            self.report(at, (*subject).to_owned(), invalid());
        }
    }

    /// All problems, those of undeclared keys included.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        for undeclared in std::mem::take(&mut self.undeclared) {
            let problem = self.undeclared_problem(&undeclared);
            self.problems.push(problem);
        }
        self.problems
    }

    /// Reports that a value does not fit with others, at its key or else at the
    /// table that it is missing in.
    pub(super) fn refuse(&mut self, key: String, table: &str, invalid: InvalidValue) {
        let has_fault = |problem: &Problem| problem.key.starts_with(&key);
        if !self.problems.iter().any(has_fault) {
            let at = self.position(&key).or_else(|| self.position(table));
            self.report(at.unwrap_or(0), key, invalid);
        }
    }

    fn position(&self, path: &str) -> Option<usize> {
        let found = self.present.iter().find(|(present, _)| present == path);
        found.map(|(_, at)| *at)
    }

    fn report(&mut self, at: usize, key: String, invalid: InvalidValue) {
        self.problems.push(Problem {
            at,
            message: format!("`{key}` {}", invalid.message),
            hint: invalid.hint,
            key,
        });
    }

    fn undeclared_problem(&self, undeclared: &Undeclared) -> Problem {
        let section = &self.sections[undeclared.section];
        let path = section.path(&printable(&undeclared.key));
        let message = if undeclared.is_section {
            format!("`[{path}]` is not a known section")
        } else {
            format!("`{path}` is not a known key")
        };
        Problem {
            at: undeclared.at,
            key: path,
            message,
            hint: self.undeclared_hint(undeclared),
        }
    }

    fn undeclared_hint(&self, undeclared: &Undeclared) -> String {
        let section = &self.sections[undeclared.section];
        let key = undeclared.key.as_str();
        let known: Vec<&str> = if section.name.is_empty() {
            section.keys().chain(self.section_names()).collect()
        } else {
            section.keys().collect()
        };
        if let Some(name) = nearest(key, known.iter().copied()) {
            return format!("did you mean `{name}`?");
        }
        if let Some(home) = self.sections.iter().find(|s| s.keys().any(|k| k == key)) {
            return match home.name {
                "" => "it belongs above the first section".to_owned(),
                name => format!("it belongs in `[{name}]`"),
            };
        }
        if undeclared.is_section && section.name.is_empty() {
            return format!("the sections are {}", enumerated(self.section_names()));
        }
        format!("the keys here are {}", enumerated(known))
    }

    fn section_names(&self) -> impl Iterator<Item = &'static str> {
        let again = |section: &&SectionRecord| match section.multiplicity {
            Multiplicity::Once => false,
            Multiplicity::Many(index) => index > 0,
        };
        let sections = self.sections.iter().filter(move |section| !again(section));
        let names = sections.map(|section| section.name);
        names.filter(|name| !name.is_empty())
    }
}

impl SectionRecord {
    fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|field| field.key)
    }

    fn path(&self, key: &str) -> String {
        match (self.name, self.multiplicity) {
            ("", _) => key.to_owned(),
            (name, Multiplicity::Once) => format!("{name}.{key}"),
            (name, Multiplicity::Many(index)) => format!("{name}[{index}].{key}"),
        }
    }
}

/// One table of the file, or of nothing.
pub(super) struct Section<'a> {
    walk: &'a mut Walk,
    index: usize,
    table: Option<&'a dyn TableLike>,
}

impl<'a> Section<'a> {
    /// The top of a file.
    pub(super) fn top(walk: &'a mut Walk, table: Option<&'a dyn TableLike>) -> Self {
        let doc = &["These keys stand before the first section."];
        Self::open(walk, "", Multiplicity::Once, doc, table)
    }

    fn open(
        walk: &'a mut Walk,
        name: &'static str,
        multiplicity: Multiplicity,
        doc: &[&str],
        table: Option<&'a dyn TableLike>,
    ) -> Self {
        let index = walk.sections.len();
        walk.sections.push(SectionRecord {
            name,
            multiplicity,
            doc: sentences(doc),
            fields: Vec::new(),
        });
        Self { walk, index, table }
    }

    /// The settings in this section.
    pub(super) fn settings<T: Declare>(mut self) -> T {
        let settings = T::declare(&mut self);
        self.note_undeclared();
        settings
    }

    /// The value of a key, or its default when it is absent or faulty.
    pub(super) fn field<K: Kind>(
        &mut self,
        key: &'static str,
        doc: &[&str],
        kind: K,
        default: K::Value,
    ) -> K::Value {
        self.record().fields.push(FieldRecord {
            key,
            doc: sentences(doc),
            kind: kind.describe(),
            default: kind.write(&default).to_string(),
            choices: kind.choices(),
        });
        self.read(key, &kind).unwrap_or(default)
    }

    /// The settings in a section below this one.
    pub(super) fn nested<T: Declare>(&mut self, name: &'static str) -> T {
        let table = self.nested_table(name);
        Section::open(self.walk, name, Multiplicity::Once, T::DOC, table).settings()
    }

    /// The settings in each table of an array of them.
    pub(super) fn tables<T: Declare>(&mut self, name: &'static str) -> Vec<T> {
        let tables = self.array_of_tables(name);
        if tables.is_empty() {
            // For the record only.
            let many = Multiplicity::Many(0);
            let _: T = Section::open(self.walk, name, many, T::DOC, None).settings();
        }
        let tables = tables.into_iter().enumerate();
        tables
            .map(|(index, table)| {
                let many = Multiplicity::Many(index);
                Section::open(self.walk, name, many, T::DOC, Some(table)).settings()
            })
            .collect()
    }

    fn array_of_tables(&mut self, name: &'static str) -> Vec<&'a dyn TableLike> {
        let Some((key, item)) = self.item(name) else {
            return Vec::new();
        };
        self.walk.present.push((name.to_owned(), position(key)));
        if let Some(tables) = item.as_array_of_tables() {
            return tables.iter().map(|table| table as &dyn TableLike).collect();
        }
        let inline = item.as_array().map(|array| {
            let tables = array.iter().map(|value| value.as_inline_table());
            tables
                .map(|table| table.map(|table| table as &dyn TableLike))
                .collect::<Option<Vec<_>>>()
        });
        if let Some(Some(tables)) = inline {
            return tables;
        }
        let invalid = InvalidValue {
            message: format!(
                "is {}, not an array of tables",
                type_phrase(item.type_name())
            ),
            hint: format!("write `[[{name}]]` for each, and its keys on the lines below"),
        };
        self.walk.report(position(key), name.to_owned(), invalid);
        Vec::new()
    }

    fn read<K: Kind>(&mut self, key: &'static str, kind: &K) -> Option<K::Value> {
        let (name, item) = self.item(key)?;
        let at = position(name);
        let path = self.record().path(key);
        self.walk.present.push((path.clone(), at));
        let read = match item.as_value() {
            Some(value) => kind.read(value),
            None => Err(vec![not_a_value(item, at, kind)]),
        };
        let faults = match read {
            Ok(value) => return Some(value),
            Err(faults) => faults,
        };
        for fault in faults {
            self.walk.report(fault.at, fault.path(&path), fault.invalid);
        }
        None
    }

    fn nested_table(&mut self, name: &'static str) -> Option<&'a dyn TableLike> {
        let (key, item) = self.item(name)?;
        let table = item.as_table_like();
        if table.is_none() {
            let invalid = InvalidValue {
                message: format!("is {}, not a section", type_phrase(item.type_name())),
                hint: format!("write `[{name}]` once, and its keys on the lines below"),
            };
            self.walk.report(position(key), name.to_owned(), invalid);
        }
        table
    }

    fn item(&self, key: &str) -> Option<(&'a Key, &'a Item)> {
        let found = self.table?.get_key_value(key)?;
        (!found.1.is_none()).then_some(found)
    }

    /// After the declarations: what the file has beyond them.
    fn note_undeclared(self) {
        let Some(table) = self.table else { return };
        for (name, item) in table.iter() {
            if !self.is_declared(name) {
                self.walk.undeclared.push(Undeclared {
                    section: self.index,
                    key: name.to_owned(),
                    at: table.key(name).map_or(0, position),
                    is_section: item.is_table() || item.is_array_of_tables(),
                });
            }
        }
    }

    fn is_declared(&self, name: &str) -> bool {
        let is_key = self.walk.sections[self.index].keys().any(|key| key == name);
        is_key || (self.index == 0 && self.walk.section_names().any(|s| s == name))
    }

    fn record(&mut self) -> &mut SectionRecord {
        &mut self.walk.sections[self.index]
    }
}

/// The key is written as the header of a table.
fn not_a_value(item: &Item, at: usize, kind: &impl Kind) -> Fault {
    Fault {
        element: None,
        at,
        invalid: InvalidValue {
            message: format!("is {}", type_phrase(item.type_name())),
            hint: format!("write {}", kind.describe()),
        },
    }
}

fn position(key: &Key) -> usize {
    key.span().map_or(0, |span| span.start)
}

/// The lines of a doc comment as running text.
fn sentences(lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| line.trim()).collect();
    lines.join(" ")
}
