//! Values as they are printed: as DSC does, or by name for people and metrics.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an arm names the indexers that it is about, among more than sixty"
)]

use std::net::{IpAddr, Ipv4Addr};

use dns_wire::{
    counters::Role,
    iana::{EdnsOption, ExtendedError, Opcode, Qclass, Qtype, Rcode},
};

use super::{
    cells::Key,
    classify::Class,
    dataset::Indexer,
    plan::{Compat, Rules},
    values::{IPV6, NONE, NONE_IPV4, NONE_IPV6, direction},
};
use crate::{
    enrich::{customers::UNASSIGNED, privacy::Privacy},
    names::{text, tld::TldState},
};

/// Who reads the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// DSC's presenters: numbers as numbers.
    Dsc,
    /// People and Prometheus: mnemonics, and never an empty text.
    Named,
}

/// What a key is printed as; `text` is what it is the hash of, if it is one.
#[must_use]
pub fn label(indexer: Indexer, key: Key, text: &[u8], rules: &Rules, style: Style) -> Vec<u8> {
    match indexer {
        Indexer::Qname | Indexer::Tld | Indexer::SecondLd | Indexer::ThirdLd => {
            name(text, rules.compat, style)
        }
        Indexer::ClientSubnet if style == Style::Named => subnet(key, text, rules),
        Indexer::Client if style == Style::Named => {
            rules.privacy.show(address(key, text)).into_bytes()
        }
        Indexer::Client | Indexer::Server | Indexer::ClientSubnet => {
            address(key, text).to_string().into_bytes()
        }
        Indexer::AsOrg | Indexer::Network | Indexer::Customer if !text.is_empty() => text.to_vec(),
        Indexer::EdnsNsidText | Indexer::EdnsEdeText => text.to_vec(),
        Indexer::EdnsCookieClient | Indexer::EdnsCookieServer | Indexer::EdnsNsidData => {
            hexadecimal(text)
        }
        Indexer::EdnsEcsAddress if style == Style::Named => hexadecimal(&ecs_address(text, rules)),
        Indexer::EdnsEcsAddress => hexadecimal(text),
        Indexer::EdnsEcsSubnet if style == Style::Named => {
            let shown = ecs_network(octets_address(text), rules);
            shown.to_string().into_bytes()
        }
        Indexer::EdnsEcsSubnet => octets_address(text).to_string().into_bytes(),
        Indexer::EdnsOptions => options(text),
        _ => number(indexer, key, rules, style).into_bytes(),
    }
}

fn number(indexer: Indexer, key: Key, rules: &Rules, style: Style) -> String {
    let named = style == Style::Named;
    match indexer {
        Indexer::Null => "ALL".to_owned(),
        Indexer::Encryption => "unencrypted".to_owned(),
        Indexer::Qtype | Indexer::Qclass if key == NONE => named_or(named, "none", "0"),
        Indexer::Qtype if named => Qtype(key as u16).to_string(),
        Indexer::Qclass if named => Qclass(key as u16).to_string(),
        Indexer::Opcode if named => Opcode(key as u8).to_string(),
        Indexer::Rcode if named => Rcode(key as u16).to_string(),
        Indexer::EdnsEdeCode if named && key != NONE => ExtendedError(key as u16).to_string(),
        Indexer::RdBit
        | Indexer::TcBit
        | Indexer::DoBit
        | Indexer::AdBit
        | Indexer::CdBit
        | Indexer::RaBit
        | Indexer::CoBit
        | Indexer::DeBit => named_or(key == 0, "clr", "set"),
        Indexer::QrAaBits => format!("qr={},aa={}", key & 1, key >> 1 & 1),
        Indexer::IdnQname | Indexer::IdnFirstLabel => named_or(key == 0, "normal", "idn"),
        Indexer::CertainQnames => {
            let names = ["localhost", "X.root-servers.net", "else"];
            one_of(&names, key)
        }
        Indexer::QueryClassification | Indexer::DscClassification => {
            let class = Class::from_index(key as usize);
            class.map_or("", Class::label).to_owned()
        }
        Indexer::EdnsBufsiz if key == NONE => "None".to_owned(),
        Indexer::EdnsBufsiz => bin(key, 512),
        Indexer::EdnsCookie | Indexer::EdnsNsid | Indexer::EdnsEcs | Indexer::EdnsEde => {
            named_or(key == 0, "no", "yes")
        }
        Indexer::Transport | Indexer::IpProto => match key {
            17 => "udp".to_owned(),
            6 => "tcp".to_owned(),
            1 => "icmp".to_owned(),
            58 => named_or(named, "icmpv6", "ipv6-icmp"),
            _ => format!("p{key}"),
        },
        Indexer::DnsIpVersion | Indexer::IpVersion => format!("IPv{key}"),
        Indexer::DnsSportRange => match (rules.compat, key.checked_sub(1)) {
            (Compat::None, _) => bin(key, 1024),
            // DSC prints each bin as the one below it; the lowest is never printed.
            (Compat::Dsc, Some(below)) => bin(below, 1024),
            (Compat::Dsc, None) => String::new(),
        },
        Indexer::IpDirection => match key {
            direction::SENT => "sent".to_owned(),
            direction::RECV => "recv".to_owned(),
            _ => "else".to_owned(),
        },
        Indexer::Country | Indexer::Continent | Indexer::Asn | Indexer::AsOrg
            if matches!(key, NONE | NONE_IPV4 | NONE_IPV6) =>
        {
            // DSC's for an address that a database does not know, and for what
            // there is no database of.
            let unknown = match key {
                NONE_IPV4 => "?4",
                NONE_IPV6 => "?6",
                _ => "??",
            };
            unknown.to_owned()
        }
        Indexer::Country | Indexer::Continent => {
            let [.., a, b] = key.to_be_bytes();
            String::from_utf8_lossy(&[a, b]).into_owned()
        }
        Indexer::Customer if key == NONE => UNASSIGNED.to_owned(),
        Indexer::Role => {
            let role = Role::from_index(key as usize);
            role.map_or("", Role::label).to_owned()
        }
        Indexer::Zone => {
            let zone = rules.zones.names().get(key as usize);
            zone.map_or("none", String::as_str).to_owned()
        }
        Indexer::TldState => {
            let state = TldState::from_index(key as usize);
            state.map_or("none", TldState::label).to_owned()
        }
        _ if key == NONE => "none".to_owned(),
        _ => key.to_string(),
    }
}

