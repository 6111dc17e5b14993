//! Debian packages: which programs stand for them, and their installation.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::Scope;
use crate::process::{as_root, find_program, run};

/// A program that we start, the package that carries it, and who needs it.
struct Needed {
    program: &'static str,
    package: &'static str,
    by: &'static [Scope],
}

const fn needed_by(by: &'static [Scope], program: &'static str, package: &'static str) -> Needed {
    Needed {
        program,
        package,
        by,
    }
}

const NAMESPACES: &[Scope] = &[Scope::Demo, Scope::Test, Scope::Bench];
const DEMO: &[Scope] = &[Scope::Demo, Scope::Test];
/// A name server under load.
const SERVERS: &[Scope] = &[Scope::Test, Scope::Bench];
const TESTS: &[Scope] = &[Scope::Test];
/// What xdsc is compared with.
const BENCHMARKS: &[Scope] = &[Scope::Bench];

const PROGRAMS: &[Needed] = &[
    needed_by(NAMESPACES, "ip", "iproute2"),
    needed_by(DEMO, "setpriv", "util-linux"),
    needed_by(SERVERS, "nsd", "nsd"),
    needed_by(TESTS, "knotd", "knot"),
    needed_by(SERVERS, "kdig", "knot-dnsutils"),
    needed_by(SERVERS, "dnsperf", "dnsperf"),
    needed_by(TESTS, "promtool", "prometheus"),
    needed_by(TESTS, "ss", "iproute2"),
    needed_by(TESTS, "redis-server", "redis-server"),
    needed_by(TESTS, "postgres", "postgresql"),
    needed_by(TESTS, "unbound", "unbound"),
    needed_by(TESTS, "tmux", "tmux"),
    needed_by(TESTS, "systemd-analyze", "systemd"),
    needed_by(TESTS, "docker-compose", "docker-compose"),
    needed_by(TESTS, "node", "nodejs"),
    needed_by(TESTS, "npm", "npm"),
    needed_by(TESTS, "chromium", "chromium"),
    needed_by(TESTS, "virtualenv", "virtualenv"),
    needed_by(BENCHMARKS, "dnscap", "dnscap"),
    needed_by(BENCHMARKS, "dnstop", "dnstop"),
    needed_by(BENCHMARKS, "tcpdump", "tcpdump"),
    needed_by(BENCHMARKS, "script", "bsdutils"),
];

fn in_scope(scope: Scope) -> impl Iterator<Item = &'static Needed> {
    PROGRAMS
        .iter()
        .filter(move |needed| needed.by.contains(&scope))
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
    fn benchmarks_need_what_xdsc_is_compared_with_and_no_more() {
        assert!(!needed(Scope::Test).contains(&"dnscap"));
        assert!(needed(Scope::Bench).contains(&"dnscap"));
        for program in ["chromium", "npm", "docker-compose", "postgres"] {
            assert!(!needed(Scope::Bench).contains(&program), "{program}");
        }
    }

    #[test]
    fn demo_needs_namespaces_but_no_name_server() {
        let programs = needed(Scope::Demo);
        assert!(programs.contains(&"ip"));
        assert!(!programs.contains(&"nsd"));
    }
}
