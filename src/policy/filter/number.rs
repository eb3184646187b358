//! Numbers as `JavaScript` reads them in texts.

/// `Number(text)`; NaN if it is none.
pub(super) fn of_text(text: &str) -> f64 {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let radix = |digits: &str, radix| {
        let digits = (!digits.is_empty()).then(|| digits.chars().map(|c| c.to_digit(radix)));
        let number = digits.and_then(|mut digits| {
            digits.try_fold(0.0, |sum, digit| Some(sum * f64::from(radix) + f64::from(digit?)))
        });
        number.unwrap_or(f64::NAN)
    };
    match text.as_bytes() {
        [] => 0.0,
        [b'0', b'x' | b'X', ..] => radix(text.get(2..).unwrap_or_default(), 16),
        [b'0', b'o' | b'O', ..] => radix(text.get(2..).unwrap_or_default(), 8),
        [b'0', b'b' | b'B', ..] => radix(text.get(2..).unwrap_or_default(), 2),
        b"Infinity" | b"+Infinity" => f64::INFINITY,
        b"-Infinity" => f64::NEG_INFINITY,
        // Rust has further names for what is not finite.
        digits
            if digits.iter().any(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) =>
        {
            f64::NAN
        }
        _ => text.parse().unwrap_or(f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_numbers_where_javascript_says_so() {
        for (text, number) in [
            ("", 0.0),
            (" \n12 ", 12.0),
            ("0x1F", 31.0),
            ("0b11", 3.0),
            ("0o17", 15.0),
            ("-1.5e3", -1500.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("Infinity", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(of_text(text).to_bits(), number.to_bits(), "{text}");
        }
        for text in ["inf", "nan", "infinity", "0x", "0b2", "-0x1", "1_000", "e5", ".", "12px", "1 2", "--1"]
        {
            assert!(of_text(text).is_nan(), "{text}");
        }
    }
}
