//! What of a dsc.conf does nothing where captures are read: what is about a
//! collector that listens, and about files where none are written.
//!
//! Whether that is so depends on how the configuration is used, unlike what
//! [`DscConf::ignored`] tells.

use super::{Directive, DscConf, Ignored};
use crate::stats::plan::Compat;

/// How captures are read by a dsc.conf.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// Whose answers are given.
    pub compat: Compat,
    /// Whether DSC's files are written, instead of something printed.
    pub writes_files: bool,
    /// Whether the length of intervals is given beside the configuration.
    pub has_interval: bool,
}

impl DscConf {
    /// The statements that have no effect when captures are read so, in the order
    /// of the file.
    #[must_use]
    pub fn idle(&self, how: Use) -> Vec<Ignored> {
        let ignored = |(line, directive): &(usize, Directive)| {
            Some(Ignored {
                line: *line,
                what: directive.label().to_owned(),
                why: why_idle(*directive, how)?.to_owned(),
            })
        };
        let mut idle: Vec<_> = self.given.iter().filter_map(ignored).collect();
        idle.sort_by_key(|ignored| ignored.line);
        idle
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most statements have the same effect live and on captures"
)]
const fn why_idle(directive: Directive, how: Use) -> Option<&'static str> {
    use Directive as D;
    let is_exact = matches!(how.compat, Compat::None);
    match directive {
        D::Interface => Some("the captures take its place"),
        D::RunDir => Some("`--output` says where files are written"),
        D::OutputFormat => Some("`--format` says what is written"),
        D::NoWaitInterval => Some("the first interval always begins with the first packet"),
        D::DumpReportsOnExit => Some("the last interval is always written"),
        D::OutputUser | D::OutputGroup | D::OutputMod | D::MinfreeBytes if !how.writes_files => {
            Some("without `--output` there are no files")
        }
        D::StatisticsInterval if how.has_interval => Some("`--interval` says otherwise"),
        D::StatisticsInterval if !how.writes_files => {
            Some("without `--output` or `--interval` all captures are one interval")
        }
        D::DropIpFragments if is_exact => {
            Some("fragments are put together; only `--compat dsc` leaves them out")
        }
        D::MatchVlan if is_exact => {
            Some("all VLANs are looked at; only `--compat dsc` leaves some out")
        }
        _ => None,
    }
}
