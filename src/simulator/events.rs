//! Events nobody caused: recorded ones, and invented ones at a rate.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::account::Account;
use super::account::messages::Chat;
use super::account::people::{Member, Rank};
use super::cq;
use super::object::put;
use super::profile::Dialect;
use super::random::Random;
use super::shared::Shared;

/// One of each kind of event, as LLOneBot sent them.
const SAMPLES: &str = include_str!("samples.jsonl");
const RECORDED_SELF: &str = "2847190563";

/// What people say.
const LINES: [&str; 16] = [
    "早上好，今天窑炉预热到 300 度了",
    "这批青瓷的开片真漂亮",
    "请问釉料里的长石粉哪里买比较好？",
    "/天气 青石镇",
    "哈哈哈哈哈哈",
    "周末有人一起去看展吗，地铁口集合",
    "收到，谢谢！",
    "柴烧的话至少要守两天两夜，得排班。我先报个名，夜班归我，白天的谁来？柴火上周已经劈好了",
    "[图片里的是新杯子] 价格 68 & 包邮",
    "晚安",
    "素烧 800℃，升温别超过每小时 100 度",
    "有没有机器人指令列表？",
    "/签到",
    "刚刚断电了，这一窑怕是要废",
    "👍👍👍",
    "明天下午三点开窑，别迟到",
];

/// Messages a reply, a reaction or a recall may be about.
const RECENT: usize = 16;

/// The recorded events of account `self_id`, without lifecycle and heartbeat.
pub(crate) fn samples(self_id: i64) -> Vec<Value> {
    SAMPLES
        .lines()
        .filter(|line| !line.contains("\"meta_event\""))
        .filter_map(|line| serde_json::from_str(&line.replace(RECORDED_SELF, &self_id.to_string())).ok())
        .collect()
}

/// The recorded events, and those that only this implementation sends.
pub(crate) fn samples_of(dialect: &Dialect, self_id: i64) -> Vec<Value> {
    let own = dialect
        .samples
        .iter()
        .filter_map(|event| serde_json::from_str(&event.replace("$self", &self_id.to_string())).ok());
    samples(self_id).into_iter().chain(own).collect()
}

/// Invents events at the configured rate until the simulator stops. Where connections are full it waits; what
/// it could not make within a second of its time is not made up for.
pub(crate) async fn run(shared: Arc<Shared>) {
    tokio::select! {
        biased; // nothing is invented after the shutdown
        () = shared.shutdown.cancelled() => {}
        () = invent_for_ever(&shared) => {}
    }
}

