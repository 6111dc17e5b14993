//! Exchanges from capture files: what the daemon would have told, but all of them.

use std::{
    io::{self, Write},
    ops::ControlFlow,
};

use dns_wire::Settings;

use super::{Printer, Stopped};
use crate::{
    cli::TailArgs,
    config::Config,
    enrich::{
        exchange::{
            Exchange,
            filter::Filter,
            shown::{Disclosure, Shown},
        },
        stream::{Enricher, pairs::FilePairs},
        tables::{self, tables_of},
    },
    read::Reading,
};

/// Messages that wait for their other half at a time: 400 octets each.
const PENDING: usize = 1 << 18;

/// Shows what is in the files, in the order of time in which exchanges ended.
pub(super) fn show(
    args: &TailArgs,
    printer: &mut Printer<'_, impl Write>,
    complaints: &mut impl Write,
) -> Result<(), Stopped> {
    let config = configuration(args)?;
    let filter = filter(args)?;
    let tables = tables::shared(tables_of(&config).map_err(Stopped::told)?);
    let timeout_ns = u64::try_from(config.pairing.timeout.as_nanos()).unwrap_or(u64::MAX);
    let mut output = Output {
        pairs: FilePairs::new(PENDING, timeout_ns, Enricher::from_config(&config, &tables)),
        filter,
        disclosure: Disclosure::from_config(&config).map_err(Stopped::told)?,
        printer,
        error: None,
    };
    output.printer.head()?;
    let is_clean = read(args, &config, &mut output, complaints)?;
    let dropped = output.pairs.dropped();
    output.printer.out.flush()?;
    if dropped > 0 {
        writeln!(
            complaints,
            "xdsc: left out {dropped} messages, as too many waited for their other half"
        )?;
    }
    if is_clean {
        Ok(())
    } else {
        Err(Stopped::told("not all of the captures could be read"))
    }
}

/// Reads the files; whether nothing was wrong with them.
fn read(
    args: &TailArgs,
    config: &Config,
    output: &mut Output<'_, '_, impl Write>,
    complaints: &mut impl Write,
) -> Result<bool, Stopped> {
    let settings = Settings::new(&config.probe.ports).with_decapsulation(config.probe.decapsulate);
    let mut reading = Reading::new(settings, config.probe.service_addresses.clone()).with_tap();
    let mut is_clean = true;
    for file in &args.files {
        let mut flow = ControlFlow::Continue(());
        let errors = reading.file_while(file, |reading| {
            flow = output.take(reading);
            flow
        });
        output.check()?;
        for error in errors {
            is_clean = false;
            writeln!(complaints, "xdsc: {error}")?;
        }
        if flow.is_break() {
            return Ok(is_clean);
        }
    }
    reading.finish_fragments();
    if output.take(&mut reading).is_continue() {
        let rest = output.pairs.finish();
        // Whether more is wanted makes no difference any more.
        let _ = output.print(rest);
    }
    output.check()?;
    Ok(is_clean)
}

/// From messages to lines.
struct Output<'a, 'p, W> {
    pairs: FilePairs,
    filter: Filter,
    disclosure: Disclosure,
    printer: &'a mut Printer<'p, W>,
    error: Option<io::Error>,
}

impl<W: Write> Output<'_, '_, W> {
    fn take(&mut self, reading: &mut Reading) -> ControlFlow<()> {
        for raw in reading.take_raws() {
            let exchanges = self.pairs.take(&raw);
            self.print(exchanges)?;
        }
        ControlFlow::Continue(())
    }

    fn print(&mut self, exchanges: Vec<Exchange>) -> ControlFlow<()> {
        for exchange in exchanges {
            if !self.filter.matches(&exchange) {
                continue;
            }
            let shown = Shown::new(&exchange, &self.disclosure);
            match self.printer.exchange(&shown) {
                Ok(flow) => flow?,
                Err(error) => {
                    self.error = Some(error);
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn check(&mut self) -> io::Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }
}

/// The configuration, with what the arguments say otherwise.
fn configuration(args: &TailArgs) -> Result<Config, Stopped> {
    let mut config = match &args.config {
        Some(file) => Config::load(file).map_err(Stopped::told)?,
        None => Config::default(),
    };
    if let Some(ports) = &args.ports {
        config.probe.ports.clone_from(&ports.0);
    }
    if args.decapsulate {
        config.probe.decapsulate = true;
    }
    if !args.service_addresses.is_empty() {
        config
            .probe
            .service_addresses
            .clone_from(&args.service_addresses);
    }
    // Whoever has the capture has the addresses.
    if let Some(clients) = args.clients {
        config.privacy.clients = clients;
    }
    Ok(config)
}

fn filter(args: &TailArgs) -> Result<Filter, Stopped> {
    let mut filter = Filter::default();
    for (condition, value) in args.conditions() {
        let required = filter.require(condition, value);
        required
            .map_err(|error| Stopped::Told(format!("--{}: {value:?} {error}", condition.name())))?;
    }
    Ok(filter)
}