fn named_or(first: bool, one: &str, other: &str) -> String {
    if first { one } else { other }.to_owned()
}

fn one_of(names: &[&str], key: Key) -> String {
    names.get(key as usize).copied().unwrap_or("").to_owned()
}

fn bin(index: u64, width: u64) -> String {
    format!("{}-{}", index * width, index * width + width - 1)
}

fn name(suffix: &[u8], compat: Compat, style: Style) -> Vec<u8> {
    match (compat, style) {
        (Compat::Dsc, _) => suffix.to_vec(),
        (Compat::None, Style::Named) if suffix.is_empty() => b"none".to_vec(),
        (Compat::None, Style::Dsc) if suffix.is_empty() => Vec::new(),
        (Compat::None, _) => {
            let mut printed = String::new();
            text::push_text(suffix, &mut printed);
            printed.into_bytes()
        }
    }
}

fn address(key: Key, text: &[u8]) -> IpAddr {
    if key & IPV6 == 0 {
        IpAddr::V4(Ipv4Addr::from(key as u32))
    } else {
        octets_address(text)
    }
}

/// With the length of its prefix; a mask with holes has none.
fn subnet(key: Key, text: &[u8], rules: &Rules) -> Vec<u8> {
    let network = rules.client_network(rules.privacy.alias(address(key, text)));
    let (ones, leading) = if network.is_ipv4() {
        let mask = rules.client_v4_mask;
        (mask.count_ones(), mask.leading_ones())
    } else {
        let mask = rules.client_v6_mask;
        (mask.count_ones(), mask.leading_ones())
    };
    if ones == leading {
        format!("{network}/{ones}").into_bytes()
    } else {
        network.to_string().into_bytes()
    }
}

/// The network of an EDNS Client Subnet option is one of clients. Of a pseudonym
/// so many bits are shown as of clients' networks, of which it is one.
fn ecs_network(network: IpAddr, rules: &Rules) -> IpAddr {
    match &rules.privacy {
        Privacy::Address => network,
        Privacy::Prefix { .. } => rules.privacy.shown(network),
        Privacy::Pseudonym(_) => rules.client_network(rules.privacy.alias(network)),
    }
}

/// The same of ADDRESS as it stands in the option, which may be cut anywhere, and
/// does not tell its family: four octets and less are taken for IPv4.
fn ecs_address(octets: &[u8], rules: &Rules) -> Vec<u8> {
    if matches!(rules.privacy, Privacy::Address) {
        return octets.to_vec();
    }
    let mut filled = [0; 16];
    let len = octets.len().min(16);
    for (place, octet) in filled.iter_mut().zip(octets) {
        *place = *octet;
    }
    let [a, b, c, d, ..] = filled;
    let network = if len <= 4 {
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    } else {
        IpAddr::V6(filled.into())
    };
    match ecs_network(network, rules) {
        IpAddr::V4(network) => network.octets().into_iter().take(len).collect(),
        IpAddr::V6(network) => network.octets().into_iter().take(len).collect(),
    }
}

/// Of 4 or 16 octets.
fn octets_address(octets: &[u8]) -> IpAddr {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return IpAddr::V4(octets.into());
    }
    let octets = <[u8; 16]>::try_from(octets).unwrap_or_default();
    IpAddr::V6(octets.into())
}

fn hexadecimal(octets: &[u8]) -> Vec<u8> {
    let digits = octets.iter().map(|octet| format!("{octet:02X}"));
    digits.collect::<String>().into_bytes()
}

fn options(codes: &[u8]) -> Vec<u8> {
    let names = codes.as_chunks::<2>().0.iter();
    let names = names.map(|code| EdnsOption(u16::from_be_bytes(*code)).to_string());
    let list = names.collect::<Vec<_>>().join(",");
    if list.is_empty() {
        b"none".to_vec()
    } else {
        list.into_bytes()
    }
}
