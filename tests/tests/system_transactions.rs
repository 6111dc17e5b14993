//! Queries that nobody answers, and answers that nobody asked for.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use anyhow::{Result, ensure};
use integration_tests::network::{
    SERVER, Side, daemon::Daemon, eventually, exposition::Samples, frame::query, in_network,
};

const CONFIG: &str = "[pairing]\none_in = 1\ntimeout = \"100ms\"\n";

#[test]
fn unanswered_and_unsolicited_are_told_apart() -> Result<()> {
    in_network(|network| {
        for address in SERVER {
            let daemon = Daemon::start(network, CONFIG)?;
            let server = network.within(Side::Server, || socket(address, 53))?;
            let client = network.within(Side::Client, || socket(unspecified(address), 0))?;
            client.connect((address, 53))?;
            for id in 0..10 {
                client.send(&query(id, 0))?;
                respond(&server, id)?;
            }
            let samples = settled(&daemon)?;
            // Of ten queries, 0 to 5 are answered; 0 and 1 twice. Another three
            // responses have an ID that was not asked with.
            for (outcome, expected) in [("answered", 6), ("unanswered", 4), ("unsolicited", 5)] {
                let labels = [
                    ("role", "server"),
                    ("transport", "udp"),
                    ("outcome", outcome),
                ];
                let counted = samples.count("xdsc_transactions_total", &labels)?;
                ensure!(counted == expected, "{outcome}: {counted}, not {expected}");
            }
            let timed = samples.count("xdsc_response_time_seconds_count", &[])?;
            ensure!(timed == 6, "{timed} response times");
            daemon.stop()?;
        }
        Ok(())
    })
}

fn respond(server: &UdpSocket, id: u16) -> Result<()> {
    let mut buffer = [0; 512];
    let (len, client) = server.recv_from(&mut buffer)?;
    let response = &mut buffer[..len];
    // QR.
    response[2] |= 0x80;
    let times = match id {
        0 | 1 => 2,
        2..=5 => 1,
        _ => 0,
    };
    for _ in 0..times {
        server.send_to(response, client)?;
    }
    if id >= 7 {
        response[0] = 0xff;
        server.send_to(response, client)?;
    }
    Ok(())
}

fn socket(address: IpAddr, port: u16) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddr::new(address, port))?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(socket)
}

const fn unspecified(like: IpAddr) -> IpAddr {
    if like.is_ipv4() {
        IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)
    }
}

fn settled(daemon: &Daemon<'_>) -> Result<Samples> {
    eventually("every transaction to end", || {
        let samples = daemon.quiet()?;
        let pending = samples.count("xdsc_pairing_pending", &[])?;
        ensure!(pending == 0, "{pending} wait");
        Ok(samples)
    })
}
