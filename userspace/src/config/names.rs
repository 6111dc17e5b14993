//! Texts that other parts of the system restrict: the kernel its interface
//! names, the router its paths. The command line has the same rules.

use super::error::InvalidValue;

/// The kernel's IFNAMSIZ, without the closing zero byte.
const INTERFACE_NAME_MAX: usize = 15;

/// More would be out of place in a label of each time series.
const LABEL_MAX: usize = 128;

/// Accepts what the kernel accepts as the name of an interface.
///
/// # Errors
/// When no interface can have this name.
pub fn interface_name(text: &str) -> Result<String, InvalidValue> {
    let unfit = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    let fits = !text.is_empty() && text.len() <= INTERFACE_NAME_MAX && !text.contains(unfit);
    if fits && !matches!(text, "." | "..") {
        Ok(text.to_owned())
    } else {
        Err(InvalidValue {
            message: "cannot be the name of an interface".to_owned(),
            hint: "`ip link` lists the interfaces".to_owned(),
        })
    }
}

/// Accepts a path that does not collide with the daemon's own pages.
///
/// # Errors
/// When the path is the landing page, is under `/-/`, or is not a plain path.
pub fn telemetry_path(text: &str) -> Result<String, InvalidValue> {
    let Some(path) = text.strip_prefix('/') else {
        return Err(path_error("does not begin with `/`"));
    };
    if path.is_empty() {
        Err(path_error("is the path of the landing page"))
    } else if path.split('/').next() == Some("-") {
        Err(path_error("is under `/-/`, which has the pages for health"))
    } else if path.split('/').next() == Some("api") {
        Err(path_error("is under `/api/`, which is for programs"))
    } else if path.split('/').all(is_plain_segment) {
        Ok(text.to_owned())
    } else {
        Err(path_error("is not a plain path"))
    }
}

/// Accepts a text for a label of the metrics, which may be empty.
pub(super) fn label(text: &str) -> Result<String, InvalidValue> {
    if text.len() <= LABEL_MAX && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(InvalidValue {
            message: "is too long or has control characters".to_owned(),
            hint: format!("write at most {LABEL_MAX} bytes of plain text"),
        })
    }
}

/// Accepts a path, which may be empty for none.
pub(super) fn path(text: &str) -> Result<String, InvalidValue> {
    if text.contains(char::is_control) {
        return Err(InvalidValue {
            message: "has control characters".to_owned(),
            hint: "write the path of a file".to_owned(),
        });
    }
    Ok(text.to_owned())
}

/// Accepts the address of a resolver: an IP address, with or without a port.
pub(super) fn resolver(text: &str) -> Result<String, InvalidValue> {
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    if is_address || text.parse::<std::net::SocketAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    Err(InvalidValue {
        message: "is not the address of a resolver".to_owned(),
        hint: "write an IP address such as `192.0.2.1` or `[2001:db8::1]:5353`".to_owned(),
    })
}

/// Accepts the name of a service of RSSAC002, which may be empty for none.
pub(super) fn service(text: &str) -> Result<String, InvalidValue> {
    if text.is_empty() || crate::rssac002::check_service(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err(InvalidValue {
        message: "is not the name of a service".to_owned(),
        hint: "write a host name such as `a.root-servers.net`".to_owned(),
    })
}

/// No encoding, no route pattern, nothing that a client would resolve.
fn is_plain_segment(segment: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~');
    !matches!(segment, "" | "." | "..") && segment.chars().all(plain)
}

fn path_error(message: &str) -> InvalidValue {
    InvalidValue {
        message: message.to_owned(),
        hint: "write a path such as `/metrics`, of letters, digits and `-._~/`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_are_the_kernels() {
        for name in [
            "eth0",
            "enp1s0f1np1",
            "br-lan",
            "eth0.100",
            "wg0",
            "fifteen-letters",
        ] {
            assert_eq!(interface_name(name).as_deref(), Ok(name));
        }
        for name in [
            "",
            ".",
            "..",
            "sixteen-letters-",
            "a/b",
            "eth0:1",
            "eth 0",
            "eth0\n",
        ] {
            assert!(interface_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn telemetry_paths_are_plain_and_free() {
        for path in [
            "/metrics",
            "/a/b",
            "/-metrics",
            "/metrics/-/x",
            "/~x/m_1.txt",
        ] {
            assert_eq!(telemetry_path(path).as_deref(), Ok(path));
        }
        for (path, message) in [
            ("", "does not begin with `/`"),
            ("metrics", "does not begin with `/`"),
            ("/", "is the path of the landing page"),
            ("/-", "is under `/-/`, which has the pages for health"),
            ("/-/ready", "is under `/-/`, which has the pages for health"),
            ("/api", "is under `/api/`, which is for programs"),
            ("/api/v1/tail", "is under `/api/`, which is for programs"),
            ("/metrics/", "is not a plain path"),
            ("//metrics", "is not a plain path"),
            ("/a/../b", "is not a plain path"),
            ("/{name}", "is not a plain path"),
            ("/:name", "is not a plain path"),
            ("/a?b", "is not a plain path"),
            ("/%2d/ready", "is not a plain path"),
        ] {
            assert_eq!(telemetry_path(path), Err(path_error(message)), "{path:?}");
        }
    }

    #[test]
    fn labels_are_short_and_printable() {
        let longest = "x".repeat(128);
        assert_eq!(label(""), Ok(String::new()));
        assert_eq!(label("Zürich 1"), Ok("Zürich 1".to_owned()));
        assert_eq!(label(&longest), Ok(longest.clone()));
        assert!(label(&format!("{longest}x")).is_err());
        assert!(label("a\nb").is_err());
    }
}
