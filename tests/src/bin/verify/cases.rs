//! The settings that the programs are loaded with.

use anyhow::Result;
use dns_wire::Settings;
use xdsc::{config::IpPrefix, source::live::probe::LoadOptions};

/// Settings, and what they are called in the table.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) options: LoadOptions,
}

/// Every combination of what the settings can switch; of the object for
/// benchmarks, none switched and all but counting only.
pub(crate) fn all(object: &str) -> Result<Vec<Case>> {
    if object == "probe-bench.o" {
        return [0, 0b10111].map(case).into_iter().collect();
    }
    (0..32).map(case).collect()
}

fn case(bits: u32) -> Result<Case> {
    let [tunnels, services, ports, count_only, whole] =
        [0, 1, 2, 3, 4].map(|bit| bits >> bit & 1 == 1);
    let listening: &[u16] = if ports {
        &[53, 5353, 5300, 8053, 1053, 2053, 3053, 4053]
    } else {
        &[53]
    };
    let mut service_addresses: Vec<IpPrefix> = Vec::new();
    if services {
        service_addresses.push("192.0.2.1/32".parse()?);
    }
    let words = [
        if ports { "8 ports" } else { "1 port" },
        if tunnels { "decapsulation" } else { "" },
        if services { "service addresses" } else { "" },
        if count_only { "count only" } else { "" },
        if whole { "whole messages" } else { "" },
    ];
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    Ok(Case {
        name: words.join(", "),
        options: LoadOptions {
            settings: Settings::new(listening)
                .with_decapsulation(tunnels)
                .with_count_only(count_only)
                .with_whole_messages(whole)
                .with_seed(0x5eed),
            chunks: 4,
            service_addresses,
            ..LoadOptions::default()
        },
    })
}
