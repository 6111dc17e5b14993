//! The summary for people: one table per question that an operator asks.

use std::io::{self, Write};

use super::summary::{
    Fragments, Handshakes, Messages, Packet, Packets, ResponseSeconds, Sizes, Summary, Tally,
    Transactions,
};
use crate::stats::pairing::BUCKETS_NS;

/// Rows of a ranking; what is behind them is added up.
const TOP: usize = 15;

/// Writes the summary.
pub(super) fn write(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    overview(summary, out)?;
    packets(&summary.packets, out)?;
    messages(summary, out)?;
    sizes(&summary.sizes, out)?;
    for (title, rows) in [
        ("OPCODE", &summary.opcodes),
        ("QTYPE", &summary.qtypes),
        ("RCODE", &summary.rcodes),
        ("Flag", &summary.flags),
        ("EDNS", &summary.edns),
    ] {
        tallies(title, rows, &summary.messages, out)?;
    }
    transactions(&summary.transactions, out)?;
    handshakes(&summary.handshakes, out)?;
    streams(summary, out)?;
    fragments(&summary.fragments, out)
}

fn overview(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let packets = &summary.packets;
    let messages: u64 = summary.messages.iter().map(|row| row.messages).sum();
    for file in &summary.files {
        writeln!(out, "File      {}: {} packets", file.file, file.packets)?;
        for error in &file.errors {
            writeln!(out, "          incomplete: {error}")?;
        }
    }
    if let Some(time) = &summary.time {
        writeln!(
            out,
            "Time      {} to {}, {}",
            time.first,
            time.last,
            duration(time.seconds)
        )?;
    }
    let seconds = summary.time.as_ref().map_or(0.0, |time| time.seconds);
    writeln!(
        out,
        "Packets   {}{}, {} octets",
        packets.total,
        rate(packets.total, seconds),
        packets.bytes
    )?;
    writeln!(out, "Messages  {messages}{}", rate(messages, seconds))
}

/// A rate over less than a second would be none.
fn rate(count: u64, seconds: f64) -> String {
    if seconds < 1.0 {
        return String::new();
    }
    format!(" ({:.1}/s)", count as f64 / seconds)
}

fn packets(packets: &Packets, out: &mut impl Write) -> io::Result<()> {
    let total = packets.total;
    packet_table("Packets end as", &packets.outcomes, total, out)?;
    packet_table("Rejected for", &packets.rejected, total, out)?;
    packet_table("Not DNS, but", &packets.not_dns, total, out)?;
    packet_table("ICMP", &packets.icmp, total, out)?;
    packet_table("TCP without payload", &packets.tcp_events, total, out)
}

/// Ingress and egress side by side.
fn packet_table(title: &str, rows: &[Packet], total: u64, out: &mut impl Write) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let head = format!("{:>12} {:>12} {:>7}", "ingress", "egress", "%");
    writeln!(out, "\n{title:<28} {head}")?;
    for (value, meaning, [ingress, egress]) in joined(rows) {
        let share = percent(ingress + egress, total);
        writeln!(
            out,
            "  {value:<26} {ingress:>12} {egress:>12} {share:>7}  {meaning}"
        )?;
    }
    Ok(())
}

fn joined(rows: &[Packet]) -> Vec<(&str, &str, [u64; 2])> {
    let mut joined: Vec<(&str, &str, [u64; 2])> = Vec::new();
    for row in rows {
        let at = joined.iter().position(|(value, ..)| *value == row.value);
        let at = at.unwrap_or_else(|| {
            joined.push((&row.value, row.meaning, [0, 0]));
            joined.len() - 1
        });
        if let Some((_, _, [ingress, egress])) = joined.get_mut(at) {
            *(if row.hook == "ingress" {
                ingress
            } else {
                egress
            }) += row.packets;
        }
    }
    joined
}

fn messages(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    if summary.messages.is_empty() {
        return Ok(());
    }
    let total = summary.messages.iter().map(|row| row.messages).sum();
    let head = format!("{:>12} {:>7} {:>14}", "messages", "%", "octets");
    writeln!(out, "\n{:<28} {head}", "Messages")?;
    for row in &summary.messages {
        let way = format!(
            "{} {} {} {}",
            row.role, row.r#type, row.family, row.transport
        );
        let share = percent(row.messages, total);
        writeln!(
            out,
            "  {way:<26} {:>12} {share:>7} {:>14}",
            row.messages, row.bytes
        )?;
    }
    Ok(())
}

fn sizes(rows: &[Sizes], out: &mut impl Write) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let head = format!(
        "{:>9} {:>9} {:>9} {:>9} {:>9}",
        "mean", "least", "50 %", "99 %", "most"
    );
    writeln!(out, "\n{:<28} {head}", "Sizes in octets, up to")?;
    for row in rows {
        let way = format!("{} {} {}", row.role, row.r#type, row.transport);
        let [least, median, most_of, most] = [0.0, 0.5, 0.99, 1.0].map(|share| size(row, share));
        let mean = format!("{:.1}", row.mean);
        writeln!(
            out,
            "  {way:<26} {mean:>9} {least:>9} {median:>9} {most_of:>9} {most:>9}"
        )?;
    }
    Ok(())
}

