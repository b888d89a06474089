//! Where a peer is said to be: an address, a name with a port, or a service.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// A parsed `addr` of a configuration file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Target {
    /// `1.2.3.4:7400`, `[::1]:7400`: nothing to resolve.
    Address(SocketAddr),
    /// `gates.example:7400` or `dns://gates.example:7400`: its A and AAAA records.
    Name {
        /// The name.
        host: String,
        /// The port.
        port: u16,
    },
    /// `srv://_hyperscale._tcp.example`: its SRV records.
    Service(String),
}

/// Why a text is no target.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is neither host:port nor dns://host:port nor srv://_service._proto.name")]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let refuse = || TargetError(text.to_owned());
        if let Some(service) = text.strip_prefix("srv://") {
            let is_service = service.starts_with('_') && service.contains("._");
            return if is_service { Ok(Self::Service(service.to_owned())) } else { Err(refuse()) };
        }
        let text = text.strip_prefix("dns://").unwrap_or(text);
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
        let port = port.parse().map_err(|_| refuse())?;
        let is_name = !host.is_empty() && !host.contains([':', '/', ' ']);
        if is_name { Ok(Self::Name { host: host.to_owned(), port }) } else { Err(refuse()) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Service(service) => write!(f, "srv://{service}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_kinds_and_what_is_none() {
        let name = |host: &str, port| Target::Name { host: host.to_owned(), port };
        let parse = |text: &str| text.parse::<Target>();
        assert_eq!(parse("127.0.0.1:7400"), Ok(Target::Address(([127, 0, 0, 1], 7400).into())));
        assert!(matches!(parse("[::1]:7400"), Ok(Target::Address(_))));
        assert_eq!(parse("gates.example:7400"), Ok(name("gates.example", 7400)));
        assert_eq!(parse("dns://gates.example:7400"), Ok(name("gates.example", 7400)));
        let service = "_hyperscale._tcp.example";
        assert_eq!(parse(&format!("srv://{service}")), Ok(Target::Service(service.to_owned())));
        for text in
            ["", "gate", "gate:", "gate:x", ":7400", "http://gate:7400", "srv://gate", "a b:1"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in ["127.0.0.1:1", "a:2", "srv://_a._b.c"] {
            assert_eq!(parse(text).map(|target| target.to_string()), Ok(text.to_owned()));
        }
    }
}
