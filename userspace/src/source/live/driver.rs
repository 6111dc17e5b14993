//! The driver of an interface, by its name: one request that safe Rust has no call
//! for.
#![expect(unsafe_code, reason = "ioctl(2) takes addresses")]

use std::{
    io,
    os::{fd::AsRawFd as _, unix::net::UnixDatagram},
};

/// Octets of a name in the answer.
const NAME: usize = 32;

/// `struct ethtool_drvinfo` of linux/ethtool.h.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; NAME],
    version: [u8; NAME],
    firmware: [u8; NAME],
    bus: [u8; NAME],
    rom: [u8; NAME],
    reserved: [u8; 12],
    lengths: [u32; 5],
}

/// C libraries disagree on its type.
const COMMAND: libc::Ioctl = libc::SIOCETHTOOL as libc::Ioctl;
/// ETHTOOL_GDRVINFO.
const GET_DRIVER_INFO: u32 = 3;

/// The name of the driver, as `ethtool -i` tells it.
///
/// # Errors
/// When there is no such interface, or its driver does not tell.
pub(super) fn driver(interface: &str) -> io::Result<String> {
    // Requests about interfaces are answered by sockets of any family.
    let socket = UnixDatagram::unbound()?;
    let mut info = DriverInfo {
        command: GET_DRIVER_INFO,
        driver: [0; NAME],
        version: [0; NAME],
        firmware: [0; NAME],
        bus: [0; NAME],
        rom: [0; NAME],
        reserved: [0; 12],
        lengths: [0; 5],
    };
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_data: (&raw mut info).cast(),
        },
    };
    // The last octet stays 0.
    let octets = interface.bytes().take(libc::IFNAMSIZ - 1);
    for (to, octet) in request.ifr_name.iter_mut().zip(octets) {
        *to = octet.cast_signed() as libc::c_char;
    }
    // SAFETY: the socket is open. The request holds a name that ends with 0 and the
    // address of an answer of the size that the command has; both outlive the call.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), COMMAND, &raw mut request) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    let name = info.driver.split(|octet| *octet == 0).next();
    Ok(String::from_utf8_lossy(name.unwrap_or(&[])).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_the_size_that_the_kernel_writes() {
        assert_eq!(size_of::<DriverInfo>(), 196);
    }

    #[test]
    fn an_interface_that_is_not_there_has_no_driver() {
        for name in [
            "no-such-one",
            "a-name-that-is-too-long-for-an-interface",
            "",
        ] {
            assert!(driver(name).is_err(), "{name}");
        }
    }
}
