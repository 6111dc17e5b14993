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
    enrich::tables::{from_files, nothing_known},
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
