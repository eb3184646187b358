//! Media that only LLOneBot's host can reach: its files, and addresses of its own network.
//!
//! LLOneBot takes a file as `base64://…`, `data:…`, a URL, a path on its host, or the name of a file it has
//! told of. Whoever may name paths and addresses can have any of its files, and any answer of its network,
//! sent to a chat.

mod address;

use std::fmt;

use memchr::{memchr_iter, memchr2};
use serde_json::{Map, Value};

use self::address::is_public;
use super::acl::tree;
use super::target::is_true;
use crate::onebot::Call;
use crate::onebot::catalogue::{Access, Action, Category};

/// What is wrong with the media of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Local {
    /// A file of the host.
    Path,
    /// An address that is not public.
    Address,
    /// A scheme that is neither inline nor the web.
    Scheme,
    /// It cannot be told.
    Unreadable,
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "a file on LLOneBot's host",
            Self::Address => "an address that is not on the public internet",
            Self::Scheme => "a file by something else than base64://, data:, http:// or https://",
            Self::Unreadable => {
                "parameters in which files cannot be looked for (too deeply nested, or broken text)"
            }
        })
    }
}

/// Looks for media in `call` that only LLOneBot's host can reach, wherever implementations look for media:
/// in segments, CQ codes, nested forward nodes, and parameters that take a file.
///
/// A name without any slash passes, since it may be one that LLOneBot has told of; so does a public name
/// that leads to a private address, which only a resolver could tell.
///
/// # Errors
/// What was found.
pub fn local(call: &Call) -> Result<(), Local> {
    if !call.action.entry().is_none_or(takes_media) || !may_refer(&call.params) {
        return Ok(());
    }
    let params = tree(&call.params).ok_or(Local::Unreadable)?;
    let is_plain = params.get("auto_escape").is_some_and(is_true);
    for (key, value) in &params {
        match value {
            // Only here does it apply: nodes have none.
            Value::String(_) if is_plain && key == "message" => {}
            value => member(key, value, Strictness::Media)?,
        }
    }
    Ok(())
}

/// Whether any string could be what [`reference()`] refuses, or hold it. Of most messages it is known that none
/// is, by looking for a few bytes.
fn may_refer(params: &[u8]) -> bool {
    // Anything may be written with escapes; without them a quote begins or ends a string.
    if memchr2(b'\\', b'/', params).is_some() {
        return true;
    }
    let beside = |at: usize, byte: fn(&u8) -> bool| params.get(at).is_some_and(byte);
    // A colon behind a quote is that of a key, or begins a string and makes no scheme.
    let says_more = |at: usize| at == 0 || beside(at - 1, |before| *before != b'"');
    // The start of a path in the host's own terms, or of blanks before one, which are not all ASCII.
    let starts_oddly =
        |at: usize| beside(at + 1, |next| matches!(next, 0..=b' ' | b'.' | b'~' | 0xc2 | 0xe1..=0xe3));
    memchr_iter(b':', params).any(says_more) || memchr_iter(b'"', params).any(starts_oddly)
}

/// Whether a call of this action may name a file.
fn takes_media(action: &Action) -> bool {
    const OTHERS: [&str; 13] = [
        ".handle_quick_operation",
        ".ocr_image",
        "_send_group_notice",
        "add_custom_face",
        "do_group_album_comment",
        "ocr_image",
        "scan_qrcode",
        "send_group_bot_callback",
        "send_qzone_msg",
        "set_group_portrait",
        "set_qq_avatar",
        "upload_image_to_qun_album",
        "create_collection",
    ];
    let is_file = action.category == Category::File && action.access == Access::Write;
    action.sends
        || is_file
        || OTHERS.contains(&action.name)
        || action.name.starts_with("upload_")
        || matches!(action.name, "get_image" | "get_record" | "get_file" | "upload_group_album")
}

/// How the strings of an object are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    /// Those whose key is one for media.
    Media,
    /// All that are not known to be harmless: the data of a segment that is media, or is not known.
    All,
}

/// Keys under which implementations look for files.
const MEDIA: [&str; 32] = [
    "file",
    "files",
    "url",
    "urls",
    "path",
    "paths",
    "file_path",
    "filepath",
    "local_path",
    "image",
    "images",
    "img",
    "imgs",
    "pic",
    "pics",
    "picture",
    "video",
    "videos",
    "audio",
    "record",
    "voice",
    "thumb",
    "thumbnail",
    "cover",
    "avatar",
    "icon",
    "logo",
    "src",
    "source_url",
    "preview",
    "preview_url",
    "base64",
];

