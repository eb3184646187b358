//! Which implementation is simulated. LLOneBot 8 is the rule; a [`Dialect`] says where another one differs, as
//! far as a client on a WebSocket can tell.
//!
//! Left out on purpose: NapCat reads JSON5, and each implementation lacks some of LLOneBot's actions and has
//! others of its own. Here all know LLOneBot's, but for what [`Dialect::lacks`] names.

use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// An implementation of `OneBot` 11.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// LLOneBot 8, which calls itself `LLBot`.
    #[default]
    Llonebot,
    /// LLOneBot 7.
    Llonebot7,
    /// NapCat 4.
    Napcat,
    /// Lagrange.OneBot (version 1).
    Lagrange,
    /// go-cqhttp 1.2.
    GoCqhttp,
}

/// A name that is no profile.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no profile '{0}'; choose one of llonebot, llonebot7, napcat, lagrange, go-cqhttp")]
pub struct UnknownProfile(String);

impl Profile {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Llonebot, Self::Llonebot7, Self::Napcat, Self::Lagrange, Self::GoCqhttp];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Llonebot => "llonebot",
            Self::Llonebot7 => "llonebot7",
            Self::Napcat => "napcat",
            Self::Lagrange => "lagrange",
            Self::GoCqhttp => "go-cqhttp",
        }
    }

    pub(crate) const fn dialect(self) -> &'static Dialect {
        match self {
            Self::Llonebot => &LLONEBOT,
            Self::Llonebot7 => &LLONEBOT7,
            Self::Napcat => &NAPCAT,
            Self::Lagrange => &LAGRANGE,
            Self::GoCqhttp => &GO_CQHTTP,
        }
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, UnknownProfile> {
        let named = Self::ALL.into_iter().find(|profile| profile.name() == name);
        named.ok_or_else(|| UnknownProfile(name.to_owned()))
    }
}

/// What one implementation does its own way.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// `app_name` and `app_version` of `get_version_info`.
    pub(crate) app: (&'static str, &'static str),
    pub(crate) tokens: Tokens,
    pub(crate) refusal: Refusal,
    pub(crate) paths: Paths,
    pub(crate) meta: MetaShape,
    pub(crate) heart: Heart,
    pub(crate) broken_json: BrokenJson,
    pub(crate) retcodes: Retcodes,
    /// What is said of an unknown action; `$action` stands for its name.
    pub(crate) unknown: &'static str,
    pub(crate) reply: ReplyShape,
    /// Endings of action names that change nothing.
    pub(crate) suffixes: &'static [&'static str],
    /// Actions of LLOneBot 8 that it does not have.
    pub(crate) lacks: &'static [&'static str],
    /// It has actions that are answered in several frames.
    pub(crate) streams: bool,
    /// A larger message from a client ends the connection with 1009.
    pub(crate) max_message: Option<usize>,
    /// A binary frame is read like a text frame; else it is ignored.
    pub(crate) binary: bool,
    pub(crate) dialling: Dialling,
    /// `message_seq` is the `message_id`, and QQ's own number is called `real_seq`.
    pub(crate) seq_is_id: bool,
    /// Events that LLOneBot 8 does not send; `$self` stands for the account.
    pub(crate) samples: &'static [&'static str],
}

/// Where a client's token is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokens {
    /// The query's `access_token` counts before the `Authorization` header.
    pub(crate) query_first: bool,
    pub(crate) scheme: Scheme,
}

/// What of an `Authorization` header is the token.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scheme {
    /// What follows the last `Bearer `, or all of it.
    AfterBearer,
    /// What follows `Bearer ` at the start; without that, nothing.
    OnlyBearer,
    /// What follows the first word, or all of it.
    AfterAnyWord,
}

/// How a client without the right token is turned away.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    /// Let in, told in a frame, and closed with this code and reason, or without any.
    AfterHandshake(Option<(u16, &'static str)>),
    /// Not let in: the status for a missing token, and for a wrong one.
    InHandshake { missing: &'static str, wrong: &'static str },
}

/// What a connection carries by its path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Paths {
    /// `/`, `/api` and `/event`, and a mute connection on any other.
    Known,
    /// Calls alone on `/api`, everything on any other.
    ApiApart,
    /// Events alone on `/event`, everything on any other.
    EventApart,
    /// Calls alone on `/api`, events alone on `/event`, everything on any other.
    BothApart,
}

