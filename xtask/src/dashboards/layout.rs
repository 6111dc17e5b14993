//! Where panels stand: sections of lines, each line as wide as the grid.
//!
//! A line is filled from its left, and all of its panels are equally high, so
//! that there are no gaps and nothing lies on anything.

use super::schema::{GridPos, Item, Panel, Row};

/// Columns of Grafana's grid.
const COLUMNS: u32 = 24;
/// The height of a section's heading.
const HEADING: u32 = 1;

/// Panels that belong together, below a heading.
pub(super) struct Section {
    title: &'static str,
    collapsed: bool,
    lines: Vec<Line>,
}

struct Line {
    height: u32,
    panels: Vec<Panel>,
}

impl Section {
    pub(super) const fn new(title: &'static str) -> Self {
        Self {
            title,
            collapsed: false,
            lines: Vec::new(),
        }
    }

    /// Its panels are neither shown nor asked for until it is opened.
    pub(super) const fn collapsed(mut self) -> Self {
        self.collapsed = true;
        self
    }

    /// One more line of panels. Those without a width share what is left.
    pub(super) fn line(mut self, height: u32, panels: Vec<Panel>) -> Self {
        self.lines.push(Line { height, panels });
        self
    }
}

/// All sections below each other, with ids from 1 on.
pub(super) fn place(sections: Vec<Section>) -> Vec<Item> {
    let mut placed = Placed::default();
    for section in sections {
        placed.section(section);
    }
    placed.items
}

#[derive(Default)]
struct Placed {
    items: Vec<Item>,
    id: u32,
    y: u32,
}

impl Placed {
    fn section(&mut self, section: Section) {
        let mut row = Row {
            id: self.next_id(),
            kind: "row",
            title: section.title.to_owned(),
            collapsed: section.collapsed,
            grid_pos: GridPos {
                x: 0,
                y: self.y,
                w: COLUMNS,
                h: HEADING,
            },
            panels: vec![],
        };
        self.y += HEADING;
        let after_heading = self.y;
        let lines = section.lines.into_iter();
        let panels: Vec<_> = lines.flat_map(|line| self.line(line)).collect();
        if section.collapsed {
            // What it hides takes no place.
            self.y = after_heading;
            row.panels = panels;
            self.items.push(Item::Row(row));
            return;
        }
        self.items.push(Item::Row(row));
        let panels = panels.into_iter().map(Box::new);
        self.items.extend(panels.map(Item::Panel));
    }

    fn line(&mut self, line: Line) -> Vec<Panel> {
        let mut panels = line.panels;
        let taken: u32 = panels.iter().map(|panel| panel.grid_pos.w).sum();
        let mut open = panels.iter().filter(|panel| panel.grid_pos.w == 0).count() as u32;
        let mut left = COLUMNS.saturating_sub(taken);
        let mut x = 0;
        for panel in &mut panels {
            let place = &mut panel.grid_pos;
            if place.w == 0 {
                place.w = left / open;
                left -= place.w;
                open -= 1;
            }
            (place.x, place.y, place.h) = (x, self.y, line.height);
            x += place.w;
            panel.id = self.next_id();
        }
        self.y += line.height;
        panels
    }

    const fn next_id(&mut self) -> u32 {
        self.id += 1;
        self.id
    }
}