#[expect(clippy::cast_sign_loss, reason = "rate and time are not negative")]
async fn invent_for_ever(shared: &Shared) {
    let rate = shared.config.events_per_second;
    let period = Duration::try_from_secs_f64(rate.recip()).unwrap_or(Duration::MAX);
    let mut ticks = interval(period.clamp(Duration::from_millis(1), Duration::from_hours(24)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut inventor = Inventor::new(shared.config.seed);
    let started = Instant::now();
    let mut made = 0_u64;
    loop {
        ticks.tick().await;
        let due = (started.elapsed().as_secs_f64() * rate) as u64 + 1;
        made = made.max(due.saturating_sub(rate as u64 + 1));
        while made < due {
            made += 1;
            let event = inventor.invent(&mut shared.state().account, shared.now());
            shared.emit(shared.dressed(event)).await;
        }
    }
}

/// Makes up what people do. One seed and one account give one story.
struct Inventor {
    random: Random,
    recent: VecDeque<Recent>,
}

#[derive(Clone, Copy)]
struct Recent {
    group: i64,
    author: i64,
    id: i32,
}

impl Inventor {
    fn new(seed: u64) -> Self {
        Self { random: Random::new(seed.rotate_left(32)), recent: VecDeque::new() }
    }

    /// One event: mostly group messages, some private ones, few notices, rarely a request.
    fn invent(&mut self, account: &mut Account, now: i64) -> Value {
        let roll = self.random.below(100);
        let invented = match roll {
            0..78 => self.group_message(account, now),
            78..88 => self.private_message(account, now),
            88..98 => self.notice(account, now),
            _ => Some(self.request(account, now)),
        };
        // An account without friends or groups still gets letters from strangers.
        invented.unwrap_or_else(|| self.request(account, now))
    }

    fn group_message(&mut self, account: &mut Account, now: i64) -> Option<Value> {
        let (group_id, user_id) = self.somebody(account)?;
        let segments = self.segments(account);
        let (message_id, event) = account.hear(Chat::Group(group_id), user_id, &segments, now);
        self.recent.push_back(Recent { group: group_id, author: user_id, id: message_id });
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        Some(event)
    }

    fn private_message(&mut self, account: &mut Account, now: i64) -> Option<Value> {
        let user_id = self.random.pick(&account.friends)?.user_id;
        let segments = [cq::text(self.line())];
        Some(account.hear(Chat::Private(user_id), user_id, &segments, now).1)
    }

    fn segments(&mut self, account: &Account) -> Vec<Value> {
        let mut segments = Vec::with_capacity(3);
        if let Some(quoted) = self.recent.back()
            && self.random.chance(0.1)
        {
            let id = quoted.id.to_string();
            segments.push(json!({"type": "reply", "data": {"id": id}}));
        }
        if self.random.chance(0.15) {
            let own = account.self_id.to_string();
            segments.push(json!({"type": "at", "data": {"qq": own, "name": account.nickname}}));
            segments.push(cq::text(&format!(" {}", self.line())));
        } else {
            segments.push(cq::text(self.line()));
        }
        if self.random.chance(0.1) {
            let id = self.random.below(300).to_string();
            segments.push(json!({"type": "face", "data": {"id": id, "sub_type": 1}}));
        }
        if self.random.chance(0.06) {
            let name = self.random.uuid().replace('-', "").to_uppercase();
            let url = format!(
                "https://multimedia.nt.qq.com.cn/download?appid=1407&fileid=EhTq{name}&rkey=CAQSOAB6JWENi5LM&spec=0"
            );
            let size = self.random.below(2_000_000).to_string();
            let data = json!({"file": format!("{name}.jpg"), "subType": 0, "url": url, "file_size": size});
            segments.push(json!({"type": "image", "data": data}));
        }
        segments
    }

    fn notice(&mut self, account: &mut Account, now: i64) -> Option<Value> {
        let (group_id, user_id) = self.somebody(account)?;
        let roll = self.random.below(6);
        let recent = self.recent.back().copied();
        let (kind, fields) = match (roll, recent) {
            (0, Some(Recent { group, id, .. })) => {
                let likes = json!([{"emoji_id": self.random.below(300).to_string(), "count": 1}]);
                let fields = json!({
                    "message_id": id, "likes": likes, "group_id": group, "user_id": user_id,
                    "is_add": true,
                });
                ("group_msg_emoji_like", fields)
            }
            (1, Some(Recent { group, author, id })) => {
                account.messages.get_mut(id)?.recalled = true;
                let fields = json!({
                    "operator_id": author, "message_id": id, "group_id": group, "user_id": author,
                });
                ("group_recall", fields)
            }
            (2, _) => {
                let user_id = 1_500_000_000 + self.random.below(2_000_000_000).cast_signed();
                let name = account.name_of(user_id);
                let group = account.group(group_id)?;
                group.members.push(Member::new(group_id, user_id, &name, now));
                let operator = group.owner();
                let fields = json!({
                    "operator_id": operator, "sub_type": "approve", "group_id": group_id, "user_id": user_id,
                });
                ("group_increase", fields)
            }
            (3, _) => {
                let group = account.group(group_id)?;
                let leaving = group.members.iter().rev().find(|member| member.rank == Rank::Member)?.user_id;
                if group.members.len() < 10 || leaving == account.self_id {
                    return None;
                }
                account.group(group_id)?.members.retain(|member| member.user_id != leaving);
                let fields = json!({
                    "sub_type": "leave", "operator_id": leaving, "group_id": group_id, "user_id": leaving,
                });
                ("group_decrease", fields)
            }
            (4, _) => {
                let member = account.group(group_id)?.member(user_id)?;
                let card = format!("{}｜学徒{}", member.nickname, self.random.below(100));
                let old = member.set_card(&card);
                let fields =
                    json!({"group_id": group_id, "user_id": user_id, "card_new": card, "card_old": old});
                ("group_card", fields)
            }
            _ => {
                let own = account.self_id;
                let fields = json!({
                    "sub_type": "poke", "target_id": own, "user_id": user_id, "group_id": group_id,
                    "raw_info": [
                        {"col": "1", "jp": "", "nm": "", "tp": "0", "type": "qq", "uid": user_id.to_string()},
                        {"col": "1", "jp": "", "txt": "拍了拍", "type": "nor"},
                        {"col": "1", "jp": "", "nm": "", "tp": "0", "type": "qq", "uid": own.to_string()},
                    ],
                });
                ("notify", fields)
            }
        };
        Some(account.notice(kind, now, &fields))
    }

    /// A stranger wants to be a friend, or to join the first group. The request is pending until it is answered.
    fn request(&mut self, account: &mut Account, now: i64) -> Value {
        let user_id = 1_500_000_000 + self.random.below(2_000_000_000).cast_signed();
        let mut event = json!({"time": now, "self_id": account.self_id, "post_type": "request"});
        match account.groups.first() {
            Some(group) if self.random.chance(0.5) => {
                let group_id = group.group_id;
                let seq = now * 1_000_000 + self.random.below(1_000_000).cast_signed();
                put(&mut event, "request_type", "group");
                put(&mut event, "sub_type", "add");
                put(&mut event, "group_id", group_id);
                put(&mut event, "user_id", user_id);
                put(&mut event, "comment", "问题：怎么知道本群的？\n答案：朋友推荐");
                put(&mut event, "flag", format!("{group_id}|{seq}|7|0"));
                put(&mut event, "invitor_id", 0);
            }
            _ => {
                let uid = self.random.uuid().replace('-', "");
                put(&mut event, "request_type", "friend");
                put(&mut event, "user_id", user_id);
                put(&mut event, "comment", "我是群里问天气的");
                put(&mut event, "flag", format!("u_{}", uid.get(..22).unwrap_or(&uid)));
                put(&mut event, "via", "QQ群-青石镇手作交流群");
            }
        }
        account.remember_request(event.clone());
        event
    }

    /// A group, and a member of it who is not the account.
    fn somebody(&mut self, account: &Account) -> Option<(i64, i64)> {
        let group = self.random.pick(&account.groups)?;
        let member = self.random.pick(&group.members)?;
        let other = if member.user_id == account.self_id { group.members.first()? } else { member };
        (other.user_id != account.self_id).then_some((group.group_id, other.user_id))
    }

    fn line(&mut self) -> &'static str {
        self.random.pick(&LINES).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::simulator::object::field;

    const NOW: i64 = 1_795_400_000;

    fn story(seed: u64, length: usize) -> Vec<Value> {
        let mut account = Account::new(2_847_190_563, seed, NOW);
        let mut inventor = Inventor::new(seed);
        (0..length).map(|_| inventor.invent(&mut account, NOW)).collect()
    }

    fn keys(event: &Value) -> Vec<&String> {
        event.as_object().unwrap().keys().collect()
    }

    #[test]
    fn one_seed_tells_one_story() {
        assert_eq!(story(5, 200), story(5, 200));
        assert_ne!(story(5, 200), story(6, 200));
    }

    #[test]
    fn invented_events_have_the_keys_of_recorded_ones_in_their_order() {
        let kind = |event: &Value| {
            let text = |key| field(event, key).as_str().unwrap_or_default().to_owned();
            let target = event.get("group_id").is_some();
            (text("post_type"), text("message_type"), text("notice_type"), text("request_type"), target)
        };
        let recorded: BTreeMap<_, _> = samples(2_847_190_563)
            .into_iter()
            .filter(|event| {
                field(event, "sub_type") != "invite" && field(event, "sub_type") != "profile_like"
            })
            .filter(|event| field(event, "sub_type") != "title" && field(event, "temp_source").is_null())
            .map(|event| (kind(&event), event))
            .collect();
        let mut kinds = BTreeMap::new();
        for event in story(1, 3000) {
            let kind = kind(&event);
            let twin = recorded.get(&kind).unwrap_or_else(|| panic!("LLOneBot sends no {kind:?}"));
            assert_eq!(keys(&event), keys(twin));
            *kinds.entry(kind).or_insert(0) += 1;
        }
        assert_eq!(kinds.len(), 10, "{kinds:?}");
    }

    #[test]
    fn sequence_numbers_of_a_group_only_rise() {
        let mut last = BTreeMap::new();
        for event in story(3, 2000).iter().filter(|event| field(event, "message_type") == "group") {
            let group = field(event, "group_id").as_i64().unwrap();
            let seq = field(event, "message_seq").as_i64().unwrap();
            assert!(last.insert(group, seq).is_none_or(|before| before < seq));
        }
        assert_eq!(last.len(), 3);
    }
}