/// The keys of meta events and their order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MetaShape {
    /// `time` first; a status of `online` and `good`.
    Llonebot,
    /// `post_type` last; a status with `app_…` fields.
    Lagrange,
    /// Sorted, with a `_post_method` and the time of the start; a status with `stat`.
    GoCqhttp,
}

/// When heartbeats come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heart {
    pub(crate) period: Duration,
    pub(crate) first: FirstBeat,
    /// An interval of zero switches them off; in LLOneBot it makes a flood.
    pub(crate) zero_is_off: bool,
}

/// When a new connection hears its first heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstBeat {
    /// After a whole interval.
    Later,
    /// With all others: one timer serves all connections.
    Shared,
    /// Right behind the lifecycle event.
    AtOnce,
}

/// What becomes of a frame that is not JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BrokenJson {
    /// 1400 with the parser's words, and with the echo if one can be found.
    Explained,
    /// 1400 with these words and no echo.
    Refused(&'static str),
    /// No answer.
    Ignored,
    /// Read as far as it goes: a call of no action.
    Guessed,
}

/// The failures' numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retcodes {
    pub(crate) unknown: i64,
    pub(crate) parameters: i64,
    pub(crate) thrown: i64,
}

/// The keys of a reply and their order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReplyShape {
    /// `status retcode data message wording`, then the echo if there was one.
    Llonebot,
    /// The same, always with an echo (`""`, or `null` for what was not understood) and `stream` behind it.
    Napcat,
    /// `status retcode data echo`: no text, and `null` for no echo.
    Lagrange,
    /// Sorted; a failure has `msg` too.
    GoCqhttp,
}

/// How it dials a bot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialling {
    pub(crate) user_agent: &'static str,
    /// The word before the token.
    pub(crate) scheme: &'static str,
    /// The header is there even without a token.
    pub(crate) always_authorizes: bool,
    /// `X-Client-Role` of the two connections into which Universal can be split, calls first.
    pub(crate) split_roles: Option<(&'static str, &'static str)>,
    pub(crate) reconnect: Duration,
}

const LLONEBOT: Dialect = Dialect {
    app: ("LLOneBot", "8.1.7"),
    tokens: Tokens { query_first: false, scheme: Scheme::AfterBearer },
    refusal: Refusal::AfterHandshake(Some((1008, "invalid access token"))),
    paths: Paths::Known,
    meta: MetaShape::Llonebot,
    heart: Heart { period: Duration::from_mins(1), first: FirstBeat::Later, zero_is_off: false },
    broken_json: BrokenJson::Explained,
    retcodes: Retcodes { unknown: 1404, parameters: 1400, thrown: 1200 },
    unknown: "$action API 不存在",
    reply: ReplyShape::Llonebot,
    suffixes: &["_async", "_rate_limited"],
    lacks: &[],
    streams: false,
    max_message: None,
    binary: true,
    dialling: Dialling {
        user_agent: "LLOneBot/8.1.7",
        scheme: "Bearer",
        always_authorizes: true,
        split_roles: None,
        reconnect: Duration::from_secs(3),
    },
    seq_is_id: false,
    samples: &[],
};

const LLONEBOT7: Dialect = Dialect {
    app: ("LLOneBot", "7.0.1"),
    refusal: Refusal::AfterHandshake(None),
    broken_json: BrokenJson::Refused("json解析失败,请检查数据格式"),
    #[rustfmt::skip]
    lacks: &[
        "scan_qrcode", "get_flash_file_download_urls", "reshare_flash_file", "rename_group_file", "send_poke",
        "set_input_status", "get_group_album_media_list", "get_group_signed_list", "get_profile_like_count",
    ],
    max_message: Some(1 << 30),
    dialling: Dialling { user_agent: "LLOneBot/7.0.1", ..LLONEBOT.dialling },
    samples: &[
        r#"{"time":1795371901,"self_id":$self,"post_type":"notice","notice_type":"notify","sub_type":"poke_recall","target_id":$self,"user_id":2210947381,"group_id":618204977,"raw_info":[]}"#,
    ],
    ..LLONEBOT
};

