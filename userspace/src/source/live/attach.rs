//! Attaches the kernel programs to an interface, in the best way that it allows.

use std::{fmt, fs, io, path::Path, process::Command};

use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode as Mode,
    tc::{self, NlOptions, TcAttachOptions},
};
use dns_wire::counters::Hook;
use tracing::{info, warn};

use super::{
    driver::driver,
    probe::{Probe, chain},
};
use crate::{
    config::{EgressMode, XdpMode},
    export::snapshot::AttachmentState,
};

/// The program for packets on their way out.
const EGRESS: &str = "tc_egress";

/// Those whose XDP is no gain: a packet between network namespaces is a socket buffer
/// already, and the driver copies it into another one, with room before it.
const COPYING_DRIVERS: [&str; 1] = ["veth"];

/// Why the programs could not be attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// No such interface.
    #[error("there is no interface `{name}`; there are: {known} (see `ip link`)")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Frames of this interface do not begin with an Ethernet header.
    #[error(
        "interface `{name}` is no Ethernet interface (type {kind} in /sys/class/net/{name}/type): \
         xdsc reads Ethernet frames only; choose the interface below the tunnel"
    )]
    NotEthernet {
        /// The interface.
        name: String,
        /// ARPHRD_ value.
        kind: u32,
    },
    /// The kernel refused the way that the configuration demands.
    #[error("cannot attach to `{name}` as {mode}: {cause}; {cure}")]
    Refused {
        /// The interface.
        name: String,
        /// The way.
        mode: &'static str,
        /// What the kernel said.
        cause: String,
        /// What to do.
        cure: Cure,
    },
}

/// What helps where the kernel refuses a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// The place is taken.
    GoBeside,
    /// The driver lacks it.
    OtherXdpMode,
    /// Whatever it is.
    OtherMode,
    /// The kernel lacks it.
    OtherClassifier,
}

impl fmt::Display for Cure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GoBeside => {
                "another XDP program is there: remove it (`ip link set dev IF xdp off`), or leave \
                 `xdp_mode` at \"auto\" to go beside it"
            }
            Self::OtherXdpMode => {
                "the driver has no XDP of this kind: set `xdp_mode` to \"auto\" or \"generic\""
            }
            Self::OtherMode => {
                "set `xdp_mode` to \"generic\" or \"tcx\", or look at the kernel log (`dmesg`)"
            }
            Self::OtherClassifier => {
                "tcx needs kernel 6.6, clsact the sch_ingress module; choose by `egress` and \
                 `xdp_mode`"
            }
        })
    }
}

/// Clsact qdiscs made by this process, to be removed again.
#[derive(Debug, Default)]
pub struct Attachments {
    /// Where the programs are.
    pub states: Vec<AttachmentState>,
    qdiscs: Vec<String>,
}

impl Attachments {
    /// Attaches to one more interface.
    ///
    /// # Errors
    /// [`AttachError`], each with its cure.
    pub fn attach(
        &mut self,
        probe: &mut Probe,
        interface: &str,
        ingress: XdpMode,
        egress: EgressMode,
    ) -> Result<(), AttachError> {
        check(interface)?;
        let mode = attach_ingress(probe, interface, ingress)?;
        self.note(interface, Hook::Ingress, mode);
        let mode = match egress {
            EgressMode::Off => {
                warn!(interface, "responses are not seen: `egress` is off");
                return Ok(());
            }
            EgressMode::Tcx => attach_tcx(probe, interface, Hook::Egress)?,
            EgressMode::Clsact => self.attach_clsact(probe, interface)?,
            EgressMode::Auto => match attach_tcx(probe, interface, Hook::Egress) {
                Ok(mode) => mode,
                Err(error) => {
                    info!(interface, %error, "no tcx here, taking clsact");
                    self.attach_clsact(probe, interface)?
                }
            },
        };
        self.note(interface, Hook::Egress, mode);
        Ok(())
    }

    fn note(&mut self, interface: &str, hook: Hook, mode: &'static str) {
        info!(interface, hook = hook.label(), mode, "attached");
        self.states.push(AttachmentState {
            interface: interface.to_owned(),
            hook,
            mode,
        });
    }

    fn attach_clsact(
        &mut self,
        probe: &mut Probe,
        interface: &str,
    ) -> Result<&'static str, AttachError> {
        const MODE: &str = "clsact";
        // Unlike links, these programs outlive a daemon that was killed.
        let leftover = tc::qdisc_detach_program(interface, TcAttachType::Egress, EGRESS).is_ok();
        if leftover {
            warn!(interface, "removed the program that a killed xdsc had left");
        }
        if tc::qdisc_add_clsact(interface).is_ok() || leftover {
            self.qdiscs.push(interface.to_owned());
        }
        let options = TcAttachOptions::Netlink(NlOptions::default());
        attach_classifier(probe, interface, Hook::Egress, options, MODE)?;
        Ok(MODE)
    }

    /// Removes the qdiscs that were made for the programs. The programs
    /// themselves go with their links.
    pub fn remove_qdiscs(&mut self) {
        for interface in self.qdiscs.drain(..) {
            if !is_unused(&interface) {
                info!(
                    interface,
                    "the clsact qdisc stays: others have filters there"
                );
                continue;
            }
            let removed = Command::new("tc")
                .args(["qdisc", "del", "dev", &interface, "clsact"])
                .status();
            if !removed.is_ok_and(|status| status.success()) {
                warn!(
                    interface,
                    "could not remove the clsact qdisc; do it by `tc qdisc del dev {interface} clsact`"
                );
            }
        }
    }
}

