//! Debian packages: which programs stand for them, and their installation.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::Scope;
use crate::process::{as_root, find_program, run};

/// A program that we start, the package that carries it, and who needs it
/// first.
struct Needed {
    program: &'static str,
    package: &'static str,
    since: Scope,
}

const fn needed_by(since: Scope, program: &'static str, package: &'static str) -> Needed {
    Needed {
        program,
        package,
        since,
    }
}

const PROGRAMS: &[Needed] = &[
    needed_by(Scope::Demo, "ip", "iproute2"),
    needed_by(Scope::Demo, "setpriv", "util-linux"),
    needed_by(Scope::Test, "nsd", "nsd"),
    needed_by(Scope::Test, "knotd", "knot"),
    needed_by(Scope::Test, "kdig", "knot-dnsutils"),
    needed_by(Scope::Test, "dnsperf", "dnsperf"),
    needed_by(Scope::Test, "promtool", "prometheus"),
    needed_by(Scope::Test, "ss", "iproute2"),
    needed_by(Scope::Test, "redis-server", "redis-server"),
    needed_by(Scope::Test, "postgres", "postgresql"),
    needed_by(Scope::Test, "unbound", "unbound"),
    needed_by(Scope::Test, "tmux", "tmux"),
    needed_by(Scope::Test, "systemd-analyze", "systemd"),
    needed_by(Scope::Test, "docker-compose", "docker-compose"),
    needed_by(Scope::Test, "node", "nodejs"),
    needed_by(Scope::Test, "npm", "npm"),
    needed_by(Scope::Test, "chromium", "chromium"),
    needed_by(Scope::Test, "virtualenv", "virtualenv"),
    needed_by(Scope::Bench, "dnscap", "dnscap"),
    needed_by(Scope::Bench, "dnstop", "dnstop"),
    needed_by(Scope::Bench, "tcpdump", "tcpdump"),
    needed_by(Scope::Bench, "script", "bsdutils"),
];

fn in_scope(scope: Scope) -> impl Iterator<Item = &'static Needed> {
    PROGRAMS.iter().filter(move |needed| needed.since <= scope)
}

/// The programs that the scope asks for.
pub(super) fn needed(scope: Scope) -> Vec<&'static str> {
    in_scope(scope).map(|needed| needed.program).collect()
}

/// Those of them that are here.
pub(super) fn present(scope: Scope) -> Vec<&'static str> {
    needed(scope)
        .into_iter()
        .filter(|program| find(program).is_some())
        .collect()
}

/// The packages whose programs are not here.
pub(super) fn missing(scope: Scope) -> Vec<&'static str> {
    let mut packages: Vec<_> = in_scope(scope)
        .filter(|needed| find(needed.program).is_none())
        .map(|needed| needed.package)
        .collect();
    packages.dedup();
    packages
}

/// A program in the search path, or where Debian has a folder for each version of
/// a server: the clients alone leave those folders without it.
fn find(program: &str) -> Option<PathBuf> {
    find_program(program).or_else(|| {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
        versions
            .flatten()
            .map(|version| version.path().join("bin").join(program))
            .find(|candidate| candidate.is_file())
    })
}

/// Installs packages without their recommendations.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    let by_hand = format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    );
    if find_program("apt-get").is_none() {
        bail!(
            "there is no apt-get here; install what Debian calls: {}",
            packages.join(" ")
        );
    }
    println!("installing     {}", packages.join(" "));
    if !lists_present() {
        run(apt_get().arg("update"))?;
    }
    if attempt(packages).is_err() {
        println!("               once more, with fresh package lists");
        run(apt_get().arg("update"))?;
        attempt(packages).with_context(|| format!("please run as root: {by_hand}"))?;
    }
    warn_of_services(packages);
    Ok(())
}

fn attempt(packages: &[&str]) -> Result<()> {
    run(apt_get()
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages))
}

/// `env` carries the setting through sudo, which drops ours.
fn apt_get() -> Command {
    let mut command = as_root("env");
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
    command
}

fn lists_present() -> bool {
    fs::read_dir("/var/lib/apt/lists").is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
        })
    })
}

/// Debian starts the daemons that it installs; the tests start their own.
fn warn_of_services(packages: &[&str]) {
    let services: Vec<_> = packages
        .iter()
        .copied()
        .filter(|name| ["nsd", "knot", "prometheus", "redis-server", "postgresql"].contains(name))
        .collect();
    if !services.is_empty() && find_program("systemctl").is_some() {
        println!(
            "               the tests do not need their services; to stop them: \
             systemctl disable --now {}",
            services.join(" ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_needs_no_program_beyond_the_toolchain() {
        assert!(needed(Scope::Build).is_empty());
    }

    #[test]
    fn only_benchmarks_need_what_xdsc_is_compared_with() {
        assert!(!needed(Scope::Test).contains(&"dnscap"));
        assert!(needed(Scope::Bench).contains(&"dnscap"));
    }

    #[test]
    fn demo_needs_namespaces_but_no_name_server() {
        let programs = needed(Scope::Demo);
        assert!(programs.contains(&"ip"));
        assert!(!programs.contains(&"nsd"));
    }
}