const NAPCAT: Dialect = Dialect {
    app: ("NapCat.Onebot", "4.9.40"),
    tokens: Tokens { query_first: true, scheme: Scheme::AfterBearer },
    refusal: Refusal::AfterHandshake(None),
    paths: Paths::ApiApart,
    heart: Heart { period: Duration::from_secs(30), first: FirstBeat::Shared, zero_is_off: true },
    broken_json: BrokenJson::Refused("json解析失败,请检查数据格式"),
    unknown: "不支持的API $action",
    reply: ReplyShape::Napcat,
    suffixes: &[],
    streams: true,
    max_message: Some(50 << 20),
    dialling: Dialling { user_agent: "OneBot/11", reconnect: Duration::from_secs(5), ..LLONEBOT.dialling },
    seq_is_id: true,
    samples: &[
        r#"{"time":1795371902,"self_id":$self,"post_type":"notice","notice_type":"notify","sub_type":"input_status","status_text":"对方正在输入...","event_type":1,"user_id":2210947381,"group_id":0}"#,
        r#"{"time":1795371903,"self_id":$self,"post_type":"notice","group_id":618204977,"user_id":2210947381,"notice_type":"notify","sub_type":"group_name","name_new":"青石镇手作交流群"}"#,
        r#"{"time":1795371904,"self_id":$self,"post_type":"notice","notice_type":"notify","sub_type":"gray_tip","group_id":618204977,"user_id":2210947381,"message_id":17,"busi_id":"1061","content":"{}"}"#,
        r#"{"time":1795371905,"self_id":$self,"post_type":"notice","notice_type":"notify","sub_type":"poke","target_id":$self,"user_id":2210947381,"sender_id":2210947381,"raw_info":[]}"#,
        r#"{"time":1795371906,"self_id":$self,"post_type":"notice","notice_type":"bot_offline","user_id":$self,"tag":"下线通知","message":"你的帐号已在其他地方登录"}"#,
    ],
    ..LLONEBOT
};

const LAGRANGE: Dialect = Dialect {
    app: ("Lagrange.OneBot", "0.0.3"),
    tokens: Tokens { query_first: false, scheme: Scheme::OnlyBearer },
    refusal: Refusal::InHandshake { missing: "403 Forbidden", wrong: "403 Forbidden" },
    paths: Paths::EventApart,
    meta: MetaShape::Lagrange,
    heart: Heart { period: Duration::from_secs(5), first: FirstBeat::AtOnce, zero_is_off: true },
    broken_json: BrokenJson::Ignored,
    retcodes: Retcodes { unknown: 404, parameters: 200, thrown: 200 },
    reply: ReplyShape::Lagrange,
    suffixes: &[],
    dialling: Dialling {
        user_agent: "Lagrange.OneBot",
        always_authorizes: false,
        split_roles: Some(("Api", "Event")),
        reconnect: Duration::from_secs(5),
        ..LLONEBOT.dialling
    },
    samples: &[
        r#"{"tag":"账号下线","message":"当前登录已失效","notice_type":"bot_offline","time":1795371907,"self_id":$self,"post_type":"notice"}"#,
    ],
    ..LLONEBOT
};

const GO_CQHTTP: Dialect = Dialect {
    app: ("go-cqhttp", "v1.2.0"),
    tokens: Tokens { query_first: false, scheme: Scheme::AfterAnyWord },
    refusal: Refusal::InHandshake { missing: "401 Unauthorized", wrong: "403 Forbidden" },
    paths: Paths::BothApart,
    meta: MetaShape::GoCqhttp,
    heart: Heart { period: Duration::from_secs(5), first: FirstBeat::Later, zero_is_off: true },
    broken_json: BrokenJson::Guessed,
    retcodes: Retcodes { unknown: 404, parameters: 100, thrown: 100 },
    unknown: "API不存在",
    reply: ReplyShape::GoCqhttp,
    suffixes: &["_async"],
    binary: false,
    dialling: Dialling {
        user_agent: "CQHttp/4.15.0",
        scheme: "Token",
        always_authorizes: false,
        split_roles: Some(("API", "Event")),
        ..LLONEBOT.dialling
    },
    samples: &[
        r#"{"post_type":"notice","notice_type":"client_status","time":1795371908,"self_id":$self,"client":{"app_id":537065990,"device_name":"DESKTOP","device_kind":"PC"},"online":true}"#,
        r#"{"post_type":"notice","notice_type":"notify","time":1795371909,"self_id":$self,"sub_type":"lucky_king","group_id":618204977,"user_id":2210947381,"target_id":3482216057}"#,
    ],
    ..LLONEBOT
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_name() {
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse(), Ok(profile));
        }
        let error = "gocq".parse::<Profile>().unwrap_err().to_string();
        assert!(Profile::ALL.iter().all(|profile| error.contains(profile.name())), "{error}");
    }
}
