//! An event in one line of a terminal.

use serde_json::Value;

use super::question::words;

/// What happened, for people.
pub(super) fn caption(event: &Value) -> String {
    let text = |pointer| event.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let number = |key| event.get(key).map(ToString::to_string).unwrap_or_default();
    match text("/post_type") {
        Some("message") => {
            let name = text("/sender/card").or(text("/sender/nickname")).unwrap_or("?");
            let place = match text("/message_type") {
                Some("group") => text("/group_name").map_or_else(|| number("group_id"), str::to_owned),
                _ => "private".to_owned(),
            };
            format!("{place}  {name}: {}", words(event, true))
        }
        Some("request") => {
            let kind = text("/request_type").unwrap_or("?");
            format!("{kind} request of {}: {}", number("user_id"), text("/comment").unwrap_or_default())
        }
        _ => {
            let kind = text("/notice_type").unwrap_or("?");
            let kind = if kind == "notify" { text("/sub_type").unwrap_or(kind) } else { kind };
            let place = event.get("group_id").map(|group| format!(" in group {group}")).unwrap_or_default();
            format!("notice {kind} by {}{place}", number("user_id"))
        }
    }
}

/// As much of `text` as `columns` of a terminal hold, without anything that would move its cursor.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let mut fitted = String::new();
    let mut used = 0;
    for char in text.chars() {
        let char = if char.is_control() { ' ' } else { char };
        used += width(char);
        // One column is kept for the mark that says it goes on.
        if used >= columns {
            fitted.push('…');
            break;
        }
        fitted.push(char);
    }
    fitted
}

/// `text` and blanks up to `columns`.
pub(super) fn pad(text: &str, columns: usize) -> String {
    let used: usize = text.chars().map(width).sum();
    format!("{text}{:blanks$}", "", blanks = columns.saturating_sub(used))
}

/// Columns a terminal gives to `char`: two to what East Asian fonts draw wide (UAX #11), and to emoji.
fn width(char: char) -> usize {
    match char {
        '\u{200b}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(fit("开窑 8 点", 20), "开窑 8 点");
        assert_eq!(fit("开窑了，大家快来", 9), "开窑了，…");
        assert_eq!(pad("小满", 6), "小满  ");
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(fit("a\u{1b}[2J\r\nb", 20), "a [2J  b");
    }

    #[test]
    fn a_message_names_place_and_speaker() {
        let event = json!({
            "post_type": "message", "message_type": "group", "group_id": 5, "group_name": "拼窑",
            "sender": {"nickname": "小满", "card": ""},
            "message": [
                {"type": "at", "data": {"qq": "9", "name": "窑小二"}},
                {"type": "text", "data": {"text": " 可以吗"}},
                {"type": "face", "data": {"id": "21"}},
            ],
        });
        assert_eq!(caption(&event), "拼窑  小满: @窑小二 可以吗[face]");
    }

    #[test]
    fn notices_and_requests_are_named() {
        let poke = json!({
            "post_type": "notice", "notice_type": "notify", "sub_type": "poke", "user_id": 7, "group_id": 5,
        });
        assert_eq!(caption(&poke), "notice poke by 7 in group 5");
        let request =
            json!({"post_type": "request", "request_type": "friend", "user_id": 7, "comment": "你好"});
        assert_eq!(caption(&request), "friend request of 7: 你好");
    }
}
