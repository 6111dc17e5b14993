//! Who asks: a program on this machine, or somebody else.

use std::net::IpAddr;

use axum::http::{
    HeaderMap,
    header::{FORWARDED, HOST},
};

use crate::live_view::Audience;

/// A proxy on this machine speaks for others; and a page in a browser on this
/// machine may reach us under a name of its author's.
pub(super) fn audience(address: IpAddr, headers: &HeaderMap) -> Audience {
    let is_proxied = headers.contains_key(FORWARDED)
        || ["x-forwarded-for", "x-real-ip", "via"]
            .iter()
            .any(|name| headers.contains_key(*name));
    let mut hosts = headers.get_all(HOST).iter();
    let is_direct = hosts.all(|host| host.to_str().is_ok_and(is_literal));
    if address.to_canonical().is_loopback() && !is_proxied && is_direct {
        Audience::Local
    } else {
        Audience::Remote
    }
}

/// Whether a Host header has an address or `localhost`.
fn is_literal(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    [host, address]
        .iter()
        .any(|text| text.parse::<IpAddr>().is_ok())
        || name.eq_ignore_ascii_case("localhost")
}
