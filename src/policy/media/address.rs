//! Which addresses of the web are public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use percent_encoding::percent_decode_str;

/// Whether the URL that goes on like this behind `http:` leads, as far as its text tells, to the public
/// internet. Every spelling that clients accept is read; what cannot be read is not public.
pub(super) fn is_public(rest: &str) -> bool {
    let rest = rest.trim_start_matches(['/', '\\']);
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    if let Some(inside) = host_and_port.strip_prefix('[') {
        let address = inside.split(']').next().unwrap_or_default();
        return address.parse().is_ok_and(is_public_v6);
    }
    let host = host_and_port.split(':').next().unwrap_or_default();
    let host = percent_decode_str(host).decode_utf8_lossy().to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    // Letters beyond ASCII may be mapped to digits and dots.
    if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        return false;
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_numeric = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
    if is_numeric { parse_v4(host).is_some_and(is_public_v4) } else { is_public_name(host) }
}

/// Names that mean the host itself or its own network, and those without a dot, which only a local network
/// gives.
fn is_public_name(host: &str) -> bool {
    const PRIVATE: [&str; 12] = [
        "localhost",
        "local",
        "localdomain",
        "internal",
        "intranet",
        "lan",
        "home",
        "corp",
        "private",
        "home.arpa",
        "in-addr.arpa",
        "ip6.arpa",
    ];
    let is_in = |suffix: &str| host.strip_suffix(suffix).is_some_and(|before| before.ends_with('.'));
    host.contains('.') && !PRIVATE.iter().any(|suffix| host == *suffix || is_in(suffix))
}

/// The address in any of the forms of `inet_aton`: one to four numbers, decimal, octal or hexadecimal, of
/// which the last fills what is left.
fn parse_v4(host: &str) -> Option<Ipv4Addr> {
    let numbers: Vec<u64> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, before) = numbers.split_last()?;
    let left = 4_u32.checked_sub(u32::try_from(before.len()).ok()?)?;
    if left == 0 || before.iter().any(|number| *number > 255) || *last >= 1_u64 << (8 * left) {
        return None;
    }
    let above = before.iter().fold(0, |sum, number| sum << 8 | number);
    u32::try_from(above << (8 * left) | last).ok().map(Ipv4Addr::from)
}

fn number(text: &str) -> Option<u64> {
    match text.as_bytes() {
        [b'0', b'x', ..] => match text.get(2..)? {
            "" => Some(0),
            digits => u64::from_str_radix(digits, 16).ok(),
        },
        [b'0', _, ..] => u64::from_str_radix(text, 8).ok(),
        _ => text.parse().ok(),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_reserved = a == 0 || a >= 224 || (a == 192 && b == 0 && c == 0) || (a == 198 && (b & 0xfe) == 18);
    !(address.is_private() || address.is_loopback() || address.is_link_local() || is_shared || is_reserved)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match segments {
        // Mapped, compatible, and 64:ff9b::/96, which a translator turns back.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            segments.iter().any(|segment| *segment != 0) && embedded(high, low)
        }
        // 6to4.
        [0x2002, high, low, ..] => embedded(high, low),
        // Global unicast is all there is of public addresses; of it, Teredo hides another inside.
        [0x2001, 0, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000 && !IpAddr::V6(address).is_multicast(),
    }
}
