//! Where we dial.

use std::fmt;

use http::Uri;

/// A `ws://` or `wss://` address. Its `Display` leaves out the query, which may carry a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    uri: Uri,
    tls: bool,
}

impl Target {
    /// Reads a WebSocket URL.
    ///
    /// # Errors
    /// One sentence that says what is wrong with `url`, without quoting its query.
    pub fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|_| "not a URL; expected ws://host:port/path".to_owned())?;
        let tls = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            Some(other) => return Err(format!("scheme {other:?} is not ws or wss")),
            None => return Err("no scheme; expected ws://host:port/path".to_owned()),
        };
        let authority = uri.authority().ok_or("no host; expected ws://host:port/path")?;
        if authority.as_str().contains('@') {
            return Err("user:password@ is not supported; use `token`".to_owned());
        }
        if authority.host().is_empty() {
            return Err("no host; expected ws://host:port/path".to_owned());
        }
        Ok(Self { uri, tls })
    }

    /// Whether to speak TLS.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// Host name or address, IPv6 without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// Port, 80 or 443 if the URL names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.tls { 443 } else { 80 })
    }

    /// The value of the `Host` header.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.uri.authority().map_or("", http::uri::Authority::as_str)
    }

    /// Path and query, as they go on the request line: with a slash even if the URL has none before its query.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        self.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string)
    }

    /// The query, which may carry a token.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.authority(), self.uri.path())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_leaves_out_the_query() {
        let target = Target::parse("ws://bot:8080/onebot?access_token=hunter2").unwrap();
        assert_eq!(target.to_string(), "ws://bot:8080/onebot");
        assert_eq!(target.path_and_query(), "/onebot?access_token=hunter2");
    }

    #[test]
    fn a_query_needs_no_slash_before_it() {
        let target = Target::parse("ws://bot:8080?access_token=hunter2").unwrap();
        assert_eq!(target.path_and_query(), "/?access_token=hunter2");
        assert_eq!(target.to_string(), "ws://bot:8080/");
        assert_eq!(Target::parse("ws://bot:8080").unwrap().path_and_query(), "/");
    }

    #[test]
    fn ports_and_hosts() {
        let cases = [
            ("ws://a/", "a", 80, false),
            ("wss://a", "a", 443, true),
            ("ws://[::1]:3001/x", "::1", 3001, false),
        ];
        for (url, host, port, tls) in cases {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.host(), target.port(), target.tls()), (host, port, tls), "{url}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_websocket_url() {
        for url in ["", "127.0.0.1:3001", "http://a/", "ws:///x", "ws://u:p@a/"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