/// The end of the bin that the quantile lies in.
fn size(row: &Sizes, share: f64) -> String {
    let total: u64 = row.bins.iter().map(|bin| bin.messages).sum();
    let rank = share * total as f64;
    let mut below = 0;
    for bin in &row.bins {
        below += bin.messages;
        if below as f64 >= rank {
            return match bin.to {
                Some(to) => to.to_string(),
                None => format!("{}+", bin.from),
            };
        }
    }
    String::new()
}

/// One table for each way of messages.
fn tallies(
    title: &str,
    rows: &[Tally],
    messages: &[Messages],
    out: &mut impl Write,
) -> io::Result<()> {
    for way in rows.chunk_by(|a, b| (a.role, a.r#type) == (b.role, b.r#type)) {
        let Some(first) = way.first() else { continue };
        let title = format!("{title}, {} {}", first.role, first.r#type);
        writeln!(out, "\n{title:<28} {:>12} {:>7}", "messages", "%")?;
        let total = messages
            .iter()
            .filter(|row| (row.role, row.r#type) == (first.role, first.r#type))
            .map(|row| row.messages)
            .sum();
        tally(way, total, out)?;
    }
    Ok(())
}

fn tally(rows: &[Tally], total: u64, out: &mut impl Write) -> io::Result<()> {
    let (top, rest) = rows.split_at(rows.len().min(TOP));
    for row in top {
        let share = percent(row.messages, total);
        writeln!(out, "  {:<26} {:>12} {share:>7}", row.value, row.messages)?;
    }
    if !rest.is_empty() {
        let messages = rest.iter().map(|row| row.messages).sum();
        let others = format!("{} others", rest.len());
        let share = percent(messages, total);
        writeln!(out, "  {others:<26} {messages:>12} {share:>7}")?;
    }
    Ok(())
}

fn transactions(rows: &[Transactions], out: &mut impl Write) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let head = format!(
        "{:>12} {:>12} {:>12}",
        "answered", "unanswered", "unsolicited"
    );
    writeln!(out, "\n{:<28} {head}", "Transactions")?;
    for row in rows {
        writeln!(
            out,
            "  {:<26} {:>12} {:>12} {:>12}",
            format!("{} {}", row.role, row.transport),
            row.answered,
            row.unanswered,
            row.unsolicited
        )?;
    }
    response_times(rows, out)
}

fn response_times(rows: &[Transactions], out: &mut impl Write) -> io::Result<()> {
    let head = format!(
        "{:>12} {:>12} {:>12} {:>12}",
        "mean", "50 %", "90 %", "99 %"
    );
    writeln!(out, "\n{:<28} {head}", "Response time, about")?;
    for row in rows {
        let Some(times) = &row.response_seconds else {
            continue;
        };
        let ResponseSeconds {
            mean,
            p50,
            p90,
            p99,
            ..
        } = *times;
        let [p50, p90, p99] = [p50, p90, p99].map(quantile);
        writeln!(
            out,
            "  {:<26} {:>12} {p50:>12} {p90:>12} {p99:>12}",
            format!("{} {}", row.role, row.transport),
            duration(mean)
        )?;
    }
    Ok(())
}

/// Nothing is known of what is above the last bound.
fn quantile(seconds: f64) -> String {
    let last = BUCKETS_NS[BUCKETS_NS.len() - 1] as f64 / 1e9;
    if seconds >= last {
        return format!("> {}", duration(last));
    }
    duration(seconds)
}

fn handshakes(rows: &[Handshakes], out: &mut impl Write) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let head = format!(
        "{:>12} {:>12} {:>12} {:>12} {:>12}",
        "handshakes", "mean", "50 %", "90 %", "99 %"
    );
    writeln!(out, "\n{:<28} {head}", "TCP handshakes, about")?;
    for row in rows {
        let [p50, p90, p99] = [row.p50, row.p90, row.p99].map(duration);
        let (count, mean) = (row.handshakes, duration(row.mean));
        writeln!(
            out,
            "  {:<26} {count:>12} {mean:>12} {p50:>12} {p90:>12} {p99:>12}",
            row.family
        )?;
    }
    Ok(())
}

fn streams(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let streams = &summary.streams;
    let rows = [
        ("messages", streams.messages),
        ("unreadable messages", streams.rejected),
        ("segments out of step", streams.out_of_step),
        ("unfinished streams", streams.unfinished),
        ("streams forgotten early", streams.evicted),
    ];
    if rows.iter().all(|(_, count)| *count == 0) {
        return Ok(());
    }
    writeln!(out, "\nPut together from TCP segments")?;
    for (what, count) in rows {
        writeln!(out, "  {what:<26} {count:>12}")?;
    }
    Ok(())
}

fn fragments(fragments: &Fragments, out: &mut impl Write) -> io::Result<()> {
    let rows = [
        ("datagrams", fragments.datagrams),
        ("told by the first fragment", fragments.first_only),
        ("without first fragment", fragments.incomplete),
        ("discarded for overlaps", fragments.overlapping),
        ("forgotten early", fragments.evicted),
        ("malformed fragments", fragments.malformed),
        ("fragments that came again", fragments.duplicates),
    ];
    if rows.iter().all(|(_, count)| *count == 0) {
        return Ok(());
    }
    writeln!(out, "\nPut together from IP fragments")?;
    for (what, count) in rows {
        writeln!(out, "  {what:<26} {count:>12}")?;
    }
    Ok(())
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    format!("{:.1}", part as f64 * 100.0 / whole as f64)
}

/// Three digits or so, in the unit that suits.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.1} us", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.2} s"),
        s if s < 7200.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
