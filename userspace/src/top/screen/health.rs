//! Where packets and records went, how far stages are behind, and what is wrong.

use std::collections::BTreeSet;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph, Wrap},
};

use super::{Theme, Tone, head};
use crate::{
    terminal::{clean, fitted},
    top::{app::App, units::seconds},
    view::{Account, Finding, Ring, Stage, Summary},
};

/// Columns of the account; what is left is that of stages and rings.
const ACCOUNT: u16 = 34;
/// Lines for what is wrong, at least.
const FINDINGS: u16 = 4;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let block = Block::new()
        .borders(Borders::TOP)
        .border_style(theme.style(Tone::Dim))
        .title(theme.span(Tone::Strong, " losses, lag and what is wrong "));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let summary = app.summary();
    let (account, stages) = (account_lines(summary, theme), stage_lines(summary, theme));
    let height = u16::try_from(account.len().max(stages.len()) + 1).unwrap_or(u16::MAX);
    let [tables, findings] =
        Layout::vertical([Constraint::Length(height), Constraint::Min(FINDINGS)]).areas(inner);
    let [left, right] = Layout::horizontal([Constraint::Length(ACCOUNT), Constraint::Min(0)])
        .spacing(2)
        .areas(tables);
    frame.render_widget(Paragraph::new(account), left);
    frame.render_widget(Paragraph::new(stages), right);
    let wrong = Paragraph::new(finding_lines(&summary.findings, theme));
    frame.render_widget(wrong.wrap(Wrap { trim: false }), findings);
}

/// A column for each hook.
fn account_lines(summary: &Summary, theme: Theme) -> Vec<Line<'static>> {
    let accounts = &summary.accounts;
    let hooks = accounts.iter().map(|account| fitted(&account.hook, 8));
    let mut lines = vec![Line::from(theme.span(
        Tone::Dim,
        row("", hooks.map(|hook| hook.trim_end().to_owned())),
    ))];
    for (name, count) in OUTCOMES {
        let counts = accounts.iter().map(|account| count(account).to_string());
        lines.push(Line::from(row(name, counts)));
    }
    let fates: BTreeSet<_> = accounts
        .iter()
        .flat_map(|account| account.records.keys())
        .collect();
    for fate in fates {
        let count = |account: &Account| account.records.get(fate).copied().unwrap_or(0);
        let counts = accounts.iter().map(|account| count(account).to_string());
        lines.push(Line::from(row(fate, counts)));
    }
    lines
}

/// A number of the account.
type Count = fn(&Account) -> u64;

/// Of packets; records' fates are named by the API.
const OUTCOMES: [(&str, Count); 6] = [
    ("packets", |account| account.packets),
    ("dns", |account| account.dns),
    ("segments", |account| account.segments),
    ("not dns", |account| account.not_dns),
    ("unreadable", |account| account.rejected),
    ("fragments", |account| account.fragments),
];

fn row(name: &str, columns: impl Iterator<Item = String>) -> String {
    let columns: String = columns.map(|column| format!("{column:>11}")).collect();
    format!("{}{columns}", fitted(name, 12))
}

/// Stages, then rings: those first that lose most, or are fullest.
fn stage_lines(summary: &Summary, theme: Theme) -> Vec<Line<'static>> {
    let heading = |text| Line::from(theme.span(Tone::Dim, text));
    let mut lines = vec![heading("stage          behind  in 1 min  waiting")];
    lines.extend(summary.stages.iter().map(stage));
    lines.push(heading("ring            full  kept  in 1 min    lost"));
    let mut rings: Vec<_> = summary.rings.iter().collect();
    rings.sort_by(|one, other| {
        let dropped = other.dropped.cmp(&one.dropped);
        dropped.then(other.fill_ratio.total_cmp(&one.fill_ratio))
    });
    lines.extend(rings.into_iter().map(|it| ring(it, theme)));
    lines
}

fn stage(stage: &Stage) -> Line<'static> {
    Line::from(format!(
        "{} {:>8} {:>9} {:>8}",
        fitted(&stage.stage, 12),
        seconds(stage.lag_seconds),
        seconds(stage.max_lag_seconds),
        stage.backlog
    ))
}

fn ring(ring: &Ring, theme: Theme) -> Line<'static> {
    let tone = match (ring.dropped, ring.sampling_interval) {
        (1.., _) => Tone::Bad,
        (0, 2..) => Tone::Odd,
        (0, _) => Tone::Plain,
    };
    Line::from(theme.span(
        tone,
        format!(
            "{} {:<4} {:>4.0} %  1/{:<3} {:>8} {:>7}",
            fitted(&ring.hook, 8),
            ring.cpu,
            100.0 * ring.fill_ratio,
            ring.sampling_interval,
            seconds(ring.max_lag_seconds),
            ring.dropped
        ),
    ))
}

fn finding_lines(findings: &[Finding], theme: Theme) -> Vec<Line<'static>> {
    let lines = findings.iter().map(|finding| {
        let tone = head::tone_of(finding.severity);
        let cure = format!("  {}", clean(&finding.cure));
        Line::from(vec![
            theme.span(tone, clean(&finding.message)),
            Span::styled(cure, theme.style(Tone::Dim)),
        ])
    });
    let lines: Vec<_> = lines.collect();
    match lines.is_empty() {
        true => vec![Line::from(theme.span(Tone::Good, "all is well"))],
        false => lines,
    }
}
