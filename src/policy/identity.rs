//! Who somebody is, by the token of its handshake.

use http::header::{AUTHORIZATION, HeaderMap};

use super::Secret;

/// The token that a request carries, if any.
///
/// The header wins over the query, as in LLOneBot, even when the header is the wrong one. Accepted
/// are `Bearer t`, `Token t` (Koishi, go-cqhttp), both in any case, and a bare `t` (LLOneBot).
#[must_use]
pub fn presented_token(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    if let Some(header) = headers.get(AUTHORIZATION) {
        let text = String::from_utf8_lossy(header.as_bytes());
        let token = match text.trim().split_once(' ') {
            Some((scheme, token))
                if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token") =>
            {
                token.trim()
            }
            // The scheme alone is how LLOneBot says that it has no token.
            None if text.trim().eq_ignore_ascii_case("bearer") => "",
            _ => text.trim(),
        };
        return Some(token.to_owned()).filter(|token| !token.is_empty());
    }
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .find(|(name, _)| name == "access_token")
        .map(|(_, token)| token.into_owned())
        .filter(|token| !token.is_empty())
}

/// Why a handshake is refused (standard, communication/authorization.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// HTTP 401.
    #[error(
        "no token: send the header `Authorization: Bearer <token>` or add ?access_token=<token> to the URL"
    )]
    Missing,
    /// HTTP 403.
    #[error("this token belongs to no consumer of the gateway; compare it with consumer.*.token")]
    Wrong,
}

impl Refusal {
    /// A metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::Wrong => "token_wrong",
        }
    }
}

/// Finds whose `token` this is. All secrets are compared, each in constant time, so the time
/// taken says nothing about which of them came close.
///
/// # Errors
/// When there is no token or it is nobody's.
pub fn authenticate<'a, T>(
    token: Option<&str>,
    known: impl IntoIterator<Item = (&'a Secret, T)>,
) -> Result<T, Refusal> {
    // Hashed once, however many bots there are.
    let presented = Secret::new(token.ok_or(Refusal::Missing)?);
    let mut found = Err(Refusal::Wrong);
    for (secret, owner) in known {
        if *secret == presented {
            found = Ok(owner);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with_header(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn every_form_that_bots_send_is_read() {
        for header in ["Bearer tok", "bearer tok", "Token tok", "tok", " Bearer  tok "] {
            assert_eq!(presented_token(&with_header(header), None).as_deref(), Some("tok"), "{header:?}");
        }
        let query = presented_token(&HeaderMap::new(), Some("a=b&access_token=t%2Bk"));
        assert_eq!(query.as_deref(), Some("t+k"));
    }

    #[test]
    fn the_header_wins_even_when_it_is_empty() {
        assert_eq!(presented_token(&with_header("Bearer a"), Some("access_token=b")).as_deref(), Some("a"));
        assert_eq!(presented_token(&with_header("Bearer"), Some("access_token=b")), None);
    }

    #[test]
    fn nobody_is_found_without_the_right_token() {
        let secrets = [Secret::new("one"), Secret::new("two")];
        let known = || secrets.iter().zip(["a", "b"]);
        assert_eq!(authenticate(Some("two"), known()), Ok("b"));
        assert_eq!(authenticate(Some("three"), known()), Err(Refusal::Wrong));
        assert_eq!(authenticate(None, known()), Err(Refusal::Missing));
    }
}
