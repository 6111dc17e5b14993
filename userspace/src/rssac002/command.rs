//! `xdsc rssac002`: days from captures or from partial files to what is
//! published.
//!
//! Nothing is written before everything is read: a partial file that is damaged,
//! or named twice, would make a day that is wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use dns_wire::Settings;
use jiff::civil::Date;

use super::{
    Day, Error, check_service, create_folder, partial_path, read_partial, write_files,
    write_partial,
};
use crate::{
    cli::{Rssac002Args, Rssac002Command, Rssac002Output},
    read::{DayReading, Progress},
    stats::sketches::ClientKey,
};

/// Reads and writes; what is wrong goes to `complaints`, and makes the status 1.
///
/// # Errors
/// When `complaints` cannot be written to.
pub fn run(args: &Rssac002Args, complaints: &mut impl Write) -> io::Result<ExitCode> {
    let (files, output) = match &args.command {
        Rssac002Command::Merge { files, output } | Rssac002Command::Read { files, output, .. } => {
            (files, output)
        }
    };
    if output.output.is_none() && output.partials.is_none() {
        let hint =
            "give --output DIR for the YAML files, --partials DIR for partial files, or both";
        writeln!(complaints, "xdsc: nothing to write: {hint}")?;
        return Ok(ExitCode::FAILURE);
    }
    if let Err(error) = output.service.as_deref().map_or(Ok(()), check_service) {
        writeln!(complaints, "xdsc: --service: {error}")?;
        return Ok(ExitCode::FAILURE);
    }
    let days = match &args.command {
        Rssac002Command::Merge { .. } => merged(files),
        Rssac002Command::Read {
            ports,
            decapsulate,
            service_addresses,
            secret_file,
            ..
        } => {
            let key = match key(output.service.as_deref(), secret_file.as_deref()) {
                Ok(key) => key,
                Err(error) => {
                    writeln!(complaints, "xdsc: --secret-file: {error}")?;
                    return Ok(ExitCode::FAILURE);
                }
            };
            let settings = Settings::new(&ports.0).with_decapsulation(*decapsulate);
            seen(
                files,
                DayReading::new(settings, service_addresses.clone(), key)
                    .with_progress(Progress::on_stderr(files)),
            )
        }
    };
    let days = match days {
        Ok(days) => days,
        Err(errors) => {
            for error in errors {
                writeln!(complaints, "xdsc: {error}")?;
            }
            writeln!(complaints, "xdsc: nothing was written")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    if days.is_empty() {
        writeln!(complaints, "xdsc: no packets, no days: nothing was written")?;
        return Ok(ExitCode::FAILURE);
    }
    if let Err(error) = write(&days, output) {
        writeln!(complaints, "xdsc: {error}")?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The days of captures; or all that is wrong with them, since a part of a day
/// must not take the place of the whole.
fn seen(files: &[PathBuf], mut reading: DayReading) -> Result<Vec<Day>, Vec<String>> {
    let mut errors = Vec::new();
    for file in files {
        let read = reading.file(file);
        errors.extend(read.err().map(|error| error.to_string()));
    }
    if errors.is_empty() {
        Ok(reading.finish())
    } else {
        Err(errors)
    }
}

/// What sources are hashed with. Without a secret everybody can find it out, and
/// choose addresses that make the number of sources a wrong one.
fn key(service: Option<&str>, secret_file: Option<&Path>) -> Result<ClientKey, Error> {
    let secret = secret_file.map(fs::read).transpose();
    let secret = secret.map_err(|cause| Error::Io {
        path: secret_file.unwrap_or(Path::new("")).to_owned(),
        cause,
    })?;
    let secret = secret.unwrap_or_default();
    let service = service.unwrap_or("");
    Ok(ClientKey::of_service(service, secret.trim_ascii_end()))
}

/// The days of partial files, in their order; or all that is wrong with them.
fn merged(files: &[PathBuf]) -> Result<Vec<Day>, Vec<String>> {
    let mut days: BTreeMap<Date, Day> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut errors = Vec::new();
    for file in files {
        let place = file.canonicalize().unwrap_or_else(|_| file.clone());
        if !seen.insert(place) {
            errors.push(format!(
                "{} is named twice, and would count twice; name it once",
                file.display()
            ));
            continue;
        }
        match read_partial(file).and_then(|day| add(&mut days, day)) {
            Ok(()) => {}
            Err(error @ Error::OtherKey) => errors.push(format!("{}: {error}", file.display())),
            Err(error) => errors.push(error.to_string()),
        }
    }
    if errors.is_empty() {
        Ok(days.into_values().collect())
    } else {
        Err(errors)
    }
}

fn add(days: &mut BTreeMap<Date, Day>, day: Day) -> Result<(), Error> {
    match days.get_mut(&day.date()) {
        Some(sum) => sum.merge(&day),
        None => {
            days.insert(day.date(), day);
            Ok(())
        }
    }
}

fn write(days: &[Day], output: &Rssac002Output) -> Result<(), Error> {
    if let Some(folder) = &output.partials {
        create_folder(folder)?;
        for day in days {
            write_partial(day, &partial_path(folder, day.date()))?;
        }
    }
    if let Some((folder, service)) = output.output.as_ref().zip(output.service.as_ref()) {
        for day in days {
            write_files(day, service, folder)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_file_whose_last_line_break_does_not_matter() {
        let folder = tempfile::tempdir().expect("a folder");
        let id = |text: Option<&str>| {
            let path = folder.path().join("secret");
            let path = text.map(|text| {
                fs::write(&path, text).expect("a file");
                path
            });
            key(Some("a.example"), path.as_deref()).expect("a key").id()
        };
        assert_eq!(id(Some("xyz\n")), id(Some("xyz")));
        assert_ne!(id(Some("xyz")), id(None));
        let error = key(None, Some(Path::new("/absent/secret"))).expect_err("no file");
        assert!(error.to_string().contains("/absent/secret"), "{error}");
    }
}
