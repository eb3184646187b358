//! Where we dial.

use std::fmt;

use http::Uri;

/// A `ws://` or `wss://` address, or a `http://` or `https://` one. Its `Display` leaves out the
/// query, which may carry a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    uri: Uri,
    tls: bool,
}

/// What a URL begins with, without TLS and with it.
type Schemes = [&'static str; 2];
const WEBSOCKET: Schemes = ["ws", "wss"];
const HTTP: Schemes = ["http", "https"];

impl Target {
    /// Reads a WebSocket URL.
    ///
    /// # Errors
    /// One sentence that says what is wrong with `url`, without quoting its query.
    pub fn parse(url: &str) -> Result<Self, String> {
        Self::with_scheme(url, WEBSOCKET)
    }

    /// Reads an HTTP URL.
    ///
    /// # Errors
    /// One sentence that says what is wrong with `url`, without quoting its query.
    pub fn parse_http(url: &str) -> Result<Self, String> {
        Self::with_scheme(url, HTTP)
    }

    fn with_scheme(url: &str, [plain, secure]: Schemes) -> Result<Self, String> {
        let expected = format!("expected {plain}://host:port/path");
        let uri: Uri = url.parse().map_err(|_| format!("not a URL; {expected}"))?;
        let tls = match uri.scheme_str() {
            Some(scheme) if scheme == plain => false,
            Some(scheme) if scheme == secure => true,
            Some(other) => return Err(format!("scheme {other:?} is not {plain} or {secure}")),
            None => return Err(format!("no scheme; {expected}")),
        };
        let authority = uri.authority().ok_or_else(|| format!("no host; {expected}"))?;
        if authority.as_str().contains('@') {
            return Err("user:password@ is not supported; use `token`".to_owned());
        }
        if authority.host().is_empty() {
            return Err(format!("no host; {expected}"));
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
        let scheme = self.uri.scheme_str().unwrap_or_default();
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
    fn an_address_for_posting_is_http() {
        let target = Target::parse_http("https://bot/hook?key=hunter2").unwrap();
        assert_eq!(
            (target.port(), target.tls(), target.to_string().as_str()),
            (443, true, "https://bot/hook")
        );
        for url in ["ws://a/", "ftp://a/", "bot/hook", "http:///x", "http://u:p@a/"] {
            assert!(Target::parse_http(url).is_err(), "{url}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_websocket_url() {
        for url in ["", "127.0.0.1:3001", "http://a/", "ws:///x", "ws://u:p@a/"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