/// Keys whose strings are shown and never opened, in the data of media segments.
const SHOWN: [&str; 16] = [
    "name",
    "title",
    "summary",
    "content",
    "type",
    "id",
    "file_id",
    "fileid",
    "file_size",
    "file_unique",
    "sub_type",
    "subtype",
    "key",
    "emoji_id",
    "magic",
    "desc",
];

/// Keys that hold messages.
const MESSAGES: [&str; 5] = ["message", "messages", "content", "reply", "operation"];

/// Segments that name no file; what they say is only shown.
const WORDS: [&str; 16] = [
    "text", "at", "reply", "face", "mface", "bface", "json", "xml", "markdown", "keyboard", "dice", "rps",
    "shake", "poke", "forward", "contact",
];

fn member(key: &str, value: &Value, strictness: Strictness) -> Result<(), Local> {
    let key = key.to_ascii_lowercase();
    let key = key.as_str();
    match value {
        Value::String(text) if MEDIA.contains(&key) => reference(text),
        Value::String(text) if strictness == Strictness::Media && MESSAGES.contains(&key) => written(text),
        Value::String(text) if strictness == Strictness::All && !SHOWN.contains(&key) => reference(text),
        Value::Array(items) if MEDIA.contains(&key) || strictness == Strictness::All => {
            items.iter().try_for_each(|item| member(key, item, strictness))
        }
        Value::Array(items) => items.iter().try_for_each(|item| match item {
            Value::String(text) if MESSAGES.contains(&key) => written(text),
            Value::Object(object) => segment(object),
            Value::Array(_) => member(key, item, strictness),
            _ => Ok(()),
        }),
        Value::Object(object) if object.contains_key("type") || object.contains_key("data") => {
            segment(object)
        }
        Value::Object(object) => object.iter().try_for_each(|(key, value)| member(key, value, strictness)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// A segment, or an object that stands where one could.
fn segment(object: &Map<String, Value>) -> Result<(), Local> {
    let kind = object.get("type").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    for (key, value) in object {
        match value {
            Value::Object(data) if key == "data" => {
                data.iter().try_for_each(|(key, value)| data_member(&kind, key, value))?;
            }
            value => member(key, value, Strictness::Media)?,
        }
    }
    Ok(())
}

fn data_member(kind: &str, key: &str, value: &Value) -> Result<(), Local> {
    if WORDS.contains(&kind) {
        return Ok(());
    }
    let strictness = if kind == "node" { Strictness::Media } else { Strictness::All };
    member(key, value, strictness)
}

/// A message in a string: CQ codes, and the text of JSON, which some implementations read as such.
fn written(message: &str) -> Result<(), Local> {
    let json = message.trim_start().starts_with(['[', '{']).then(|| serde_json::from_str(message).ok());
    if let Some(value @ (Value::Array(_) | Value::Object(_))) = json.flatten() {
        member("message", &value, Strictness::Media)?;
    }
    let codes = message.split("[CQ:").skip(1);
    codes.map(|code| code.split(']').next().unwrap_or_default()).try_for_each(|code| {
        let mut parts = code.split(',');
        let kind = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        parts.filter_map(|part| part.split_once('=')).try_for_each(|(key, value)| {
            let value = value.replace("&#91;", "[").replace("&#93;", "]").replace("&#44;", ",");
            let value = Value::String(value.replace("&amp;", "&"));
            data_member(&kind, key.trim(), &value)
        })
    })
}

/// One value that names a file.
fn reference(text: &str) -> Result<(), Local> {
    if text.starts_with("base64://") || text.starts_with("data:") {
        return Ok(());
    }
    // As URLs are read: blanks and control characters around them go, line breaks anywhere.
    let text: String = text.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    let text = text.trim_matches(|c: char| c <= ' ' || c == '\u{feff}' || c.is_whitespace());
    if text.is_empty() {
        return Ok(());
    }
    let scheme = text.split_once(':').filter(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    });
    match scheme {
        Some((scheme, rest)) if ["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) => {
            if is_public(rest) {
                Ok(())
            } else {
                Err(Local::Address)
            }
        }
        Some((scheme, _)) if scheme.len() == 1 || scheme.eq_ignore_ascii_case("file") => Err(Local::Path),
        Some(_) => Err(Local::Scheme),
        None if text.starts_with(['.', '~']) || text.contains(['/', '\\', '\0']) => Err(Local::Path),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