impl Drop for Attachments {
    fn drop(&mut self) {
        self.remove_qdiscs();
    }
}

/// Whether nobody else has come to use a clsact qdisc meanwhile.
fn is_unused(interface: &str) -> bool {
    ["ingress", "egress"].into_iter().all(|direction| {
        let shown = Command::new("tc")
            .args(["filter", "show", "dev", interface, direction])
            .output();
        shown.is_ok_and(|shown| shown.status.success() && shown.stdout.is_empty())
    })
}

fn check(interface: &str) -> Result<(), AttachError> {
    const ARPHRD_ETHER: u32 = 1;
    const ARPHRD_LOOPBACK: u32 = 772;
    let path = Path::new("/sys/class/net").join(interface).join("type");
    let Ok(kind) = fs::read_to_string(path) else {
        return Err(AttachError::Unknown {
            name: interface.to_owned(),
            known: interfaces(),
        });
    };
    let kind = kind.trim().parse().unwrap_or(0);
    if matches!(kind, ARPHRD_ETHER | ARPHRD_LOOPBACK) {
        return Ok(());
    }
    Err(AttachError::NotEthernet {
        name: interface.to_owned(),
        kind,
    })
}

fn interfaces() -> String {
    let names = fs::read_dir("/sys/class/net").into_iter().flatten();
    let mut names: Vec<_> = names
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names.join(", ")
}

fn attach_ingress(
    probe: &mut Probe,
    interface: &str,
    mode: XdpMode,
) -> Result<&'static str, AttachError> {
    match mode {
        XdpMode::Native => attach_xdp(probe, interface, Mode::Driver),
        XdpMode::Generic => attach_xdp(probe, interface, Mode::Skb),
        XdpMode::Tcx => attach_tcx(probe, interface, Hook::Ingress),
        XdpMode::Auto => attach_best(probe, interface),
    }
}

/// XDP in the driver comes first of all and costs least, unless it makes the kernel
/// copy packets, as generic XDP always does; TCX takes them as they are.
fn attach_best(probe: &mut Probe, interface: &str) -> Result<&'static str, AttachError> {
    let copies = driver(interface).is_ok_and(|driver| COPYING_DRIVERS.contains(&&*driver));
    if copies {
        info!(interface, "XDP would copy each packet here, taking tcx");
        match attach_tcx(probe, interface, Hook::Ingress) {
            Ok(mode) => return Ok(mode),
            Err(error) => info!(interface, %error, "no tcx here, taking XDP"),
        }
    }
    let error = match attach_xdp(probe, interface, Mode::Driver) {
        Ok(mode) => return Ok(mode),
        Err(error) => error,
    };
    if is_busy(&error) {
        warn!(
            interface,
            "another program holds the XDP slot (see `ip link show {interface}`): taking TCX \
             ingress, which sees packets later and only those that the other program passes on"
        );
        return attach_tcx(probe, interface, Hook::Ingress);
    }
    info!(interface, %error, "no native XDP here, taking tcx");
    attach_tcx(probe, interface, Hook::Ingress).or_else(|error| {
        info!(interface, %error, "no tcx here, taking generic XDP");
        attach_xdp(probe, interface, Mode::Skb)
    })
}

/// Whether another program is in the place.
const fn is_busy(error: &AttachError) -> bool {
    matches!(
        error,
        AttachError::Refused {
            cure: Cure::GoBeside,
            ..
        }
    )
}

fn attach_xdp(probe: &mut Probe, interface: &str, mode: Mode) -> Result<&'static str, AttachError> {
    let name = if mode == Mode::Driver {
        "xdp_native"
    } else {
        "xdp_generic"
    };
    let program = probe.ebpf.program_mut("xdp_ingress");
    let attached = program
        .ok_or(ProgramError::NotLoaded)
        .and_then(|program| <&mut Xdp>::try_from(program)?.attach(interface, mode));
    match attached {
        Ok(_) => Ok(name),
        Err(error) => Err(AttachError::Refused {
            name: interface.to_owned(),
            mode: name,
            cause: chain(&error),
            cure: match errno(&error) {
                Some(libc::EBUSY | libc::EEXIST) => Cure::GoBeside,
                Some(libc::EOPNOTSUPP) => Cure::OtherXdpMode,
                _ => Cure::OtherMode,
            },
        }),
    }
}

fn attach_tcx(probe: &mut Probe, interface: &str, hook: Hook) -> Result<&'static str, AttachError> {
    const MODE: &str = "tcx";
    let options = TcAttachOptions::TcxOrder(LinkOrder::default());
    attach_classifier(probe, interface, hook, options, MODE)?;
    Ok(MODE)
}

fn attach_classifier(
    probe: &mut Probe,
    interface: &str,
    hook: Hook,
    options: TcAttachOptions,
    mode: &'static str,
) -> Result<(), AttachError> {
    let (name, place) = match hook {
        Hook::Ingress => ("tc_ingress", TcAttachType::Ingress),
        Hook::Egress => (EGRESS, TcAttachType::Egress),
    };
    let program = probe.ebpf.program_mut(name);
    let attached = program.ok_or(ProgramError::NotLoaded).and_then(|program| {
        <&mut SchedClassifier>::try_from(program)?.attach_with_options(interface, place, options)
    });
    match attached {
        Ok(_) => Ok(()),
        Err(error) => Err(AttachError::Refused {
            name: interface.to_owned(),
            mode,
            cause: chain(&error),
            cure: Cure::OtherClassifier,
        }),
    }
}

/// The errno at the bottom of an error.
fn errno(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(cause) = error.downcast_ref::<io::Error>() {
            return cause.raw_os_error();
        }
        next = error.source();
    }
    None
}
