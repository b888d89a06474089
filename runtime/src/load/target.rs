//! Where a plan's requests go: the parsed `base_url` and its addresses.
//!
//! Names are resolved once, when a run is prepared. TLS is refused by name.

use std::net::SocketAddr;

/// Why a `base_url` cannot be a target. Nothing was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// TLS is not supported.
    #[error("`{0}`: https:// is not supported yet, use http://")]
    Tls(String),
    /// Not `http://host[:port][/prefix]`.
    #[error("`{0}` is not a base URL: expected http://host[:port][/prefix]")]
    Syntax(String),
    /// The name has no address.
    #[error("cannot resolve `{host}`: {reason}")]
    Resolve {
        /// The name asked for.
        host: String,
        /// The resolver's answer.
        reason: String,
    },
}

/// A parsed `base_url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Value of the `Host` header: host, and the port unless it is 80.
    pub authority: String,
    /// Name or address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path before every path of the plan, without a slash at its end.
    pub prefix: String,
}

impl Target {
    /// Parses `http://host[:port][/prefix]`.
    ///
    /// # Errors
    /// `https://`, or anything that is not such an address.
    pub fn parse(base_url: &str) -> Result<Self, TargetError> {
        let syntax = || TargetError::Syntax(base_url.to_owned());
        let (scheme, rest) = base_url.split_once("://").ok_or_else(syntax)?;
        if scheme.eq_ignore_ascii_case("https") {
            return Err(TargetError::Tls(base_url.to_owned()));
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = split_port(authority).ok_or_else(syntax)?;
        let named = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
        let path_ok = path.bytes().all(|b| b > b' ' && b != 0x7f && !b"?#".contains(&b));
        let host_ok = !host.is_empty() && host.bytes().all(named);
        if !scheme.eq_ignore_ascii_case("http") || !host_ok || !path_ok {
            return Err(syntax());
        }
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let authority = if port == 80 { bracketed } else { format!("{bracketed}:{port}") };
        let prefix = path.trim_end_matches('/').to_owned();
        Ok(Self { authority, host: host.to_owned(), port, prefix })
    }

    /// Asks the resolver for all addresses, in its order.
    ///
    /// # Errors
    /// The resolver's, or an empty answer.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, TargetError> {
        let failed = |reason: String| TargetError::Resolve { host: self.host.clone(), reason };
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let addresses: Vec<_> = found.map_err(|e| failed(e.to_string()))?.collect();
        if addresses.is_empty() { Err(failed("no address".to_owned())) } else { Ok(addresses) }
    }
}

/// Host without brackets, and port.
fn split_port(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = if let Some(inner) = authority.strip_prefix('[') {
        let (host, rest) = inner.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    let Some(port) = port else { return Some((host, 80)) };
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port != 0)?;
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (String, String, u16, String) {
        let t = Target::parse(url).expect(url);
        (t.authority, t.host, t.port, t.prefix)
    }

    #[test]
    fn parses() {
        let is = |a: &str, h: &str, port, p: &str| (a.to_owned(), h.to_owned(), port, p.to_owned());
        assert_eq!(parsed("http://shop"), is("shop", "shop", 80, ""));
        assert_eq!(parsed("HTTP://shop:80/"), is("shop", "shop", 80, ""));
        assert_eq!(parsed("http://a.b:8080/v1/"), is("a.b:8080", "a.b", 8080, "/v1"));
        assert_eq!(parsed("http://[::1]:81"), is("[::1]:81", "::1", 81, ""));
        assert_eq!(parsed("http://[::1]"), is("[::1]", "::1", 80, ""));
    }

    #[test]
    fn refuses() {
        let error = Target::parse("https://shop").unwrap_err();
        assert_eq!(error, TargetError::Tls("https://shop".to_owned()));
        assert!(error.to_string().contains("not supported yet"));
        for url in [
            "shop",
            "ftp://shop",
            "http://",
            "http://:80",
            "http://a:0",
            "http://a:+1",
            "http://a:65536",
            "http://a:",
            "http://a b",
            "http://u@h",
            "http://a?x=1",
            "http://[::1",
            "http://[::1]x",
            "http://a/\r\n",
            "http://::1",
            "http://[a]",
        ] {
            assert_eq!(Target::parse(url), Err(TargetError::Syntax(url.to_owned())));
        }
    }

    #[tokio::test]
    async fn resolves_addresses_without_asking_anyone() {
        let found = Target::parse("http://127.0.0.1:9").unwrap().resolve().await.unwrap();
        assert_eq!(found, ["127.0.0.1:9".parse().unwrap()]);
    }
}
