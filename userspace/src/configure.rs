//! `xdsc config`: judges a configuration, or shows what it can be.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use crate::{
    cli::{ConfigArgs, ConfigCommand},
    config::{self, Config},
    dsc_files::DscFiles,
    enrich::{
        reverse_dns::{self, Watched},
        tables::{from_files, nothing_known},
    },
    statistics::statistics,
};

/// Does what the arguments say; errors of a configuration go to `complaints`,
/// and make the status 1.
///
/// # Errors
/// When `out` or `complaints` cannot be written to.
pub fn run(
    args: &ConfigArgs,
    out: &mut impl Write,
    complaints: &mut impl Write,
) -> io::Result<ExitCode> {
    match &args.command {
        ConfigCommand::Check { file } => check(file, out, complaints),
        ConfigCommand::Show => print(&config::example(), out),
        ConfigCommand::Reference => print(&config::reference(), out),
    }
}

fn check(file: &Path, out: &mut impl Write, complaints: &mut impl Write) -> io::Result<ExitCode> {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(error) => {
            writeln!(complaints, "{error}")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    // What it names, too.
    let errors = [
        statistics(&config, &nothing_known())
            .err()
            .map(|errors| errors.to_string()),
        DscFiles::open(&config, 0)
            .err()
            .map(|error| error.to_string()),
        from_files(&config).err().map(|errors| errors.to_string()),
        reverse_dns(&config).err(),
    ];
    let mut errors = errors.into_iter().flatten().peekable();
    if errors.peek().is_none() {
        return print(&format!("{}: ok\n", file.display()), out);
    }
    for error in errors {
        writeln!(complaints, "{error}")?;
    }
    Ok(ExitCode::FAILURE)
}

/// # Errors
/// What would keep reverse DNS from starting.
fn reverse_dns(config: &Config) -> Result<(), String> {
    if !config.reverse_dns.enabled {
        return Ok(());
    }
    let watched = Watched::of(config);
    let watched = watched.map_err(|error| format!("cannot read the local addresses: {error}"))?;
    let errors = reverse_dns::check(&config.reverse_dns, &watched);
    if errors.is_empty() {
        return Ok(());
    }
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    Err(errors.join("\n"))
}

fn print(text: &str, out: &mut impl Write) -> io::Result<ExitCode> {
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn all_that_keeps_reverse_dns_from_starting_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("xdsc.toml");
        let text = "interfaces = [\"lo\"]\n[reverse_dns]\nresolvers = [\"127.0.0.1\"]\n\
                    redis = \"secret\"\ncache_file = \"/absent/names\"\nenabled = ";
        for (enabled, lines) in [("false", 0), ("true", 3)] {
            fs::write(&file, format!("{text}{enabled}\n")).expect("a file");
            let (mut out, mut complaints) = (Vec::new(), Vec::new());
            let status = check(&file, &mut out, &mut complaints).expect("told");
            assert_eq!(status == ExitCode::SUCCESS, lines == 0);
            let complaints = String::from_utf8(complaints).expect("text");
            assert_eq!(complaints.lines().count(), lines, "{complaints}");
            for key in ["resolvers", "redis", "cache_file"] {
                let key = format!("`reverse_dns.{key}`: ");
                assert_eq!(complaints.contains(&key), lines != 0, "{complaints}");
            }
            assert!(!complaints.contains("secret"), "{complaints}");
        }
    }

    #[test]
    fn files_that_a_configuration_names_are_judged_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let (config, networks) = (path("xdsc.toml"), path("networks.csv"));
        fs::write(&config, format!("[networks]\nfile = {networks:?}\n")).expect("a file");
        for (table, ok) in [
            ("192.0.2.0/24,example\n", true),
            ("192.0.2.1/24,a\nb\n", false),
        ] {
            fs::write(&networks, table).expect("a file");
            let (mut out, mut complaints) = (Vec::new(), Vec::new());
            let status = check(&config, &mut out, &mut complaints).expect("told");
            assert_eq!(status == ExitCode::SUCCESS, ok, "{table}");
            let complaints = String::from_utf8(complaints).expect("text");
            for line in ["networks.csv:1: ", "networks.csv:2: "] {
                assert_eq!(complaints.contains(line), !ok, "{complaints}");
            }
        }
    }
}
