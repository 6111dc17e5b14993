//! What a walk recorded, for people: Markdown and a commented example.

use super::kind::Choice;
use super::section::{FieldRecord, Multiplicity, SectionRecord, Walk};

/// The width of a comment in the example.
const WIDTH: usize = 76;

/// The page `docs/config.md`.
pub(super) fn markdown(walk: &Walk) -> String {
    let sections: String = walk.sections.iter().map(section_markdown).collect();
    let example = toml(walk);
    format!(
        "# Configuration\n\n{INTRODUCTION}\n{sections}## Example\n\n\
         All keys with their defaults, as `xdsc config show` prints them:\n\n\
         ```toml\n{example}```\n"
    )
}

/// The example: every key with its default.
pub(super) fn toml(walk: &Walk) -> String {
    let sections: Vec<_> = walk.sections.iter().map(section_toml).collect();
    sections.join("\n")
}

const INTRODUCTION: &str = "\
xdsc reads one TOML file, given by `xdsc run --config FILE`. Every key may be
left out and then has its default; an empty file is a complete configuration.
Flags on the command line come before the file. `xdsc config check FILE` reports
all errors of a file at once, each with line, column, and what to write instead.

This page is made from the declarations that the daemon reads the file with
(`xdsc config reference`).
";

fn section_markdown(section: &SectionRecord) -> String {
    let heading = match section.name {
        "" => "## Top of the file".to_owned(),
        name if section.multiplicity == Multiplicity::Once => format!("## `[{name}]`"),
        name => format!("## `[[{name}]]`"),
    };
    let doc = &section.doc;
    let rows: String = section.fields.iter().map(row).collect();
    format!(
        "{heading}\n\n{doc}\n\n| Key | Value | Default | Meaning |\n|---|---|---|---|\n{rows}\n"
    )
}

fn row(field: &FieldRecord) -> String {
    let choices = field.choices.iter();
    let choices: String = choices
        .map(|choice| format!("<br>`\"{}\"`: {}.", choice.name, choice.meaning))
        .collect();
    let cells = [
        format!("`{}`", field.key),
        field.kind.clone(),
        format!("`{}`", field.default),
        format!("{}{choices}", field.doc),
    ];
    format!(
        "| {} |\n",
        cells.map(|cell| cell.replace('|', "\\|")).join(" | ")
    )
}

fn section_toml(section: &SectionRecord) -> String {
    if section.multiplicity != Multiplicity::Once {
        return tables_toml(section);
    }
    let heading = match section.name {
        "" => String::new(),
        name => format!("{}[{name}]\n", comment(&section.doc, 0)),
    };
    let fields: Vec<_> = section.fields.iter().map(field_toml).collect();
    format!("{heading}{}", fields.join("\n"))
}

/// Nothing that is there by default, so all of it is a comment.
fn tables_toml(section: &SectionRecord) -> String {
    let fields = section.fields.iter().map(|field| {
        let doc = comment(&format!("`{}`: {}", field.key, field.doc), 0);
        format!("{doc}# {} = {}\n", field.key, field.default)
    });
    let fields: String = fields.collect();
    let doc = comment(&section.doc, 0);
    format!("{doc}# [[{}]]\n{fields}", section.name)
}

fn field_toml(field: &FieldRecord) -> String {
    let doc = comment(&field.doc, 0);
    let values = match field.choices.as_slice() {
        [] => comment(&format!("Value: {}.", field.kind), 2),
        choices => choices.iter().map(choice_toml).collect(),
    };
    format!("{doc}{values}{} = {}\n", field.key, field.default)
}

fn choice_toml(choice: &Choice) -> String {
    comment(&format!("\"{}\": {}.", choice.name, choice.meaning), 2)
}

/// The text as comment lines, all but the first indented.
fn comment(text: &str, indent: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{}{word}", " ".repeat(indent))),
            None => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| format!("# {line}\n")).collect()
}
