//! Who lives in the simulated world, in the shapes LLOneBot shows them.

use serde::Serialize;
use serde_json::{Value, json};

use crate::simulator::object::put;
use crate::simulator::random::Random;

use super::files::Drive;

/// The account of the recorded events.
pub(crate) const SELF_ID: i64 = 2_847_190_563;
pub(crate) const SELF_NAME: &str = "窑小二";
const FOUNDED: i64 = 1_583_056_403;

/// People of the recorded events: number, nickname, card, role, level, title in the first group.
const KNOWN: [(i64, &str, &str, Rank, &str, &str); 6] = [
    (1_639_027_745, "山间微雨", "微雨｜陶艺", Rank::Owner, "87", "窑主"),
    (758_310_926, "阿拓", "阿拓-景德镇", Rank::Admin, "63", ""),
    (3_051_882_469, "Loess", "", Rank::Member, "16", ""),
    (2_210_947_381, "小满", "", Rank::Member, "9", ""),
    (3_482_216_057, "夜行货车", "", Rank::Member, "28", ""),
    (3_889_001_217, "签到姬", "", Rank::Member, "1", ""),
];
const GROUPS: [(i64, &str, usize, u32); 3] = [
    (618_204_977, "青石镇手作交流群", 24, 500),
    (930_551_846, "釉料配方互助", 60, 2000),
    (771_846_203, "柴窑拼窑小组", 12, 500),
];
const NAMES: [&str; 12] =
    ["山间", "青瓷", "窑火", "釉里红", "天目", "听雨", "南瓜汤", "纸飞机", "老陈", "阿梨", "半亩", "Kiln"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rank {
    Member,
    Admin,
    Owner,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Friend {
    pub(crate) user_id: i64,
    pub(crate) nickname: String,
    pub(crate) remark: String,
    sex: &'static str,
    birthday_year: u16,
    birthday_month: u8,
    birthday_day: u8,
    age: u8,
    qid: String,
    long_nick: String,
    #[serde(skip)]
    pub(crate) category: i64,
}

impl Friend {
    pub(crate) fn new(user_id: i64, nickname: &str) -> Self {
        Self {
            user_id,
            nickname: nickname.to_owned(),
            remark: String::new(),
            sex: "unknown",
            birthday_year: 0,
            birthday_month: 0,
            birthday_day: 0,
            age: 0,
            qid: String::new(),
            long_nick: String::new(),
            category: 0,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Member {
    group_id: i64,
    pub(crate) user_id: i64,
    pub(crate) nickname: String,
    pub(crate) card: String,
    card_or_nickname: String,
    sex: &'static str,
    age: u8,
    area: &'static str,
    pub(crate) level: String,
    qq_level: u16,
    join_time: i64,
    pub(crate) last_sent_time: i64,
    title_expire_time: i64,
    unfriendly: bool,
    card_changeable: bool,
    is_robot: bool,
    pub(crate) shut_up_timestamp: i64,
    #[serde(rename = "role")]
    pub(crate) rank: Rank,
    pub(crate) title: String,
}

impl Member {
    pub(crate) fn new(group_id: i64, user_id: i64, nickname: &str, join_time: i64) -> Self {
        Self {
            group_id,
            user_id,
            nickname: nickname.to_owned(),
            card: String::new(),
            card_or_nickname: nickname.to_owned(),
            sex: "unknown",
            age: 0,
            area: "",
            level: "1".to_owned(),
            qq_level: 0,
            join_time,
            last_sent_time: join_time,
            title_expire_time: 0,
            unfriendly: false,
            card_changeable: true,
            is_robot: false,
            shut_up_timestamp: 0,
            rank: Rank::Member,
            title: String::new(),
        }
    }

    /// Changes the card and returns the old one.
    pub(crate) fn set_card(&mut self, card: &str) -> String {
        let shown = if card.is_empty() { &self.nickname } else { card };
        self.card_or_nickname = shown.to_owned();
        std::mem::replace(&mut self.card, card.to_owned())
    }

    fn ranked(mut self, rank: Rank) -> Self {
        self.rank = rank;
        self
    }
}

#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
pub(crate) struct Group {
    pub(crate) group_id: i64,
    pub(crate) group_name: String,
    group_memo: String,
    group_create_time: i64,
    member_count: usize,
    max_member_count: u32,
    pub(crate) remark_name: String,
    avatar_url: String,
    owner_id: i64,
    is_top: bool,
    pub(crate) shut_up_all_timestamp: i64,
    pub(crate) shut_up_me_timestamp: i64,
    #[serde(skip)]
    pub(crate) members: Vec<Member>,
    #[serde(skip)]
    pub(crate) drive: Drive,
    #[serde(skip)]
    pub(crate) announcements: Vec<Value>,
    #[serde(skip)]
    pub(crate) essence: Vec<Value>,
    #[serde(skip)]
    pub(crate) albums: Vec<Value>,
    #[serde(skip)]
    pub(crate) signed: Vec<Value>,
}

impl Group {
    pub(crate) fn new(group_id: i64, group_name: &str, members: Vec<Member>, max_member_count: u32) -> Self {
        Self {
            group_id,
            group_name: group_name.to_owned(),
            group_memo: String::new(),
            group_create_time: FOUNDED,
            member_count: 0,
            max_member_count,
            remark_name: String::new(),
            avatar_url: format!("https://p.qlogo.cn/gh/{group_id}/{group_id}/0"),
            owner_id: 0,
            is_top: false,
            shut_up_all_timestamp: 0,
            shut_up_me_timestamp: 0,
            members,
            drive: Drive::default(),
            announcements: Vec::new(),
            essence: Vec::new(),
            albums: Vec::new(),
            signed: Vec::new(),
        }
    }

    pub(crate) fn owner(&self) -> i64 {
        self.members.iter().find(|member| member.rank == Rank::Owner).map_or(0, |owner| owner.user_id)
    }

    pub(crate) fn member(&mut self, user_id: i64) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.user_id == user_id)
    }

    /// As `get_group_info` shows it; `get_group_list` leaves the owner out.
    pub(crate) fn shown(&self, with_owner: bool) -> Value {
        let mut shown = json!(self);
        put(&mut shown, "member_count", self.members.len());
        put(&mut shown, "owner_id", if with_owner { self.owner() } else { 0 });
        shown
    }
}

/// The friends at the start: two of the recorded events, and some more.
pub(crate) fn friends(random: &mut Random) -> Vec<Friend> {
    let mut friends = vec![
        Friend {
            remark: "阿拓（釉料）".to_owned(),
            sex: "male",
            birthday_year: 1996,
            birthday_month: 4,
            birthday_day: 17,
            age: 30,
            qid: "atuo_glaze".to_owned(),
            long_nick: "慢慢烧".to_owned(),
            ..Friend::new(758_310_926, "阿拓")
        },
        Friend::new(1_639_027_745, "山间微雨"),
    ];
    friends.extend((0..6).map(|index| Friend::new(1_904_000_000 + index * 1117, &name(random))));
    friends
}

/// The groups at the start: the known people in the first, invented ones everywhere.
pub(crate) fn groups(self_id: i64, random: &mut Random) -> Vec<Group> {
    let invent = |(index, (group_id, name, size, limit)): (usize, (i64, &str, usize, u32))| {
        let mut members = Vec::with_capacity(size);
        if index == 0 {
            members.extend(KNOWN.map(|(user_id, nickname, card, rank, level, title)| {
                let mut member = Member::new(group_id, user_id, nickname, FOUNDED).ranked(rank);
                member.set_card(card);
                level.clone_into(&mut member.level);
                title.clone_into(&mut member.title);
                member
            }));
        }
        let rank = if index == 0 { Rank::Admin } else { Rank::Member };
        members.push(Member::new(group_id, self_id, SELF_NAME, FOUNDED).ranked(rank));
        let base = 1_000_200_000 + 100_000 * (index as u64).cast_signed();
        while members.len() < size {
            let number = (members.len() as u64).cast_signed();
            members.push(Member::new(
                group_id,
                base + number * 38,
                &self::name(random),
                FOUNDED + number * 607,
            ));
        }
        if index > 0
            && let Some(last) = members.last_mut()
        {
            last.rank = Rank::Owner;
        }
        Group::new(group_id, name, members, limit)
    };
    GROUPS.into_iter().enumerate().map(invent).collect()
}

fn name(random: &mut Random) -> String {
    let stem = random.pick(&NAMES).copied().unwrap_or("路人");
    format!("{stem}{}", random.below(100))
}
