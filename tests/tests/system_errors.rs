//! What an operator is told when xdsc cannot start: the cause, and the cure.

use std::net::TcpListener;

use anyhow::{Result, ensure};
use integration_tests::network::{Network, Side, daemon::refusal, in_network};

/// xdsc, started with these arguments, ends with status 1 and says all of this.
fn refuses(network: &Network, prefix: &[&str], arguments: &[&str], parts: &[&str]) -> Result<()> {
    let refused = refusal(network, prefix, &[&["run"], arguments].concat())?;
    ensure!(refused.status.code() == Some(1), "{refused:?}");
    for part in parts {
        ensure!(
            refused.said.contains(part),
            "no `{part}` in: {}",
            refused.said
        );
    }
    Ok(())
}

#[test]
fn without_interface() -> Result<()> {
    in_network(|network| {
        refuses(
            network,
            &[],
            &[],
            &["no interface to listen on", "--interface IF"],
        )
    })
}

#[test]
fn unknown_interface() -> Result<()> {
    in_network(|network| {
        refuses(
            network,
            &[],
            &["--interface", "eth7"],
            &["no interface `eth7`", "there are: dns0, lo", "ip link"],
        )
    })
}

#[test]
fn interface_without_ethernet() -> Result<()> {
    in_network(|network| {
        let tun = ["tuntap", "add", "dev", "tun0", "mode", "tun"];
        network.output(Side::Server, "ip", &tun)?;
        refuses(
            network,
            &[],
            &["--interface", "tun0"],
            &[
                "`tun0` is no Ethernet interface",
                "type 65534",
                "choose the interface below the tunnel",
            ],
        )
    })
}

#[test]
fn without_privileges() -> Result<()> {
    in_network(|network| {
        let nobody = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--",
        ];
        refuses(
            network,
            &nobody,
            &["--interface", "dns0"],
            &["no permission to load BPF programs", "CAP_BPF", "as root"],
        )
    })
}

#[test]
fn port_in_use() -> Result<()> {
    in_network(|network| {
        let taken = network.within(Side::Server, || Ok(TcpListener::bind("127.0.0.1:9953")?))?;
        let arguments = ["--interface", "dns0", "--web.listen-address"];
        refuses(
            network,
            &[],
            &[&arguments[..], &["127.0.0.1:9953"]].concat(),
            &[
                "cannot listen on 127.0.0.1:9953",
                "already in use",
                "choose another with --web.listen-address",
            ],
        )?;
        drop(taken);
        Ok(())
    })
}

#[test]
fn all_errors_of_a_configuration_at_once() -> Result<()> {
    in_network(|network| {
        let config = "interfacse = [\"dns0\"]\n[probe]\nports = [0]\nxdp_mode = \"fast\"\n";
        let config = network.file("wrong.toml", config)?;
        refuses(
            network,
            &[],
            &["--config", &config],
            &[
                "wrong.toml:1:1",
                "`interfacse`",
                "`interfaces`",
                "wrong.toml:3:",
                "wrong.toml:4:12",
                "\"native\"",
            ],
        )
    })
}

#[test]
fn no_configuration_file() -> Result<()> {
    in_network(|network| {
        refuses(
            network,
            &[],
            &["--config", "/nonexistent/xdsc.toml"],
            &[
                "cannot read the configuration /nonexistent/xdsc.toml",
                "check the path",
            ],
        )
    })
}
