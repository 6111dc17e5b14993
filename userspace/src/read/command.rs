//! `xdsc read` with datasets: from the arguments to what is printed or written.

use std::{
    fs,
    io::{self, IsTerminal as _, Write},
    num::NonZeroU32,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use dns_wire::Settings;

use super::{
    DatasetOptions, DatasetReading, Progress, Reading, configured::Configured, datasets::Sink,
    tables,
};
use crate::{
    cli::{CompatArg, ReadArgs, ReadFormat},
    dsc_conf::{DscConf, Use},
    export::dsc::{Format, Ownership, Writer},
    source::dsc_front,
    stats::{
        builtin,
        dataset::Dataset,
        label::Style,
        plan::{Compat, Plan, Rules},
        table::Interval,
    },
};

/// So long that a capture is one interval.
const WHOLE: NonZeroU32 = NonZeroU32::MAX;
/// An interval where nothing else is said.
const MINUTE: NonZeroU32 = match NonZeroU32::new(60) {
    Some(minute) => minute,
    None => WHOLE,
};

/// Why the datasets cannot be read.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{0}")]
    Told(String),
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Reads the files and prints or writes their datasets.
///
/// # Errors
/// When `out` or `complaints` cannot be written to.
pub(super) fn run(
    args: &ReadArgs,
    out: &mut impl Write,
    complaints: &mut impl Write,
) -> io::Result<ExitCode> {
    match read(args, out, complaints) {
        Ok(status) => Ok(status),
        Err(Refused::Output(error)) => Err(error),
        Err(Refused::Told(reason)) => {
            writeln!(complaints, "xdsc: {reason}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn read(
    args: &ReadArgs,
    out: &mut impl Write,
    complaints: &mut impl Write,
) -> Result<ExitCode, Refused> {
    require_what_dsc_knows(args)?;
    let conf = configuration(args, complaints)?;
    let options = options(args, conf.as_ref())?;
    if args.format == ReadFormat::Prometheus {
        return families(args, options, out, complaints);
    }
    let writer = writer(args, conf.as_ref())?;
    let pass = |sink: &mut Sink<'_>| intervals(args, options, sink, complaints);
    let status = match (writer, args.format) {
        (Some(writer), _) => pass(&mut |interval| {
            writer.write(&interval).map_err(io::Error::other)?;
            Ok(())
        }),
        (None, ReadFormat::Json) => tables::json(out, pass),
        (None, ReadFormat::DscXml) => pass(&mut |interval| Format::Xml.write(&interval, out)),
        (None, ReadFormat::DscJson) => pass(&mut |interval| Format::Json.write(&interval, out)),
        // `families` prints those of Prometheus.
        (None, ReadFormat::Text | ReadFormat::Prometheus) => {
            pass(&mut |interval| tables::text(&interval, out))
        }
    }?;
    out.flush()?;
    Ok(status)
}

/// DSC knows one port and nothing of the server's addresses, and looks into
/// tunnels in its own way.
fn require_what_dsc_knows(args: &ReadArgs) -> Result<(), Refused> {
    if compat(args) == Compat::None {
        return Ok(());
    }
    let unknown = [
        ("--service-address", !args.service_addresses.is_empty()),
        ("--decapsulate", args.decapsulate),
        ("more than one of --ports", args.ports.0.len() > 1),
    ];
    match unknown.iter().find(|(_, is_given)| *is_given) {
        Some((what, _)) => Err(Refused::Told(format!(
            "--compat dsc does not go with {what}: DSC has one port, always looks into GRE, and \
             tells directions by the `local_address` of its configuration; leave that out, or \
             leave out --compat"
        ))),
        None => Ok(()),
    }
}

/// Gives each interval away as it ends, so that one of them is in memory,
/// however long the captures are.
fn intervals(
    args: &ReadArgs,
    options: DatasetOptions,
    sink: &mut Sink<'_>,
    complaints: &mut impl Write,
) -> io::Result<ExitCode> {
    let mut reading = DatasetReading::new(options).with_progress(progress(args));
    let mut status = ExitCode::SUCCESS;
    let mut is_empty = true;
    let mut sink = |interval: Interval| {
        is_empty = false;
        sink(interval)
    };
    for file in &args.files {
        for error in reading.file(file, &mut sink)? {
            reading.aside(|| writeln!(complaints, "xdsc: {error}"))?;
            status = ExitCode::FAILURE;
        }
    }
    reading.finish(&mut sink)?;
    if is_empty && status == ExitCode::SUCCESS {
        writeln!(complaints, "xdsc: no packets, and so no interval")?;
    }
    Ok(status)
}

/// None where intervals go to the same terminal as they end.
fn progress(args: &ReadArgs) -> Progress {
    let prints = args.interval.is_some() && args.output.is_none();
    match prints && io::stdout().is_terminal() {
        true => Progress::hidden(),
        false => Progress::on_stderr(&args.files),
    }
}

/// What a daemon would show of these datasets, beside all else.
fn families(
    args: &ReadArgs,
    options: DatasetOptions,
    out: &mut impl Write,
    complaints: &mut impl Write,
) -> Result<ExitCode, Refused> {
    if args.compat.is_some() || args.output.is_some() || args.interval.is_some() {
        return Err(Refused::Told(
            "--format prometheus shows what the daemon would: leave out --compat, --output and \
             --interval"
                .to_owned(),
        ));
    }
    let DatasetOptions {
        plan,
        settings,
        service_addresses,
        ..
    } = options;
    let reading = Reading::with_plan(settings, service_addresses, plan);
    Ok(super::read_and_print(reading, args, out, complaints)?)
}

fn configuration(args: &ReadArgs, complaints: &mut impl Write) -> Result<Option<DscConf>, Refused> {
    let Some(file) = &args.dsc_conf else {
        return Ok(None);
    };
    let conf = DscConf::load(file).map_err(|error| Refused::Told(error.to_string()))?;
    let mut ignored = conf.ignored.clone();
    ignored.extend(conf.idle(Use {
        compat: compat(args),
        writes_files: args.output.is_some(),
        has_interval: args.interval.is_some(),
    }));
    ignored.sort_by_key(|ignored| ignored.line);
    if !ignored.is_empty() {
        let ignored: Vec<_> = ignored.iter().map(ToString::to_string).collect();
        writeln!(
            complaints,
            "xdsc: {} has what is without effect here:\n  {}",
            file.display(),
            ignored.join("\n  ")
        )?;
    }
    if conf.datasets.is_empty() {
        let file = file.display();
        writeln!(
            complaints,
            "xdsc: {file} has no `dataset`: nothing is counted"
        )?;
    }
    Ok(Some(conf))
}

fn options(args: &ReadArgs, conf: Option<&DscConf>) -> Result<DatasetOptions, Refused> {
    let compat = compat(args);
    let mut options = match conf {
        Some(conf) => DatasetOptions::of_dsc(conf, compat)
            .map_err(|error| Refused::Told(error.to_string()))?,
        None => match &args.config {
            Some(file) => of_config(args, file)?,
            None => of_names(args, compat)?,
        },
    };
    options.style = if is_dsc(args.format) {
        Style::Dsc
    } else {
        Style::Named
    };
    options.interval = match (args.interval, &args.output) {
        (Some(seconds), _) => seconds,
        (None, Some(_)) => options.interval,
        (None, None) => WHOLE,
    };
    Ok(options)
}

const fn compat(args: &ReadArgs) -> Compat {
    match args.compat {
        Some(CompatArg::Dsc) => Compat::Dsc,
        None => Compat::None,
    }
}

/// What the daemon would count, or what is named of it.
fn of_config(args: &ReadArgs, file: &Path) -> Result<DatasetOptions, Refused> {
    let configured = Configured::load(file).map_err(Refused::Told)?;
    Ok(DatasetOptions {
        plan: configured.plan(&args.datasets).map_err(Refused::Told)?,
        settings: configured.settings(),
        service_addresses: configured.service_addresses(),
        front: dsc_front::Settings::default(),
        interval: MINUTE,
        style: Style::Named,
    })
}

/// Built-in datasets by their names; all of DSC's samples where none is named.
fn of_names(args: &ReadArgs, compat: Compat) -> Result<DatasetOptions, Refused> {
    let mut datasets = Vec::new();
    for name in &args.datasets {
        match name.as_str() {
            "default" => datasets.extend(builtin::default()),
            "all" => datasets.extend(builtin::all()),
            name => datasets.push(builtin::named(name).ok_or_else(|| unknown(name))?),
        }
    }
    if datasets.is_empty() {
        datasets = builtin::default();
    }
    let mut seen = std::collections::HashSet::new();
    datasets.retain(|dataset: &Dataset| seen.insert(dataset.name.clone()));
    let rules = Rules {
        compat,
        ..Rules::default()
    };
    let settings = Settings::new(&args.ports.0).with_decapsulation(args.decapsulate);
    Ok(DatasetOptions {
        plan: Arc::new(Plan::new(datasets, rules)),
        settings,
        service_addresses: args.service_addresses.clone(),
        front: dsc_front::Settings {
            port: args.ports.0.first().copied().unwrap_or(53),
            ..dsc_front::Settings::default()
        },
        interval: MINUTE,
        style: Style::Named,
    })
}

fn unknown(name: &str) -> Refused {
    let names: Vec<_> = builtin::names().collect();
    Refused::Told(format!(
        "there is no dataset `{name}`; there are default, all, {}",
        names.join(", ")
    ))
}

const fn is_dsc(format: ReadFormat) -> bool {
    matches!(format, ReadFormat::DscXml | ReadFormat::DscJson)
}

/// The writer of `--output`; none where everything is printed.
fn writer(args: &ReadArgs, conf: Option<&DscConf>) -> Result<Option<Writer>, Refused> {
    let Some(directory) = &args.output else {
        return Ok(None);
    };
    let format = match args.format {
        ReadFormat::DscXml => Format::Xml,
        ReadFormat::DscJson => Format::Json,
        ReadFormat::Text | ReadFormat::Json | ReadFormat::Prometheus => {
            return Err(Refused::Told(
                "--output is for DSC's files: add --format dsc-xml or --format dsc-json".to_owned(),
            ));
        }
    };
    create(directory)?;
    let ownership = match conf {
        Some(conf) => Ownership::resolve(
            conf.output_user.as_deref(),
            conf.output_group.as_deref(),
            conf.output_mod,
        )
        .map_err(|error| Refused::Told(error.to_string()))?,
        None => Ownership::default(),
    };
    Ok(Some(Writer {
        directory: directory.clone(),
        formats: vec![format],
        ownership,
        min_free: conf.map_or(0, |conf| conf.minfree_bytes),
    }))
}

fn create(directory: &PathBuf) -> Result<(), Refused> {
    fs::create_dir_all(directory).map_err(|error| {
        Refused::Told(format!(
            "cannot create the folder {}: {error}",
            directory.display()
        ))
    })
}
